"""Whether an entry is true: rescored, compared with the labels, with other entries and with its own history."""
