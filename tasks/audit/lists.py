"""What is wrong with a split as far as its lists tell: shared groups, identical and undefined labels, empty rows.

Nothing here opens an audio file; :mod:`cmbench.tasks.audit.sound` compares the sound.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import TaskData, Track
from ..splits.names import SPLITS, memberships

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_POSITIVE = "no positive"
NO_NEGATIVE = "no negative"


@dataclass(frozen=True)
class SharedGroup:
    """A group with tracks in several splits."""

    group: str  # its name
    tracks: Mapping[str, int]  # number of its tracks by split; only splits that have some


@dataclass(frozen=True)
class SplitGroups:
    """The groups of one split."""

    tracks: int  # of the split
    known: int  # tracks whose group is known
    groups: int  # number of groups
    # tracks that share a group with an earlier split (valid: with train; test: with train or valid)
    leaking_tracks: int
    leaking_groups: int  # groups that an earlier split has too


@dataclass(frozen=True)
class UndefinedLabel:
    """A label that no score can judge in a split."""

    split: str  # which
    label: str  # which
    reason: str  # :data:`NO_POSITIVE` or :data:`NO_NEGATIVE`


@dataclass(frozen=True)
class Findings:
    """What the lists of a split tell."""

    groups: Mapping[str, SplitGroups]  # by split
    shared: tuple[SharedGroup, ...]  # every group that is in several splits, by name
    # sets of labels that every track has all or none of; labels that no track has are not compared
    identical: tuple[tuple[str, ...], ...]
    undefined: tuple[UndefinedLabel, ...]  # labels without a positive or without a negative, by split
    unlabelled: Mapping[str, int]  # tracks without any label, by split
    # sets of groups whose names differ only in case or spaces. They count as different, and may be one
    alike: tuple[tuple[str, ...], ...] = ()


def examine(data: TaskData) -> Findings:
    """Judge the lists of a split."""
    import numpy as np

    labels = {split: data.label_matrix(split) for split in SPLITS}
    return Findings(
        groups=split_groups(data.splits),
        shared=shared_groups(data.splits),
        identical=identical_labels(np.concatenate([labels[split] for split in SPLITS]), data.labels),
        undefined=tuple(
            u for split in SPLITS for u in undefined_labels(split, labels[split], data.labels, data.known_matrix(split))
        ),
        unlabelled={split: int((~labels[split].any(axis=1)).sum()) for split in SPLITS},
        alike=alike_groups(track for split in SPLITS for track in data.splits[split]),
    )


def alike_groups(tracks: Iterable[Track]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of groups whose names differ only in upper and lower case or in spaces, by name."""
    alike: dict[str, set[str]] = defaultdict(set)
    for track in tracks:
        for name in memberships(track.group):
            alike["".join(unicodedata.normalize("NFC", name).casefold().split())].add(name)
    return tuple(sorted(tuple(sorted(names)) for names in alike.values() if len(names) > 1))


def split_groups(splits: Mapping[str, Sequence[Track]]) -> dict[str, SplitGroups]:
    """Count, for each split, its groups and the tracks whose group an earlier split has too."""
    earlier: set[str] = set()
    found = {}
    for split in SPLITS:
        of_track = [memberships(track.group) for track in splits[split]]
        groups = {name for names in of_track for name in names}
        found[split] = SplitGroups(
            tracks=len(of_track),
            known=sum(bool(names) for names in of_track),
            groups=len(groups),
            leaking_tracks=sum(not earlier.isdisjoint(names) for names in of_track),
            leaking_groups=len(groups & earlier),
        )
        earlier |= groups
    return found


def shared_groups(splits: Mapping[str, Sequence[Track]]) -> tuple[SharedGroup, ...]:
    """Return the groups with tracks in several splits, by name."""
    count: dict[str, Counter[str]] = defaultdict(Counter)
    for split in SPLITS:
        for track in splits[split]:
            for name in memberships(track.group):
                count[name][split] += 1
    return tuple(SharedGroup(name, dict(count[name])) for name in sorted(count) if len(count[name]) > 1)


def identical_labels(matrix: NDArray[np.bool_], labels: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of labels that no track tells apart, in the order of the labels.

    ``matrix`` is ``[tracks, labels]``; labels that no track has are undefined, not identical.
    """
    alike: dict[bytes, list[str]] = defaultdict(list)
    for label, column in zip(labels, matrix.T, strict=True):
        if column.any():
            alike[column.tobytes()].append(label)
    return tuple(tuple(names) for names in alike.values() if len(names) > 1)


def undefined_labels(
    split: str, matrix: NDArray[np.bool_], labels: Sequence[str], known: NDArray[np.bool_] | None = None
) -> list[UndefinedLabel]:
    """Return the labels that cannot be judged in a split.

    ``matrix`` and ``known`` are ``[tracks, labels]``.
    """
    found = []
    for k, (label, column) in enumerate(zip(labels, matrix.T, strict=True)):
        judged = column if known is None else column[known[:, k]]
        some, every = judged.any(), judged.all()
        if not some or every:
            found.append(UndefinedLabel(split, label, NO_NEGATIVE if some else NO_POSITIVE))
    return found
