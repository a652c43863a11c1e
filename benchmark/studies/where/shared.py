"""Labels that several traditions have: a probe that learnt one in a tradition, scored in the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....tasks.base import tradition_place
from ...comparing.compare import BOUND, RESAMPLES
from ...comparing.paired import (
    LEVEL,
    NOTHING_DEFINED,
    Difference,
    Level,
    control_false_discoveries,
    difference,
    replicate,
)
from ...records.evidence import Evidence
from ...scoring.bootstrap import MIN_CLUSTERS
from ...scoring.intervals import Sample, missing, span
from ...scoring.metrics import ranking_scores
from ..cells import Cell, Work, kept_work, settled
from .probes import Fit, Scored, fit_linear, on_resamples, track_means

if TYPE_CHECKING:
    from ...observer import Observer
    from ...scoring.metrics import Bools, Doubles

SHARED: Mapping[str, Mapping[str, str]] = {
    "voice": {
        "turkish_makam": "instrument--Voice",
        "hindustani": "instrument--Voice",
        "carnatic": "instrument--Voice",
        "lyra": "instruments--Voice",
        "magnatagatune": "vocal",
    },
    "violin": {
        "turkish_makam": "instrument--Violin",
        "carnatic": "instrument--Violin",
        "lyra": "instruments--Violin",
        "magnatagatune": "violin",
    },
    "percussion": {
        "turkish_makam": "instrument--Percussion",
        "hindustani": "instrument--Tabla",
        "carnatic": "instrument--Mridangam",
        "lyra": "instruments--Percussion",
        "magnatagatune": "drums",
    },
}
"""What is shared -> task -> the label that says it, of the published label lists. Indian lists have no word for
percussion: the drum of most concerts stands for it. Western tags are listeners' words: of several for the voice the
most used one."""


@dataclass(frozen=True)
class Carried:
    """A probe that learnt a label on one task, scored on another, ROC-AUC.

    Attributes:
        source: task that it learnt on.
        target: task that it is scored on.
        score: there.
        change: against the probe that learnt on the target itself; ``None`` of that one.
    """

    source: str
    target: str
    score: Level
    change: Difference | None


@dataclass(frozen=True)
class Across:
    """A shared label in one model.

    Attributes:
        model: its name.
        label: what is shared.
        traditions: task -> its tradition, in the usual order.
        states: task -> the hidden state whose linear probe has the best ROC-AUC on its validation split.
        cells: every source with every target.
    """

    model: str
    label: str
    traditions: Mapping[str, str]
    states: Mapping[str, str]
    cells: tuple[Carried, ...]

    def cell(self, source: str, target: str) -> Carried:
        """Return one of the cells."""
        return next(one for one in self.cells if (one.source, one.target) == (source, target))


def across(cells: Sequence[Cell], trainings: int, out: Path, observer: Observer) -> tuple[Across, ...]:
    """Carry every shared label that two tasks or more have from each to each; q-values are among all changes.

    Args:
        cells: models outermost.
        trainings: of each probe, on resamples of the training groups.
        out: folder of the study.
        observer: hears how far it is.
    """
    wanted = [
        (label, [c for c in cells if c.model == model and _column(c, names) is not None])
        for model in dict.fromkeys(cell.model for cell in cells)
        for label, names in SHARED.items()
    ]
    wanted = [(label, there) for label, there in wanted if len(there) > 1]
    work = [
        Work(
            there[0],
            f"{label} across traditions",
            {
                "cells": [cell.facts for cell in there],
                "trainings": trainings,
                "resamples": RESAMPLES,
                "labels": SHARED[label],
            },
            partial(carry, there, label, trainings),
            ("across", label),
        )
        for label, there in wanted
    ]
    scores = kept_work(work, out, observer)
    found = [_judged(there, label, one, trainings) for (label, there), one in zip(wanted, scores, strict=True)]
    changes = [one.change for table in found for one in table.cells if one.change]
    judged = iter(control_false_discoveries(changes))
    return tuple(
        replace(t, cells=tuple(replace(one, change=next(judged)) if one.change else one for one in t.cells))
        for t in found
    )


def _column(cell: Cell, names: Mapping[str, str]) -> int | None:
    """Return the column of a task's own label; ``None`` if it has none, or its training tracks do not tell."""
    if names.get(cell.task) not in cell.data.labels:
        return None
    column = cell.data.labels.index(names[cell.task])
    labels, known = (part[:, column] for part in cell.truth("train"))
    return column if (labels & known).any() and (~labels & known).any() else None


