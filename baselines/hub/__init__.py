"""Models of the hub and folders in its format: found, opened, described."""
