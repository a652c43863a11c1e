"""What the study found as JSON, and its distances read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .... import untrusted
from ....errors import CmbenchError, UsageError
from ....tasks.base import MINI_LABEL
from .distance import MEASURES, Distances
from .relation import Relation

LARGEST = 64 * 2**20
"""Bytes of one report."""


@dataclass(frozen=True)
class Similarity:
    """Everything that the study found, of one edition.

    Attributes:
        edition: of all tasks.
        settings: what a second measurement needs to come out the same.
        distances: one for each measure and source.
        relations: of each of the distances with transfer; empty without records.
    """

    edition: str
    settings: Mapping[str, object]
    distances: tuple[Distances, ...]
    relations: tuple[Relation, ...] = ()


def similarity_json(found: Similarity) -> str:
    """Return all of it; ``null`` is a number that does not exist."""
    whole = asdict(found) | {"labels": [MINI_LABEL] if found.edition == "mini" else []}
    for facts, distances in zip(whole["distances"], found.distances, strict=True):
        facts["labels"] = distances.labels
    for facts in whole["relations"]:
        of = facts.pop("distances")
        facts |= {name: of[name] for name in ("measure", "source", "edition", "stand_in")}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"


def read_distances(path: Path) -> list[Distances]:
    """Read the distances of one report; measures that earlier versions had are left out.

    Args:
        path: the ``similarity-<edition>.json``, or the folder that was given to ``--out``.

    Raises:
        UsageError: the place does not exist, or the folder has no such file.
        CmbenchError: the file is not such a report.
    """
    files = sorted(path.glob("similarity-*.json")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise UsageError(f"{path} holds no similarity report; `cmbench study similarity --out DIR` writes one.")
    return [distances for file in files for distances in _read(file) if distances.measure in MEASURES]


def _read(file: Path) -> list[Distances]:
    try:
        found: Any = untrusted.parse_json(untrusted.read_bytes(file, LARGEST), file)
        return TypeAdapter(list[Distances]).validate_python(found["distances"])
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        first = str(error).splitlines()[0]
        raise CmbenchError(
            f"{file} is not a report that `cmbench study similarity` wrote ({first}); write it again with --out."
        ) from error
