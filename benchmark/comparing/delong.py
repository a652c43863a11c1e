"""DeLong's test of two ROC-AUCs on the same tracks: a check by another road for single labels.

DeLong, DeLong and Clarke-Pearson (1988), computed from mid-ranks as Sun and Xu (2014) show. It takes every track for
independent, so for grouped tracks it is a check of the bootstrap's size, not a replacement.
"""

from __future__ import annotations

import math

import numpy as np

from ..scoring.metrics import Bools, Doubles, Floats


def delong_test(truth: Bools, first: Floats, second: Floats) -> tuple[float, float, float] | None:
    """Compare two rankings of the same tracks.

    Args:
        truth: ``[tracks]``.
        first: scores of the first model, ``[tracks]``.
        second: scores of the second.

    Returns:
        Second ROC-AUC minus first, its standard error, and the two-sided p-value; ``None`` with fewer than two
        positives or negatives.
    """
    from scipy.stats import norm

    positives, negatives = int(truth.sum()), int((~truth).sum())
    if min(positives, negatives) < 2:
        return None
    parts = [_placements(truth, scores) for scores in (first, second)]
    change = float(parts[1][0].mean() - parts[0][0].mean())
    above = np.cov(np.stack([part[0] for part in parts]))
    below = np.cov(np.stack([part[1] for part in parts]))
    contrast = np.array([-1.0, 1.0])
    variance = float(contrast @ above @ contrast / positives + contrast @ below @ contrast / negatives)
    if variance <= 0:
        return change, 0.0, 1.0 if change == 0 else 0.0
    error = math.sqrt(variance)
    return change, error, float(2 * norm.sf(abs(change) / error))


def _placements(truth: Bools, scores: Floats) -> tuple[Doubles, Doubles]:
    """Share of negatives below each positive ``[positives]``, and of positives above each negative ``[negatives]``."""
    from scipy.stats import rankdata

    positive, negative = scores[truth].astype(np.float64), scores[~truth].astype(np.float64)
    ranks = rankdata(np.concatenate([positive, negative]))
    among_positive, among_negative = rankdata(positive), rankdata(negative)
    above = (ranks[: positive.size] - among_positive) / negative.size
    below = 1 - (ranks[positive.size :] - among_negative) / positive.size
    return above, below
