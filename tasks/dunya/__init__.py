"""The CompMusic corpora as Dunya and Saraga deliver them."""
