"""Audio as tokens: EnCodec, and residual k-means."""
