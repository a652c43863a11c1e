"""The choice of an input as a source of chance: what a score may change where few groups chose the hidden state.

On a small validation split the best state is often not the one that is chosen: of two encoders that know the same, the
one that was unlucky then seems worse by far, and no training of the chosen state shows it. What the choice may have
cost is estimated from the validation scores that a record keeps. With ``d`` the lead of the chosen input over a rival
and ``e`` the error of either score, the rival's true lead is normal about ``-d`` with deviation ``s = sqrt(2) e``; the
mean square of what is positive of it is ``(d**2 + s**2) * Phi(-d / s) - d * s * phi(d / s)``, at most ``e**2``. ``e``
is the error of the model's score on the test split, times the root of test groups over validation groups. The rival for
which it is largest counts, twice: a factor that was chosen on simulated splits and judged on others
(docs/statistics.md). A choice can only have cost: of a pair, the cost of the model that scores less counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..records.evidence import Evidence
from ..scoring.metrics import Doubles

FEW_GROUPS = 15
"""Validation groups from which a choice is taken as given (docs/statistics.md has the simulation)."""

FACTOR = 2.0
"""On the mean square of the cost: with 1, equal encoders were told apart in 11 % of cases, with 2 in 6 %."""


def choice_error(scores: Sequence[float], error: float) -> float:
    """Return how far the true score of the best input may be off that of the chosen one.

    Args:
        scores: of every input on the validation split; the best of them was chosen.
        error: of each of them.
    """
    from scipy.stats import norm

    if len(scores) < 2 or not error:
        return 0.0
    lead, spread = max(scores) - np.sort(np.asarray(scores))[:-1], math.sqrt(2) * error
    costs = (lead**2 + spread**2) * norm.sf(lead / spread) - lead * spread * norm.pdf(lead / spread)
    return math.sqrt(FACTOR * float(costs.max()))


def choice_cost(evidence: Evidence, drawn: Doubles) -> float:
    """Return :func:`choice_error` of a model on one task, the mean of ROC-AUC and AP.

    It is 0 where enough groups chose, where there was nothing to choose, without trainings (by the first rules of
    verdicts), and of several pre-trainings, whose own choices their spread shows.

    Args:
        evidence: of the model.
        drawn: its score on each resample of the test split, by the test sample alone.
    """
    task, layers = evidence.record.task, evidence.record.layers
    groups = task.groups.get("valid") or task.tracks["valid"]
    if groups >= FEW_GROUPS or evidence.resampled is None or evidence.models > 1:
        return 0.0
    known = drawn[~np.isnan(drawn)]
    error = float(known.std()) * math.sqrt(evidence.sample.groups / groups) if known.size else 0.0
    return choice_error([one.score for one in layers if one.score is not None], error)
