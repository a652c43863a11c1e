"""Distances between feature distributions, and likeness of two encoders, from kernels.

- Maximum mean discrepancy (Gretton, Borgwardt, Rasch, Schölkopf, Smola 2012, *A Kernel Two-Sample Test*, JMLR 13)
  between two sets of other tracks.
- Centred kernel alignment (Kornblith, Norouzi, Lee, Hinton 2019, *Similarity of Neural Network Representations
  Revisited*) between two encoders' features of the same tracks. It pairs track with track, so it cannot compare two
  traditions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..scoring.bootstrap import MIN_CLUSTERS
from ..scoring.metrics import Doubles
from .distance import Groups

_MEDIAN_OF = 3000
"""Tracks at most among which the median distance is taken."""


def standardised(features: Doubles) -> Doubles:
    """Scale every feature to mean 0 and deviation 1; features that never change are left out.

    Args:
        features: ``[tracks, dim]``.

    Raises:
        UsageError: no feature changes from track to track.
    """
    deviation = features.std(axis=0)
    changing = deviation > 1e-9 * np.maximum(np.abs(features).max(axis=0), 1e-30)
    if not changing.any():
        raise UsageError("The features are the same for every track: there is no distance between them.")
    kept = features[:, changing]
    scaled: Doubles = (kept - kept.mean(axis=0)) / deviation[changing]
    return scaled


def median_distance(features: Doubles, seed: int = 0) -> float:
    """Return the median Euclidean distance between tracks: the bandwidth (Gretton et al. 2012, section 8).

    Args:
        features: ``[tracks, dim]`` of all collections together; of more than 3,000 tracks, that many at random.
        seed: of the random ones.

    Raises:
        UsageError: more than half of all distances are zero.
    """
    from scipy.spatial.distance import pdist

    if len(features) > _MEDIAN_OF:
        features = features[np.random.default_rng(seed).choice(len(features), _MEDIAN_OF, replace=False)]
    median = float(np.median(pdist(features)))
    if median <= 0.0:
        raise UsageError("More than half of the tracks have the same features: the kernel has no bandwidth.")
    return median


@dataclass(frozen=True, eq=False)
class KernelGroups:
    """Sums of an RBF kernel over the pairs of tracks of every two groups.

    Attributes:
        sums: of the kernel, ``[groups, groups]``.
        pairs: number of pairs of tracks, ``[groups, groups]``. Both are zero on the diagonal: only tracks of different
            groups are independent draws, so pairs within a group would make the estimate too large.
    """

    sums: Doubles
    pairs: Doubles

    @classmethod
    def of(cls, features: Doubles, groups: Groups, bandwidth: float) -> KernelGroups:
        """Sum ``exp(-d^2 / (2 bandwidth^2))`` by groups.

        Args:
            features: ``[tracks, dim]``.
            groups: number of each track's group, from 0 without gaps, ``[tracks]``.
            bandwidth: of the kernel.
        """
        from scipy.spatial.distance import cdist

        order = np.argsort(groups, kind="stable")
        sizes = np.bincount(groups).astype(np.float64)
        starts = np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.intp)
        kernel = np.exp(cdist(features[order], features[order], "sqeuclidean") / (-2 * bandwidth**2))
        sums = np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), starts, axis=1)
        pairs = np.outer(sizes, sizes)
        np.fill_diagonal(sums, 0.0)
        np.fill_diagonal(pairs, 0.0)
        return cls(sums, pairs)

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the distances."""
        return ("mmd2",)

    @property
    def unbiased(self) -> bool:
        """It is a U-statistic over independent groups."""
        return True

    def only(self, groups: Groups) -> KernelGroups:
        """Return some of the groups, in the order given."""
        chosen = np.ix_(groups, groups)
        return KernelGroups(self.sums[chosen], self.pairs[chosen])

    def distances(self, first: Doubles, second: Doubles) -> Doubles:
        """Return the unbiased estimate of the squared discrepancy, ``[rows, 1]`` (Gretton et al. 2012, equation 3).

        With every track a group of its own, this is their estimate; else pairs within groups are left out. A set of a
        single group has no such pairs, and its distance is NaN.

        Args:
            first: how often each group is in the first set, ``[rows, groups]``.
            second: the same of the second set.
        """
        found = self._mean(first, first) + self._mean(second, second) - 2 * self._mean(first, second)
        return found[:, None]

    def _mean(self, left: Doubles, right: Doubles) -> Doubles:
        """Mean of the kernel over the pairs between two weighted sets, ``[rows]``."""
        total = np.einsum("rg,rg->r", left @ self.sums, right)
        count = np.einsum("rg,rg->r", left @ self.pairs, right)
        mean: Doubles = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return mean


