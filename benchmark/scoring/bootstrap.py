"""From probabilities to scores with intervals: means over seeds, cluster bootstrap over groups.

What an interval is. Whole groups (albums, artists, concerts, ...) are drawn with replacement, because tracks of one
group are alike; the same draws serve every seed, label and metric. Each draw is scored by the rule that scores the
split itself, so a label without a positive or a negative in it is left out of that draw's mean. The interval speaks
of other test sets of this size, for this probe and these training tracks; it says nothing of other training data.

Why not the plain percentiles. Average precision of few positives rises when positives are drawn twice, and a draw
that loses its rarest labels has another mean. In simulations (30 labels of 1-15 % prevalence, 960 tracks in 240
groups) the draws of macro average precision lie 0.8 standard errors too high, and their 95 % percentiles cover the
score to be expected in 90 % of data sets; moved so that the score is their median they cover it in 97 %. For ROC-AUC
both cover 94 %. With 240 tracks in 20 groups, moved intervals cover 89 % (ROC-AUC) and 91 % (average precision),
percentiles 87 % and 75 %: few groups make them too narrow, so they are widened for the number of groups. What they
cover then is in docs/statistics.md. A label whose draws all score the same (a perfect ranking) has an interval without
width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError
from ...tasks.splits.draw import joined_groups
from .metrics import Bools, Doubles, Floats, defined_labels, f1, f1_micro, sort_scores, weighted_scores

MIN_CLUSTERS = 5
"""Fewest groups that get intervals: four can be drawn in 35 ways only, too few for tails of 2.5 %."""

MIN_DEFINED_SHARE = 0.9
"""Least share of resamples in which a score must exist. A label whose positives lie in two groups has 86 %."""

NOTHING_DEFINED = "no label has both a positive and a negative in the test split"

_BLOCK = 1 << 19
"""Elements of a block of weights: 4 MiB of float64."""

_RANKED = ("roc_auc", "average_precision")


@dataclass(frozen=True)
class Estimate:
    """A score: the mean over seeds, with its interval.

    Attributes:
        value: ``None`` where the score is not defined.
        interval: ``(low, high)``, or ``None`` where the resamples give none.
        per_seed: the score of each seed.
        reason: why ``value`` or ``interval`` is ``None``.
    """

    value: float | None
    interval: tuple[float, float] | None
    per_seed: tuple[float | None, ...]
    reason: str | None = None


@dataclass(frozen=True)
class LabelEstimates:
    """One label's scores.

    Attributes:
        support: positives among the test tracks.
        prevalence: their share.
        roc_auc: ROC-AUC.
        average_precision: average precision.
        f1: F1 at the threshold.
        reason: why the label is not defined, or why it has no interval.
    """

    support: int
    prevalence: float
    roc_auc: Estimate
    average_precision: Estimate
    f1: Estimate
    reason: str | None


@dataclass(frozen=True)
class FamilyEstimates:
    """Means over the defined labels of one family.

    Attributes:
        family: its name.
        labels: how many labels it has.
        defined: how many of them are defined.
        roc_auc: macro ROC-AUC.
        average_precision: macro average precision.
    """

    family: str
    labels: int
    defined: int
    roc_auc: Estimate
    average_precision: Estimate


@dataclass(frozen=True)
class Scores:
    """Everything that is scored on one test split.

    Attributes:
        metrics: ``roc_auc``, ``average_precision`` and ``f1_macro`` are means over the defined labels; ``f1_micro``
            pools the decisions on all labels, as a false alarm on a label that no test track has is still wrong.
        labels: in the order of the targets' columns.
        families: in the order in which the labels name them.
        clusters: groups that were drawn from; a track of unknown group is one of its own.
        defined: number of defined labels.
        undefined: column of each label that is not defined, with the reason.
    """

    metrics: Mapping[str, Estimate]
    labels: tuple[LabelEstimates, ...]
    families: tuple[FamilyEstimates, ...]
    clusters: int
    defined: int
    undefined: Mapping[int, str]


def cluster_numbers(groups: Sequence[str | None]) -> NDArray[np.intp]:
    """Give each group a number, by appearance; ``None`` and the empty string are a group of their own each time.

    Tracks of several groups (joined with ``|``) join them, as in a group-safe split.
    """
    known: dict[str, int] = {}
    numbers: list[int] = []
    unknown = 0
    for group in joined_groups(groups):
        if group:
            numbers.append(known.setdefault(group, len(known) + unknown))
        else:
            numbers.append(len(known) + unknown)
            unknown += 1
    return np.array(numbers, dtype=np.intp)


def cluster_count(groups: Sequence[str | None]) -> int:
    """Return how many groups there are; a track of unknown group is one of its own."""
    return int(cluster_numbers(groups).max()) + 1 if len(groups) else 0


def cluster_weights(groups: Sequence[str | None], resamples: int, seed: int) -> NDArray[np.int32]:
    """Draw cluster-bootstrap resamples as weights: how often each track is in each resample.

    As many groups as there are, are drawn with replacement (Davison & Hinkley 1997, section 3.8); a group's tracks
    come together. The draws are raw words of PCG64, which NumPy keeps the same across versions and platforms.

    Args:
        groups: of each track; ``None`` or ``""`` where unknown (the track is then a group of its own).
        resamples: how many to draw.
        seed: the same seed and groups give the same weights.

    Returns:
        ``[resamples, tracks]``.
    """
    cluster = cluster_numbers(groups)
    count = int(cluster.max()) + 1 if cluster.size else 0
    weights = np.empty((resamples, cluster.size), dtype=np.int32)
    words = np.random.PCG64(seed)
    for row in weights if count else ():
        # The remainder of a 64-bit word favours no group by more than one part in 2**64 / count.
        drawn = np.asarray(words.random_raw(count)) % np.uint64(count)
        row[:] = np.bincount(drawn.astype(np.intp), minlength=count)[cluster]
    return weights


def offset(samples: Doubles, value: float) -> float:
    """Return the normal quantile of the share of samples below the value: how far the samples are off it."""
    below = (np.count_nonzero(samples < value) + 0.5 * np.count_nonzero(samples == value)) / samples.size
    margin = 1.0 / (samples.size + 1)
    return NormalDist().inv_cdf(min(max(below, margin), 1.0 - margin))


@lru_cache
def student(groups: int, share: float) -> float:
    """Return the quantile of Student's t with one degree of freedom less than there are groups."""
    from scipy.stats import t

    return float(t.ppf(share, groups - 1))


