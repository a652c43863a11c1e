"""Studies: a question that takes audio, encoders or probes. One file or folder each; :mod:`.base` says what one is."""
