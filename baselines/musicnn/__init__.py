"""musicnn: taggers whose weights come through pip."""

from .encoder import ENCODERS, PREPARERS

__all__ = ["ENCODERS", "PREPARERS"]
