"""CompMusic's raga recognition data sets: recordings with one raga each."""
