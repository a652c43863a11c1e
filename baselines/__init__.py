"""Encoders: the models under test. One file = one family."""

from .base import Encoder, EncoderCard, EncoderEntry, LoadOptions
from .registry import load_encoder, registry

__all__ = ["Encoder", "EncoderCard", "EncoderEntry", "LoadOptions", "load_encoder", "registry"]
