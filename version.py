"""The version; nobody climbs through the public API for it."""

from __future__ import annotations

__version__ = "0.1.0"
