"""Which scale a merge should have."""
