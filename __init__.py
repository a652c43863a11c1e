"""cmbench tells how well a music model understands the world's music.

The public names below are loaded when first used, so that ``import cmbench`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .baselines.base import load_encoder as load_model
    from .benchmark.record import Record
    from .benchmark.record_folder import load_records
    from .benchmark.run import run
    from .tasks.base import get_task

__version__ = "0.1.0"

__all__ = ["Record", "__version__", "get_task", "load_model", "load_records", "run"]

_HOMES = {
    "run": ("benchmark.run", "run"),
    "load_model": ("baselines.base", "load_encoder"),
    "get_task": ("tasks.base", "get_task"),
    "load_records": ("benchmark.record_folder", "load_records"),
    "Record": ("benchmark.record", "Record"),
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
