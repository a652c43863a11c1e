"""Figures that others have reported, typed in with their sources: shown as ``reported``, never ranked or as ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import CmbenchError

FILE = Path(__file__).with_name("published.json")
SCHEMA = 1


@dataclass(frozen=True)
class Publication:
    """Where figures were published."""

    citation: str  # authors, place and year, and the document
    commit: str | None  # of a repository; ``None`` if it has none
    licence: str | None  # of the source; ``None`` if it states none


@dataclass(frozen=True)
class ReportedProtocol:
    """How the figures came about, as far as it is known."""

    title: str  # a few words
    summary: str  # one or two sentences
    unknown: tuple[str, ...]  # what the source leaves open


@dataclass(frozen=True)
class Reported:
    """One row of a published table."""

    model: str  # as the source calls it
    source: str  # key of :func:`sources`
    protocol: str  # key of :func:`protocols`
    seeds: int  # runs that were averaged
    standard_deviation: float | None  # over seeds; ``None`` if it was not published
    trained_on: str  # what the model had been trained on
    # task -> metric -> fraction in [0, 1]; ``None`` if it was not published
    scores: Mapping[str, Mapping[str, float | None]]
    average: float | None  # mean of the ROC-AUC and AP cells as it was published, or ``None``
    f1_average: float | None  # mean of the F1 cells as it was published, or ``None``
    transfer_from: Mapping[str, str]  # task -> the task whose network it was started from


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    if content["schema"] != SCHEMA:
        raise CmbenchError(f"{FILE}: schema {content['schema']} is not {SCHEMA}; install cmbench again.")
    return content


def sources() -> dict[str, Publication]:
    """Return every source by key."""
    return {key: Publication(**value) for key, value in _content()["sources"].items()}


def protocols() -> dict[str, ReportedProtocol]:
    """Return every protocol by key."""
    return {
        key: ReportedProtocol(value["title"], value["summary"], tuple(value["unknown"]))
        for key, value in _content()["protocols"].items()
    }


def published() -> tuple[Reported, ...]:
    """Return every reported row, in the order of the file.

    Raises:
        CmbenchError: a figure is not a fraction, or a row refers to a source or protocol that is not there.
    """
    rows = tuple(Reported(**{"transfer_from": {}, **row}) for row in _content()["rows"])
    for row in rows:
        if row.source not in sources() or row.protocol not in protocols():
            raise CmbenchError(f"{FILE}: the row {row.model!r} names no source or protocol of the file.")
        for task, scores in row.scores.items():
            for metric, value in scores.items():
                if value is not None and not 0 <= value <= 1:
                    raise CmbenchError(f"{FILE}: {row.model} on {task}: {metric} = {value} is not a fraction.")
    return rows


def notes() -> tuple[str, ...]:
    """Return what a reader of these figures should know."""
    return tuple(_content()["notes"])


def paper_average(row: Reported) -> float | None:
    """Plain mean of a row's ROC-AUC and AP cells, as the CultureMERT paper averages; ``None`` if one is missing."""
    cells = [scores.get(metric) for scores in row.scores.values() for metric in ("roc_auc", "average_precision")]
    known = [cell for cell in cells if cell is not None]
    return sum(known) / len(known) if known and len(known) == len(cells) else None
