"""One file for the browser."""
