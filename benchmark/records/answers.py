"""An answer per recording: the predictions of a record as a table for people, beside it.

One row a test track: its file, what is true of it, and for every true label the probability and its place among all
labels and among those of its family (1: the likeliest). Probabilities are those that were scored: means over seeds, not
calibrated.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
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

    With ``again``, also where they are there already, and none of their files was moved since.
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

    The arrays are ``track_ids`` ``[tracks]``, ``labels`` ``[labels]``, ``targets`` ``[tracks, labels]`` and
    ``probabilities`` ``[seeds, tracks, labels]``.
    """
    labels = [str(label) for label in arrays["labels"]]
    families = [data.task.families[label] for label in labels]
    probabilities = np.asarray(arrays["probabilities"], dtype=np.float64).mean(axis=0)
    targets = np.asarray(arrays["targets"], dtype=bool)
    tracks = {track.id: track for track in data.splits["test"]}
    overall = ranks(probabilities)
    within, likeliest = np.zeros_like(overall), []
    for family in dict.fromkeys(families):
        mine = np.flatnonzero([name == family for name in families])
        within[:, mine] = ranks(probabilities[:, mine])
        likeliest.append([labels[k] for k in mine[probabilities[:, mine].argmax(axis=1)]])
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FACTS, *ANSWERS, *labels])
    for i, (id_, true, row) in enumerate(zip(arrays["track_ids"], targets, probabilities, strict=True)):
        track, where, said = tracks[str(id_)], np.flatnonzero(true), [f"{value:.4f}" for value in row]
        end = "" if track.end is None else f"{track.end:g}"
        facts = [model, data.task.name, data.edition, data.split_name, track.id, track.path, f"{track.start:g}", end]
        answers = (
            [labels[k] for k in where],
            [said[k] for k in where],
            overall[i, where],
            within[i, where],
            [names[i] for names in likeliest],
        )
        writer.writerow([*facts, track.group or "", *("|".join(map(str, column)) for column in answers), *said])
    return text.getvalue()


def ranks(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of every label, 1 for the likeliest; equal ones share the better place. ``[..., labels]``."""
    from scipy.stats import rankdata

    places: NDArray[np.int64] = rankdata(-probabilities, method="min", axis=-1).astype(np.int64)
    return places
