"""Scores of tasks with one label a track: how often the most probable label is the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .metrics import Bools, Doubles, Floats, f1, f1_micro

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decision_scores(
    targets: Bools, probabilities: Floats, weights: NDArray[np.int32], step: int = 64
) -> tuple[Doubles, Doubles]:
    """Score the most probable label of every track, of the split itself (first) and of every resample.

    Of labels with the same probability the first is taken. Where each track has one label and gets one, the pooled F1
    of all decisions is the share of right ones: accuracy.

    Args:
        targets: ``[tracks, labels]``, one label a track.
        probabilities: ``[seeds, tracks, labels]``.
        weights: ``[resamples, tracks]``, how often each track is in each resample.
        step: resamples at a time.

    Returns:
        Accuracy ``[seeds, 1 + resamples]`` and F1 of every label ``[seeds, 1 + resamples, labels]``, NaN where a
        resample has no track of the label.
    """
    rows = np.concatenate([np.ones((1, len(targets)), weights.dtype), weights])
    decided = np.eye(targets.shape[1], dtype=np.bool_)[np.argmax(probabilities, axis=2)]
    accuracy = np.empty((len(decided), len(rows)))
    by_label = np.empty((len(decided), len(rows), targets.shape[1]))
    for low in range(0, len(rows), step):
        block = slice(low, low + step)
        weight = rows[block].astype(np.float64)
        there = weight @ targets.astype(np.float64) > 0
        for seed, chosen in enumerate(decided):
            accuracy[seed, block] = f1_micro(targets, chosen, weight)
            by_label[seed, block] = np.where(there, f1(targets, chosen, weight), np.nan)
    return accuracy, by_label