def debiased_cka(first: Doubles, second: Doubles) -> float | None:
    """Return the linear centred kernel alignment of two encoders' features of the same tracks, debiased.

    1 for features that differ by rotation and scale only; 0 in expectation for unrelated ones, and so sometimes below.
    The Hilbert-Schmidt criteria are the unbiased ones of Song, Smola, Gretton, Bedo and Borgwardt (2012, JMLR 13,
    equation 4), as in Nguyen, Raghu and Kornblith (2021, *Do Wide and Deep Networks Learn the Same Things?*).

    Args:
        first: ``[tracks, dim]``, at least four tracks.
        second: ``[tracks, another dim]``, the same tracks in the same order.

    Returns:
        ``None`` where the features of an encoder do not differ between tracks.

    Raises:
        ValueError: the numbers of tracks differ, or are under four.
    """
    if len(first) != len(second) or len(first) < 4:
        raise ValueError(f"{len(first)} and {len(second)} tracks; the same four or more are needed")
    return _alignment(_gram(first), _gram(second))


def _gram(features: Doubles) -> Doubles:
    centred = features - features.mean(axis=0)
    gram: Doubles = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _alignment(first: Doubles, second: Doubles) -> float | None:
    cross, one, two = (_criterion(*pair) for pair in ((first, second), (first, first), (second, second)))
    return None if min(one, two) <= 0.0 else float(cross / np.sqrt(one * two))


def _criterion(first: Doubles, second: Doubles) -> float:
    """Unbiased Hilbert-Schmidt independence criterion of two Gram matrices with zero diagonals."""
    n = len(first)
    rows = first.sum(axis=0), second.sum(axis=0)
    product = rows[0].sum() * rows[1].sum() / ((n - 1) * (n - 2))
    return float(((first * second).sum() + product - 2 * (rows[0] @ rows[1]) / (n - 2)) / (n * (n - 3)))


def cka_interval(first: Doubles, second: Doubles, groups: NDArray[np.intp]) -> tuple[float, float] | None:
    """Return the 95 % interval of the alignment by the delete-one-group jackknife (Efron and Tibshirani 1993, ch. 11).

    Args:
        first: ``[tracks, dim]``.
        second: ``[tracks, another dim]``.
        groups: number of each track's group, from 0 without gaps, ``[tracks]``.

    Returns:
        ``None`` for fewer than five groups, or where leaving one out leaves the alignment undefined.
    """
    from scipy.stats import t

    count = int(groups.max()) + 1
    value = debiased_cka(first, second)
    if count < MIN_CLUSTERS or value is None or len(groups) - int(np.bincount(groups).max()) < 4:
        return None
    one, two = _gram(first), _gram(second)
    left_out = []
    for group in range(count):
        rows = np.flatnonzero(groups != group)
        without = _alignment(one[np.ix_(rows, rows)], two[np.ix_(rows, rows)])
        if without is None:
            return None
        left_out.append(without)
    error = np.sqrt((count - 1) * np.var(left_out))
    reach = float(error * t.ppf(0.975, count - 1))
    return max(-1.0, value - reach), min(1.0, value + reach)
