"""Differences between two models on the same tracks: paired cluster bootstrap, detectable effects, equivalence.

Both models are scored on the same resamples of whole groups, so what makes a resample easy or hard cancels. The
interval of a difference is that of :func:`.statistics.interval` (percentiles moved so that the difference is their
median), widened for the number of groups: normal quantiles become those of Student's t with one degree of freedom
less than there are groups, times sqrt(G / (G - 1)), because a resample of G groups varies less than G new groups would
(Hesterberg 2015, *What Teachers Should Know About the Bootstrap*, section 4.2: expanded percentiles). How often these
intervals hold is simulated in :mod:`.simulation`; docs/statistics.md has the figures.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from .evidence import Evidence
from .metrics import Doubles, defined_labels, sort_scores, weighted_scores
from .statistics import MIN_CLUSTERS, MIN_DEFINED_SHARE, cluster_count, cluster_weights

LEVEL = 0.95
"""Of the intervals; tests are at one minus this."""

POWER = 0.8
"""Of the minimum detectable effect."""

RANKED = ("roc_auc", "average_precision")


@dataclass(frozen=True)
class Replicates:
    """Scores of one model on a test split (row 0) and on its resamples, mean over seeds.

    Attributes:
        scores: metric -> ``[1 + resamples, labels]``, NaN where a label lacks a positive or a negative.
        defined: labels that the split itself defines, ``[labels]``.
        groups: groups that were drawn from.
    """

    scores: dict[str, Doubles]
    defined: tuple[bool, ...]
    groups: int

    def macro(self, metric: str, labels: Sequence[int] | None = None) -> Doubles:
        """Return the macro mean over the labels that each resample defines, ``[1 + resamples]``.

        Args:
            metric: ``roc_auc`` or ``average_precision``.
            labels: columns to average; all if not given. Columns that the split does not define are left out.
        """
        columns = [k for k in (range(len(self.defined)) if labels is None else labels) if self.defined[k]]
        values = self.scores[metric][:, columns]
        there = ~np.isnan(values)
        count = there.sum(axis=1)
        mean: Doubles = np.divide(
            np.where(there, values, 0.0).sum(axis=1), count, out=np.full(len(values), np.nan), where=count > 0
        )
        return mean


@dataclass(frozen=True)
class Difference:
    """After minus before, as fractions.

    Attributes:
        before: score of the first model; ``None`` where it is not defined.
        after: score of the second.
        change: after minus before.
        low: lower end of the interval of the change; ``None`` where there is none.
        high: upper end.
        standard_error: of the change.
        p_value: two-sided, of no change.
        q_value: after control of the false discovery rate among the differences it was judged with.
        detectable: smallest true change that such a test split finds with 80 % power.
        equivalent: whether the change is shown to lie within the bound (two one-sided tests at 5 %).
        reason: why something is ``None``.
    """

    before: float | None
    after: float | None
    change: float | None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    detectable: float | None = None
    equivalent: bool = False
    reason: str | None = None

    @property
    def verdict(self) -> str:
        """``gained``, ``lost``, ``kept`` (shown to lie within the bound) or ``cannot tell``."""
        if self.change is not None and self.q_value is not None and self.q_value <= 1 - LEVEL:
            return "gained" if self.change > 0 else "lost"
        return "kept" if self.equivalent else "cannot tell"


def resample_seed(evidence: Evidence) -> int:
    """Seed of the resamples of one test split: the same for every model, another for every task."""
    task = evidence.record.task
    return int(hashlib.sha256(f"{task.name} {task.split_sha256}".encode()).hexdigest()[:12], 16)


def replicate(evidence: Evidence, resamples: int) -> Replicates:
    """Score a model on its test split and on resamples of its groups.

    Args:
        evidence: record and predictions.
        resamples: how many; the same for every model that it is to be compared with.
    """
    weights = cluster_weights(evidence.groups, resamples, resample_seed(evidence))
    weights = np.concatenate([np.ones((1, weights.shape[1]), weights.dtype), weights])
    total = {metric: np.zeros((1 + resamples, evidence.targets.shape[1])) for metric in RANKED}
    for probabilities in evidence.probabilities:
        prepared = sort_scores(evidence.targets, probabilities, evidence.record.task.labels)
        roc_auc, precision = weighted_scores(prepared, weights)
        total["roc_auc"] += roc_auc
        # Average precision exists without negatives; a label without them is not judged by either metric.
        total["average_precision"] += np.where(np.isnan(roc_auc), np.nan, precision)
    defined, _ = defined_labels(evidence.targets)
    seeds = len(evidence.probabilities)
    scores = {metric: sums / seeds for metric, sums in total.items()}
    return Replicates(scores, tuple(map(bool, defined)), cluster_count(evidence.groups))


def difference(before: Doubles, after: Doubles, groups: int, bound: float) -> Difference:
    """Judge a difference from paired replicates.

    Args:
        before: ``[1 + resamples]``, the split itself first; NaN where a resample does not define the score.
        after: of the other model, on the same resamples.
        groups: that were drawn from.
        bound: changes smaller than this are equivalent, as a fraction.
    """
    if math.isnan(before[0]) or math.isnan(after[0]):
        return Difference(None, None, None, reason="no label is defined")
    first, second = float(before[0]), float(after[0])
    change = second - first
    drawn = (after - before)[1:]
    kept = drawn[~np.isnan(drawn)]
    if groups < MIN_CLUSTERS:
        reason = f"no interval: fewer than {MIN_CLUSTERS} groups ({groups})"
        return Difference(first, second, change, reason=reason)
    if not drawn.size or kept.size < MIN_DEFINED_SHARE * drawn.size:
        reason = f"no interval: defined in {kept.size} of {drawn.size} resamples only"
        return Difference(first, second, change, reason=reason)
    error = float(kept.std()) * math.sqrt(groups / (groups - 1))
    if error < 1e-12:
        # Two models with the same ranking of every label: nothing is left to chance in these tracks.
        same = abs(change) < bound
        return Difference(first, second, change, change, change, 0.0, 1.0, None, 0.0, same)
    low, high = _interval(kept, change, groups, LEVEL)
    inner = _interval(kept, change, groups, 1 - 2 * (1 - LEVEL))
    return Difference(
        before=first,
        after=second,
        change=change,
        low=low,
        high=high,
        standard_error=error,
        p_value=_p_value(kept, change, groups),
        detectable=error * (_t(groups, 0.5 + LEVEL / 2) + _t(groups, POWER)),
        equivalent=-bound < inner[0] and inner[1] < bound,
    )


def _t(groups: int, share: float) -> float:
    from scipy.stats import t

    return float(t.ppf(share, groups - 1))


def _centre(samples: Doubles, value: float) -> float:
    """Return the normal quantile of the share of samples below the value: how far the samples are off it."""
    below = (np.count_nonzero(samples < value) + 0.5 * np.count_nonzero(samples == value)) / samples.size
    margin = 1.0 / (samples.size + 1)
    return NormalDist().inv_cdf(min(max(below, margin), 1.0 - margin))


def _interval(samples: Doubles, value: float, groups: int, level: float) -> tuple[float, float]:
    reach = _t(groups, 0.5 + level / 2) * math.sqrt(groups / (groups - 1))
    centre, normal = _centre(samples, value), NormalDist()
    low, high = np.quantile(samples, [normal.cdf(centre - reach), normal.cdf(centre + reach)])
    return min(float(low), value), max(float(high), value)


def _p_value(samples: Doubles, value: float, groups: int) -> float:
    """Smallest level at which the interval of the change leaves out zero, two-sided.

    Beyond the last sample, where a share cannot tell any more, the distance is measured in standard errors.
    """
    from scipy.stats import t

    away = abs(_centre(samples, 0.0) - _centre(samples, value))
    if samples.min() > 0 or samples.max() < 0:
        away = max(away, abs(value) / float(samples.std()))
    return float(2 * t.sf(away / math.sqrt(groups / (groups - 1)), groups - 1))


def control_false_discoveries(differences: Sequence[Difference]) -> list[Difference]:
    """Fill in the q-values of differences that are judged together (Benjamini and Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    tested = [d.p_value for d in differences if d.p_value is not None]
    adjusted = iter(false_discovery_control(tested).tolist() if tested else ())
    return [d if d.p_value is None else replace(d, q_value=next(adjusted)) for d in differences]