def _of_label(cell: Cell, scored: Scored, column: int) -> Evidence:
    """Return the evidence of one label alone."""
    found = cell.predicted(*scored)
    known = None if found.known is None else found.known[:, [column]]
    return replace(found, targets=found.targets[:, [column]], known=known)


def carry(cells: Sequence[Cell], label: str, trainings: int, resamples: int = RESAMPLES) -> dict[str, Doubles]:
    """Score a linear probe of each task on the test tracks of each, in the state that its own validation chose.

    Returns:
        ROC-AUC ``[1 + resamples]`` by source and target (``lyra>carnatic``), groups that speak of the label in a target
        (``groups>carnatic``) and the position of the state of a source (``state>lyra``), one number each.
    """
    from ...probing.resampling import training_draws

    columns = {cell.task: column for cell in cells if (column := _column(cell, SHARED[label])) is not None}
    found: dict[str, Doubles] = {}
    for source in cells:
        column = columns[source.task]
        fit = partial(_fit_one, column)
        state = _best_state(source, column, fit)
        found[f"state>{source.task}"] = np.array([float(state)])
        drawn = training_draws(source.data, source.usable, trainings)
        train, tests = track_means(source.seen(state)[0]), [track_means(target.seen(state)[2]) for target in cells]
        for target, scored in zip(cells, on_resamples(fit, train, source, drawn, tests), strict=True):
            scores = replicate(_of_label(target, scored, columns[target.task]), resamples)
            found[f"{source.task}>{target.task}"] = settled(scores.scores["roc_auc"][:, 0])
            found[f"groups>{target.task}"] = np.array(scores.held)
    return found


def _fit_one(column: int, x: Doubles, labels: Bools, known: Bools, tests: Sequence[Doubles]) -> list[Doubles]:
    return fit_linear(x, labels[:, [column]], known[:, [column]], tests)


def _best_state(cell: Cell, column: int, fit: Fit) -> int:
    """Return the hidden state whose linear probe ranks a label best on validation, the first of equals.

    The last one, where validation does not define the label.
    """
    labels, known = (part[:, [column]] for part in cell.truth("valid"))
    scores = []
    for state in range(len(cell.states)):
        train, valid, _ = map(track_means, cell.seen(state))
        (score,) = fit(train, *cell.truth("train"), [valid])
        scores.append(float(ranking_scores(labels, score, known=known)[0][0]))
    return len(scores) - 1 if np.isnan(scores).any() else int(np.argmax(scores))


def _level(samples: Doubles, sample: Sample, version: int) -> Level:
    """Give the ROC-AUC of one label its interval, by the rules that records have theirs by."""
    value, drawn = float(samples[0]), samples[1:]
    if np.isnan(value):
        return Level(None, reason=NOTHING_DEFINED)
    if reason := missing(drawn, sample.groups):
        return Level(value, reason=reason)
    return Level(value, *span(version, "roc_auc", drawn[~np.isnan(drawn)], value, LEVEL, sample.fewer))


def _judged(cells: Sequence[Cell], label: str, scores: Mapping[str, Doubles], trainings: int) -> Across:
    cells = sorted(cells, key=lambda cell: (tradition_place(cell.data.task.tradition), cell.task))
    carried = []
    for source in cells:
        for target in cells:
            held = float(scores[f"groups>{target.task}"][0])
            groups = target.judged.sample.groups
            sample = Sample(groups if held >= MIN_CLUSTERS else held, trainings)
            here = scores[f"{source.task}>{target.task}"]
            own = scores[f"{target.task}>{target.task}"]
            change = None if source is target else difference(own, here, sample, BOUND)
            score = _level(here, Sample(held, trainings), target.protocol.intervals)
            carried.append(Carried(source.task, target.task, score, change))
    return Across(
        model=cells[0].model,
        label=label,
        traditions={cell.task: cell.data.task.tradition for cell in cells},
        states={cell.task: cell.states[int(scores[f"state>{cell.task}"][0])] for cell in cells},
        cells=tuple(carried),
    )
