"""Templates of the static board."""
