"""What the page is made of: markup, style and script, all put into one file."""
