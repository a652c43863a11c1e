"""The two measures: maximum mean discrepancy of features, Jensen-Shannon divergence of tokens.

Both work on groups of tracks, reduced to what the distance between weighted sets of groups needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ....baselines.tokens.kmeans import ResidualKMeans
from ....errors import UsageError
from ....files import safe_name
from ...scoring.metrics import Doubles
from .distance import Distances, Groups, all_pairs
from .samples import FeatureSample, Sample, collections, number_groups

if TYPE_CHECKING:
    from ....baselines.tokens.base import Tokeniser
    from .tokens import Counted

_MEDIAN_OF = 3000
"""Tracks at most among which the median distance is taken."""

_BLOCK = 1 << 23
"""Numbers of one block of distributions: 64 MiB of float64."""


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
    """Squared maximum mean discrepancy between sets of groups of tracks.

    Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012, *A Kernel Two-Sample Test*, JMLR 13).

    Attributes:
        sums: of an RBF kernel over the pairs of tracks of every two groups, ``[groups, groups]``.
        pairs: number of pairs of tracks, ``[groups, groups]``. Both are zero on the diagonal: only tracks of different
            groups are independent draws, so pairs within a group would make the estimate too large.
    """

    unbiased: ClassVar[bool] = True
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
        from sklearn.metrics.pairwise import rbf_kernel

        member = np.eye(int(groups.max()) + 1)[groups]
        sums = member.T @ rbf_kernel(features, gamma=1 / (2 * bandwidth**2)) @ member
        pairs = np.outer(member.sum(axis=0), member.sum(axis=0))
        np.fill_diagonal(sums, 0.0)
        np.fill_diagonal(pairs, 0.0)
        return cls(sums, pairs)

    def only(self, groups: Groups) -> KernelGroups:
        """Return some of the groups, in the order given."""
        chosen = np.ix_(groups, groups)
        return KernelGroups(self.sums[chosen], self.pairs[chosen])

    def distances(self, first: Doubles, second: Doubles) -> Doubles:
        """Return the unbiased estimate of the squared discrepancy, ``[rows]`` (Gretton et al. 2012, equation 3).

        With every track a group of its own, this is their estimate; else pairs within groups are left out. A set of a
        single group has no such pairs, and its distance is NaN.

        Args:
            first: how often each group is in the first set, ``[rows, groups]``.
            second: the same of the second set.
        """
        return self._mean(first, first) + self._mean(second, second) - 2 * self._mean(first, second)

    def _mean(self, left: Doubles, right: Doubles) -> Doubles:
        """Mean of the kernel over the pairs between two weighted sets, ``[rows]``."""
        total, count = (np.einsum("rg,rg->r", left @ of, right) for of in (self.sums, self.pairs))
        mean: Doubles = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return mean


def jensen_shannon(first: Doubles, second: Doubles) -> Doubles:
    """Return the Jensen-Shannon divergence over the last axis, base 2: 0 for the same, 1 for disjoint distributions.

    Lin (1991, *Divergence Measures Based on the Shannon Entropy*, equation 4.1 with equal weights).

    Args:
        first: probabilities ``[..., size]``.
        second: the same shape.
    """
    from scipy.special import rel_entr

    # scipy.spatial.distance.jensenshannon takes a root, which is NaN where rounding leaves less than zero.
    middle = (first + second) / 2
    nats = (rel_entr(first, middle) + rel_entr(second, middle)).sum(axis=-1) / 2
    bits: Doubles = np.clip(nats / np.log(2), 0.0, 1.0)
    return bits


@dataclass(frozen=True, eq=False)
class UnigramGroups:
    """Jensen-Shannon divergence between the token shares of sets of groups of tracks.

    Rare tokens that only one sample happened to have push two samples apart, so it is not right on average.

    Attributes:
        counts: ``[groups, codebooks, size]`` float32, which counts exactly to 16 million.
    """

    unbiased: ClassVar[bool] = False
    counts: NDArray[np.float32]

    @classmethod
    def of(cls, counts: NDArray[np.int64], groups: Groups) -> UnigramGroups:
        """Sum the counts of tracks ``[tracks, codebooks, size]`` by their groups ``[tracks]``, 0 without gaps."""
        total = np.zeros((int(groups.max()) + 1, *counts.shape[1:]), np.float32)
        np.add.at(total, groups, counts)
        return cls(total)

    def only(self, groups: Groups) -> UnigramGroups:
        """Return some of the groups, in the order given."""
        return UnigramGroups(self.counts[groups])

    def distances(self, first: Doubles, second: Doubles) -> Doubles:
        """Return the divergence, mean over codebooks, ``[rows]``.

        Args:
            first: how often each group is in the first set, ``[rows, groups]``.
            second: the same of the second set.
        """
        step = max(1, _BLOCK // self.counts[0].size)
        blocks = [slice(start, start + step) for start in range(0, len(first), step)]
        return np.concatenate([self.by_codebook(first[b], second[b]).mean(axis=1) for b in blocks])

    def by_codebook(self, first: Doubles, second: Doubles) -> Doubles:
        """Return the divergence on each codebook, ``[rows, codebooks]``; arguments as of :meth:`distances`."""
        return jensen_shannon(self._shares(first), self._shares(second))

    def _shares(self, weights: Doubles) -> Doubles:
        """Share of each token in weighted sets of groups, ``[rows, codebooks, size]``."""
        pooled = np.tensordot(weights.astype(np.float32), self.counts, 1).astype(np.float64)
        shares: Doubles = pooled / pooled.sum(axis=-1, keepdims=True)
        return shares


def feature_distances(sample: FeatureSample, samples: Sequence[Sample], resamples: int) -> Distances:
    """Measure the squared maximum mean discrepancy between the tasks.

    Args:
        sample: features of one encoder.
        samples: the tasks, in the same order.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: features do not differ between tracks, or a task has a single group.
    """
    from sklearn.preprocessing import StandardScaler

    # What never changes becomes zero, and adds nothing to a distance.
    features = StandardScaler().fit_transform(np.concatenate(sample.features))
    bandwidth = median_distance(features)
    groups, members = number_groups(sample.tracks)
    used = collections(samples, sample.tracks)
    grouped = KernelGroups.of(features, groups, bandwidth)
    return Distances(
        measure="mmd2",
        source=f"features of {sample.model}, {sample.state}",
        slug=f"mmd2-{safe_name(sample.model)}",
        edition=samples[0].data.edition,
        stand_in=False,
        collections=used,
        pairs=all_pairs(grouped, members, [c.task for c in used], resamples),
        definition=(
            f"Squared maximum mean discrepancy between tracks (mean over windows of hidden state {sample.state} of "
            f"{sample.model} {sample.fingerprint}: {sample.why}). Features scaled to mean 0 and deviation 1 over all "
            f"tracks; RBF kernel, bandwidth {bandwidth:.4g}, the median distance over all tracks; unbiased estimate, "
            "without pairs of tracks of one group."
        ),
    )


def token_distances(
    tokeniser: Tokeniser, counted: Sequence[Counted], samples: Sequence[Sample], seconds: float, resamples: int
) -> Distances:
    """Measure the Jensen-Shannon divergence between the unigrams of the tasks, mean over codebooks.

    Args:
        tokeniser: what made the tokens.
        counted: the tokens of each task.
        samples: the tasks, in the same order.
        seconds: audio of each track, for the definition.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: a task has a single group.
    """
    tracks = [c.tracks for c in counted]
    groups, members = number_groups(tracks)
    grouped = UnigramGroups.of(np.concatenate([c.counts for c in counted]), groups)
    used = collections(samples, tracks)
    every = np.arange(len(grouped.counts))
    whole = {c.task: np.isin(every, own)[None].astype(float) for c, own in zip(used, members, strict=True)}
    stand_in = isinstance(tokeniser, ResidualKMeans)
    return Distances(
        measure="jensen_shannon",
        source=f"tokens of {tokeniser.name}",
        slug=f"jensen-shannon-{'stand-in' if stand_in else 'tokens'}",
        edition=samples[0].data.edition,
        stand_in=stand_in,
        collections=used,
        pairs=tuple(
            replace(pair, by_codebook=tuple(grouped.by_codebook(whole[pair.first], whole[pair.second])[0].tolist()))
            for pair in all_pairs(grouped, members, [c.task for c in used], resamples)
        ),
        definition=(
            f"Unigrams of the tokens in the middle {seconds:g} s of each track, pooled over tracks; per codebook, then "
            f"mean over {grouped.counts.shape[1]} codebooks of {tokeniser.codebook_size} tokens. "
            f"Tokeniser: {tokeniser.name}. Jensen-Shannon divergence in bits, 0 to 1."
        ),
    )
