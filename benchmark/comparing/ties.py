"""Which models cannot be told apart: ranks as groups, since most neighbouring ranks are noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...errors import UsageError
from ..records.evidence import Evidence
from ..scoring.intervals import fewest
from .compare import RESAMPLES, refuse_mismatch
from .paired import LEVEL, Difference, Level, control_false_discoveries, difference, level, replicate_all
from .summary import mean_over_traditions, tradition_replicates


@dataclass(frozen=True)
class Standing:
    """A model's place.

    Attributes:
        model: its name.
        score: mean over traditions, 0 at chance and 1 for a perfect ranking (:mod:`.summary`).
        tied: the models, this one among them, that it cannot be told apart from.
        first: the best place that it may have: one more than there are models shown to be better.
        last: the worst place that it may have: the number of models less those shown to be worse.
        trainings: on resamples, that all pairs take in; with 0 they are told apart by the test sample only.
    """

    model: str
    score: Level
    tied: tuple[str, ...]
    first: int
    last: int
    trainings: int = 0


def standings(sides: Sequence[Sequence[Evidence]], resamples: int = RESAMPLES) -> tuple[Standing, ...]:
    """Rank models on the tasks and tracks that all of them have, best first.

    Every pair is judged by the paired bootstrap of the difference of their means; two models are told apart at a false
    discovery rate of 5 % among all pairs. On the same tasks and tracks the order is by score alone, whoever else is
    there; a model that lacks some of them changes what all are ranked on, and a further model what is told apart.

    Args:
        sides: for each model its records with predictions, one for each task.
        resamples: of the bootstrap.

    Raises:
        UsageError: fewer than two models, no common task, unlike measurements, or no defined score.
    """
    if len(sides) < 2:
        raise UsageError("Places are of two models or more.")
    by_task = [{e.record.task.name: e for e in side} for side in sides]
    tasks = [task for task in by_task[0] if all(task in side for side in by_task)]
    if not tasks:
        raise UsageError("The models have no task in common; there is nothing to rank them by.")
    for task in tasks:
        for side in by_task[1:]:
            refuse_mismatch(by_task[0][task].record, side[task].record)
    common = {task: _common_tracks([side[task] for side in by_task]) for task in tasks}
    kept = [[side[task].rows(common[task]) for task in tasks] for side in by_task]
    replicate_all((e for side in kept for e in side), resamples)
    means = [mean_over_traditions(tradition_replicates(side, resamples)) for side in kept]
    names = [side[0].record.model.name for side in kept]
    if undefined := [name for name, mean in zip(names, means, strict=True) if np.isnan(mean[0])]:
        raise UsageError(f"{undefined[0]} has no score on one of {', '.join(tasks)}: no label is defined.")
    sample = fewest([e.sample for side in kept for e in side])
    pairs = list(combinations(range(len(means)), 2))
    judged = control_false_discoveries([difference(means[i], means[j], sample, 0.0) for i, j in pairs])
    better = _better(pairs, judged, len(means))
    order = sorted(range(len(means)), key=lambda i: (-means[i][0], names[i]))
    return tuple(
        Standing(
            model=names[i],
            score=level(means[i], sample, most=1.0),
            tied=tuple(names[j] for j in order if not better[i, j] and not better[j, i]),
            first=1 + int(better[:, i].sum()),
            last=len(means) - int(better[i].sum()),
            trainings=sample.trainings,
        )
        for i in order
    )


def _common_tracks(found: Sequence[Evidence]) -> tuple[str, ...]:
    shared = set(found[0].track_ids).intersection(*(e.track_ids for e in found[1:]))
    return tuple(track for track in found[0].track_ids if track in shared)


def _better(pairs: Sequence[tuple[int, int]], judged: Sequence[Difference], count: int) -> np.ndarray:
    """Return which model (row) is shown to be better than which (column), ``[models, models]``."""
    better = np.zeros((count, count), dtype=np.bool_)
    for (i, j), found in zip(pairs, judged, strict=True):
        if found.change and found.q_value is not None and found.q_value <= 1 - LEVEL:
            better[(j, i) if found.change > 0 else (i, j)] = True
    return better
