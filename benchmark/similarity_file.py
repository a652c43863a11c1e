"""Distances read back from the JSON that ``cmbench report similarity --out`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..errors import CmbenchError, UsageError
from .similarity import Distances


def read_distances(path: Path) -> list[Distances]:
    """Read the distances of one report.

    Args:
        path: the ``similarity-<edition>.json``, or the folder that was given to ``--out``.

    Raises:
        UsageError: the place does not exist, or the folder has no such file.
        CmbenchError: the file is not such a report.
    """
    files = sorted(path.glob("similarity-*.json")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise UsageError(f"{path} holds no similarity report; `cmbench report similarity --out DIR` writes one.")
    return [distances for file in files for distances in _read(file)]


def _read(file: Path) -> list[Distances]:
    try:
        found: Any = json.loads(file.read_bytes())
        entries = [dict(entry) for entry in found["distances"]]
        for entry in entries:
            entry.pop("labels", None)
            entry["by_codebook"] = {(first, second): values for first, second, values in entry["by_codebook"]}
        return TypeAdapter(list[Distances]).validate_python(entries)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise CmbenchError(
            f"{file} is not a report that `cmbench report similarity` wrote ({first}); write it again with --out."
        ) from error
