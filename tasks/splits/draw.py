"""Draw splits for tracks that have none: grouped and multi-label stratified.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label data", ECML
PKDD, algorithm 1), with two changes: what is dealt out is a group of tracks rather than one track, and a split that
is too full takes no further group while another has room. The order of the tracks does not matter and nothing
is random: ties are broken by a hash of the ids.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...errors import UsageError, counted
from .names import memberships

if TYPE_CHECKING:
    from ..base import Track

SHARES: Mapping[str, float] = MappingProxyType({"train": 0.7, "valid": 0.1, "test": 0.2})
"""Share of the tracks by split. Our choice, and that of the random splits of the published tasks."""

PURPOSE: Mapping[str, str] = MappingProxyType(
    {"train": "to learn from", "valid": "to choose the settings by", "test": "to be judged on"}
)

_LARGER_SHARES = (1 / 4, 1 / 3)
"""Shares of every drawn split where a small corpus would leave one of :data:`SHARES` with nothing to compare."""

_FEW = 10
"""Test tracks below which scores are called a first look."""

_OVERFILL = 0.1
"""How much fuller than its share a split may become for the sake of its labels. Our choice: with none, the label that
is dealt last finds small splits closed."""


@dataclass(frozen=True)
class _Unit:
    """Tracks that must stay together."""

    ids: tuple[str, ...]  # of the tracks
    labels: Mapping[str, int]  # tracks by label
    rank: str  # position among units of the same size; arbitrary, but fixed


def draw_missing(tracks: Sequence[Track], missing: Sequence[str]) -> dict[str, str]:
    """Return the split of every track by its id, some splits drawn out of tracks that are for training.

    They get their :data:`SHARES`. Where that leaves a split without a label to judge by, as in a corpus of a dozen
    tracks, they get a quarter each, or a third.

    Raises:
        UsageError: there are too few tracks, groups or labels; in words, without a full stop or a remedy.
    """
    drawn = [split for split in missing if split != "train"]
    units = len(_units(tracks))
    if units <= len(drawn):
        raise UsageError(_too_few(len(tracks), units, ["train", *drawn]))
    if not _can_be_judged(tracks):
        raise UsageError(
            "no label tells one recording from another: each label stands at all of them or at none. A label needs "
            "recordings that have it and recordings that have not"
        )
    for share in (None, *_LARGER_SHARES):
        taken = {split: share or SHARES[split] for split in drawn}
        found = draw_splits(tracks, {"train": 1.0 - sum(taken.values())} | taken)
        judged = drawn if share is None else ["train", *drawn]
        if all(_can_be_judged([t for t in tracks if found[t.id] == split]) for split in judged):
            return found
    raise UsageError(
        f"there are too few recordings{' or groups' if units < len(tracks) else ''}: each of the {len(drawn) + 1} "
        f"parts ({', '.join(f'{split} {PURPOSE[split]}' for split in ('train', *drawn))}) needs a recording that has a "
        f"label and one that has not. You have {_size(len(tracks), units)}; each label should be at several and absent "
        "from several others"
    )


def few_to_judge(tracks: int) -> str:
    """Return a sentence, after a blank, that warns of scores on so few test tracks; nothing where they are enough."""
    return "" if tracks >= _FEW else f" Scores on {counted(tracks, 'test recording')} are a first look, not a finding."


def _too_few(tracks: int, units: int, splits: Sequence[str]) -> str:
    parts = ", ".join(f"{split} ({PURPOSE[split]})" for split in splits)
    grouped = units < tracks
    stay = " Recordings of one group (an album, an artist) stay together." if grouped else ""
    return (
        f"there are too few recordings. They are divided into {len(splits)} parts: {parts}.{stay} You have "
        f"{_size(tracks, units)}; at least {len(splits)}{' groups' if grouped else ''} are needed"
    )


def _size(tracks: int, units: int) -> str:
    return counted(tracks, "recording") + (f" in {counted(units, 'group')}" if units < tracks else "")


def _can_be_judged(tracks: Sequence[Track]) -> bool:
    support = Counter(label for track in tracks for label in set(track.labels))
    return any(count < len(tracks) for count in support.values())


def draw_splits(tracks: Sequence[Track], shares: Mapping[str, float] = SHARES) -> dict[str, str]:
    """Return the split of every track by its id.

    Tracks of one block (:func:`blocks_of`) get one split; a track without a group is a block of its own. Every split
    gets at least one block; shares are met as closely as the blocks allow.

    Raises:
        UsageError: there are fewer groups than splits.
    """
    units = _units(tracks)
    if len(units) < len(shares):
        raise UsageError(
            f"{len(tracks)} tracks in {len(units)} groups cannot be drawn into {len(shares)} splits "
            f"({', '.join(shares)}) without tearing a group apart. Add tracks, or fill in the column `split`."
        )
    room = {split: share * len(tracks) for split, share in shares.items()}
    support = Counter(label for track in tracks for label in track.labels)
    wanted = {split: {label: share * support[label] for label in support} for split, share in shares.items()}
    dealt: dict[str, list[_Unit]] = {split: [] for split in shares}
    for label, given in _by_rarest_label(units):
        for unit in given:
            spare = {s: room[s] + _OVERFILL * shares[s] * len(tracks) for s in shares}
            open_splits = [s for s in shares if spare[s] >= len(unit.ids) / 2] or list(shares)
            split = max(
                open_splits,
                key=lambda s: (round(wanted[s][label], 9) if label is not None else 0.0, round(room[s], 9)),
            )
            dealt[split].append(unit)
            room[split] -= len(unit.ids)
            for name, count in unit.labels.items():
                wanted[split][name] -= count
    _fill_empty(dealt)
    return {id_: split for split, given in dealt.items() for unit in given for id_ in unit.ids}


def _by_rarest_label(units: Sequence[_Unit]) -> Iterator[tuple[str | None, list[_Unit]]]:
    """Yield each label with the units that have it and were not yielded before; the rarest label of these comes first.

    It has the least freedom. Units without labels come last, under ``None``. The counts are kept as units go, so that
    the work grows with the labels of the tracks and not with tracks times labels.
    """
    having: dict[str, list[_Unit]] = defaultdict(list)
    remaining: Counter[str] = Counter()
    for unit in units:
        remaining.update(unit.labels)
        for name in unit.labels:
            having[name].append(unit)
    waiting = [(count, name) for name, count in remaining.items()]
    heapify(waiting)
    gone: set[str] = set()
    while waiting:
        count, label = heappop(waiting)
        if count != remaining[label]:  # an older count of it
            continue
        given = [unit for unit in having.pop(label) if unit.rank not in gone]
        gone.update(unit.rank for unit in given)
        changed: Counter[str] = Counter()
        for unit in given:
            changed.update(unit.labels)
        for name, less in changed.items():
            remaining[name] -= less
            if remaining[name]:
                heappush(waiting, (remaining[name], name))
        yield label, given
    yield None, [unit for unit in units if unit.rank not in gone]


def blocks_of(tracks: Iterable[Track]) -> dict[str, str]:
    """Return the block of every track whose group is known, by the track's id.

    A track may be in several groups, as a recording on several releases; tracks that are joined by common groups,
    directly or over others, are one block. It is named by the first of its groups by name.
    """
    groups_of = {track.id: track.group for track in tracks}
    blocks = joined_groups(groups_of.values())
    return {id_: block for (id_, block) in zip(groups_of, blocks, strict=True) if block is not None}


def joined_groups(groups: Iterable[str | None]) -> list[str | None]:
    """Return the block of each track: the first by name of the groups that are joined with its own, else ``None``."""
    leader: dict[str, str] = {}

    def lead(group: str) -> str:
        while leader[group] != group:
            leader[group] = group = leader[leader[group]]
        return group

    named = [memberships(group) for group in groups]
    for names in named:
        for name in names:
            leader.setdefault(name, name)
            first, second = sorted((lead(names[0]), lead(name)))
            leader[second] = first
    return [lead(names[0]) if names else None for names in named]


def _units(tracks: Sequence[Track]) -> list[_Unit]:
    """Return the blocks, large ones first: what is dealt last has the least weight."""
    block_of = blocks_of(tracks)
    members: dict[tuple[str, str], list[Track]] = defaultdict(list)
    for track in tracks:
        block = block_of.get(track.id)
        members["track" if block is None else "block", track.id if block is None else block].append(track)
    units = []
    for group in members.values():
        ids = tuple(sorted(t.id for t in group))
        labels = Counter(label for t in group for label in set(t.labels))
        units.append(_Unit(ids, labels, hashlib.sha256("\n".join(ids).encode()).hexdigest()))
    return sorted(units, key=lambda unit: (-len(unit.ids), unit.rank))


def _fill_empty(dealt: dict[str, list[_Unit]]) -> None:
    """Give every empty split the smallest group of the split that has most groups."""
    for given in dealt.values():
        if not given:
            richest = max(dealt.values(), key=len)
            smallest = min(richest, key=lambda unit: (len(unit.ids), unit.rank))
            richest.remove(smallest)
            given.append(smallest)
