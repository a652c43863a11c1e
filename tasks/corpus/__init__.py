"""A corpus that a user brings: its table, its description, its files."""
