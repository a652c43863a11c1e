"""MERT, CultureMERT and HuBERT: read from folders, computed by our own code."""

from .encoder import ENCODERS, FILE_READERS, FOLDER_READERS

__all__ = ["ENCODERS", "FILE_READERS", "FOLDER_READERS"]
