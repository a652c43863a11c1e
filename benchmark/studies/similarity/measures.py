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
from .samples import Measured, number_groups

if TYPE_CHECKING:
    from ....baselines.base import EncoderCard
    from ....baselines.tokens.base import Tokeniser

_MEDIAN_OF = 3000
"""Tracks at most among which the median distance is taken."""

_BLOCK = 1 << 23
"""Numbers of one block of distributions: 64 MiB of float64."""


def median_distance(features: Doubles) -> float:
    """Return the median Euclidean distance between tracks: the bandwidth (Gretton et al. 2012, section 8).

    ``features [tracks, dim]`` are of all collections together; of more than 3,000 tracks, that many count, at random.

    Raises:
        UsageError: more than half of all distances are zero.
    """
    from scipy.spatial.distance import pdist

    if len(features) > _MEDIAN_OF:
        features = features[np.random.default_rng(0).choice(len(features), _MEDIAN_OF, replace=False)]
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
        """Sum ``exp(-d^2 / (2 bandwidth^2))`` of features ``[tracks, dim]`` by groups ``[tracks]``, 0 without gaps."""
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
        """
        return self._mean(first, first) + self._mean(second, second) - 2 * self._mean(first, second)

    def _mean(self, left: Doubles, right: Doubles) -> Doubles:
        """Mean of the kernel over the pairs between two weighted sets, ``[rows]``."""
        total, count = (np.einsum("rg,rg->r", left @ of, right) for of in (self.sums, self.pairs))
        mean: Doubles = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return mean


def jensen_shannon(first: Doubles, second: Doubles) -> Doubles:
    """Return the Jensen-Shannon divergence over the last axis, base 2: 0 for the same, 1 for disjoint distributions.

    Lin (1991, *Divergence Measures Based on the Shannon Entropy*, equation 4.1 with equal weights). Both arguments are
    probabilities ``[..., size]``.
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
        """Return the divergence, mean over codebooks, ``[rows]``."""
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


def feature_distances(
    measured: Sequence[Measured], card: EncoderCard, state: tuple[int, str], resamples: int
) -> Distances:
    """Measure the squared maximum mean discrepancy between the features of tasks.

    Args:
        measured: features of each task, by one encoder.
        card: of the encoder.
        state: position of the hidden state, and in words why that one.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: features do not differ between tracks, or a task has a single group.
    """
    from sklearn.preprocessing import StandardScaler

    # What never changes becomes zero, and adds nothing to a distance.
    features = StandardScaler().fit_transform(np.concatenate([one.values for one in measured]))
    bandwidth = median_distance(features)
    groups, members = number_groups(measured)
    used = tuple(one.collection for one in measured)
    name = card.layer_names[state[0]]
    return Distances(
        measure="mmd2",
        source=f"features of {card.name}, {name}",
        slug=f"mmd2-{safe_name(card.name)}",
        edition=measured[0].sample.data.edition,
        stand_in=False,
        collections=used,
        pairs=all_pairs(KernelGroups.of(features, groups, bandwidth), members, [c.task for c in used], resamples),
        definition=(
            f"Squared maximum mean discrepancy between tracks (mean over windows of hidden state {name} of "
            f"{card.name} {card.fingerprint}: {state[1]}). Features scaled to mean 0 and deviation 1 over all "
            f"tracks; RBF kernel, bandwidth {bandwidth:.4g}, the median distance over all tracks; unbiased estimate, "
            "without pairs of tracks of one group."
        ),
    )


def token_distances(measured: Sequence[Measured], tokeniser: Tokeniser, seconds: float, resamples: int) -> Distances:
    """Measure the Jensen-Shannon divergence between the unigrams of the tasks, mean over codebooks.

    Args:
        measured: counts of each task's tokens.
        tokeniser: what made the tokens.
        seconds: audio of each track, for the definition.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: a task has a single group.
    """
    groups, members = number_groups(measured)
    grouped = UnigramGroups.of(np.concatenate([one.values for one in measured]), groups)
    used = tuple(one.collection for one in measured)
    every = np.arange(len(grouped.counts))
    whole = {c.task: np.isin(every, own)[None].astype(float) for c, own in zip(used, members, strict=True)}
    stand_in = isinstance(tokeniser, ResidualKMeans)
    return Distances(
        measure="jensen_shannon",
        source=f"tokens of {tokeniser.name}",
        slug=f"jensen-shannon-{'stand-in' if stand_in else 'tokens'}",
        edition=measured[0].sample.data.edition,
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
