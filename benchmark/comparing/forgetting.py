"""What a model forgot and what it gained by further training: task by task, family by family, label by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...tasks.base import WESTERN, tradition_place
from ..records.evidence import Evidence
from ..scoring.intervals import fewest
from ..scoring.metrics import Doubles
from .compare import BOUND, RESAMPLES, Comparison, LabelChange, TaskChange, compare
from .paired import RANKED, Difference, Level, control_by_metric, control_false_discoveries, difference, level
from .summary import centred_change, centred_sides, judge_tasks


@dataclass(frozen=True)
class Balance:
    """A mean change over several tasks, each counted once.

    Attributes:
        name: what it means.
        tasks: the tasks that it is the mean of.
        changes: metric -> change.
    """

    name: str
    tasks: tuple[str, ...]
    changes: dict[str, Difference]


@dataclass(frozen=True)
class Forgetting:
    """What changed from one model to another, judged.

    Attributes:
        comparison: every change with its verdict.
        balances: stability (mean change on Western tasks, those of the pre-training: the backward transfer of
            Lopez-Paz and Ranzato 2017, eq. 3), plasticity (mean change on the others) and the mean over all tasks,
            where there are such tasks.
        tasks: task -> change of the score that is 0 at chance, as the transfer matrix has it.
        traditions: tradition -> change of the score that is 0 at chance (:mod:`.summary`), the mean over its tasks.
        retention: share of the Western score above chance (:mod:`.summary`) that is left; ``None`` without Western
            tasks or where there was none above chance.
        lost: labels that pay, largest loss first: task and change.
        gained: labels that gain, largest gain first.
    """

    comparison: Comparison
    balances: tuple[Balance, ...]
    tasks: Mapping[str, Difference]
    traditions: Mapping[str, Difference]
    retention: Level | None
    lost: tuple[tuple[str, LabelChange], ...]
    gained: tuple[tuple[str, LabelChange], ...]

    def count(self, verdict: str) -> int:
        """Return how many labels of all tasks have a verdict by ROC-AUC."""
        labels = [label for task in self.comparison.tasks for label in task.labels]
        return sum(label.roc_auc.verdict == verdict for label in labels)


def forgetting(
    before: Sequence[Evidence], after: Sequence[Evidence], *, resamples: int = RESAMPLES, bound: float = BOUND
) -> Forgetting:
    """Judge what further training changed.

    A label counts as lost or gained if its ROC-AUC changed at a false discovery rate of 5 % among the task's labels;
    as kept only if the change is shown to be smaller than the bound; else it cannot be told.

    Args:
        before: records of the model before, with their predictions.
        after: of the model after.
        resamples: of the paired bootstrap.
        bound: changes smaller than this count as none, as a fraction.

    Raises:
        UsageError: as :func:`.compare.compare`.
    """
    comparison = compare(before, after, resamples=resamples, bound=bound)
    western = [task for task in comparison.tasks if task.tradition == WESTERN]
    others = [task for task in comparison.tasks if task.tradition != WESTERN]
    balances = [
        _balance(name, tasks, bound)
        for name, tasks in (
            ("stability: backward transfer to Western tasks", western),
            ("plasticity: tasks of other traditions", others),
            ("all tasks", comparison.tasks),
        )
        if tasks
    ]
    together = control_by_metric([balance.changes for balance in balances])
    balances = [replace(balance, changes=found) for balance, found in zip(balances, together, strict=True)]
    judged = [(task.task, label) for task in comparison.tasks for label in task.labels]
    return Forgetting(
        comparison,
        tuple(balances),
        judge_tasks(comparison.tasks, bound),
        _traditions(comparison.tasks, bound),
        _retention(western),
        _of(judged, "lost"),
        _of(judged, "gained"),
    )


def _traditions(tasks: Sequence[TaskChange], bound: float) -> dict[str, Difference]:
    """Judge the traditions together."""
    by_tradition: dict[str, list[TaskChange]] = {}
    for task in sorted(tasks, key=lambda task: tradition_place(task.tradition)):
        by_tradition.setdefault(task.tradition, []).append(task)
    changes = [centred_change(members, bound) for members in by_tradition.values()]
    return dict(zip(by_tradition, control_false_discoveries(changes), strict=True))


def _retention(western: Sequence[TaskChange]) -> Level | None:
    """Return what is left of the score above chance, as a share; each Western task counts once."""
    if not western:
        return None
    before, after = centred_sides(western)
    if not before[0] > 0:
        return None
    left = np.divide(after, before, out=np.full_like(after, np.nan), where=before > 0)
    return level(left, fewest([task.sample for task in western]))


def _of(judged: Sequence[tuple[str, LabelChange]], verdict: str) -> tuple[tuple[str, LabelChange], ...]:
    found = [(task, label) for task, label in judged if label.roc_auc.verdict == verdict]
    return tuple(sorted(found, key=lambda pair: -abs(pair[1].roc_auc.change or 0.0)))


def _balance(name: str, tasks: Sequence[TaskChange], bound: float) -> Balance:
    """Mean over tasks; the resamples of different tasks are independent, so they are averaged row by row."""
    sample = fewest([task.sample for task in tasks])
    changes = {}
    for metric in RANKED:
        means: list[Doubles] = [np.mean([task.replicates[metric][side] for task in tasks], axis=0) for side in (0, 1)]
        changes[metric] = difference(means[0], means[1], sample, bound)
    return Balance(name, tuple(task.task for task in tasks), changes)
