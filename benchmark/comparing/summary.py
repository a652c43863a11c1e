"""One number for a model over several tasks: the chance-centred score, each tradition once.

ROC-AUC is centred on one half and average precision on the mean prevalence of the defined labels, so that both are 0 at
chance and 1 for a perfect ranking; their mean is a task's score. Tasks of one tradition are averaged first, traditions
then, so that two Western tasks do not count twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from ..records.evidence import Evidence
from ..records.record import Record
from ..scoring.intervals import fewest
from ..scoring.metrics import Doubles
from .compare import TaskChange
from .paired import RANKED, Difference, control_false_discoveries, difference, replicate


def chance_precision(record: Record) -> float | None:
    """Return the macro average precision of a ranking by chance: the mean prevalence of the defined labels."""
    known = [label.prevalence for label in record.labels if label.average_precision is not None]
    return fmean(known) if known else None


def centred_score(record: Record) -> float | None:
    """Return a record's chance-centred score; ``None`` if a metric is not defined."""
    roc_auc, precision = (record.metrics[metric].value for metric in RANKED)
    chance = chance_precision(record)
    if roc_auc is None or precision is None or chance is None:
        return None
    return fmean([(roc_auc - 0.5) / 0.5, (precision - chance) / (1 - chance)])


def centred_replicates(evidence: Evidence, resamples: int) -> Doubles:
    """Return the chance-centred score of a split (first) and of its resamples, ``[1 + resamples]``.

    Each resample has a level of chance of its own, so a ranking by chance is 0 in all of them on average.
    """
    scores = replicate(evidence, resamples)
    return centre(*(scores.macro(metric) for metric in (*RANKED, "prevalence")))


def centre(roc_auc: Doubles, precision: Doubles, chance: Doubles) -> Doubles:
    """Return the mean of ROC-AUC and average precision, each 0 at chance and 1 for a perfect ranking.

    Args:
        roc_auc: ``[...]``.
        precision: average precision, ``[...]``.
        chance: average precision of a ranking by chance, ``[...]``.
    """
    centred: Doubles = ((roc_auc - 0.5) / 0.5 + (precision - chance) / (1 - chance)) / 2
    return centred


def centred_change(tasks: Sequence[TaskChange], bound: float) -> Difference:
    """Judge the change of the chance-centred score, the mean over tasks, each once.

    Args:
        tasks: at least one; their resamples are independent, so they are averaged row by row.
        bound: changes smaller than this count as none, as a fraction.
    """
    before, after = centred_sides(tasks)
    return difference(before, after, fewest([task.sample for task in tasks]), bound)


def centred_sides(tasks: Sequence[TaskChange]) -> tuple[Doubles, Doubles]:
    """Return the chance-centred scores before and after, the mean over tasks, ``[1 + resamples]`` each."""
    scores = [[centre(*(t.replicates[m][side] for m in (*RANKED, "prevalence"))) for t in tasks] for side in (0, 1)]
    return np.mean(scores[0], axis=0), np.mean(scores[1], axis=0)


def judge_tasks(tasks: Sequence[TaskChange], bound: float) -> dict[str, Difference]:
    """Judge every task by its chance-centred score, q-values among the tasks; every view says the same of a pair."""
    found = control_false_discoveries([centred_change([task], bound) for task in tasks])
    return {task.task: change for task, change in zip(tasks, found, strict=True)}


def tradition_replicates(found: Sequence[Evidence], resamples: int) -> dict[str, Doubles]:
    """Return for each tradition the mean over its tasks, ``[1 + resamples]``; resamples of tasks are independent.

    Args:
        found: records of one model, one for each task.
        resamples: of the bootstrap.
    """
    tasks: dict[str, list[Doubles]] = {}
    for e in found:
        tasks.setdefault(e.record.task.tradition, []).append(centred_replicates(e, resamples))
    return {tradition: np.mean(scores, axis=0) for tradition, scores in tasks.items()}


def mean_over_traditions(scores: Mapping[str, Doubles]) -> Doubles:
    """Return the mean in which each tradition counts once, ``[1 + resamples]``."""
    mean: Doubles = np.mean(list(scores.values()), axis=0)
    return mean
