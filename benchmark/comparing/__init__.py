"""Models judged on the same tracks."""
