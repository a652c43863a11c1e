"""Which labels of a family are taken for which: for families of which a track carries one label at most.

Tracks that carry exactly one label of the family are looked at. A label's probability is the mean over seeds. What a
track is taken for is the label of the family with the highest probability; a track whose highest probability is shared
by several labels is undecided. Probes give every label a probability of its own, so a row is divided by its sum to say
where the family's probability goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...records.evidence import Evidence

SINGLE_CHOICE = 0.95
"""Least share, among the tracks that carry a label of a family, of those that carry exactly one; our choice. In a
family with less there is no one right answer that others could be taken for."""


@dataclass(frozen=True)
class Confusion:
    """The labels of one family against each other, on the test tracks of one record."""

    family: str  # its name
    labels: tuple[str, ...]  # of the family, in the task's order
    tracks: int = 0  # test tracks that carry exactly one of them
    several: int = 0  # test tracks that carry more than one; left out
    support: tuple[int, ...] = ()  # of the tracks looked at, ``[labels]``
    # share of the family's probability that goes to each label, mean over the tracks that carry a label, ``[true
    # label][label]``; ``None`` for a label that no track carries
    probability: tuple[tuple[float, ...] | None, ...] = ()
    # tracks by what they carry and what they are taken for, ``[true label][label]``
    counts: tuple[tuple[int, ...], ...] = ()
    undecided: tuple[int, ...] = ()  # tracks without a single highest probability, ``[true label]``
    reason: str | None = None  # why the family has no confusion; the fields above are empty then

    @property
    def right(self) -> int:
        """Tracks that are taken for what they carry."""
        return sum(row[k] for k, row in enumerate(self.counts))

    def pairs(self) -> list[tuple[str, str, int, int]]:
        """Return what was taken for what: true label, label, tracks, tracks with the true label; most first."""
        found = [
            (self.labels[i], self.labels[j], count, self.support[i])
            for i, row in enumerate(self.counts)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(found, key=lambda pair: (-pair[2], pair[3], pair[:2]))


def confusions(evidence: Evidence) -> tuple[Confusion, ...]:
    """Return the confusion of every family of a task, or the reason why it has none."""
    families = evidence.record.task.columns()
    return tuple(_confusion(evidence, family, columns) for family, columns in families.items())


def _confusion(evidence: Evidence, family: str, columns: Sequence[int]) -> Confusion:
    labels = tuple(evidence.record.task.labels[k] for k in columns)
    truth = evidence.targets[:, columns]
    carried = truth.sum(axis=1)
    # With a label of the family that nobody knows, a track may carry several.
    sure = evidence.whole(columns)
    one, several = (carried == 1) & sure, int(((carried > 1) & sure).sum())
    if len(labels) < 2:
        return Confusion(family, labels, reason="it has one label only")
    if not one.any():
        return Confusion(family, labels, reason="no test track carries exactly one of its labels")
    share = one.sum() / (one.sum() + several)
    if share < SINGLE_CHOICE:
        return Confusion(
            family, labels, reason=f"{several} of {one.sum() + several} tracks carry several of its labels"
        )
    truth = truth[one]
    probabilities = evidence.probabilities[:, one][:, :, columns].astype(np.float64).mean(axis=0)
    taken, undecided = _taken_for(probabilities)
    counts = truth.T.astype(np.int64) @ taken
    return Confusion(
        family=family,
        labels=labels,
        tracks=int(one.sum()),
        several=several,
        support=tuple(truth.sum(axis=0).tolist()),
        probability=tuple(_shares(probabilities[carry]) for carry in truth.T),
        counts=tuple(tuple(row) for row in counts.tolist()),
        undecided=tuple((truth.T & undecided).sum(axis=1).tolist()),
    )


def _taken_for(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return one-hot ``[tracks, labels]``, all zero where the highest is shared, and which those are ``[tracks]``."""
    highest = probabilities == probabilities.max(axis=1, keepdims=True)
    undecided = highest.sum(axis=1) > 1
    return (highest & ~undecided[:, None]).astype(np.int64), undecided


def _shares(probabilities: np.ndarray) -> tuple[float, ...] | None:
    """Mean over tracks ``[tracks, labels]``, divided by its sum; ``None`` without a track or a probability above 0."""
    if not len(probabilities):
        return None
    mean = probabilities.mean(axis=0)
    return tuple((mean / mean.sum()).tolist()) if mean.sum() > 0 else None
