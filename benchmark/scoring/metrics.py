"""Exact scores of multi-label predictions: ROC-AUC, average precision and F1, for all labels at once.

Ties are groups of equal stored values: float32 scores are compared as float32. Tracks may carry weights; a weight of
2 is the same as a track that is there twice, 0 the same as one that is absent. Scores are computed from weights
summed up along the ranking, so whole-number weights give sums without rounding.

Where it is not known whether a track has a label, the track is absent from that label's scores; ``known`` says so as
``[tracks, labels]``, and all are known where it is ``None``.

A score that does not exist is NaN inside these arrays; callers turn it into ``None`` with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.floating]
Doubles: TypeAlias = NDArray[np.float64]

NOBODY_KNOWS = "no track of which it is known"

_RANK_BLOCK = 1 << 15
_WEIGHT_BLOCK = 1 << 17
"""Elements of a block when ranking (a dozen arrays at once) and when weighing (two): both stay in the cache."""

_TINY = float(np.finfo(np.float64).tiny)


def positives_of(targets: Bools, known: Bools | None = None) -> Bools:
    """Return where a label is known to hold ``[tracks, labels]``; an unknown one holds for nobody."""
    truth: Bools = np.asarray(targets, dtype=np.bool_)
    return truth if known is None else truth & known


def known_counts(targets: Bools, known: Bools | None = None) -> NDArray[np.int64]:
    """Return of how many tracks each label is known ``[labels]``."""
    return np.full(targets.shape[1], len(targets)) if known is None else known.sum(axis=0)


def defined_labels(targets: Bools, known: Bools | None = None) -> tuple[Bools, list[str | None]]:
    """Tell which labels can be scored: those with at least one positive and one negative test track.

    Args:
        targets: ``[tracks, labels]``.
        known: ``[tracks, labels]`` or ``None``.

    Returns:
        ``defined [labels]``, and for each label the reason why it is not defined or ``None``.
    """
    positives = positives_of(targets, known).sum(axis=0)
    reasons: list[str | None] = [
        NOBODY_KNOWS
        if n == 0 and known is not None and len(known)
        else "no positive in the test split"
        if p == 0
        else "no negative in the test split"
        if p == n
        else None
        for p, n in zip(positives, known_counts(targets, known), strict=True)
    ]
    return np.array([reason is None for reason in reasons], dtype=np.bool_), reasons


def mean_of_defined(samples: Doubles) -> Doubles:
    """Mean over the last axis without NaN; NaN where all are. ``[..., labels]`` -> ``[...]``."""
    exists = ~np.isnan(samples)
    count = exists.sum(axis=-1)
    total = np.where(exists, samples, 0.0).sum(axis=-1)
    mean: Doubles = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean


def ranking_scores(
    targets: Bools,
    scores: Floats,
    weights: Doubles | None = None,
    labels: Sequence[str] | None = None,
    known: Bools | None = None,
) -> tuple[Doubles, Doubles]:
    """ROC-AUC and average precision of every label from one ranking.

    ROC-AUC is the area under the curve of straight lines between distinct thresholds, which equals the share of
    (positive, negative) pairs in the right order with ties counted as half (Hanley & McNeil 1982). Average precision
    is the sum over distinct thresholds of precision times the gain in recall, as in scikit-learn: no interpolation.

    Args:
        targets: ``[tracks, labels]``.
        scores: ``[tracks, labels]``; higher means more likely.
        weights: ``[tracks]``, not negative; ``None`` for 1 each.
        labels: ordered label names, for error messages.
        known: ``[tracks, labels]`` or ``None``.

    Returns:
        ``(roc_auc [labels], average_precision [labels])``. ROC-AUC is NaN for a label without (weighted) positives or
        without negatives, average precision for one without positives.

    Raises:
        CmbenchError: a score is NaN.
    """
    truth, values = _checked(targets, scores, labels)
    tracks, count = truth.shape
    roc_auc, precision = np.full(count, np.nan), np.full(count, np.nan)
    if tracks == 0:
        return roc_auc, precision
    weight = np.ones(tracks) if weights is None else np.asarray(weights, dtype=np.float64)
    step = max(1, _RANK_BLOCK // tracks)
    for low in range(0, count, step):
        block = slice(low, low + step)
        counted = weight if known is None else known.T[block] * weight
        roc_auc[block], precision[block] = _rank_block(truth.T[block], values.T[block], counted)
    return roc_auc, precision


def _checked(targets: Bools, scores: Floats, labels: Sequence[str] | None) -> tuple[Bools, Floats]:
    truth, values = np.asarray(targets, dtype=np.bool_), np.asarray(scores)
    if not np.issubdtype(values.dtype, np.floating):
        values = values.astype(np.float64)
    if truth.ndim != 2 or truth.shape != values.shape:
        raise CmbenchError(
            f"Targets {truth.shape} and scores {values.shape} must both be [tracks, labels] of one shape."
        )
    broken = np.isnan(values).sum(axis=0)
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        name = f"label {labels[first]!r}" if labels is not None else f"label number {first}"
        raise CmbenchError(
            f"{int(broken[first])} scores of {name} are NaN ({np.count_nonzero(broken)} of {broken.size} labels "
            "are affected). The probe or the encoder produced them; check the features for NaN or overflow."
        )
    return truth, values


def _rank_block(truth: Bools, values: Floats, weight: Doubles) -> tuple[Doubles, Doubles]:
    """ROC-AUC and average precision of a few labels; ``truth`` and ``values`` are ``[labels, tracks]``.

    ``weight`` is ``[tracks]``, or ``[labels, tracks]`` where it is not the same for all labels.
    """
    order = np.argsort(-values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    positive = np.take_along_axis(truth, order, axis=1)
    carried = weight[order] if weight.ndim == 1 else np.take_along_axis(weight, order, axis=1)
    hits = np.cumsum(np.where(positive, carried, 0.0), axis=1)
    misses = np.cumsum(np.where(positive, 0.0, carried), axis=1)

    # Only the last track of each tie group is a threshold.
    last = np.ones(ranked.shape, dtype=np.bool_)
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=last[:, :-1])
    first = np.concatenate([[0], np.cumsum(np.count_nonzero(last, axis=1))[:-1]])
    hit, miss = hits[last], misses[last]
    hit_before, miss_before = _previous(hit, first), _previous(miss, first)
    above = np.add.reduceat((miss - miss_before) * (hit + hit_before), first)
    steps = np.add.reduceat((hit - hit_before) * _ratio(hit, hit + miss), first)
    all_hits, all_misses = hits[:, -1], misses[:, -1]
    return _share(above, 2.0 * all_hits * all_misses), _share(steps, all_hits)


def _previous(sums: Doubles, first: NDArray[np.intp]) -> Doubles:
    """Shift running sums by one threshold, starting at 0 where a label starts."""
    before = np.concatenate([[0.0], sums[:-1]])
    before[first] = 0.0
    return before


def _ratio(numerator: Doubles, denominator: Doubles) -> Doubles:
    """Divide, with 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)


