"""Three probes on one hidden state: linear, nearest neighbours, and the protocol's perceptron.

The first two see the mean of a track's windows. Of the linear probe that is the mean of the windows' logits, by which
the protocol scores a track. Nothing is chosen for them: the penalty is that of :mod:`...probing.linear`, and the
neighbours are 20, by cosine on standardised features: as many as Caron et al. 2021 ("Emerging properties in
self-supervised vision transformers") found best for most of their runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...scoring.metrics import Bools, Doubles, Floats
from ..cells import Cell

if TYPE_CHECKING:
    from ...probing.search import ProbeSplit

LINEAR, NEAREST, PERCEPTRON = PROBES = ("linear", "kNN", "MLP")

NEIGHBOURS = 20


class Scored(NamedTuple):
    """What a probe makes of test tracks; higher is more of a label."""

    scores: Floats
    """``[seeds, tracks, labels]``."""
    resampled: Floats | None
    """The same probe trained on resamples of the training groups ``[trainings, tracks, labels]``; ``None`` for none."""


Fit = Callable[[Doubles, Bools, Bools, Sequence[Doubles]], list[Doubles]]
"""Learns from ``features [tracks, dim]``, ``labels`` and ``known [tracks, labels]``; scores several sets of tracks."""


def track_means(split: ProbeSplit) -> Doubles:
    """Return the mean of the windows of each track ``[tracks, dim]``, of a split seen in one hidden state."""
    features, count = split.features, len(split.labels)
    sums, windows = np.zeros((count, features.dim)), np.asarray(features.track_of_window)
    for rows in np.array_split(np.arange(len(windows)), max(1, len(windows) // 256)):
        np.add.at(sums, windows[rows], features.take(rows)[:, 0].astype(np.float64))
    means: Doubles = sums / np.bincount(windows, minlength=count)[:, None]
    return means


def fit_linear(x: Doubles, labels: Bools, known: Bools, tests: Sequence[Doubles]) -> list[Doubles]:
    """Score tracks by logistic regression; a label that all or none of its known tracks carry scores 0 everywhere.

    Labels that are known of the same tracks are fitted together.
    """
    from ...probing.linear import linear_probe

    scores = [np.zeros((len(test), labels.shape[1])) for test in tests]
    there = (labels & known).any(axis=0) & (~labels & known).any(axis=0)
    for mask in np.unique(known[:, there].T, axis=0):
        columns = np.flatnonzero(there & (known == mask[:, None]).all(axis=0))
        rows = np.flatnonzero(mask)
        probe = linear_probe().fit(x[rows], labels[np.ix_(rows, columns)].astype(int))
        for score, test in zip(scores, tests, strict=True):
            # Of one label scikit-learn returns one number a track.
            score[:, columns] = probe.decision_function(test).reshape(len(test), -1)
    return scores


def fit_nearest(x: Doubles, labels: Bools, known: Bools, tests: Sequence[Doubles]) -> list[Doubles]:
    """Score tracks by the share of a label among the nearest training tracks of which it is known, near ones more."""
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)
    probe = KNeighborsRegressor(min(NEIGHBOURS, len(x)), weights=_closeness, metric="cosine")
    probe.fit(scaler.transform(x), np.hstack([labels & known, known]).astype(np.float64))
    usual = (labels & known).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    scores = []
    for test in tests:
        held, counted = np.hsplit(probe.predict(scaler.transform(test)), 2)
        scores.append(np.divide(held, counted, out=np.tile(usual, (len(test), 1)), where=counted > 0))
    return scores


def _closeness(distances: Doubles) -> Doubles:
    """Weigh neighbours by ``exp(cosine / 0.07)``, the temperature of Caron et al. 2021."""
    weights: Doubles = np.exp((1.0 - distances) / 0.07 - 1.0 / 0.07)
    return weights


FITS: dict[str, Fit] = {LINEAR: fit_linear, NEAREST: fit_nearest}


def on_resamples(
    fit: Fit, x: Doubles, cell: Cell, drawn: NDArray[np.int32] | None, tests: Sequence[Doubles]
) -> list[Scored]:
    """Fit on the training tracks, and on every resample of them.

    Args:
        fit: one of :data:`FITS`.
        x: training tracks ``[tracks, dim]``.
        cell: whose tracks they are.
        drawn: how often each is drawn, ``[resamples, tracks]``; ``None`` for no resample.
        tests: tracks to score, ``[tracks, dim]`` each.
    """
    labels, known = cell.truth("train")
    whole = fit(x, labels, known, tests)
    again = []
    for weights in () if drawn is None else drawn:
        rows = np.repeat(np.arange(len(x)), weights)
        again.append(fit(x[rows], labels[rows], known[rows], tests))
    # Scores of two probes that are the same in exact arithmetic must tie.
    return [
        Scored(
            score[None].astype(np.float32),
            np.stack([one[i] for one in again]).astype(np.float32) if again else None,
        )
        for i, score in enumerate(whole)
    ]


def perceptron(
    cell: Cell, state: int, drawn: NDArray[np.int32] | None, device: str, progress: Callable[[int, int], None]
) -> Scored:
    """Train the protocol's probes on one hidden state: learning rate by validation, all seeds, and every resample."""
    from ....baselines.device import choose_device
    from ...probing.search import run_probes

    settings = replace(cell.protocol.probe, each_layer=True, fused=False)
    where, names = str(choose_device(device)), (cell.states[state],)
    probed = run_probes(*cell.seen(state), settings, names, where, progress, resamples=drawn)
    return Scored(probed.probabilities, probed.logits if len(probed.logits) else None)
