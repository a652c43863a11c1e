"""Distances read back from the JSON that ``cmbench report similarity --out`` writes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ... import untrusted
from ...errors import CmbenchError, UsageError
from .distance import Distances
from .distance_tables import labels
from .report import SimilarityReport

LARGEST = 64 * 2**20
"""Bytes of one report."""

CSV_HEAD = (
    *("edition", "stand_in", "measure", "source", "first", "second", "codebook"),
    *("as_sampled", "distance", "low", "high", "null_high", "p_value", "q_value", "reason"),
)


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


def similarity_csv(report: SimilarityReport) -> str:
    """Return one line for each pair and measure, and for each codebook; an empty field does not exist."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for d in report.distances:
        for pair in d.pairs:
            start = [d.edition, d.stand_in, d.measure, d.source, pair.first, pair.second]
            found = [pair.value, pair.corrected, pair.low, pair.high]
            tested = [*found, pair.null_high, pair.p_value, pair.q_value, pair.reason]
            writer.writerow([*start, "mean" if d.by_codebook else "", *("" if v is None else v for v in tested)])
            for book, value in enumerate(d.by_codebook.get((pair.first, pair.second), ())):
                writer.writerow([*start, book, value, *[""] * 7])
    return out.getvalue()


def similarity_json(report: SimilarityReport) -> str:
    """Return the whole report; ``null`` is a number that does not exist."""
    distances = []
    for d in report.distances:
        facts = asdict(d)
        facts["by_codebook"] = [[*pair, list(values)] for pair, values in d.by_codebook.items()]
        facts["labels"] = labels(d.edition, d.stand_in)
        distances.append(facts)
    whole = {
        "edition": report.edition,
        "labels": labels(report.edition, stand_in=False),
        "settings": dict(report.settings),
        "distances": distances,
        "agreements": [asdict(a) for a in report.agreements],
        "relations": [asdict(r) for r in report.relations],
    }
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"
