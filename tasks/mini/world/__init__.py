"""The synthetic corpora of the tasks beyond the paper's six."""
