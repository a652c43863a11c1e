"""The ``work-safe`` and ``performer-safe`` splits: drawn as ``group-safe`` is, over works or performers.

A model may know a composition or a voice instead of what is asked: on Korean pansori scores fall further on a split by
work than on one by recording. A track of a result on such a split has the work (the performer) as its group, so the
intervals are over works (performers) too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .group_safe import group_safe
from .names import KIND_SAFE

if TYPE_CHECKING:
    from ..base import TaskData, Track


def kind_safe(data: TaskData, split: str) -> TaskData:
    """Return the same tracks in splits that share no work, or no performer.

    Raises:
        MissingError: too many works or performers are unknown.
        UsageError: there are too few of them.
    """
    kind = KIND_SAFE[split]

    def of_kind(track: Track) -> Track:
        return replace(track, group=track.work if kind == "work" else track.performer)

    splits = {name: tuple(map(of_kind, tracks)) for name, tracks in data.splits.items()}
    return group_safe(replace(data, splits=splits), split, kind)
