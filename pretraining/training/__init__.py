"""The loop: passes, held-out losses, checkpoints, logs, several processes."""
