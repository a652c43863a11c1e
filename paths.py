"""Where cmbench keeps and looks for things on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """Folder of everything that can be computed or fetched again.

    ``CMBENCH_CACHE`` if it is set, else the platform's cache folder.
    """
    named = os.environ.get("CMBENCH_CACHE")
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("cmbench"))


def data_root(named: str | os.PathLike[str] | None = None) -> Path | None:
    """Folder that holds one sub-folder per real data set.

    The given folder, else ``CMBENCH_DATA``, else ``None`` (no real data configured).
    """
    value = named or os.environ.get("CMBENCH_DATA")
    return Path(value).expanduser() if value else None


def models_root() -> Path:
    """Folder that holds one sub-folder per model: ``CMBENCH_MODELS``, else ``models`` in the cache."""
    named = os.environ.get("CMBENCH_MODELS")
    return Path(named).expanduser() if named else cache_root() / "models"
