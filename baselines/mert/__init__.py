"""MERT, CultureMERT and HuBERT: read from folders, computed by our own code."""

from .encoder import ENCODERS, FOLDER_READERS

__all__ = ["ENCODERS", "FOLDER_READERS"]
