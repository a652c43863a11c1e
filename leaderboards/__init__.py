"""A board that nobody has to trust: entries are folders of predictions, every number on it is computed from them."""
