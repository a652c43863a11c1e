"""Questions asked of several models: what encodes audio or trains probes."""
