"""From predictions to the scores of a record; the only way in which a score ever comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..scoring.bootstrap import Estimate, score_with_intervals
from .record import FamilyScore, Interval, LabelScore, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..protocol import Protocol


@dataclass(frozen=True)
class RecordScores:
    """The parts of a record that are computed from predictions."""

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
) -> RecordScores:
    """Score the predictions on a test split.

    Args:
        targets: ``[tracks, labels]``.
        probabilities: ``[seeds, tracks, labels]``.
        groups: of the tracks; ``None`` where unknown.
        labels: ordered names.
        families: label -> family.
        train_support: positives of each label among the training tracks.
        protocol: its interval, resamples and threshold.

    Raises:
        CmbenchError: shapes do not fit, or a probability is NaN.
    """
    scores = score_with_intervals(
        targets,
        probabilities,
        groups,
        families={column: families[label] for column, label in enumerate(labels)},
        labels=labels,
        level=protocol.interval_level,
        resamples=protocol.resamples,
        seed=protocol.bootstrap_seed,
        f1_threshold=protocol.f1_threshold,
    )
    return RecordScores(
        metrics={
            name: Metric(value=e.value, interval=_interval(e), per_seed=e.per_seed, reason=e.reason)
            for name, e in scores.metrics.items()
        },
        defined_labels=scores.defined,
        total_labels=len(labels),
        undefined_labels={labels[column]: reason for column, reason in scores.undefined.items()},
        labels=tuple(
            LabelScore(
                label=label,
                family=families[label],
                support=one.support,
                train_support=int(support),
                prevalence=one.prevalence,
                roc_auc=one.roc_auc.value,
                roc_auc_interval=_interval(one.roc_auc),
                average_precision=one.average_precision.value,
                average_precision_interval=_interval(one.average_precision),
                f1=one.f1.value,
                reason=one.reason,
            )
            for label, support, one in zip(labels, train_support, scores.labels, strict=True)
        ),
        families=tuple(
            FamilyScore(
                family=one.family,
                labels=one.labels,
                defined=one.defined,
                roc_auc=one.roc_auc.value,
                roc_auc_interval=_interval(one.roc_auc),
                average_precision=one.average_precision.value,
                average_precision_interval=_interval(one.average_precision),
            )
            for one in scores.families
        ),
    )


def _interval(estimate: Estimate) -> Interval | None:
    if estimate.interval is None:
        return None
    low, high = estimate.interval
    return Interval(low=low, high=high)
