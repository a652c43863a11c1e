"""What a board must show, worked out from the predictions of its entries and the labels of the doubles.

Values are worked out here once more, by their definitions and without a ranking; intervals and places are resampled by
cmbench from the same predictions, as nobody else's program has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines.published import published
from cmbench.benchmark.protocol import PROTOCOLS
from cmbench.benchmark.records.scores import score_predictions
from cmbench.benchmark.views.words import percent, span, with_interval
from cmbench.leaderboards.ranking import Entrant, Place, boards
from cmbench.leaderboards.reading import read_entry
from cmbench.tasks.base import TRADITION_ORDER, WESTERN
from cmbench.tasks.registry import registry
from cmbench.tests.rehearsal.corpus import Item

Tracks = Mapping[str, Sequence[Item]]


Bools = NDArray[np.bool_]


def roc_auc(targets: Bools, scores: NDArray[np.float32], known: Bools) -> NDArray[np.float64]:
    """Of each label, the share of pairs of a positive and a known negative in the right order, ties as half."""
    pairs = targets[:, None] & known & ~targets
    won = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    share: NDArray[np.float64] = (pairs * won).sum(axis=(0, 1)) / pairs.sum(axis=(0, 1))
    return share


def average_precision(targets: Bools, scores: NDArray[np.float32], known: Bools) -> NDArray[np.float64]:
    """Of each label, the mean over positives of the precision among all known tracks that score no less."""
    reached = (scores >= scores[:, None]) & known
    precision = (reached & targets).sum(axis=1) / np.maximum(reached.sum(axis=1), 1)
    mean: NDArray[np.float64] = (precision * targets).sum(axis=0) / targets.sum(axis=0)
    return mean


METRICS = {"roc_auc": roc_auc, "average_precision": average_precision}


@dataclass(frozen=True)
class Entry:
    """The scores of one entry.

    Attributes:
        name: as the board writes it.
        text: ``(task, metric)`` -> cell.
        value: ``(task, metric)`` -> fraction.
        centred: task -> 0 at chance, 1 for a perfect ranking.
        place: as cmbench ranks it.
    """

    name: str
    text: Mapping[tuple[str, str], str]
    value: Mapping[tuple[str, str], float]
    centred: Mapping[str, float]
    place: Place

    def tradition(self, name: str) -> float:
        """The mean over the tasks of a tradition."""
        return fmean(score for task, score in self.centred.items() if registry()[task].tradition == name)


def read_entries(folder: Path, tracks: Tracks) -> tuple[Entry, ...]:
    """Score every entry in a folder anew, best first; its tracks and targets must be those of the doubles."""
    names = sorted(path.name for path in folder.iterdir())
    entrants = {f"{name}/1": read_entry(folder / name / "1").evidence for name in names}
    bases = {f"{name}/1": "MERT-v1-95M/1" if name != "MERT-v1-95M" else None for name in names}
    (board,) = boards(Entrant(name, found, bases[name]) for name, found in entrants.items())
    return tuple(_entry(folder / place.name, place, tracks) for place in board.places)


def _entry(folder: Path, place: Place, tracks: Tracks) -> Entry:
    text: dict[tuple[str, str], str] = {}
    value: dict[tuple[str, str], float] = {}
    centred: dict[str, float] = {}
    for record in place.records:
        task = record.task.name
        with np.load(folder / "predictions" / f"{record.stem}.npz", allow_pickle=False) as arrays:
            ids, groups = arrays["track_ids"].tolist(), arrays["groups"].tolist()
            targets, guesses = arrays["targets"], arrays["probabilities"]
            again_trained = arrays["resampled"].astype(np.float32)
            known = arrays["known"] if "known" in arrays else np.ones_like(targets)
        own = {one.id: one.labels for one in tracks[task] if one.split == "test"}
        assert sorted(ids) == sorted(own)
        assert targets.tolist() == [[label in own[name] for label in registry()[task].labels] for name in ids]
        again = score_predictions(
            targets, guesses, [group or None for group in groups], record.task.labels, record.task.families,
            [label.train_support for label in record.labels], PROTOCOLS["cmbench-2"],
            resampled=again_trained, known=None if known.all() else known,
        ).metrics  # fmt: skip
        for metric in METRICS:
            value[task, metric] = macro(metric, targets, guesses, known)
            text[task, metric] = with_interval(value[task, metric], again[metric].interval)
        defined = _defined(targets, known)
        chance = float((targets.sum(axis=0) / known.sum(axis=0))[defined].mean())
        precise = (value[task, "average_precision"] - chance) / (1 - chance)
        centred[task] = fmean([2 * value[task, "roc_auc"] - 1, precise])
    return Entry(place.name.replace("/", " "), text, value, centred, place)


def _defined(targets: Bools, known: Bools) -> Bools:
    """The labels that have positives and negatives."""
    positives: NDArray[np.int64] = targets.sum(axis=0)
    defined: Bools = (positives > 0) & (positives < known.sum(axis=0))
    return defined


def macro(metric: str, targets: Bools, guesses: NDArray[np.float32], known: Bools) -> float:
    """Mean over labels and seeds."""
    kept = _defined(targets, known)
    return fmean(float(METRICS[metric](targets[:, kept], seed[:, kept], known[:, kept]).mean()) for seed in guesses)


def check_tables(
    shown: Mapping[str, list[list[str]]], entries: Sequence[Entry], tracks: Tracks, parameters: int
) -> None:
    """Hold every cell of a board's tables to the entries' predictions, and those of papers to what was typed in."""
    tables = dict(shown)
    tasks = sorted(tracks)
    heads = [f"{name} {registry()[name].tradition}, n={_tests(tracks[name])}" for name in tasks]
    for metric in METRICS:
        rows = [[entry.name, *(entry.text[task, metric] for task in tasks)] for entry in entries]
        assert tables.pop(metric) == [["entry", *heads], *rows]
    header, *rows = tables.pop("places")
    _, *beside = tables.pop("beside")
    assert header[3:8] == list(TRADITION_ORDER)
    assert [row[0] for row in rows] == [row[0] for row in beside] == [entry.name for entry in entries]
    for row, more, entry in zip(rows, beside, entries, strict=True):
        _check_place(row, more, entry, entries, parameters)
    figures = {percent(score) for row in published() for cells in row.scores.values() for score in cells.values()}
    assert tables
    for caption, (_, *rows) in tables.items():
        assert caption.startswith("reported")
        assert {part for row in rows for cell in row[1:] for part in cell.split(" / ")} <= figures


def _tests(tracks: Sequence[Item]) -> int:
    return sum(one.split == "test" for one in tracks)


def _check_place(row: list[str], more: list[str], entry: Entry, entries: Sequence[Entry], parameters: int) -> None:
    """Hold one row of the tables of places to the predictions: values to ours, intervals to cmbench's around them."""
    judged = entry.place.equity
    ours = {name: entry.tradition(name) for name in TRADITION_ORDER}
    others = fmean(score for name, score in ours.items() if name != WESTERN)
    (base,) = (one for one in entries if one.name == "MERT-v1-95M 1")
    assert judged.gap is not None
    levels = [
        (judged.mean, fmean(ours.values())),
        *((judged.traditions[name], ours[name]) for name in TRADITION_ORDER),
        (judged.spread, max(ours.values()) - min(ours.values())),
        (judged.gap, others - ours[WESTERN]),
    ]
    if base is not entry:
        assert entry.place.retention is not None
        levels.append((entry.place.retention, ours[WESTERN] / base.tradition(WESTERN)))
    for level, value in levels:
        assert level.value == pytest.approx(value, abs=1e-9)
    assert row[2:8] == [span(level) for level, _ in levels[:6]]
    assert judged.worst_share is not None
    assert more[1] == f"{min(ours, key=ours.__getitem__)} ({100 * judged.worst_share:.0f} %)"
    assert more[2] == ("–" if base is entry else span(levels[-1][0]))
    assert more[3:5] == [span(judged.spread), span(judged.gap)]
    spent = sum(record.cost.encode_seconds for record in entry.place.records)
    heard = sum(record.cost.audio_seconds for record in entry.place.records)
    assert more[5].startswith(f"{3600 * spent / heard:.3g} ")
    assert more[6] == f"{parameters / 1e6:.1f} M"
    assert (more[7:], row[8:]) == (["cc-by-nc-4.0"], ["rescored"])
    first, last = entry.place.first, entry.place.last
    assert row[1] == (str(first) if first == last else f"{first}–{last}")
