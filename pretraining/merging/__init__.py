"""Task arithmetic, mean, TIES and DARE on model folders."""
