"""Recipes: the YAML files, their keys, how they are read and what their values may be."""
