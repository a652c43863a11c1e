"""How far apart two collections of tracks are, with an interval and a test that respect groups of tracks.

A measure is a function of weights over groups (albums, concerts, artists): the collections themselves, a resample and
a permutation are rows of weights, so all three are the same arithmetic.

- Where sampling alone makes a distance larger (the divergence of two samples of one distribution is above zero), the
  estimate is corrected by the jackknife that leaves out one group at a time (Efron and Tibshirani 1993, *An
  Introduction to the Bootstrap*, section 10.5).
- The interval is that of a cluster bootstrap: groups of either collection are drawn with replacement. Percentiles are
  moved so that the estimate is the mean of the resamples, and widened for the number of groups as in
  :mod:`...comparing.paired`. docs/similarity.md says how often it holds.
- The test permutes groups between the two collections. If both come from one population of groups, every assignment
  is as likely as the one observed, whatever is alike within groups, so the p-value is exact (Good 2005, *Permutation,
  Parametric, and Bootstrap Tests of Hypotheses*, section 3.2). The observed assignment counts as one of them (Phipson
  and Smyth 2010).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ....errors import UsageError
from ....tasks.base import MINI_LABEL
from ...scoring.bootstrap import MIN_CLUSTERS, MIN_DEFINED_SHARE, cluster_weights
from ...scoring.metrics import Doubles

LEVEL = 0.95
"""Of the intervals; tests are at one minus this."""

MEASURES: Mapping[str, str] = {
    "mmd2": "Squared maximum mean discrepancy",
    "jensen_shannon": "Jensen-Shannon divergence",
}

STAND_IN_LABEL = "stand-in tokens: fitted here, not those of EnCodec; not comparable with published token distances"

Groups = NDArray[np.intp]


class Grouped(Protocol):
    """Groups of tracks, reduced to what distances between weighted sets of them need."""

    unbiased: ClassVar[bool]
    """Whether the distances are right on average however few groups there are."""

    def only(self, groups: Groups) -> Self:
        """Return some of the groups, in the order given."""
        ...

    def distances(self, first: Doubles, second: Doubles) -> Doubles:
        """Return the distances between weighted sets of groups, ``[rows]``; NaN where one is not defined.

        Args:
            first: how often each group is in the first set, ``[rows, groups]``.
            second: the same of the second set.
        """
        ...


@dataclass(frozen=True)
class Collection:
    """The tracks of a task that a distance was measured on.

    Attributes:
        task: name of the task.
        tradition: of the task.
        tracks: number of tracks used.
        failed: tracks of the sample that could not be used.
        groups: number of groups they belong to.
        groups_known: whether the task tells groups; if not, each track is one.
        split_sha256: hash of the task's splits.
    """

    task: str
    tradition: str
    tracks: int
    failed: int
    groups: int
    groups_known: bool
    split_sha256: str


@dataclass(frozen=True)
class PairDistance:
    """The distance of two tasks.

    Attributes:
        first: name of a task.
        second: name of another.
        value: the distance of the samples.
        corrected: the estimate of the distance of what they are samples of; it may lie a little below zero.
        low: lower end of the 95 % cluster-bootstrap interval; ``None`` where there is none.
        high: upper end.
        null_high: 95 % of permutations of groups between the two tasks give samples nearer than this.
        p_value: share of permutations that give at least this distance.
        q_value: after control of the false discovery rate among the pairs.
        reason: why something is ``None``.
        by_codebook: the distance of the samples on each codebook, of tokens.
    """

    first: str
    second: str
    value: float
    corrected: float
    low: float | None = None
    high: float | None = None
    null_high: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    reason: str | None = None
    by_codebook: tuple[float, ...] = ()

    @property
    def separable(self) -> bool | None:
        """Whether the two tasks differ at a false discovery rate of 5 %; ``None`` where that was not tested."""
        return None if self.q_value is None else self.q_value <= 1 - LEVEL


@dataclass(frozen=True)
class Distances:
    """One measure between all pairs of some tasks.

    Attributes:
        measure: key of :data:`MEASURES`.
        source: what was measured, in words: whose features or tokens.
        slug: the same as part of a file name.
        edition: of all tasks.
        stand_in: whether the tokens are those of a tokeniser fitted here and not of a published codec.
        collections: the tasks, in the order given.
        pairs: every two of them once.
        definition: what exactly was computed, in words.
    """

    measure: str
    source: str
    slug: str
    edition: str
    stand_in: bool
    collections: tuple[Collection, ...]
    pairs: tuple[PairDistance, ...]
    definition: str

    @property
    def title(self) -> str:
        """Edition and source in words."""
        return f"{self.edition} edition · {self.source}"

    @property
    def labels(self) -> list[str]:
        """What must stand beside every number; empty for real data and a published codec."""
        return [*([MINI_LABEL] if self.edition == "mini" else []), *([STAND_IN_LABEL] if self.stand_in else [])]

    @property
    def warning(self) -> str:
        """The labels, one in a line."""
        return "\n".join(self.labels)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(c.task for c in self.collections)

    def pair(self, first: str, second: str) -> PairDistance | None:
        """Return the distance of two tasks, in either order; ``None`` of a task to itself."""
        return next((p for p in self.pairs if {p.first, p.second} == {first, second}), None)

    def matrix(self) -> Doubles:
        """Return the symmetric matrix of corrected distances ``[tasks, tasks]``, zero on the diagonal."""
        pairs = [[self.pair(one, other) for other in self.tasks] for one in self.tasks]
        return np.array([[0.0 if pair is None else pair.corrected for pair in row] for row in pairs])


def all_pairs(
    grouped: Grouped, members: Sequence[Groups], names: Sequence[str], resamples: int
) -> tuple[PairDistance, ...]:
    """Measure every two collections; q-values are among all pairs (Benjamini and Hochberg 1995).

    Args:
        grouped: all groups of all collections.
        members: numbers of the groups of each collection; no group is in two of them.
        names: of the collections.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: there are fewer than two collections, or one has fewer than two groups.
    """
    from scipy.stats import false_discovery_control

    if len(members) < 2:
        raise UsageError("A distance needs two tasks; name several with --tasks.")
    for name, groups in zip(names, members, strict=True):
        if len(groups) < 2:
            raise UsageError(f"{name}: its sample has {len(groups)} group of tracks; a distance needs two at least.")
    pairs = []
    for i, j in combinations(range(len(members)), 2):
        both = grouped.only(np.concatenate([members[i], members[j]]))
        pairs.append(measure_pair(both, (len(members[i]), len(members[j])), (names[i], names[j]), resamples))
    tested = [pair.p_value for pair in pairs if pair.p_value is not None]
    adjusted = iter(false_discovery_control(tested).tolist() if tested else ())
    return tuple(pair if pair.p_value is None else replace(pair, q_value=next(adjusted)) for pair in pairs)


def measure_pair(grouped: Grouped, sizes: tuple[int, int], names: tuple[str, str], resamples: int) -> PairDistance:
    """Measure two collections, with interval and test.

    Args:
        grouped: the groups of the first collection, then those of the second.
        sizes: how many groups either has.
        names: of the two; they also seed the draws.
        resamples: of the bootstrap, and permutations of the test.
    """
    first = np.repeat([[1.0, 0.0]], sizes, axis=1)
    observed = float(grouped.distances(first, 1 - first)[0])
    corrected = observed if grouped.unbiased else _jackknifed(grouped, first, observed)
    pair = PairDistance(*names, observed, corrected)
    if min(sizes) < MIN_CLUSTERS:
        name = names[int(sizes[0] > sizes[1])]
        reason = f"no interval and no test: {name} has fewer than {MIN_CLUSTERS} groups ({min(sizes)})"
        return replace(pair, reason=reason)
    drawn = [cluster_weights([None] * n, resamples, _seed(name)) for n, name in zip(sizes, names, strict=True)]
    sides = [np.zeros((resamples, sum(sizes))) for _ in sizes]
    sides[0][:, : sizes[0]], sides[1][:, sizes[0] :] = drawn
    draw = np.random.Generator(np.random.PCG64(_seed(*names, "permutation")))
    permuted = draw.permuted(np.repeat(first, resamples, axis=0), axis=1)
    return _tested(pair, grouped.distances(*sides), grouped.distances(permuted, 1 - permuted), min(sizes))


def _jackknifed(grouped: Grouped, first: Doubles, observed: float) -> float:
    """Take off what leaving out one group at a time says of the bias; each side has its own share."""
    kept = 1 - np.eye(first.shape[1])
    without = grouped.distances(first * kept, (1 - first) * kept)
    bias = [(side.sum() - 1) * (without[side].mean() - observed) for side in (first[0] == 1, first[0] == 0)]
    return float(observed - sum(bias))


def _seed(*words: str) -> int:
    return int(hashlib.sha256("\t".join(words).encode()).hexdigest()[:12], 16)


def _tested(pair: PairDistance, drawn: Doubles, permuted: Doubles, groups: int) -> PairDistance:
    """Fill in interval and test; both samples are ``[resamples]``, NaN where a draw does not define the distance."""
    from scipy.stats import norm, t

    defined, null = drawn[~np.isnan(drawn)], permuted[~np.isnan(permuted)]
    if min(defined.size, null.size) < MIN_DEFINED_SHARE * drawn.size:
        reason = f"no interval and no test: defined in {min(defined.size, null.size)} of {drawn.size} draws only"
        return replace(pair, reason=reason)
    reach = t.ppf(0.5 + LEVEL / 2, groups - 1) * math.sqrt(groups / (groups - 1))
    away = np.quantile(defined, norm.cdf([-reach, reach])) - defined.mean()
    low, high = (float(pair.corrected + a) for a in away)
    # What differs in the last digits only is a tie.
    reached = np.count_nonzero(null >= pair.value - 1e-9 * max(abs(pair.value), 1e-3))
    return replace(
        pair,
        low=min(low, pair.corrected),
        high=max(high, pair.corrected),
        null_high=float(np.quantile(null, LEVEL)),
        p_value=(1 + int(reached)) / (1 + null.size),
    )
