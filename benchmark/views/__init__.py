"""Views over records: a table, a figure, a block of the page."""
