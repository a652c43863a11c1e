"""What the page shows of single recordings: the most confident hits and misses of each family, to be listened to.

Files are those that the table of answers beside a record names. A recording gets a player where it lies near the page:
below the folder of the page or below the one above it, so that both can be moved or served together.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ..records.answers import answers_path, ranks
from ..records.evidence import Evidence
from ..views.base import DRAWN_MODELS

SHOWN = 3
"""Hits and misses that are shown of each family."""


@dataclass(frozen=True)
class Answered:
    """One recording."""

    name: str  # of the file
    address: str  # of the file as seen from the page; empty where it is not near
    said: str  # the likeliest label of the family
    probability: float  # of that label
    truth: str  # the recording's labels of the family, each with its place among the family's labels


@dataclass(frozen=True)
class FamilyAnswers:
    """The most confident answers about one family."""

    family: str  # of labels
    hits: tuple[Answered, ...]  # the likeliest label is true
    misses: tuple[Answered, ...]  # it is not
    right: int  # how many recordings the likeliest label is true of
    judged: int  # recordings with a label of the family


@dataclass(frozen=True)
class Answers:
    """One model on one task."""

    model: str
    task: str
    families: tuple[FamilyAnswers, ...]


def answers(found: Sequence[Evidence], page: Path) -> tuple[Answers, ...]:
    """Return what ``page`` shows of records whose answers lie beside them; nothing of rendered music.

    Those of the first :data:`DRAWN_MODELS` models are shown.
    """
    real = [one for one in found if one.record.task.edition != "mini" and answers_path(one.path).is_file()]
    models = list(dict.fromkeys(one.record.model.name for one in real))[:DRAWN_MODELS]
    made = (
        Answers(one.record.model.name, one.record.task.name, tuple(_families(one, page)))
        for one in real
        if one.record.model.name in models
    )
    return tuple(one for one in made if one.families)


@dataclass(frozen=True)
class _Family:
    """The answers of one record about one family."""

    evidence: Evidence  # the record with its predictions
    name: str  # of the family
    mine: NDArray[np.bool_]  # which labels are of it ``[labels]``
    probabilities: NDArray[np.float64]  # mean over seeds ``[tracks, labels]``
    files: Mapping[str, Path]  # of the tracks, by id
    page: Path  # where the page will be

    def best(self, row: int) -> int:
        """Return the likeliest label of a track."""
        places = np.flatnonzero(self.mine)
        return int(places[self.probabilities[row, self.mine].argmax()])

    def heard(self, row: int) -> Answered:
        """Return what is shown of a track."""
        labels, best = self.evidence.record.task.labels, self.best(row)
        prefix = f"{self.name}--"
        within = ranks(np.where(self.mine, self.probabilities[row], -1.0))
        true = np.flatnonzero(self.evidence.targets[row] & self.mine).tolist()
        file = self.files.get(self.evidence.track_ids[row])
        return Answered(
            name=self.evidence.track_ids[row] if file is None else file.name,
            address="" if file is None else near(file, self.page),
            said=labels[best].removeprefix(prefix),
            probability=float(self.probabilities[row, best]),
            truth=", ".join(f"{labels[i].removeprefix(prefix)} (place {within[i]})" for i in true),
        )


def _families(evidence: Evidence, page: Path) -> Iterator[FamilyAnswers]:
    task, files = evidence.record.task, _files(answers_path(evidence.path))
    probabilities = evidence.probabilities.astype(np.float64).mean(axis=0)
    for name in dict.fromkeys(task.families[label] for label in task.labels):
        mine = np.array([task.families[label] == name for label in task.labels])
        family = _Family(evidence, name, mine, probabilities, files, page)
        sure = evidence.whole(np.flatnonzero(mine).tolist())
        judged = np.flatnonzero(evidence.targets[:, mine].any(axis=1) & sure).tolist()
        if mine.sum() < 2 or not judged:
            continue
        surest = sorted(judged, key=lambda row: (-family.probabilities[row, family.best(row)], row))
        true = [row for row in surest if evidence.targets[row, family.best(row)]]
        false = [row for row in surest if not evidence.targets[row, family.best(row)]]
        hits, misses = (tuple(map(family.heard, rows[:SHOWN])) for rows in (true, false))
        yield FamilyAnswers(name, hits, misses, len(true), len(judged))


def near(file: Path, page: Path) -> str:
    """Return a file's address as seen from the page; empty unless it is there and near."""
    folder = page.resolve().parent
    try:
        there = file.resolve()
        if not there.is_relative_to(folder.parent) or not there.is_file():
            return ""
    except OSError:  # a name that this system cannot have
        return ""
    return quote(Path(os.path.relpath(there, folder)).as_posix())


def _files(table: Path) -> dict[str, Path]:
    rows = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig"), newline=""))
    return {row["id"]: Path(row["file"]) for row in rows if row.get("id") and row.get("file")}
