"""Parts of the training split: so many positives of every label, or a share of the groups, in several nested draws.

What is drawn depends on the task's split alone, so every model learns from the same tracks. Within a draw a smaller
part lies in every larger one of its kind.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...scoring.bootstrap import cluster_numbers
from ...scoring.metrics import Bools

if TYPE_CHECKING:
    from ....tasks.base import TaskData

POSITIVES, GROUPS = "positives", "groups"


@dataclass(frozen=True)
class Size:
    """How much of the training split is learnt from.

    Attributes:
        unit: ``positives`` of every label, or ``groups``.
        amount: that many positives, or that share of the groups.
    """

    unit: str
    amount: float

    @property
    def short(self) -> str:
        """What stands at an axis: ``5``, ``25 %``, ``all``."""
        if self == WHOLE:
            return "all"
        return f"{100 * self.amount:g} %" if self.unit == GROUPS else f"{self.amount:g}"

    @property
    def words(self) -> str:
        """How much it is: ``5 positives of every label``."""
        if self == WHOLE:
            return "all of it"
        if self.unit == GROUPS:
            return f"{self.short} of the groups"
        return f"{self.short} positive{'' if self.amount == 1 else 's'} of every label"


WHOLE = Size(GROUPS, 1.0)
"""The training split itself."""

_POSITIVES = tuple(Size(POSITIVES, k) for k in (1, 5, 20))
_SHARES = tuple(Size(GROUPS, share) for share in (0.05, 0.1, 0.25, 0.5))

PARTS = (*_POSITIVES, *_SHARES)
"""What is drawn; ascending of each kind."""

AXES = {GROUPS: (*_SHARES, WHOLE), POSITIVES: (*_POSITIVES, WHOLE)}
"""Unit -> its sizes, ascending."""


def groups_of(size: Size, groups: int) -> int:
    """Return how many of so many groups a share is, rounded up; a tenth of 70 is 7, whatever floats make of it."""
    return math.ceil(round(size.amount * groups, 9))


def draw_parts(data: TaskData, draws: int) -> dict[Size, Bools]:
    """Draw every part several times.

    Groups, and for the positives tracks, are put into a random order; a part is its beginning. A label with fewer
    positives than are asked for has all of them; a track that is there for one label brings its others along. A label
    that all of these tracks of which it is known carry, as one alone, gets as many tracks that are known to lack it:
    else there is nothing to learn.

    Args:
        data: the task's tracks.
        draws: how many.

    Returns:
        Whether each track of the training split is in each draw ``[draws, tracks]``, by size.
    """
    tracks, labels, known = data.splits["train"], data.label_matrix("train"), data.known_matrix("train")
    lacking = ~labels if known is None else ~labels & known
    cluster = cluster_numbers([track.group for track in tracks])
    groups = int(cluster.max()) + 1
    # Raw words of PCG64, which NumPy keeps the same across versions and platforms.
    name = f"{data.task.name} {data.split_sha256} parts"
    words = np.random.PCG64(int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))
    found = {size: np.zeros((draws, len(tracks)), dtype=np.bool_) for size in PARTS}
    for row in range(draws):
        place = np.argsort(np.argsort(words.random_raw(groups)))
        order = np.argsort(words.random_raw(len(tracks)))
        smaller = np.zeros(len(tracks), dtype=np.bool_)
        for size, drawn in found.items():
            if size.unit == GROUPS:
                drawn[row] = place[cluster] < groups_of(size, groups)
                continue
            for column in labels[order].T:
                drawn[row, order[np.flatnonzero(column)[: int(size.amount)]]] = True
            for column in lacking[order][:, ~lacking[drawn[row]].any(axis=0)].T:
                drawn[row, order[np.flatnonzero(column)[: int(size.amount)]]] = True
            drawn[row] |= smaller
            smaller = drawn[row]
    return found
