"""Getting real data onto this machine: downloads, archives, published tables."""
