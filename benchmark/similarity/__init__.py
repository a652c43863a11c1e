"""How far apart the traditions are, on features or tokens."""