def _share(numerator: Doubles, denominator: Doubles) -> Doubles:
    """Divide within [0, 1], with NaN where the denominator is 0; weights with fractions can overshoot by rounding."""
    share: Doubles = np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
    np.clip(share, 0.0, 1.0, out=share)
    return share


def f1(targets: Bools, predicted: Bools, weights: Doubles | None = None, known: Bools | None = None) -> Doubles:
    """F1 of each label: ``2 TP / (2 TP + FP + FN)``, and 0 for a label that is neither present nor predicted.

    Args:
        targets: ``[tracks, labels]``.
        predicted: ``[tracks, labels]``, whether the probability reached the threshold.
        weights: ``[..., tracks]``; ``None`` for 1 each.
        known: ``[tracks, labels]`` or ``None``.

    Returns:
        ``[..., labels]``, one row for each weight vector.
    """
    targets, predicted = positives_of(targets, known), positives_of(predicted, known)
    weight = np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)
    both = (targets & predicted).astype(np.float64)
    either = np.add(targets, predicted, dtype=np.float64)
    return _ratio(2.0 * (weight @ both), weight @ either)


def f1_micro(targets: Bools, predicted: Bools, weights: Doubles | None = None, known: Bools | None = None) -> Doubles:
    """F1 of all (track, label) decisions pooled; arguments as in :func:`f1`, result ``[...]``."""
    targets, predicted = positives_of(targets, known), positives_of(predicted, known)
    weight = np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)
    both = np.count_nonzero(targets & predicted, axis=1).astype(np.float64)
    either = np.add(targets, predicted, dtype=np.float64).sum(axis=1)
    return _ratio(np.asarray(2.0 * (weight @ both)), np.asarray(weight @ either))


@dataclass(frozen=True)
class _SortedLabel:
    """One label's ranking, reduced to what changes with the weights.

    Attributes:
        sums: ``[tie groups + 1 + stretches, tracks]``, ones where a track's weight is summed: the positives of each tie
            group, highest score first; nothing; the negatives of each stretch between the bounds of those tie groups.
        ties: number of tie groups.
        above: for each tie group, how many stretches lie above it.
        through: the same including the negatives tied with it; the same array where none is.
    """

    sums: csr_array
    ties: int
    above: NDArray[np.intp]
    through: NDArray[np.intp]


