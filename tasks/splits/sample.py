"""A small part of a task for a first look: a seeded sample of whole groups, never to be taken for the task itself.

Its split is named after its size, ``official-limit-200``: records of it have files, tables and sections of their own,
and no board takes them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import UsageError
from .draw import blocks_of
from .names import LIMIT, SPLITS

if TYPE_CHECKING:
    from ..base import TaskData, Track

SEED = 0
"""Of the order in which groups are taken. Our choice; the same tracks for every model and on every machine."""


def sample(data: TaskData, limit: int, seed: int = SEED) -> TaskData:
    """Return about ``limit`` tracks of a task, whole groups in the shares of its splits.

    Groups are taken in an order that their names and the seed alone decide, until a split has its share; so a larger
    sample holds a smaller one. A track of unknown group is a group of its own. Every split keeps at least one group, so
    that a small sample may be larger than asked for.

    Raises:
        UsageError: the limit is smaller than the number of splits.
    """
    if limit < len(SPLITS):
        raise UsageError(f"--limit must be at least {len(SPLITS)}, a track for each split, not {limit}.")
    whole = sum(map(len, data.splits.values()))
    if limit >= whole:
        return data
    block_of = blocks_of(track for split in SPLITS for track in data.splits[split])
    splits = {
        split: _some(data.splits[split], limit * len(data.splits[split]) / whole, block_of, seed) for split in SPLITS
    }
    taken = sum(map(len, splits.values()))
    note = (
        f"A sample of {taken} of {whole} tracks (--limit {limit}), drawn by whole groups: for a first look. It is "
        "ranked nowhere, and stands beside no result on the whole task."
    )
    task = replace(data.task, notes=(note, *data.task.notes))
    return replace(data, task=task, splits=splits, split_name=f"{data.split_name}{LIMIT}{limit}")


def _some(tracks: tuple[Track, ...], wanted: float, block_of: dict[str, str], seed: int) -> tuple[Track, ...]:
    """Return the tracks of as many groups as come closest to a number, at least one group, in the split's order."""
    members: dict[str, list[str]] = defaultdict(list)
    for track in tracks:
        members[block_of.get(track.id, f"\0{track.id}")].append(track.id)
    order = sorted(members, key=lambda block: hashlib.sha256(f"{seed}\t{block}".encode()).hexdigest())
    kept: set[str] = set()
    for block in order:
        if kept and len(kept) + len(members[block]) / 2 > wanted:
            break
        kept.update(members[block])
    return tuple(track for track in tracks if track.id in kept)
