"""Audio as windows, windows as features, features in their store."""
