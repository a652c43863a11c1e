"""Metrics and resamples on arrays alone."""
