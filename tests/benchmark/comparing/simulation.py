"""Proof by simulation: how often intervals hold, how often a difference is found that is none, how often one is missed.

``python -m cmbench.tests.benchmark.comparing.simulation`` prints the tables of docs/statistics.md: splits as large as
the published ones (:mod:`.coverage`, a quarter of an hour of one core), equal encoders through ridge regression (two
minutes) and through the real bank (:mod:`.encoders`, half an hour), and two models' macro scores (half an hour). Words
behind it name some of them, and ``--draws`` how many data sets a row has: fewer of larger tasks.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cmbench.benchmark.comparing.paired import RANKED, Level, difference, level
from cmbench.benchmark.scoring.bootstrap import cluster_weights
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.scoring.metrics import Bools, Doubles, Floats, sort_scores, weighted_scores
from cmbench.tests.benchmark.comparing.coverage import judge, tables
from cmbench.tests.benchmark.comparing.encoders import linear, real, table
from cmbench.tests.benchmark.comparing.supports import TASKS


@dataclass(frozen=True)
class LongRun:
    """What came out of many simulated test splits.

    Attributes:
        coverage: share of 95 % intervals of the macro ROC-AUC difference that hold the true difference.
        false_positives: share of splits on which p is below 5 %.
        true_change: mean difference over the splits.
        detectable: median of the minimum detectable effects.
        scores: metric -> share of 95 % intervals of the first model's macro score that hold its mean over the splits.
    """

    coverage: float
    false_positives: float
    true_change: float
    detectable: float
    scores: dict[str, float]


def draw_pair(
    rng: np.random.Generator, groups: int, tracks: int, labels: int, gain: float
) -> tuple[Bools, Floats, Floats]:
    """Draw a test split and the scores of two models on it.

    Tracks of a group share labels and errors: each label's log-odds, and each model's noise, have a part that is the
    group's and a part that is the track's. Both models share half of their noise, as models of one family do.

    Args:
        rng: source of randomness.
        groups: number of groups.
        tracks: in each group.
        labels: number of labels, 10 to 40 % positive.
        gain: how much stronger the second model's signal is.

    Returns:
        Targets, scores before and scores after, ``[groups * tracks, labels]``; scores are probabilities.
    """
    count = groups * tracks

    def grouped() -> Doubles:
        shared = np.repeat(rng.standard_normal((groups, labels)), tracks, axis=0)
        mixed: Doubles = (shared + rng.standard_normal((count, labels))) / np.sqrt(2)
        return mixed

    latent = grouped()
    threshold = np.quantile(latent, np.linspace(0.6, 0.9, labels), axis=0).diagonal()
    targets = latent > threshold
    common = grouped()
    scores = []
    for strength in (1.0, 1.0 + gain):
        noise = (common + grouped()) / np.sqrt(2)
        scores.append(1 / (1 + np.exp(-(strength * targets + noise))))
    return targets, scores[0].astype(np.float32), scores[1].astype(np.float32)


def simulate(*, groups: int, tracks: int, labels: int, gain: float, draws: int, resamples: int, seed: int) -> LongRun:
    """Judge the difference of two models on many simulated test splits.

    Args:
        groups: of each split.
        tracks: of each group.
        labels: of the task.
        gain: of the second model, see :func:`draw_pair`.
        draws: test splits.
        resamples: of the paired bootstrap.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    names = [f"g{i // tracks}" for i in range(groups * tracks)]
    judged = []
    scores: dict[str, list[Level]] = {metric: [] for metric in RANKED}
    for draw in range(draws):
        targets, before, after = draw_pair(rng, groups, tracks, labels, gain)
        weights = cluster_weights(names, resamples, draw)
        weights = np.concatenate([np.ones((1, len(names)), weights.dtype), weights])
        first, second = (weighted_scores(sort_scores(targets, p), weights) for p in (before, after))
        judged.append(difference(np.nanmean(first[0], axis=1), np.nanmean(second[0], axis=1), Sample(groups), 0.01))
        for metric, values in zip(RANKED, first, strict=True):
            scores[metric].append(level(np.nanmean(values, axis=1), Sample(groups)))
    truth = float(np.mean([d.change for d in judged if d.change is not None]))
    held = [d.low <= truth <= d.high for d in judged if d.low is not None and d.high is not None]
    found = [d.p_value < 0.05 for d in judged if d.p_value is not None]
    return LongRun(
        coverage=float(np.mean(held)),
        false_positives=float(np.mean(found)),
        true_change=truth,
        detectable=float(np.median([d.detectable for d in judged if d.detectable is not None])),
        scores={metric: _held(found) for metric, found in scores.items()},
    )


def _held(levels: list[Level]) -> float:
    truth = np.mean([one.value for one in levels if one.value is not None])
    return float(
        np.mean([one.low <= truth <= one.high for one in levels if one.low is not None and one.high is not None])
    )


def pairs(draws: int) -> Iterator[str]:
    """Yield the table of differences of macro scores."""
    yield (
        "| groups x tracks | true change | interval holds it | p < 5 % | detectable with 80 % power | interval of "
        "ROC-AUC holds | of AP |"
    )
    yield "|---|---|---|---|---|---|---|"
    for groups, tracks in ((20, 4), (50, 4), (100, 4), (250, 4)):
        null = simulate(groups=groups, tracks=tracks, labels=20, gain=0.0, draws=draws, resamples=1000, seed=groups)
        # The gain that this split should find in four of five draws, by the null's own detectable effect.
        slope = simulate(groups=groups, tracks=tracks, labels=20, gain=0.2, draws=50, resamples=100, seed=groups + 1)
        gain = 0.2 * null.detectable / slope.true_change
        planted = simulate(
            groups=groups, tracks=tracks, labels=20, gain=gain, draws=draws, resamples=1000, seed=groups + 2
        )
        for run in (null, planted):
            yield (
                f"| {groups} x {tracks} | {100 * run.true_change:+.2f} | {run.coverage:.1%} | "
                f"{run.false_positives:.1%} | {100 * run.detectable:.2f} | {run.scores['roc_auc']:.1%} | "
                f"{run.scores['average_precision']:.1%} |"
            )


def published(draws: int) -> Iterator[str]:
    """Yield the table of splits as large as the published ones, of two worlds of each task."""
    smallest = min(task.tracks for task in TASKS)
    sizes = {task: max(2, draws * smallest // task.tracks) for task in TASKS}
    found = [judge(task, sizes[task], 200, seed) for task in TASKS for seed in (3000, 4000)]
    yield from tables([one for seen, _ in found for one in seen], [one for _, judged in found for one in judged])


TABLES: dict[str, tuple[Callable[[int], Iterable[str]], int]] = {
    "published": (published, 60),
    "linear": (lambda draws: table(linear, draws, 20, 200), 300),
    "encoders": (lambda draws: table(real, draws, 20, 200), 300),
    "pairs": (pairs, 1000),
}
"""By name, with data sets of a row."""


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables of docs/statistics.md, or those that are named."""
    parser = ArgumentParser(description="Print the tables of docs/statistics.md.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--draws", type=int, help="data sets of a row")
    asked = parser.parse_args(words)
    if unknown := [name for name in asked.tables if name not in TABLES]:
        parser.error(f"there is no table {unknown[0]!r}")
    for name in asked.tables or TABLES:
        lines, draws = TABLES[name]
        for line in lines(asked.draws or draws):
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
