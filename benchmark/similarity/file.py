"""Distances as tidy rows and JSON, and read back from the JSON that ``cmbench report similarity --out`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ... import untrusted
from ...errors import CmbenchError, UsageError
from .distance import MEASURES, Distances
from .distance_tables import labels
from .report import SimilarityReport

LARGEST = 64 * 2**20
"""Bytes of one report."""


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
        raise UsageError(f"{path} holds no similarity report; `cmbench report similarity --out DIR` writes one.")
    return [distances for file in files for distances in _read(file) if distances.measure in MEASURES]


def _read(file: Path) -> list[Distances]:
    try:
        found: Any = untrusted.parse_json(untrusted.read_bytes(file, LARGEST), file)
        entries = [dict(entry) for entry in found["distances"]]
        for entry in entries:
            entry.pop("labels", None)
            entry["by_codebook"] = {(first, second): values for first, second, values in entry["by_codebook"]}
        return TypeAdapter(list[Distances]).validate_python(entries)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        first = str(error).splitlines()[0]
        raise CmbenchError(
            f"{file} is not a report that `cmbench report similarity` wrote ({first}); write it again with --out."
        ) from error


def similarity_rows(report: SimilarityReport) -> Iterator[dict[str, object]]:
    """Yield a row for each pair and measure, and for each codebook; ``None`` does not exist."""
    for d in report.distances:
        named = {"edition": d.edition, "stand_in": d.stand_in, "measure": d.measure, "source": d.source}
        for pair in d.pairs:
            facts = asdict(pair)
            row = named | {"first": facts.pop("first"), "second": facts.pop("second")}
            facts = {"as_sampled": facts.pop("value"), "distance": facts.pop("corrected"), **facts}
            yield row | {"codebook": "mean" if d.by_codebook else None} | facts
            for book, value in enumerate(d.by_codebook.get((pair.first, pair.second), ())):
                yield row | {"codebook": book} | dict.fromkeys(facts) | {"as_sampled": value}


def similarity_json(report: SimilarityReport) -> str:
    """Return the whole report; ``null`` is a number that does not exist."""
    distances = []
    for d in report.distances:
        facts = asdict(d)
        facts["by_codebook"] = [[*pair, list(values)] for pair, values in d.by_codebook.items()]
        facts["labels"] = labels(d.edition, d.stand_in)
        distances.append(facts)
    relations = []
    for r in report.relations:
        of = r.distances
        named = {"measure": of.measure, "source": of.source, "edition": of.edition, "stand_in": of.stand_in}
        relations.append(named | {name: value for name, value in asdict(r).items() if name != "distances"})
    whole = {
        "edition": report.edition,
        "labels": labels(report.edition, stand_in=False),
        "settings": dict(report.settings),
        "distances": distances,
        "relations": relations,
    }
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"
