"""An answer per recording: the predictions of a record as a table for people, beside it.

One row a test track: its file, what is true of it, and for every true label the probability and its place among all
labels and among those of its family (1: the likeliest). Probabilities are those that were scored: means over seeds, not
calibrated.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...files import write_atomically
from .predictions import read_predictions

if TYPE_CHECKING:
    from ...tasks.base import TaskData

FACTS = ("model", "task", "edition", "split", "id", "file", "start", "end", "group")
ANSWERS = ("truth", "probability", "rank", "rank_in_family", "likeliest")


def answers_path(record: Path) -> Path:
    """Return where the answers of a record are: beside it."""
    return record.with_name(f"{record.name.removesuffix('.json')}.predictions.csv")


def write_answers(record: Path, model: str, data: TaskData, *, again: bool = True) -> None:
    """Write the answers of a record beside it, from the predictions that are there.

    Args:
        record: its path.
        model: its name.
        data: the task's tracks.
        again: also where they are there already, and none of their files was moved since.
    """
    if not again and answers_path(record).exists():
        with answers_path(record).open(encoding="utf-8-sig", errors="replace", newline="") as file:
            named = [row.get("file") for row in csv.DictReader(file)]
        if all(Path(name).exists() for name in named if name):
            return
    predictions = record.with_suffix(".npz")
    text = answers_csv(model, data, read_predictions(predictions.read_bytes(), predictions))
    write_atomically(answers_path(record), text.encode("utf-8-sig"))  # the mark tells Excel the encoding


def answers_csv(model: str, data: TaskData, arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Return the table: a row a test track, a column for every label's probability behind the answers.

    Args:
        model: its name.
        data: the task's tracks; those of the predictions are among its test tracks.
        arrays: ``track_ids`` ``[tracks]``, ``labels`` ``[labels]``, ``targets`` ``[tracks, labels]``, ``probabilities``
            ``[seeds, tracks, labels]``.
    """
    labels = [str(label) for label in arrays["labels"]]
    families = [data.task.families[label] for label in labels]
    probabilities = np.asarray(arrays["probabilities"], dtype=np.float64).mean(axis=0)
    targets = np.asarray(arrays["targets"], dtype=bool)
    tracks = {track.id: track for track in data.splits["test"]}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FACTS, *ANSWERS, *labels])
    for id_, true, row in zip(arrays["track_ids"], targets, probabilities, strict=True):
        track = tracks[str(id_)]
        end = "" if track.end is None else f"{track.end:g}"
        facts = [model, data.task.name, data.edition, data.split_name, track.id, track.path, f"{track.start:g}", end]
        writer.writerow([*facts, track.group or "", *_answers(labels, families, true, row), *map(_told, row)])
    return text.getvalue()


def ranks(row: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the place of every label among some of them, 1 for the likeliest; equal ones share the better place.

    Args:
        row: probabilities ``[labels]``.
        among: ``[labels]``.
    """
    places: NDArray[np.int64] = 1 + (row[among][None, :] > row[:, None]).sum(axis=1)
    return places


def _answers(
    labels: Sequence[str], families: Sequence[str], true: NDArray[np.bool_], row: NDArray[np.float64]
) -> list[str]:
    overall = ranks(row, np.ones(len(row), dtype=bool))
    within, likeliest = np.zeros(len(row), dtype=np.int64), []
    for family in dict.fromkeys(families):
        mine = np.array([name == family for name in families])
        within[mine] = ranks(row, mine)[mine]
        likeliest.append(labels[int(np.flatnonzero(mine)[np.argmax(row[mine])])])
    where = [int(i) for i in np.flatnonzero(true)]
    columns = (
        [labels[i] for i in where],
        [_told(row[i]) for i in where],
        [str(overall[i]) for i in where],
        [str(within[i]) for i in where],
        likeliest,
    )
    return ["|".join(column) for column in columns]


def _told(probability: float) -> str:
    return f"{probability:.4f}"