SortedScores = tuple[_SortedLabel, ...]
"""The rankings of all labels, sorted once for any number of weight vectors; made by :func:`sort_scores`."""


def sort_scores(
    targets: Bools, scores: Floats, labels: Sequence[str] | None = None, known: Bools | None = None
) -> SortedScores:
    """Sort every label's scores once, for :func:`weighted_scores`.

    Args:
        targets: ``[tracks, labels]``.
        scores: ``[tracks, labels]``.
        labels: ordered label names, for error messages.
        known: ``[tracks, labels]`` or ``None``.

    Raises:
        CmbenchError: a score is NaN.
    """
    truth, values = _checked(targets, scores, labels)
    mask = np.ones(truth.shape, dtype=np.bool_) if known is None else known
    columns = range(truth.shape[1])
    return tuple(_sort_label(truth[:, k], -np.ascontiguousarray(values[:, k]), mask[:, k]) for k in columns)


def _sort_label(truth: Bools, falling: Floats, known: Bools) -> _SortedLabel:
    """Sort one label; ``falling [tracks]`` are the negated scores. A track of which it is not known is in no sum."""
    from scipy.sparse import csr_array

    positives, negatives = np.flatnonzero(truth & known), np.flatnonzero(~truth & known)
    positives = positives[np.argsort(falling[positives], kind="stable")]
    negatives = negatives[np.argsort(falling[negatives], kind="stable")]
    thresholds, starts = np.unique(falling[positives], return_index=True)
    above = np.searchsorted(falling[negatives], thresholds, side="left")
    through = np.searchsorted(falling[negatives], thresholds, side="right")
    cuts = np.unique(np.concatenate([[0], above, through, [negatives.size]]))
    # The empty row makes the first running sum over the negatives 0.
    bounds = np.concatenate([starts, [positives.size], positives.size + cuts])
    columns = np.concatenate([positives, negatives])
    sums = csr_array((np.ones(columns.size), columns, bounds), shape=(bounds.size - 1, truth.size))
    above_at, through_at = np.searchsorted(cuts, above), np.searchsorted(cuts, through)
    return _SortedLabel(sums, starts.size, above_at, above_at if np.array_equal(above_at, through_at) else through_at)


def weighted_scores(prepared: SortedScores, weights: NDArray[np.number]) -> tuple[Doubles, Doubles]:
    """ROC-AUC and average precision under many weight vectors: one sparse product each, no sorting.

    The same figures as :func:`ranking_scores` gives for each weight vector. Along a ranking, the weights of the
    negatives are summed between the thresholds that a positive has; all else needs the positives only.

    Args:
        prepared: from :func:`sort_scores`.
        weights: ``[resamples, tracks]``, not negative; read in blocks, so it may be of a small integer type.

    Returns:
        ``(roc_auc [resamples, labels], average_precision [resamples, labels])`` with NaN as in
        :func:`ranking_scores`.

    Raises:
        CmbenchError: the weights are of another number of tracks.
    """
    tracks = prepared[0].sums.shape[1] if prepared else weights.shape[-1]
    if weights.ndim != 2 or weights.shape[1] != tracks:
        raise CmbenchError(f"Weights {weights.shape} must be [resamples, {tracks} tracks].")
    shape = (len(weights), len(prepared))
    roc_auc, precision = np.full(shape, np.nan), np.full(shape, np.nan)
    step = max(1, _WEIGHT_BLOCK // max(1, tracks))
    for low in range(0, len(weights), step):
        rows = slice(low, low + step)
        block = np.ascontiguousarray(weights[rows].T, dtype=np.float64)
        for k, label in enumerate(prepared):
            if label.ties:
                roc_auc[rows, k], precision[rows, k] = _weighted_label(label, block)
    return roc_auc, precision


def _weighted_label(label: _SortedLabel, weights: Doubles) -> tuple[Doubles, Doubles]:
    """ROC-AUC ``[resamples]`` and average precision ``[resamples]`` of one label that has a positive.

    ``weights`` are ``[tracks, resamples]``: along the resamples every step is a sum of contiguous rows.
    """
    sums: Doubles = label.sums @ weights
    gain, miss = sums[: label.ties], sums[label.ties :]
    hit = np.cumsum(gain, axis=0)
    np.cumsum(miss, axis=0, out=miss)
    above = miss[label.above]
    through = above if label.through is label.above else miss[label.through]
    # Where all weights so far are 0 the gain is 0 too, whatever the precision.
    share = hit / np.maximum(hit + through, _TINY)
    steps = np.einsum("tr,tr->r", gain, share)
    behind = 2.0 * miss[-1] * hit[-1] - np.einsum("tr,tr->r", gain, above + through)
    return _share(behind, 2.0 * hit[-1] * miss[-1]), _share(steps, hit[-1])
