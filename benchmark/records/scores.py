"""From predictions to the scores of a record, with intervals: the only way in which a score ever comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CmbenchError
from ..scoring.bootstrap import MIN_CLUSTERS, cluster_count, cluster_weights
from ..scoring.intervals import (
    Sample,
    label_groups,
    mean_groups,
    missing,
    rules_of,
    span,
    training_spread,
    training_turns,
)
from ..scoring.metrics import (
    defined_labels,
    f1,
    f1_micro,
    known_counts,
    mean_of_defined,
    positives_of,
    sort_scores,
    weighted_scores,
)
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
    """The parts of a record that are computed from predictions."""

    # ``roc_auc``, ``average_precision`` and ``f1_macro`` are means over the defined labels; ``f1_micro`` pools the
    # decisions on all labels, as a false alarm on a label that no test track has is still wrong. Where each track has
    # one label, ``accuracy`` and ``argmax_f1_macro`` judge the most probable one
    metrics: dict[str, Metric]
    defined_labels: int  # how many have a positive and a negative
    total_labels: int  # how many there are
    undefined_labels: dict[str, str]  # the others, with the reason
    labels: tuple[LabelScore, ...]  # in the order of the targets' columns
    families: tuple[FamilyScore, ...]  # in the order in which the labels name them


def score_predictions(
    targets: NDArray[np.bool_],  # ``[tracks, labels]``
    probabilities: NDArray[np.float32],  # ``[seeds, tracks, labels]``; ties are those of the stored values
    groups: Sequence[str | None],  # of the tracks; ``None`` or ``""`` where unknown
    labels: Sequence[str],
    families: Mapping[str, str],  # of each label
    train_support: Sequence[int],  # positives of each label among the training tracks
    protocol: Protocol,  # its rules of intervals, resamples and threshold
    *,
    # of the probe trained again on resamples of the training tracks, ``[trainings, tracks, labels]``
    resampled: NDArray[np.float32] | None = None,
    known: NDArray[np.bool_] | None = None,  # ``[tracks, labels]``, false where nobody knows whether the target holds
    single_label: bool = False,  # each track has exactly one label; adds :data:`.record.SINGLE_LABEL`
) -> RecordScores:
    """Score the predictions on a test split.

    Raises:
        CmbenchError: shapes do not fit, there is no track or no seed, or a probability is NaN.
    """
    truth, values = np.asarray(targets, dtype=np.bool_), np.asarray(probabilities)
    _check_shapes(truth, values, groups)
    truth, counts = positives_of(truth, known), known_counts(truth, known)
    defined, reasons = defined_labels(truth, known)
    version = rules_of(protocol.settings)
    trainings = 0 if resampled is None else len(resampled)
    draws = _Draws(version, label_groups(version, truth, groups, known), cluster_count(groups), trainings, protocol)
    weights = cluster_weights(groups, protocol.resamples, protocol.bootstrap_seed)
    given = (labels, protocol.f1_threshold, known, single_label)
    scores, pooled = _resample(truth, values, weights, *given)
    if resampled is not None and trainings:
        turns = training_turns(len(weights), trainings, protocol.bootstrap_seed)
        for drawn, again in zip((scores, pooled), _resample(truth, resampled, weights[:0], *given), strict=True):
            for name, values_of in drawn.items():
                values_of[:, 1:] += training_spread(again[name][:, 0])[turns]
    metrics = {name: draws.macro(name, scores[name]) for name in RANKED}
    nothing = None if defined.any() else NOTHING_DEFINED
    metrics["f1_micro"] = draws.estimate("f1", pooled["f1_micro"], nothing, draws.clusters)
    metrics["f1_macro"] = draws.macro("f1", scores["f1"])
    if single_label:
        metrics[ACCURACY] = draws.estimate(ACCURACY, pooled[ACCURACY], None, draws.clusters)
        metrics[ARGMAX_F1] = draws.macro(ARGMAX_F1, scores[ARGMAX_F1])
    by_label = []
    for k, label in enumerate(labels):
        positives, count = int(truth[:, k].sum()), int(counts[k])
        about = (reasons[k], draws.held[k], min(positives, count - positives))
        found = {name: draws.estimate(name, scores[name][:, :, k], *about) for name in (*RANKED, "f1")}
        facts: dict[str, Any] = {"label": label, "family": families[label], "known": None if known is None else count}
        facts |= {"support": positives, "train_support": int(train_support[k]), "prevalence": positives / max(1, count)}
        facts |= {"f1": found["f1"].value, "reason": reasons[k] or found["roc_auc"].reason, **_ranked(found)}
        by_label.append(LabelScore(**facts))
    undefined = {label: reason for label, reason in zip(labels, reasons, strict=True) if reason is not None}
    by_family = _family_scores(draws, scores, [families[label] for label in labels], defined)
    return RecordScores(metrics, int(defined.sum()), len(labels), undefined, tuple(by_label), by_family)


def _family_scores(
    draws: _Draws, scores: Mapping[str, Doubles], families: Sequence[str], defined: Bools
) -> tuple[FamilyScore, ...]:
    members: dict[str, list[int]] = {}
    for k, family in enumerate(families):
        members.setdefault(family, []).append(k)
    made = []
    for family, columns in members.items():
        found = {name: draws.macro(name, scores[name], columns) for name in RANKED}
        count = int(defined[columns].sum())
        made.append(FamilyScore(family=family, labels=len(columns), defined=count, **_ranked(found)))
    return tuple(made)


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
    truth: Bools,
    values: Floats,
    weights: NDArray[np.int32],
    labels: Sequence[str],
    threshold: float,
    known: Bools | None,
    single_label: bool,
) -> tuple[dict[str, Doubles], dict[str, Doubles]]:
    """Score the split itself (row 0) and every resample, by the same arithmetic.

    Returns:
        Per metric ``[seeds, 1 + resamples, labels]``, NaN where a label lacks a positive or a negative; and what is
        pooled over labels, F1 and accuracy, ``[seeds, 1 + resamples]``.
    """
    rows = 1 + len(weights)
    ranked = [sort_scores(truth, scores, labels, known) for scores in values]
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
            scores["f1"][k, block] = np.where(exists, f1(truth, predicted[k], weight, known), np.nan)
            pooled[k, block] = f1_micro(truth, predicted[k], weight, known)
    if not single_label:
        return scores, {"f1_micro": pooled}
    accuracy, scores[ARGMAX_F1] = decision_scores(truth, values, weights)
    return scores, {"f1_micro": pooled, ACCURACY: accuracy}


@dataclass(frozen=True, eq=False)
class _Draws:
    """What the resamples were, for turning them into scores with intervals."""

    version: int
    held: Doubles
    """Groups that speak of each label."""
    clusters: int
    trainings: int
    protocol: Protocol

    def estimate(
        self, metric: str, samples: Doubles, reason: str | None, groups: float, positives: int | None = None
    ) -> Metric:
        """Estimate from ``[seeds, 1 + resamples]`` with the split itself first; ``reason``: why it is not defined."""
        if reason is not None:
            return Metric(value=None, interval=None, per_seed=(None,) * len(samples), reason=reason)
        means = samples.mean(axis=0)
        value, drawn, bounds = float(means[0]), means[1:], None
        why = missing(drawn, groups)
        if why is None:
            level = self.protocol.interval_level
            kept, fewer = drawn[~np.isnan(drawn)], Sample(groups, self.trainings).fewer
            low, high = span(self.version, metric, kept, value, level, fewer, positives)
            bounds = Interval(low=low, high=high)
        elif groups < MIN_CLUSTERS:
            few = f"fewer than {MIN_CLUSTERS} groups"
            why = f"no interval: the test split has {few} ({self.clusters})"
            if self.clusters >= MIN_CLUSTERS:
                why = f"no interval: positives, or negatives, in {few} ({groups:.3g})"
        return Metric(value=value, interval=bounds, per_seed=tuple(samples[:, 0].tolist()), reason=why)

    def macro(self, metric: str, samples: Doubles, columns: Sequence[int] | None = None) -> Metric:
        """Estimate of the macro mean over some labels (all if not given) from ``[seeds, 1 + resamples, labels]``."""
        mine = samples if columns is None else samples[:, :, columns]
        held = self.held if columns is None else self.held[columns]
        defined = ~np.isnan(mine[0, 0])
        groups = mean_groups(self.version, mine[:, 1:, defined].mean(axis=0), held[defined], self.clusters)
        return self.estimate(metric, mean_of_defined(mine), None if defined.any() else NOTHING_DEFINED, groups)
