"""Other encoders than MERT, computed by transformers."""

from .encoder import ENCODERS, FOLDER_READERS

__all__ = ["ENCODERS", "FOLDER_READERS"]
