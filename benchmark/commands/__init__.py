"""The commands: parse, call, print; one file a group."""
