"""Whether a machine, or an encoder, keeps its promises."""
