"""Formulas on spectra: the baselines that need no weights."""

from .encoder import ENCODERS

__all__ = ["ENCODERS"]
