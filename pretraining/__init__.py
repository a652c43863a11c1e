"""From MERT to models of other cultures: adapting and merging."""