def interval(samples: Doubles, value: float, level: float, groups: int | None = None) -> tuple[float, float]:
    """Percentile interval of bootstrap samples, moved so that ``value`` is their median, widened for few groups.

    With ``z0`` the normal quantile of the share of samples below ``value``, the bounds are the samples' quantiles at
    ``Phi(z0 + z)`` for ``z`` at either tail. Efron's bias-corrected interval (1987) moves by ``2 z0``: it also takes
    the score's own bias for its test-set size off, which would no longer be an interval of the score printed.

    Args:
        samples: ``[resamples]``, no NaN.
        value: the score of the split itself. Where no sample lies beyond it, it is the bound.
        level: for example 0.95.
        groups: that were drawn from. Resamples of ``G`` groups vary less than new groups would, so the normal quantiles
            become those of Student's t with one degree of freedom less than there are groups, times ``sqrt(G / (G -
            1))`` (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4.2: expanded percentiles).
            Without it nothing is widened.
    """
    normal = NormalDist()
    centre = offset(samples, value)
    share = 0.5 + level / 2.0
    reach = normal.inv_cdf(share) if groups is None else student(groups, share) * math.sqrt(groups / (groups - 1))
    low, high = np.quantile(samples, [normal.cdf(centre - reach), normal.cdf(centre + reach)])
    return min(float(low), value), max(float(high), value)


def score_with_intervals(
    targets: Bools,
    probabilities: Floats,
    groups: Sequence[str | None],
    *,
    families: Mapping[int, str] | None = None,
    labels: Sequence[str] | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 1,
    f1_threshold: float = 0.5,
) -> Scores:
    """Score one test split: all metrics, labels and families, with cluster-bootstrap intervals.

    Args:
        targets: ``[tracks, labels]``.
        probabilities: ``[seeds, tracks, labels]``; ties are those of the stored values.
        groups: of each track; ``None`` or ``""`` where unknown.
        families: column -> family; columns without one are in no family.
        labels: ordered label names, for error messages.
        level: of the intervals.
        resamples: bootstrap resamples.
        seed: of the resamples.
        f1_threshold: probability from which a label counts as predicted.

    Raises:
        CmbenchError: shapes do not fit, there is no track or no seed, or a probability is NaN.
    """
    truth, values = np.asarray(targets, dtype=np.bool_), np.asarray(probabilities)
    _check_shapes(truth, values, groups)
    defined, reasons = defined_labels(truth)
    clusters = cluster_count(groups)
    draws = _Draws(clusters, level)
    per_label, pooled = _resample(truth, values, cluster_weights(groups, resamples, seed), labels, f1_threshold)

    metrics = {name: draws.macro(per_label[name], defined) for name in _RANKED}
    metrics["f1_micro"] = draws.estimate(pooled, None if defined.any() else NOTHING_DEFINED)
    metrics["f1_macro"] = draws.macro(per_label["f1"], defined)
    return Scores(
        metrics=metrics,
        labels=tuple(_label(truth[:, k], per_label, k, reasons[k], draws) for k in range(truth.shape[1])),
        families=tuple(_families(per_label, defined, families or {}, draws)),
        clusters=clusters,
        defined=int(defined.sum()),
        undefined={k: reason for k, reason in enumerate(reasons) if reason is not None},
    )


