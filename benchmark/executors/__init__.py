"""Who does the work of a run: one file, one executor."""
