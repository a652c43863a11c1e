"""How often each token of each codebook occurs, and how far two such distributions are apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scoring.metrics import Doubles
from .distance import Groups

_BLOCK = 1 << 23
"""Numbers of one block of distributions: 64 MiB of float64."""


def count_tokens(tokens: Iterable[NDArray[np.integer]], size: int) -> NDArray[np.int64]:
    """Count the tokens of each track.

    Args:
        tokens: of each track, ``[codebooks, frames]``, in [0, size).
        size: of the codebooks.

    Returns:
        ``[tracks, codebooks, size]``.
    """
    return np.stack([np.stack([np.bincount(row, minlength=size) for row in track]) for track in tokens])


def jensen_shannon(first: Doubles, second: Doubles) -> Doubles:
    """Return the Jensen-Shannon divergence over the last axis, base 2: 0 for the same, 1 for disjoint distributions.

    Lin (1991, *Divergence Measures Based on the Shannon Entropy*, equation 4.1 with equal weights).

    Args:
        first: probabilities ``[..., size]``.
        second: the same shape.
    """
    mixed = _entropy((first + second) / 2) - (_entropy(first) + _entropy(second)) / 2
    return np.clip(mixed, 0.0, 1.0)


def _entropy(probabilities: Doubles) -> Doubles:
    # 0 log 0 is 0; numpy's logarithm is twice as fast as scipy.special.entr.
    logarithms = np.log2(np.maximum(probabilities, np.finfo(np.float64).tiny))
    bits: Doubles = -np.einsum("...k,...k->...", probabilities, logarithms)
    return bits


def cosine_distance(first: Doubles, second: Doubles) -> Doubles:
    """Return one minus the cosine over the last axis, in [0, 1] for counts and probabilities."""
    product = (first * second).sum(axis=-1)
    norms = np.sqrt((first * first).sum(axis=-1)) * np.sqrt((second * second).sum(axis=-1))
    distance: Doubles = np.clip(1 - product / norms, 0.0, 1.0)
    return distance


@dataclass(frozen=True, eq=False)
class UnigramGroups:
    """Token counts by groups of tracks.

    Attributes:
        counts: ``[groups, codebooks, size]`` float32, which counts exactly to 16 million.
    """

    counts: NDArray[np.float32]

    @classmethod
    def of(cls, counts: NDArray[np.int64], groups: Groups) -> UnigramGroups:
        """Sum the counts of tracks ``[tracks, codebooks, size]`` by their groups ``[tracks]``, 0 without gaps."""
        total = np.zeros((int(groups.max()) + 1, *counts.shape[1:]), np.float32)
        np.add.at(total, groups, counts)
        return cls(total)

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the distances."""
        return ("jensen_shannon", "cosine")

    @property
    def unbiased(self) -> bool:
        """Rare tokens that only one sample happened to have push the two apart."""
        return False

    def only(self, groups: Groups) -> UnigramGroups:
        """Return some of the groups, in the order given."""
        return UnigramGroups(self.counts[groups])

    def distances(self, first: Doubles, second: Doubles) -> Doubles:
        """Return both distances, mean over codebooks, ``[rows, 2]``.

        Args:
            first: how often each group is in the first set, ``[rows, groups]``.
            second: the same of the second set.
        """
        step = max(1, _BLOCK // self.counts[0].size)
        blocks = [slice(start, start + step) for start in range(0, len(first), step)]
        return np.concatenate([self.by_codebook(first[b], second[b]).mean(axis=1) for b in blocks])

    def by_codebook(self, first: Doubles, second: Doubles) -> Doubles:
        """Return both distances on each codebook, ``[rows, codebooks, 2]``; arguments as of :meth:`distances`."""
        one, two = self._unigrams(first), self._unigrams(second)
        return np.stack([jensen_shannon(one, two), cosine_distance(one, two)], axis=-1)

    def _unigrams(self, weights: Doubles) -> Doubles:
        """Share of each token in weighted sets of groups, ``[rows, codebooks, size]``."""
        groups, codebooks, size = self.counts.shape
        pooled = weights.astype(np.float32) @ self.counts.reshape(groups, -1)
        found = pooled.reshape(-1, codebooks, size).astype(np.float64)
        shares: Doubles = found / found.sum(axis=-1, keepdims=True)
        return shares
