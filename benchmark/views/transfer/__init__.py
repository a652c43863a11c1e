"""Models by tasks against a base."""
