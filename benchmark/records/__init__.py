"""The one result format, and its predictions: written, read, set side by side."""
