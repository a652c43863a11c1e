"""cmbench tells how well a music model understands the world's music.

The public names below are loaded when first used, so that ``import cmbench`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .baselines.registry import load_encoder as load_model
    from .benchmark.records.folder import load_records
    from .benchmark.records.record import Record
    from .benchmark.run import run
    from .tasks.choice import get_task
    from .version import __version__

__all__ = ["Record", "__version__", "get_task", "load_model", "load_records", "run"]

_HOMES = {
    "run": ("benchmark.run", "run"),
    "load_model": ("baselines.registry", "load_encoder"),
    "get_task": ("tasks.choice", "get_task"),
    "load_records": ("benchmark.records.folder", "load_records"),
    "__version__": ("version", "__version__"),
    "Record": ("benchmark.records.record", "Record"),
}


def __getattr__(name: str) -> object:
    """Load a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cmbench' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
