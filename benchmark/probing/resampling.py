"""The training sample as a source of chance: the chosen probe trained again on cluster resamples of the training split.

Which groups are drawn depends on the task's split alone, so every model of a task is trained again on the same ones and
the covariance of two models is kept. A resample has more or fewer windows than the split, since groups are unequal; an
epoch has as many steps all the same: its order runs through the drawn windows until it is as long as the split's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ..scoring.bootstrap import cluster_weights
from .bank import SeedStream

if TYPE_CHECKING:
    from ...tasks.base import TaskData, Track

FIRST_SEED = 1_000_001
"""Seed of the first resample's weights, order and dropout; no protocol's own seed is as large."""


def training_draws(data: TaskData, usable: Sequence[Track], resamples: int) -> NDArray[np.int32] | None:
    """Draw resamples of the training groups, the same for every model of a split whatever tracks it could use.

    Args:
        data: the task's tracks.
        usable: those of the training split that are trained on, in its order.
        resamples: how many.

    Returns:
        How often each usable track is drawn ``[resamples, tracks]``; ``None`` for no resample.

    Raises:
        UsageError: there is one resample only: it has no spread.
    """
    if not resamples:
        return None
    if resamples == 1:
        raise UsageError("train_resamples must be 0, or 2 at least: the spread of one training is not known.")
    seed = int(hashlib.sha256(f"{data.task.name} {data.split_sha256} train".encode()).hexdigest()[:12], 16)
    tracks, there = data.splits["train"], {track.id for track in usable}
    return cluster_weights([t.group for t in tracks], resamples, seed)[:, [t.id in there for t in tracks]]


class ResampledStream(SeedStream):
    """A seed's stream whose epochs run through drawn examples."""

    def __init__(self, seed: int, rows: NDArray[np.int64]) -> None:
        """Take the examples of a resample ``[drawn]``, those that were drawn twice being there twice."""
        super().__init__(seed)
        self._rows = torch.from_numpy(rows)

    def order(self, windows: int) -> Tensor:
        """Draw the order of one epoch: as many examples as the split has, the last pass cut short."""
        passes = [
            super(ResampledStream, self).order(len(self._rows)) for _ in range(math.ceil(windows / len(self._rows)))
        ]
        return self._rows[torch.cat(passes)[:windows]]


def resample_seeds(weights: NDArray[np.int32] | None) -> list[int]:
    """Return the seed of every resample; of none where there are no weights."""
    return [FIRST_SEED + k for k in range(0 if weights is None else len(weights))]


def resampled_streams(
    weights: NDArray[np.int32] | None, track_of_example: NDArray[np.int64]
) -> Mapping[int, SeedStream]:
    """Return the stream of every resample by its seed.

    Args:
        weights: how often each training track was drawn, ``[resamples, tracks]``; ``None`` for no resample.
        track_of_example: ``[examples]``.
    """
    if weights is None:
        return {}
    examples = np.arange(len(track_of_example), dtype=np.int64)
    return {
        seed: ResampledStream(seed, np.repeat(examples, drawn[track_of_example]))
        for seed, drawn in zip(resample_seeds(weights), weights, strict=True)
    }
