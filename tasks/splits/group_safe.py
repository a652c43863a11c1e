"""The ``group-safe`` split: the tracks of a task drawn anew, so that no group is in two splits.

The draw is that of :mod:`.draw` (grouped, multi-label stratified, without chance) with the sizes of the task's own
splits. Then a label of at least :data:`ENOUGH` groups that a split lacks is given to it, if a group can be moved there
that no other label needs where it is. Label set and audio stay the same; the split has a hash of its own in every
record.

Tracks of unknown group go to training: what is scored, and what chooses the probe, is known to be apart. They may
still share a group with a scored track, so their number is a note of the result, and more than half of the training
split may not be of that kind.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import Missing, MissingError, UsageError
from .draw import blocks_of, draw_splits
from .names import GROUP_SAFE, SPLITS

if TYPE_CHECKING:
    from ..base import TaskData, Track

ENOUGH = 6
"""Groups from which a label should be in every split: two for each. Our choice."""

MOST_UNKNOWN = 0.5
"""Share of the training split that may be tracks of unknown group. Our choice."""

OWN_DRAW = (
    "This is the {split} split, in which no {kind} is in two splits (docs/audit.md); what other notes say of the "
    "task's own split does not hold for it."
)
"""A note of every result on such a split."""


@dataclass
class _Block:
    """Tracks that stay together."""

    name: str  # of the block
    split: str  # where they are
    tracks: int  # their number
    labels: frozenset[str]  # that any of them has


def group_safe(data: TaskData, split: str = GROUP_SAFE, kind: str = "group") -> TaskData:
    """Return the same tracks in splits that share no group; a track's group is then its block.

    ``kind``: what the groups are called (``work``), where they are not the task's own.

    Raises:
        MissingError: too many groups are unknown; the message says where they come from.
        UsageError: there are too few groups, or the published tracks do not give the published draw.
    """
    tracks = [track for split in SPLITS for track in data.splits[split]]
    sizes = {split: len(data.splits[split]) for split in SPLITS}
    block_of = blocks_of(tracks)
    unknown = len(tracks) - len(block_of)
    if unknown > MOST_UNKNOWN * sizes["train"]:
        raise MissingError([_unknown_groups(data, split, kind, unknown, len(tracks))])
    if len(set(block_of.values())) < len(SPLITS):
        raise UsageError(
            f"Task {data.task.name} ({data.edition}): its tracks are in {len(set(block_of.values()))} blocks of "
            f"connected {kind}s; {len(SPLITS)} splits need as many, so there is no {split} split of it."
        )
    known = [replace(track, group=block_of[track.id]) for track in tracks if track.id in block_of]
    split_of = _drawn(known, sizes | {"train": sizes["train"] - unknown})
    splits: dict[str, tuple[Track, ...]] = {
        name: tuple(replace(t, group=block_of.get(t.id)) for t in tracks if split_of.get(t.id, "train") == name)
        for name in SPLITS
    }
    notes = [OWN_DRAW.format(split=split, kind=kind)]
    if unknown:
        notes.append(
            f"{unknown} of the {len(splits['train'])} training tracks are of unknown {_called(data, kind)}: they may "
            "share one with tracks of the other splits."
        )
    task = replace(data.task, notes=(*notes, *data.task.notes))
    drawn = replace(data, task=task, splits=splits, split_name=split)
    if split == GROUP_SAFE:
        _require_fixed(drawn)
    return drawn


def _called(data: TaskData, kind: str) -> str:
    """Return what the groups of a split are called: album, concert …, or the split's own kind."""
    return data.group_kind if kind == "group" else kind


def draw_sha256(splits: Mapping[str, Sequence[Track]]) -> str:
    """Return the SHA-256 of who is in which split: lines of id and split, in the order of the ids."""
    lines = sorted(f"{track.id}\t{split}" for split in SPLITS for track in splits[split])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _drawn(tracks: Sequence[Track], sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the split of every track by its id.

    A group is a block; ``sizes``: tracks that each split should have, about.
    """
    split_of = draw_splits(tracks, {split: size / len(tracks) for split, size in sizes.items()})
    members: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        members[track.group or ""].append(track)
    blocks = [
        _Block(name, split_of[of[0].id], len(of), frozenset(label for t in of for label in t.labels))
        for name, of in members.items()
    ]
    _complete(blocks)
    moved = {block.name: block.split for block in blocks}
    return {track.id: moved[track.group or ""] for track in tracks}


def _complete(blocks: Sequence[_Block]) -> None:
    """Move blocks, small ones first, until every label of enough blocks is in every split, as far as that can be.

    A block may leave a split if another there has each of its labels. So a label once in a split stays, and the
    moves come to an end.
    """
    carriers = Counter(label for block in blocks for label in block.labels)
    enough = sorted((count, label) for label, count in carriers.items() if count >= ENOUGH)
    held = Counter((block.split, label) for block in blocks for label in block.labels)
    inside = Counter(block.split for block in blocks)
    frequent = {label for _, label in enough}
    smallest_first = sorted(blocks, key=lambda block: (block.tracks, block.name))

    def can_leave(block: _Block) -> bool:
        return inside[block.split] > 1 and all(held[block.split, label] > 1 for label in block.labels & frequent)

    while lacking := [(label, split) for _, label in enough for split in SPLITS if not held[split, label]]:
        moved = False
        for label, split in lacking:
            block = next((b for b in smallest_first if label in b.labels and b.split != split and can_leave(b)), None)
            if block is None or held[split, label]:
                continue
            for name in block.labels:
                held[block.split, name] -= 1
                held[split, name] += 1
            inside[block.split] -= 1
            inside[split] += 1
            block.split, moved = split, True
        if not moved:
            return


def _unknown_groups(data: TaskData, split: str, kind: str, unknown: int, total: int) -> Missing:
    """Say that the groups are missing, and where they come from."""
    task = data.task
    source = task.group_source if kind == "group" else f"a column `{kind}` of the task's tracks"
    return Missing(
        what=f"{kind}s of {task.name} ({_called(data, kind)} unknown for {unknown} of {total} tracks; needed for "
        f"--split {split})",
        where=source,
        source=task.access,
        licence=task.licence,
        command=f"give the tracks their {kind}s in {source}, or use the task's own split (leave --split out)",
    )


def _require_fixed(data: TaskData) -> None:
    """Check the draw against the published one where the tracks are the published ones."""
    task = data.task
    published = data.edition == "full" and sum(map(len, data.splits.values())) == sum(task.counts.values())
    if published and task.group_safe_sha256 and draw_sha256(data.splits) != task.group_safe_sha256:
        raise UsageError(
            f"Task {task.name}: its tracks give another group-safe split than the fixed one, so their groups or labels "
            "are not the published ones. Take the lists from their source again (docs/data.md)."
        )
