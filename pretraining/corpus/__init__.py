"""What is trained on: recordings, what is kept out of them, and the crops drawn from them."""
