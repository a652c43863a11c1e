"""From predictions to the scores of a record, with intervals: the only way in which a score ever comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CmbenchError
from ..scoring.bootstrap import MIN_CLUSTERS, MIN_DEFINED_SHARE, cluster_count, cluster_weights, interval
from ..scoring.metrics import defined_labels, f1, f1_micro, mean_of_defined, sort_scores, weighted_scores
from ..scoring.single_label import decision_scores
from .record import ACCURACY, ARGMAX_F1, RANKED, FamilyScore, Interval, LabelScore, Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..protocol import Protocol
    from ..scoring.metrics import Bools, Doubles, Floats

NOTHING_DEFINED = "no label has both a positive and a negative in the test split"

_BLOCK = 1 << 19
"""Elements of a block of weights: 4 MiB of float64."""


@dataclass(frozen=True)
class RecordScores:
    """The parts of a record that are computed from predictions.

    Attributes:
        metrics: ``roc_auc``, ``average_precision`` and ``f1_macro`` are means over the defined labels; ``f1_micro``
            pools the decisions on all labels, as a false alarm on a label that no test track has is still wrong. Where
            each track has one label, ``accuracy`` and ``argmax_f1_macro`` judge the most probable one.
        defined_labels: how many have a positive and a negative.
        total_labels: how many there are.
        undefined_labels: the others, with the reason.
        labels: in the order of the targets' columns.
        families: in the order in which the labels name them.
    """

    metrics: dict[str, Metric]
    defined_labels: int
    total_labels: int
    undefined_labels: dict[str, str]
    labels: tuple[LabelScore, ...]
    families: tuple[FamilyScore, ...]


def score_predictions(
    targets: NDArray[np.bool_],
    probabilities: NDArray[np.float32],
    groups: Sequence[str | None],
    labels: Sequence[str],
    families: Mapping[str, str],
    train_support: Sequence[int],
    protocol: Protocol,
    *,
    single_label: bool = False,
) -> RecordScores:
    """Score the predictions on a test split.

    Args:
        targets: ``[tracks, labels]``.
        probabilities: ``[seeds, tracks, labels]``; ties are those of the stored values.
        groups: of the tracks; ``None`` or ``""`` where unknown.
        labels: ordered names.
        families: label -> family.
        train_support: positives of each label among the training tracks.
        protocol: its interval, resamples and threshold.
        single_label: whether each track has exactly one label; adds :data:`.record.SINGLE_LABEL`.

    Raises:
        CmbenchError: shapes do not fit, there is no track or no seed, or a probability is NaN.
    """
    truth, values = np.asarray(targets, dtype=np.bool_), np.asarray(probabilities)
    _check_shapes(truth, values, groups)
    defined, reasons = defined_labels(truth)
    draws = _Draws(cluster_count(groups), protocol.interval_level)
    weights = cluster_weights(groups, protocol.resamples, protocol.bootstrap_seed)
    scores, pooled = _resample(truth, values, weights, labels, protocol.f1_threshold)

    metrics = {name: draws.macro(scores[name], defined) for name in RANKED}
    metrics["f1_micro"] = draws.estimate(pooled, None if defined.any() else NOTHING_DEFINED)
    metrics["f1_macro"] = draws.macro(scores["f1"], defined)
    if single_label:
        accuracy, by_class = decision_scores(truth, values, weights)
        metrics |= {ACCURACY: draws.estimate(accuracy, None), ARGMAX_F1: draws.macro(by_class, defined)}
    members: dict[str, list[int]] = {}
    for k, label in enumerate(labels):
        members.setdefault(families[label], []).append(k)
    by_label, by_family = [], []
    for k, label in enumerate(labels):
        found = {name: draws.estimate(scores[name][:, :, k], reasons[k]) for name in (*RANKED, "f1")}
        positives = int(truth[:, k].sum())
        by_label.append(
            LabelScore(
                label=label,
                family=families[label],
                support=positives,
                train_support=int(train_support[k]),
                prevalence=positives / len(truth),
                f1=found["f1"].value,
                reason=reasons[k] or found["roc_auc"].reason,
                **_ranked(found),
            )
        )
    for family, columns in members.items():
        found = {name: draws.macro(scores[name][:, :, columns], defined[columns]) for name in RANKED}
        count = int(defined[columns].sum())
        by_family.append(FamilyScore(family=family, labels=len(columns), defined=count, **_ranked(found)))
    undefined = {label: reason for label, reason in zip(labels, reasons, strict=True) if reason is not None}
    return RecordScores(metrics, int(defined.sum()), len(labels), undefined, tuple(by_label), tuple(by_family))


def _ranked(found: Mapping[str, Metric]) -> dict[str, Any]:
    values: dict[str, Any] = {name: found[name].value for name in RANKED}
    return values | {f"{name}_interval": found[name].interval for name in RANKED}


def _check_shapes(truth: Bools, values: Floats, groups: Sequence[str | None]) -> None:
    if truth.ndim != 2 or values.ndim != 3 or values.shape[1:] != truth.shape or len(groups) != len(truth):
        raise CmbenchError(
            f"Targets {truth.shape} must be [tracks, labels], probabilities {values.shape} [seeds, tracks, labels] "
            f"and groups ({len(groups)}) [tracks]."
        )
    if not len(truth) or not len(values):
        raise CmbenchError(f"There is nothing to score: {len(truth)} test tracks, {len(values)} seeds.")


def _resample(
    truth: Bools, values: Floats, weights: NDArray[np.int32], labels: Sequence[str], threshold: float
) -> tuple[dict[str, Doubles], Doubles]:
    """Score the split itself (row 0) and every resample, by the same arithmetic.

    Returns:
        Per metric ``[seeds, 1 + resamples, labels]``, NaN where a label lacks a positive or a negative; and pooled
        F1 ``[seeds, 1 + resamples]``.
    """
    rows = 1 + len(weights)
    ranked = [sort_scores(truth, scores, labels) for scores in values]
    predicted = values >= threshold
    scores = {name: np.empty((len(values), rows, truth.shape[1])) for name in (*RANKED, "f1")}
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


@dataclass(frozen=True)
class _Draws:
    """What the resamples were, for turning them into scores with intervals."""

    clusters: int
    level: float

    def estimate(self, samples: Doubles, reason: str | None) -> Metric:
        """Estimate from ``[seeds, 1 + resamples]`` with the split itself first; ``reason``: why it is not defined."""
        if reason is not None:
            return Metric(value=None, interval=None, per_seed=(None,) * len(samples), reason=reason)
        means = samples.mean(axis=0)
        value, drawn, span, why = float(means[0]), means[1:], None, None
        kept = drawn[~np.isnan(drawn)]
        if self.clusters < MIN_CLUSTERS:
            why = f"no interval: the test split has fewer than {MIN_CLUSTERS} groups ({self.clusters})"
        elif not drawn.size or kept.size < MIN_DEFINED_SHARE * drawn.size:
            why = f"no interval: too few groups; defined in {kept.size} of {drawn.size} resamples only"
        else:
            low, high = interval(kept, value, self.level, self.clusters)
            span = Interval(low=low, high=high)
        return Metric(value=value, interval=span, per_seed=tuple(samples[:, 0].tolist()), reason=why)

    def macro(self, samples: Doubles, defined: Bools) -> Metric:
        """Estimate of the macro mean from ``[seeds, 1 + resamples, labels]``."""
        return self.estimate(mean_of_defined(samples), None if defined.any() else NOTHING_DEFINED)
