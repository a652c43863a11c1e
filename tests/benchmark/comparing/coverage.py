"""How often intervals hold and differences are found that are none, on splits as large as the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cmbench.benchmark.comparing.paired import difference
from cmbench.benchmark.records.record import RANKED
from cmbench.benchmark.scoring.bootstrap import MIN_CLUSTERS, cluster_weights
from cmbench.benchmark.scoring.intervals import Sample, label_groups, mean_groups, missing, span
from cmbench.benchmark.scoring.metrics import (
    Doubles,
    mean_of_defined,
    ranking_scores,
    sort_scores,
    weighted_scores,
)
from cmbench.tests.benchmark.comparing.supports import Task, World, world

BOUND = 0.01
LEVEL = 0.95
CLASSES = ((1, 5), (5, 10), (10, 20), (20, 50), (50, 10_000))
"""Positives, or negatives if they are fewer."""


@dataclass(frozen=True)
class Seen:
    """An interval of one score on one drawn split.

    Attributes:
        task: its name.
        metric: of the score.
        version: of the rules.
        support: positives or negatives, whichever are fewer; 0 for a mean over labels.
        held: whether the interval holds the mean over splits; ``None`` where there is no interval.
        width: of the interval.
    """

    task: str
    metric: str
    version: int
    support: int
    held: bool | None
    width: float


@dataclass(frozen=True)
class Judged:
    """A difference between two models on one drawn split.

    Attributes:
        task: its name.
        support: as of :class:`Seen`.
        p_value: ``None`` where there is none.
        detectable: the change announced as found in four of five cases.
    """

    task: str
    support: int
    p_value: float | None
    detectable: float | None


def expected(made: World, draws: int, seed: int) -> tuple[Doubles, Doubles]:
    """Return the mean over many splits of the first model's scores, ``[2, labels]``, and of the mean over labels."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        pair = made.draw(rng)
        found.append(np.stack(ranking_scores(pair.targets, pair.first)))
    scores = np.array(found)
    scores[np.isnan(scores[:, :1]).repeat(2, axis=1)] = np.nan
    return np.nanmean(scores, axis=0), mean_of_defined(scores).mean(axis=0)


def judge(
    task: Task,
    draws: int,
    resamples: int,
    seed: int,
    *,
    known: int = 300,
    gain: float = 0.0,
    versions: Sequence[int] = (1, 2),
) -> tuple[list[Seen], list[Judged]]:
    """Draw splits, and judge every interval of the first model and every difference of the second from it.

    Args:
        task: the split's sizes.
        draws: splits.
        resamples: of the bootstrap.
        seed: of everything.
        known: splits from which the score to be expected is known.
        gain: of the second model.
        versions: of the rules.
    """
    made = world(task, seed, gain)
    by_label, by_mean = expected(made, known, seed + 1)
    rng = np.random.default_rng(seed + 2)
    seen, judged = [], []
    for draw in range(draws):
        pair = made.draw(rng)
        names = [f"g{group}" for group in pair.groups]
        weights = cluster_weights(names, resamples, seed + draw)
        weights = np.concatenate([np.ones((1, len(names)), weights.dtype), weights])
        models = []
        for scores in (pair.first, pair.second):
            roc_auc, precision = weighted_scores(sort_scores(pair.targets, scores), weights)
            models.append([roc_auc, np.where(np.isnan(roc_auc), np.nan, precision)])
        positives = pair.targets.sum(axis=0)
        support = np.minimum(positives, len(names) - positives)
        count = int(pair.groups.max()) + 1
        for version in versions:
            held = label_groups(version, pair.targets, names)
            for which, metric in enumerate(RANKED):
                samples = models[0][which]
                for k in np.flatnonzero(support):
                    one = _seen(version, metric, samples[:, k], by_label[which, k], held[k], int(support[k]))
                    seen.append(Seen(task.name, metric, version, int(support[k]), *one))
                defined = support > 0
                groups = mean_groups(version, samples[1:, defined], held[defined], count)
                one = _seen(version, metric, mean_of_defined(samples), by_mean[which], groups)
                seen.append(Seen(task.name, metric, version, 0, *one))
        held = label_groups(2, pair.targets, names)
        for k in [*np.flatnonzero(held >= MIN_CLUSTERS), -1]:
            sides = [mean_of_defined(side[0]) if k == -1 else side[0][:, k] for side in models]
            found = difference(sides[0], sides[1], Sample(count), BOUND)
            judged.append(Judged(task.name, 0 if k == -1 else int(support[k]), found.p_value, found.detectable))
    return seen, judged


def _seen(
    version: int, metric: str, samples: Doubles, truth: float, groups: float, positives: int | None = None
) -> tuple[bool | None, float]:
    if missing(samples[1:], groups):
        return None, np.nan
    drawn = samples[1:][~np.isnan(samples[1:])]
    low, high = span(version, metric, drawn, float(samples[0]), LEVEL, groups, positives)
    return low <= truth <= high, high - low


def share(values: Iterable[bool]) -> str:
    """Return a share in percent."""
    listed = list(values)
    return f"{100 * np.mean(listed):.1f}" if listed else "–"


HEAD = (
    "",
    "scores drawn",
    "with interval",
    *(f"{metric} {what}, rules {v}" for metric in ("ROC-AUC", "AP") for what in ("held", "width") for v in (1, 2)),
    "p < 5 %",
    "detectable",
)


def _row(name: str, seen: Sequence[Seen], judged: Sequence[Judged]) -> str:
    """Return a row: share of scores with an interval, coverage and median width by rules, false positives."""
    second = [s for s in seen if s.version == 2 and s.metric == RANKED[0]]
    cells = [name, str(len(second)), share(s.held is not None for s in second)]
    for metric in RANKED:
        by_version = [[s for s in seen if (s.metric, s.version) == (metric, v) and s.held is not None] for v in (1, 2)]
        cells += [share(bool(s.held) for s in found) for found in by_version]
        cells += [f"{100 * np.median([s.width for s in found]):.1f}" if found else "–" for found in by_version]
    tested = [t.p_value < 0.05 for t in judged if t.p_value is not None]
    announced = [t.detectable for t in judged if t.detectable is not None]
    cells += [share(tested), f"{100 * np.median(announced):.1f}" if announced else "–"]
    return "| " + " | ".join(cells) + " |"


def tables(seen: Sequence[Seen], judged: Sequence[Judged]) -> Iterator[str]:
    """Yield the table of docs/statistics.md: labels by support and by task, and means over labels by task."""
    names = list(dict.fromkeys(s.task for s in seen))
    yield from ("| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|")
    for low, high in CLASSES:
        name = f"{low} to {high - 1} positives" if high < CLASSES[-1][1] else f"{low} and more"
        yield _row(name, [s for s in seen if low <= s.support < high], [t for t in judged if low <= t.support < high])
    for labels in (True, False):
        for task in names:
            mine = [s for s in seen if s.task == task and bool(s.support) == labels]
            tests = [t for t in judged if t.task == task and bool(t.support) == labels]
            yield _row(f"{task}, {'labels' if labels else 'mean'}", mine, tests)
