"""Splits: their names, and how they are drawn where none are published."""
