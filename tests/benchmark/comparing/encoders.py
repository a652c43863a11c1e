"""Two encoders that know the same, through the real bank of probes: how often they are told apart all the same.

Every data set is drawn anew: labels that depend on hidden factors shared within groups, and two encoders that see the
factors with noise of their own, each turned by a rotation of its own. Neither is better on average. Labels are as
common as eight of those published for Hindustani. Probes are those of the protocol, but narrower and without the
weighted sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cmbench.benchmark.comparing.choice import FEW_GROUPS, choice_error
from cmbench.benchmark.comparing.paired import TEST_ONLY, Difference, difference
from cmbench.benchmark.probing.search import ProbeSplit, run_probes
from cmbench.benchmark.protocol import DEFAULT_PROTOCOL, PROTOCOLS
from cmbench.benchmark.scoring.bootstrap import MIN_CLUSTERS, cluster_weights
from cmbench.benchmark.scoring.intervals import Sample, label_groups, training_spread, training_turns
from cmbench.benchmark.scoring.metrics import (
    Doubles,
    Floats,
    mean_of_defined,
    ranking_scores,
    sort_scores,
    weighted_scores,
)
from cmbench.tasks.mini.corpus import LARGEST
from cmbench.tests.benchmark.comparing.coverage import BOUND, share

FACTORS, DIM = 6, 16
SHARES = np.array([206, 98, 84, 40, 18, 16, 12, 9]) / 240
"""Of the tracks that have each label."""

LABELS = len(SHARES)
NOISE = (0.5, 0.9)
"""Of each hidden state: the second tells less, so a search that takes it loses."""

PROBE = replace(PROTOCOLS[DEFAULT_PROTOCOL].probe, hidden=64, fused=False)
BATCH = 16
"""Tracks that make a batch, for each 120 to train on: a track has one window here."""

REAL = ((120, 40, 400), (360, 120, 240))
LINEAR = ((120, 40, 400), (240, 80, 320), (360, 120, 240))
"""Tracks for training, validation and test."""
MINI = ((100, 60, 80), (40, 24, 32))
"""Those of the mini edition at scale 1 and in `make run`, in its albums."""

RIDGES = (3.0, 30.0, 300.0)

PLANTED = (0.05, 0.1)
"""Changes that are added to the second encoder's scores, to see how often they are found."""


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
        rules: by the test sample alone; by both samples (rules 1); with an allowance for the choice (rules 2).
        planted: by rules 2, once each of :data:`PLANTED` is added.
        labels: p-values of ROC-AUC by rules 2, of labels of which five groups speak at least.
        alike: whether both searches took the same state.
    """

    rules: tuple[Difference, ...]
    planted: tuple[Difference, ...]
    labels: tuple[float, ...]
    alike: bool


def _groups(rng: np.random.Generator, tracks: int, largest: int) -> NDArray[np.intp]:
    sizes: list[int] = []
    while sum(sizes) < tracks:
        sizes.append(1 + len(sizes) % largest if largest else int(min(1 + rng.geometric(0.25), 12)))
    return np.repeat(np.arange(len(sizes)), sizes)[:tracks]


def _split(
    rng: np.random.Generator, tracks: int, largest: int, loads: Doubles, turns: Sequence[Doubles]
) -> tuple[list[str], list[ProbeSplit]]:
    """Draw a split in albums up to the largest, or (0) in unequal groups, and what each encoder makes of it."""
    groups = _groups(rng, tracks, largest)

    def grouped(width: int) -> Doubles:
        shared = rng.standard_normal((int(groups.max()) + 1, width))[groups]
        mixed: Doubles = 0.6 * shared + 0.8 * rng.standard_normal((tracks, width))
        return mixed

    factors = grouped(FACTORS)
    drawn = factors @ loads + grouped(LABELS)
    labels = drawn / np.sqrt((loads**2).sum(axis=0) + 1) > norm.ppf(1 - SHARES)
    seen = np.pad(factors, ((0, 0), (0, DIM - FACTORS)))
    states = [np.stack([(seen + noise * grouped(DIM)) @ turn for noise in NOISE], axis=1) for turn in turns]
    return [f"g{g}" for g in groups], [ProbeSplit(Features(one.astype(np.float16)), labels) for one in states]


@dataclass(frozen=True)
class Found:
    """What a search made of one encoder.

    Attributes:
        probabilities: or what ranks as they do, ``[seeds, tracks, labels]``.
        resampled: of trainings on resamples, ``[trainings, tracks, labels]``.
        scores: of every state on the validation split.
        chosen: state.
    """

    probabilities: Floats
    resampled: Floats
    scores: tuple[float, ...]
    chosen: int


Bank = Callable[[ProbeSplit, ProbeSplit, ProbeSplit, NDArray[np.int32]], Found]
"""Trains on a split, chooses on the next and ranks the third; the resamples of the training tracks are given."""


def real(train: ProbeSplit, valid: ProbeSplit, test: ProbeSplit, again: NDArray[np.int32]) -> Found:
    """Search with the probes of the protocol."""
    settings = replace(PROBE, batch=BATCH * len(train.labels) // 120)
    states = [str(k) for k in range(len(NOISE))]
    found = run_probes(train, valid, test, settings, states, "cpu", lambda *_: None, None, again)
    scores = tuple(one.score for one in found.layers if one.score is not None)
    return Found(found.probabilities, found.resampled, scores, int(found.selection.layer))


def linear(train: ProbeSplit, valid: ProbeSplit, test: ProbeSplit, again: NDArray[np.int32]) -> Found:
    """Search with ridge regression, which has no seed and is as far as it can be trained."""
    parts = [
        np.asarray(split.features.take(np.arange(len(split.labels))), np.float64) for split in (train, valid, test)
    ]
    middle, width = parts[0].mean(axis=0), parts[0].std(axis=0)
    known, chosen_on, asked = ((part - middle) / width for part in parts)

    def fit(state: int, ridge: float, weight: NDArray[np.int32]) -> Doubles:
        share = weight[:, None] / weight.sum()
        x, y = (values - (share * values).sum(axis=0) for values in (known[:, state], train.labels.astype(np.float64)))
        moments = (weight[:, None] * x).T
        fitted: Doubles = np.linalg.solve(moments @ x + ridge * np.eye(DIM), moments @ y)
        return fitted

    once = np.ones(len(train.labels), np.int32)
    grid = [(state, ridge) for state in range(len(NOISE)) for ridge in RIDGES]
    tried = [ranking_scores(valid.labels, chosen_on[:, one[0]] @ fit(*one, once)) for one in grid]
    scores = [float(_mean(np.stack(one))) for one in tried]
    state, ridge = grid[int(np.argmax(scores))]
    ranked = [asked[:, state] @ fit(state, ridge, weight) for weight in (once, *again)]
    best = tuple(max(scores[k : k + len(RIDGES)]) for k in range(0, len(grid), len(RIDGES)))
    return Found(np.array(ranked[:1], np.float32), np.array(ranked[1:], np.float32), best, state)


def _replicates(split: ProbeSplit, found: Found, weights: Doubles, seed: int, ratio: float) -> list[Doubles]:
    """Return ROC-AUC and AP on the split and its resamples ``[1 + resamples, 2, labels]``.

    By the test sample, by both samples, and by both with an allowance for the choice of the state.
    """
    scores = [np.stack(weighted_scores(sort_scores(split.labels, p), weights), axis=1) for p in found.probabilities]
    plain: Doubles = np.mean(scores, axis=0)
    plain[:, 1][np.isnan(plain[:, 0])] = np.nan
    both = plain.copy()
    again = np.array([ranking_scores(split.labels, p) for p in found.resampled])
    both[1:] += training_spread(again)[training_turns(len(plain) - 1, len(again), seed)]
    cost = choice_error(found.scores, math.sqrt(ratio) * float(_mean(plain[1:]).std()))
    return [plain, both, np.concatenate([both, both[:1] + cost])]


def _mean(scores: Doubles) -> Doubles:
    mean: Doubles = mean_of_defined(scores).mean(axis=-1)
    return mean


def compare_equals(bank: Bank, sizes: tuple[int, int, int], seed: int, trainings: int, resamples: int) -> Verdict:
    """Draw one data set, train both encoders' probes, and judge their difference, the mean of ROC-AUC and AP."""
    rng = np.random.default_rng(seed)
    loads = 0.7 * rng.standard_normal((FACTORS, LABELS))
    turns = [np.linalg.qr(rng.standard_normal((DIM, DIM)))[0] for _ in range(2)]
    albums = LARGEST.values() if sizes in MINI else (0, 0, 0)
    drawn = [_split(rng, tracks, most, loads, turns) for tracks, most in zip(sizes, albums, strict=True)]
    again = cluster_weights(drawn[0][0], trainings, seed + 1)
    groups = drawn[2][0]
    weights = np.concatenate([np.ones((1, sizes[2])), cluster_weights(groups, resamples, seed + 2)])
    ratio = len(set(groups)) / len(set(drawn[1][0]))
    few = len(set(drawn[1][0])) < FEW_GROUPS
    sides, chosen = [], []
    for k in (0, 1):
        train, valid, test = (splits[k] for _, splits in drawn)
        found = bank(train, valid, test, again)
        sides.append(_replicates(test, found, weights, seed, ratio))
        chosen.append(found.chosen)

    last = 2 if few else 1
    samples = [Sample(len(set(groups)), trainings if rule else 0, rule == 2) for rule in range(3)]

    def judge(rule: int, gain: float = 0.0) -> Difference:
        return difference(_mean(sides[0][rule]), _mean(sides[1][rule]) + gain, samples[rule], BOUND)

    held = label_groups(2, drawn[2][1][0].labels, groups) >= MIN_CLUSTERS
    first, second = (side[last][:, 0] for side in sides)
    labels = [difference(first[:, k], second[:, k], samples[last], BOUND).p_value for k in np.flatnonzero(held)]
    return Verdict(
        tuple(found for found in map(judge, (0, 1, last))),
        tuple(judge(last, gain) for gain in PLANTED),
        tuple(p for p in labels if p is not None),
        chosen[0] == chosen[1],
    )


