"""MERT's objective: targets, masks, losses, and the network in training."""
