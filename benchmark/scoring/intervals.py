"""The rules of intervals, by version: a record names its own (``intervals`` in its protocol), and keeps it for ever.

Version 1 moves and widens the percentiles of the draws for every score (:func:`.bootstrap.interval`). Of single labels
it covers too little: the draws of a label with few positives are skewed, stop at 1, and vary less than new groups do.

Version 2 takes the draws' deviation alone, on the scale of log-odds, where a score near 1 has room on both sides:
``logit(score) ± reach * deviation / (score * (1 - score))`` (the delta method). The deviation is widened for the groups
that speak of the label: the effective number of those with a positive, or with a negative if that is smaller. For
ROC-AUC the reach is Student's t with one degree of freedom less. The draws of average precision vary more than new test
sets do, the more the fewer positives there are, since one that is drawn twice raises it: its reach is that of ROC-AUC,
times the normal quantile over Student's t for as many groups as there are positives. These choices were made on
some simulated splits and judged on others, with the published supports (docs/statistics.md). A label that fewer than
five groups speak of gets no interval. Where no draw differs from a perfect ranking, the lower end is that of Clopper
and Pearson (1934) for as many successes as there are groups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError
from .bootstrap import MIN_CLUSTERS, MIN_DEFINED_SHARE, cluster_numbers, interval, student
from .metrics import Bools, Doubles

VERSIONS = (1, 2)
"""Every version of the rules that there ever was."""

ROUNDING = 1e-9
"""A score as close to 0 or 1 is taken to be there: its log-odds are rounding."""


@dataclass(frozen=True)
class Sample:
    """What the draws of a number were drawn from.

    Attributes:
        groups: of the test split.
        trainings: resamples of the training tracks whose spread the draws carry; with 0 they tell of the test sample
            only.
        choice: whether a number follows the draws: the one that another choice of the input may have given.
        models: pre-trainings of either model of a pair. Where they are several, the number of each follows then.
    """

    groups: float
    trainings: int = 0
    choice: bool = False
    models: tuple[int, int] = (1, 1)

    @property
    def following(self) -> int:
        """Numbers that follow the draws."""
        return self.choice + sum(count for count in self.models if count > 1)

    @property
    def fewer(self) -> float:
        """Groups that widen an error for how few there are: no more than there are trainings, if there are any."""
        return min(self.groups, self.trainings or math.inf)


def fewest(samples: Sequence[Sample]) -> Sample:
    """Return what the draws of a mean over several splits tell of: no more than those of the poorest."""
    groups, trainings = min(one.groups for one in samples), min(one.trainings for one in samples)
    return Sample(groups, trainings, samples[0].choice, samples[0].models)


def rules_of(settings: Mapping[str, object]) -> int:
    """Return the version of the rules that a protocol's settings name; the first where they name none.

    Raises:
        CmbenchError: this cmbench does not know it.
    """
    version = settings.get("intervals", 1)
    if version not in VERSIONS or not isinstance(version, int):
        raise CmbenchError(f"Intervals by rules {version!r} are not known here; read them with a newer cmbench.")
    return version


def label_groups(version: int, targets: Bools, groups: Sequence[str | None], known: Bools | None = None) -> Doubles:
    """Return how many groups speak of every label ``[labels]``.

    Args:
        version: of the rules. By the first, all groups do. By the second it is the effective number of those with a
            positive, or with a negative if that is smaller: ``(sum n)**2 / sum n**2`` over the positives ``n`` of each
            group (Kish 1965), as many as there are groups where all hold the same number.
        targets: ``[tracks, labels]``.
        groups: of the tracks.
        known: ``[tracks, labels]``, false where nobody knows whether the target holds; all are known if not given.
    """
    cluster = cluster_numbers(groups)
    count = int(cluster.max()) + 1
    if version == 1:
        return np.full(targets.shape[1], float(count))
    held = np.zeros((2, count, targets.shape[1]))
    for side, true in zip(held, (targets, ~targets if known is None else known & ~targets), strict=True):
        np.add.at(side, cluster, true)
    fewer: Doubles = (held.sum(axis=1) ** 2 / np.maximum((held**2).sum(axis=1), 1.0)).min(axis=0)
    return fewer


def mean_groups(version: int, draws: Doubles, groups: Doubles, count: int) -> float:
    """Return how many groups speak of a mean over labels.

    By the second version these are one more than the degrees of freedom that Satterthwaite (1946) gives a sum of
    variances, never more than there are groups: a mean is as uncertain as the labels that vary most.

    Args:
        version: of the rules.
        draws: ``[resamples, labels]``, of labels that the split defines; NaN where a draw does not define one.
        groups: that speak of each label, ``[labels]``.
        count: of all groups.
    """
    if version == 1 or not draws.size:
        return float(count)
    exists = ~np.isnan(draws)
    number = np.maximum(exists.sum(axis=0), 1)
    middle = np.where(exists, draws, 0.0).sum(axis=0) / number
    variance = (np.where(exists, draws - middle, 0.0) ** 2).sum(axis=0) / number
    if not variance.any():
        return float(min(count, groups.max()))
    freedom = variance.sum() ** 2 / (variance**2 / np.maximum(groups - 1, 1.0)).sum()
    return float(min(count, 1.0 + freedom))


def missing(draws: Doubles, groups: float) -> str | None:
    """Return why a number gets no interval; ``None`` if it gets one.

    Args:
        draws: ``[resamples]``, NaN where one does not define the number.
        groups: that speak of it.
    """
    if groups < MIN_CLUSTERS:
        return f"no interval: fewer than {MIN_CLUSTERS} groups ({groups:.3g})"
    kept = np.count_nonzero(~np.isnan(draws))
    if not draws.size or kept < MIN_DEFINED_SHARE * draws.size:
        return f"no interval: defined in {kept} of {draws.size} resamples only"
    return None


def span(
    version: int,
    metric: str,
    draws: Doubles,
    value: float,
    level: float,
    groups: float,
    positives: float | None = None,
) -> tuple[float, float]:
    """Return the interval of a score.

    Args:
        version: of the rules.
        metric: ``roc_auc``, ``average_precision`` or one of F1, which the second version treats as the first does.
        draws: ``[resamples]``, no NaN.
        value: of the split itself, in [0, 1].
        level: for example 0.95.
        groups: that speak of the score.
        positives: of a single label, or its negatives if they are fewer; ``None`` of a mean over labels.
    """
    if version == 1 or metric not in ("roc_auc", "average_precision"):
        low, high = interval(draws, value, level, groups)
        return max(low, 0.0), min(high, 1.0)
    share = 0.5 + level / 2
    reach = student(groups, share)
    if metric == "average_precision":
        # Where each group has one positive, this is the normal quantile.
        reach *= student(math.inf, share) / student(max(positives or groups, groups), share)
    away = reach * math.sqrt(groups / (groups - 1)) * float(draws.std())
    if value * (1 - value) < ROUNDING:
        perfect = max(0.0, min((1 - share) ** (1 / groups), 1 - away))
        return (min(perfect, value), 1.0) if value > 0.5 else (0.0, max(1 - perfect, value))
    from scipy.special import expit, logit

    low, high = expit(logit(value) + np.array([-away, away]) / (value * (1 - value)))
    return min(float(low), value), max(float(high), value)


def training_spread(scores: Doubles) -> Doubles:
    """Return how far the scores of probes trained again are off their mean, as far as the training sample varies.

    Args:
        scores: on the whole test split, ``[trainings, ...]``.

    Returns:
        The same shape; its mean square is the variance without bias, ``sum (x - mean)**2 / (trainings - 1)``.
    """
    off: Doubles = (scores - scores.mean(axis=0)) * math.sqrt(len(scores) / (len(scores) - 1))
    return off


def training_turns(resamples: int, trainings: int, seed: int) -> NDArray[np.intp]:
    """Return which training each resample of the test split goes with ``[resamples]``: each as often, in random order.

    A draw is then of both samples: the score of a test resample, moved by what another training sample changes.
    """
    turns: NDArray[np.intp] = (np.argsort(np.random.PCG64(seed).random_raw(resamples)) % trainings).astype(np.intp)
    return turns