HEAD = (
    "bank: tracks to train, choose, test",
    "data sets",
    *(f"p < 5 %, {rule}" for rule in (TEST_ONLY, "rules 1", "rules 2")),
    "labels, rules 2",
    *(f"detectable, rules {version}" for version in (1, 2)),
    *(f"{100 * gain:.0f} points found" for gain in PLANTED),
    "another state",
    *(f"of these p < 5 %, rules {version}" for version in (1, 2)),
)


def _found(judged: Iterable[Difference]) -> str:
    return share(one.p_value is not None and one.p_value < 0.05 for one in judged)


def row(name: str, judged: Sequence[Verdict]) -> str:
    """Return a row of the table of docs/statistics.md."""
    unlike = [one for one in judged if not one.alike]
    cells = [name, str(len(judged)), *(_found(v.rules[i] for v in judged) for i in range(3))]
    cells.append(share(p < 0.05 for one in judged for p in one.labels))
    cells += [f"{100 * np.median([v.rules[i].detectable for v in judged]):.1f}" for i in (1, 2)]
    cells += [_found(one.planted[i] for one in judged) for i in range(len(PLANTED))]
    cells += [share(not one.alike for one in judged), *(_found(v.rules[i] for v in unlike) for i in (1, 2))]
    return "| " + " | ".join(cells) + " |"


def table(bank: Bank, draws: int, trainings: int, resamples: int) -> Iterator[str]:
    """Yield the table of docs/statistics.md: how often p is below 5 % where there is no difference."""
    yield from ("| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|")
    for sizes in REAL if bank is real else LINEAR + MINI:
        judged = [compare_equals(bank, sizes, 1000 + k, trainings, resamples) for k in range(draws)]
        yield row(f"{bank.__name__}: {', '.join(map(str, sizes))}", judged)
