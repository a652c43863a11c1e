"""The engine: from tracks and an encoder to records and reports."""
