"""Two encoders that know the same, through the real bank of probes: how often they are told apart all the same.

Every data set is drawn anew: labels that depend on hidden factors shared within groups, and two encoders that see the
factors with noise of their own, each turned by a rotation of its own. Neither is better on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cmbench.benchmark.comparing.paired import TEST_ONLY, difference
from cmbench.benchmark.probing.search import ProbeSplit, run_probes
from cmbench.benchmark.protocol import ProbeSettings
from cmbench.benchmark.scoring.bootstrap import cluster_weights
from cmbench.benchmark.scoring.intervals import Sample, training_spread, training_turns
from cmbench.benchmark.scoring.metrics import (
    Doubles,
    Floats,
    mean_of_defined,
    ranking_scores,
    sort_scores,
    weighted_scores,
)

FACTORS, DIM, LABELS = 6, 16, 8
NOISE = (0.5, 0.9)
"""Of each hidden state."""

SIZES = {(120, 40, 400): 16, (360, 120, 240): 32}
"""Tracks for training, validation and test, and how many make a batch."""

SETTINGS = ProbeSettings(
    hidden=32, fused=False, learning_rates=(5e-3, 1.5e-2), max_epochs=15, patience=5, seeds=(1, 2, 3, 4, 5)
)
"""The protocol's, but for what makes a search dear."""


@dataclass(frozen=True)
class Features:
    """One window a track, ``[tracks, states, dim]``."""

    values: NDArray[np.float16]

    @property
    def layers(self) -> int:
        """Hidden states."""
        return int(self.values.shape[1])

    @property
    def dim(self) -> int:
        """Length of each."""
        return int(self.values.shape[2])

    @property
    def track_of_window(self) -> NDArray[np.int64]:
        """Every window is a track."""
        return np.arange(len(self.values), dtype=np.int64)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return some windows."""
        return self.values[rows]


@dataclass(frozen=True)
class Verdict:
    """What was found of a difference that is none.

    Attributes:
        change: second minus first.
        test_only: p-value by the test sample alone.
        both: p-value by both samples.
    """

    change: float
    test_only: float
    both: float


def _groups(rng: np.random.Generator, tracks: int) -> NDArray[np.intp]:
    sizes: list[int] = []
    while sum(sizes) < tracks:
        sizes.append(int(min(1 + rng.geometric(0.25), 12)))
    return np.repeat(np.arange(len(sizes)), sizes)[:tracks]


def _split(
    rng: np.random.Generator, tracks: int, loads: Doubles, turns: Sequence[Doubles]
) -> tuple[list[str], list[ProbeSplit]]:
    """Draw a split, and return its groups and what each encoder makes of it."""
    groups = _groups(rng, tracks)

    def grouped(width: int) -> Doubles:
        shared = rng.standard_normal((int(groups.max()) + 1, width))[groups]
        mixed: Doubles = 0.6 * shared + 0.8 * rng.standard_normal((tracks, width))
        return mixed

    factors = grouped(FACTORS)
    heights = np.linspace(0.3, 1.3, LABELS) * np.sqrt((loads**2).sum(axis=0) + 1)
    labels = factors @ loads + rng.standard_normal((tracks, LABELS)) > heights
    seen = np.pad(factors, ((0, 0), (0, DIM - FACTORS)))
    states = [np.stack([(seen + noise * grouped(DIM)) @ turn for noise in NOISE], axis=1) for turn in turns]
    return [f"g{g}" for g in groups], [ProbeSplit(Features(one.astype(np.float16)), labels) for one in states]


def _replicates(split: ProbeSplit, found: Floats, again: Floats, weights: Doubles, seed: int) -> list[Doubles]:
    """Return the mean of macro ROC-AUC and AP on the split and its resamples, by the test sample and by both."""
    both = [weighted_scores(sort_scores(split.labels, p), weights) for p in found]
    plain: Doubles = np.mean([[mean_of_defined(values) for values in pair] for pair in both], axis=(0, 1))
    trained = np.array([[mean_of_defined(values) for values in ranking_scores(split.labels, p)] for p in again])
    moved = plain.copy()
    moved[1:] += training_spread(trained.mean(axis=1))[training_turns(len(plain) - 1, len(again), seed)]
    return [plain, moved]


def compare_equals(sizes: tuple[int, int, int], seed: int, trainings: int, resamples: int) -> Verdict:
    """Draw one data set, train both encoders' probes, and judge their difference, the mean of ROC-AUC and AP."""
    rng, settings = np.random.default_rng(seed), replace(SETTINGS, batch=SIZES[sizes])
    loads = 0.7 * rng.standard_normal((FACTORS, LABELS))
    turns = [np.linalg.qr(rng.standard_normal((DIM, DIM)))[0] for _ in range(2)]
    drawn = [_split(rng, tracks, loads, turns) for tracks in sizes]
    again = cluster_weights(drawn[0][0], trainings, seed + 1)
    groups = drawn[2][0]
    weights = np.concatenate([np.ones((1, sizes[2])), cluster_weights(groups, resamples, seed + 2)])
    sides = []
    for k in (0, 1):
        train, valid, test = (splits[k] for _, splits in drawn)
        found = run_probes(train, valid, test, settings, ("a", "b"), "cpu", lambda *_: None, None, again)
        sides.append(_replicates(test, found.probabilities, found.resampled, weights, seed))
    count = len(set(groups))
    judged = [difference(sides[0][i], sides[1][i], Sample(count, i * trainings), 0.01) for i in (0, 1)]
    change, p_values = judged[0].change, [one.p_value for one in judged]
    assert change is not None
    assert p_values[0] is not None
    assert p_values[1] is not None
    return Verdict(change, p_values[0], p_values[1])


def table(draws: int, trainings: int, resamples: int) -> list[str]:
    """Return the table of docs/statistics.md: how often p is below 5 % where there is no difference."""
    head = ("tracks to train, choose, test", "data sets", f"p < 5 %, {TEST_ONLY}", "p < 5 %, both samples")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for sizes in SIZES:
        judged = [compare_equals(sizes, 1000 + k, trainings, resamples) for k in range(draws)]
        alone, both = (np.mean([getattr(one, p) < 0.05 for one in judged]) for p in ("test_only", "both"))
        lines.append(f"| {', '.join(map(str, sizes))} | {draws} | {alone:.1%} | {both:.1%} |")
    return lines
