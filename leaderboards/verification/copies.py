"""Copies by evidence: what two sets of predictions share that two honest models do not.

A probe is trained with each seed of the protocol; how the seeds of one model deviate from their own mean is noise that
another model has no way to have. So for every label the probabilities over the tracks are centred, the mean over the
seeds is taken off, and what is left, the *residuals*, is correlated with another entry's: over all tasks together, and
label by label. Twice: on probabilities, where noise and blends are small, and on ranks, which no monotone disguise
changes. Seeds are paired as they agree best, for they may have been given another order. Where the residuals were
thrown away (averaged seeds), the means over the seeds are compared.

The bounds are ours, set between what honest pairs and what forgeries have (docs/board.md says how measured).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from ...benchmark.records.evidence import Evidence
from ..entry import Entry
from .findings import Finding

RESIDUALS = 0.6
"""Correlation of all residuals from which one is a copy; the closest honest pair has 0.43."""

LABEL = 0.9
"""Correlation of the residuals of one label; the highest of 17,272 between honest pairs is 0.78."""

MOST_LABELS = 1
"""Labels that may reach :data:`LABEL` by chance."""

MEANS = 0.995
"""Correlation of the means over the seeds; honest models have up to 0.944, other seeds of one encoder up to 0.991."""

FLAT = 1e-6
"""Deviations of a label's probabilities that are no more than rounding: a model that says the same of every track."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """What two entries have in common."""

    residuals: float  # correlation of the seeds' residuals over all tasks, the higher of ranks and probabilities
    means: float  # the same of the means over the seeds
    labels: int  # labels whose residuals agree from :data:`LABEL` on
    compared: int  # labels that both entries say something about

    @property
    def is_copy(self) -> bool:
        """Whether honest models do not agree so."""
        return self.residuals >= RESIDUALS or self.means >= MEANS or self.labels > MOST_LABELS


def check_copies(entry: Entry, others: Sequence[Entry]) -> Iterator[Finding]:
    """Flag an entry whose predictions are another's, disguised or not.

    Versions of one model that say to have the same weights are not compared: their predictions should be the same.
    """
    for other in others:
        if other.submission.name == entry.submission.name and _weights(other) == _weights(entry):
            continue
        found = agreement(entry.evidence, other.evidence)
        if found.is_copy:
            yield Finding(
                "flag",
                "suspicious",
                entry.key,
                f"the predictions are those of {other.key}, or nearly: residuals of the seeds agree by "
                f"{found.residuals:.2f} over all tasks, in {found.labels} of {found.compared} labels from {LABEL} on, "
                f"means by {found.means:.3f}. One of the two is a copy, or both are one model.",
            )


def _weights(entry: Entry) -> set[str]:
    return {e.record.model.weights_sha256 for e in entry.evidence}


def agreement(first: Sequence[Evidence], second: Sequence[Evidence]) -> Agreement:
    """Return what two entries' predictions have in common, over the tasks that both have."""
    theirs = {e.record.task.name: e for e in second}
    pairs = []
    for one in first:
        other = theirs.get(one.record.task.name)
        if other is not None and one.record.task.labels == other.record.task.labels:
            common = set(other.track_ids)
            ids = tuple(track for track in one.track_ids if track in common)
            if len(ids) > 1:
                pairs.append((one.rows(ids), other.rows(ids)))
    views = [_agreement([(v(one), v(other)) for one, other in pairs]) for v in (_ranks, _probabilities)]
    best = [max(values) for values in zip(*views, strict=True)]
    return Agreement(best[0], best[1], int(best[2]), int(best[3]))


Parts = tuple[Doubles, Doubles]


@lru_cache(maxsize=512)
def _ranks(evidence: Evidence) -> Parts:
    """Return the mean over the seeds and the seeds' residuals of ranks: what a monotone disguise leaves unchanged."""
    return _parts(np.asarray(rankdata(evidence.probabilities.astype(np.float64), axis=1), dtype=np.float64))


@lru_cache(maxsize=512)
def _probabilities(evidence: Evidence) -> Parts:
    """Return the mean over the seeds and the seeds' residuals of probabilities."""
    return _parts(evidence.probabilities.astype(np.float64))


def _parts(values: Doubles) -> Parts:
    centred = values - values.mean(axis=1, keepdims=True)
    centred[:, :, np.abs(centred).max(axis=(0, 1)) < FLAT] = 0
    mean = centred.mean(axis=0)
    residuals = centred - mean
    residuals[:, :, np.abs(residuals).max(axis=(0, 1)) < FLAT] = 0
    return mean, residuals


def _agreement(pairs: Sequence[tuple[Parts, Parts]]) -> tuple[float, float, float, float]:
    """Return the agreement of residuals and of means, the labels that agree and the labels that were compared."""
    means, residuals = np.zeros(3), np.zeros(3)
    labels = compared = 0
    for (mean, left), (other_mean, right) in pairs:
        means += (mean * other_mean).sum(), (mean**2).sum(), (other_mean**2).sum()
        rows, columns = linear_sum_assignment(-np.einsum("atl,btl->ab", left, right))
        left, right = left[rows], right[columns]
        products = np.stack([(left * right).sum((0, 1)), (left**2).sum((0, 1)), (right**2).sum((0, 1))])
        residuals += products.sum(axis=1)
        said = products[1:].min(axis=0) > 0
        labels += int((products[0][said] >= LABEL * np.sqrt(products[1][said] * products[2][said])).sum())
        compared += int(said.sum())
    return _correlation(residuals), _correlation(means), labels, compared


def _correlation(products: Doubles) -> float:
    size = float(np.sqrt(products[1] * products[2]))
    # A model that says the same of every track says nothing that could be copied.
    return float(products[0]) / size if size > 0 else 0.0


SPREAD = 0.01
"""Share of the variance over the tracks of all tasks that is between the seeds; honest entries have 0.022 and more."""

TASK_SPREAD = 0.005
"""The same of one task; honest entries have 0.015 and more."""


def check_seeds(entry: Entry) -> Iterator[Finding]:
    """Flag seeds that are one another: one that was counted five times, or means of several."""
    found = [e for e in entry.evidence if len(e.probabilities) > 1]
    shares = {entry.key: (spread(found), SPREAD)}
    shares |= {e.record.task.name: (spread([e]), TASK_SPREAD) for e in found}
    for where, (share, least) in shares.items():
        if share is not None and share < least:
            yield Finding(
                "flag",
                "suspicious",
                where,
                f"its seeds are too much alike: {100 * share:.2g} % of the variance is between them, 1.5 % or more in "
                "honest runs. One seed was counted several times, or each is a mean of several.",
            )
    for e in found:
        every = [*e.probabilities, *(() if e.resampled is None else e.resampled)]
        if spread([e]) is not None and len({one.tobytes() for one in every}) < len(every):
            said = "two of its seeds, or trainings on resamples, have the same predictions: one was counted twice."
            yield Finding("flag", "suspicious", e.record.task.name, said)


def spread(found: Sequence[Evidence]) -> float | None:
    """Return the share of the variance over tracks that is between the seeds, the lower of ranks and probabilities.

    ``None`` for a model that says the same of every track.
    """
    shares = []
    for view in (_ranks, _probabilities):
        within = between = 0.0
        for mean, residuals in map(view, found):
            within += len(residuals) * float((mean**2).sum())
            between += float((residuals**2).sum())
        if within + between == 0:
            return None
        shares.append(between / (within + between))
    return min(shares)
