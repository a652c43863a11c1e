"""The board as pages: built, served, and as JSON."""