def _check_shapes(truth: Bools, values: Floats, groups: Sequence[str | None]) -> None:
    if truth.ndim != 2 or values.ndim != 3 or values.shape[1:] != truth.shape or len(groups) != len(truth):
        raise CmbenchError(
            f"Targets {truth.shape} must be [tracks, labels], probabilities {values.shape} [seeds, tracks, labels] "
            f"and groups ({len(groups)}) [tracks]."
        )
    if not len(truth) or not len(values):
        raise CmbenchError(f"There is nothing to score: {len(truth)} test tracks, {len(values)} seeds.")


def _resample(
    truth: Bools, values: Floats, weights: NDArray[np.int32], labels: Sequence[str] | None, threshold: float
) -> tuple[dict[str, Doubles], Doubles]:
    """Score the split itself (row 0) and every resample, by the same arithmetic.

    Returns:
        Per metric ``[seeds, 1 + resamples, labels]``, NaN where a label lacks a positive or a negative; and pooled
        F1 ``[seeds, 1 + resamples]``.
    """
    rows = 1 + len(weights)
    ranked = [sort_scores(truth, scores, labels) for scores in values]
    predicted = values >= threshold
    scores = {name: np.empty((len(values), rows, truth.shape[1])) for name in (*_RANKED, "f1")}
    pooled = np.empty((len(values), rows))
    step = max(1, _BLOCK // len(truth))
    for low in range(0, rows, step):
        block = slice(low, min(low + step, rows))
        weight = np.ones((block.stop - low, len(truth)))
        first = 1 if low == 0 else 0
        weight[first:] = weights[low + first - 1 : block.stop - 1]
        for k, order in enumerate(ranked):
            roc_auc, precision = weighted_scores(order, weight)
            exists = ~np.isnan(roc_auc)
            scores["roc_auc"][k, block] = roc_auc
            scores["average_precision"][k, block] = np.where(exists, precision, np.nan)
            scores["f1"][k, block] = np.where(exists, f1(truth, predicted[k], weight), np.nan)
            pooled[k, block] = f1_micro(truth, predicted[k], weight)
    return scores, pooled


def mean_of_defined(samples: Doubles) -> Doubles:
    """Mean over the last axis without NaN; NaN where all are. ``[..., labels]`` -> ``[...]``."""
    exists = ~np.isnan(samples)
    count = exists.sum(axis=-1)
    total = np.where(exists, samples, 0.0).sum(axis=-1)
    mean: Doubles = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


@dataclass(frozen=True)
class _Draws:
    """What the resamples were, for turning them into estimates."""

    clusters: int
    level: float

    def estimate(self, samples: Doubles, reason: str | None) -> Estimate:
        """Estimate from ``[seeds, 1 + resamples]`` with the split itself first; ``reason``: why it is not defined."""
        if reason is not None:
            return Estimate(None, None, (None,) * len(samples), reason)
        means = samples.mean(axis=0)
        value, drawn = float(means[0]), means[1:]
        per_seed = tuple(float(x) for x in samples[:, 0])
        if self.clusters < MIN_CLUSTERS:
            why = f"no interval: the test split has fewer than {MIN_CLUSTERS} groups ({self.clusters})"
            return Estimate(value, None, per_seed, why)
        drawn_defined = drawn[~np.isnan(drawn)]
        if not drawn.size or drawn_defined.size < MIN_DEFINED_SHARE * drawn.size:
            why = f"no interval: too few groups; defined in {drawn_defined.size} of {drawn.size} resamples only"
            return Estimate(value, None, per_seed, why)
        return Estimate(value, interval(drawn_defined, value, self.level, self.clusters), per_seed)

    def macro(self, samples: Doubles, defined: Bools) -> Estimate:
        """Estimate of the macro mean from ``[seeds, 1 + resamples, labels]``."""
        return self.estimate(mean_of_defined(samples), None if defined.any() else NOTHING_DEFINED)


def _label(truth: Bools, scores: Mapping[str, Doubles], k: int, reason: str | None, draws: _Draws) -> LabelEstimates:
    """Estimates of label number ``k``; ``truth [tracks]`` is its column."""
    roc_auc, precision, f1_score = (draws.estimate(scores[name][:, :, k], reason) for name in (*_RANKED, "f1"))
    support = int(truth.sum())
    return LabelEstimates(support, support / len(truth), roc_auc, precision, f1_score, reason or roc_auc.reason)


def _families(
    scores: Mapping[str, Doubles], defined: Bools, families: Mapping[int, str], draws: _Draws
) -> list[FamilyEstimates]:
    """Estimates of every family, in the order of the labels."""
    members: dict[str, list[int]] = {}
    for k in sorted(families):
        members.setdefault(families[k], []).append(k)
    return [
        FamilyEstimates(
            family,
            len(columns),
            int(defined[columns].sum()),
            *(draws.macro(scores[name][:, :, columns], defined[columns]) for name in _RANKED),
        )
        for family, columns in members.items()
    ]
