"""Which tracks a corpus has: invented performers, what each of their tracks contains, and so its labels.

A tradition is two functions: ``cast`` draws what a performer's album has in common (style, instruments at hand),
``draw`` one track of it. Both weight their choices by ``need``, which favours labels that a split still lacks, so
that even the rare ones can be scored; common ones stay common.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ..base import MINI_VERSION
from .labels import mini_labels

FORMER = "r2"
"""The version of splits before, whose entries are still verified; music without labels has stayed as it was then."""
TRACKS: Mapping[str, Mapping[str, int]] = {
    MINI_VERSION: {"train": 100, "valid": 60, "test": 80},
    FORMER: {"train": 120, "valid": 40, "test": 80},
}
"""By version, tracks of each split at scale 1."""
LARGEST: Mapping[str, int] = {"train": 3, "valid": 2, "test": 3}
"""Tracks of the largest albums. Validation needs groups more than it needs tracks (docs/statistics.md)."""
SECONDS = (6, 7, 8, 9, 10)
"""Lengths of tracks, seconds."""
LEAST = 4
"""Tracks that a split has at any scale."""
WANTED: Mapping[str, int] = {"train": 8, "valid": 4, "test": 6}
"""Positives, and negatives, that every label should have at scale 1 or more."""
ATTEMPTS = 40

Need = Callable[[str], float]
"""``need(label)``: factor on the weight of a choice that brings this label."""


def needed(weights: Mapping[str, float], prefix: str, need: Need) -> dict[str, float]:
    """Return the weights of names times what is needed of their labels, ``prefix`` and name."""
    return {name: weight * need(f"{prefix}{name}") for name, weight in weights.items()}


@dataclass(frozen=True)
class Cast:
    """What the tracks of one album share."""

    style: str  # a tradition's own name for the kind of music
    pool: tuple[str, ...]  # parts (instruments) at hand


@dataclass(frozen=True)
class Draw:
    """What one track contains, in the words of its tradition's module."""

    style: str  # kind of music
    form: str  # kind of piece; may be empty
    modes: tuple[str, ...]  # names of the modes, one after another
    cycle: str  # name of the rhythmic cycle; empty if the music is free
    parts: tuple[str, ...]  # instruments that sound
    labels: tuple[str, ...]  # which of the edition's labels hold


@dataclass(frozen=True)
class TrackSpec:
    """Everything that decides the samples of a track."""

    task: str  # whose track
    id: str  # unique within the task
    split: str  # ``train``, ``valid``, ``test`` or another name for unlabelled extra music
    group: str  # the invented performer; shares instruments' timbres and the room
    seconds: int  # length
    seed: int  # of the edition
    content: Draw  # what is played
    # 0, or the number of another telling of the same melody: by other instruments, in another key and room
    telling: int = 0


def generator(*key: object) -> np.random.Generator:
    """Return a generator that depends on nothing but the key (SHA-256 of its parts)."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True)
class Tradition:
    """How a task's corpus is drawn and rendered."""

    cast: Callable[[np.random.Generator, Need], Cast]
    draw: Callable[[np.random.Generator, Cast, Need], Draw]


def of_one_mode(tradition: Tradition, modes: Mapping[str, str]) -> Tradition:
    """Return a tradition of the same music, each track in one mode and labelled with nothing else."""

    def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
        drawn = tradition.draw(rng, cast, lambda _: 1.0)
        weights = np.array([need(label) for label in modes])
        label = list(modes)[int(rng.choice(len(modes), p=weights / weights.sum()))]
        return replace(drawn, modes=(modes[label],), labels=(label,))

    return Tradition(lambda rng, need: tradition.cast(rng, lambda _: 1.0), draw)


def counts(scale: float, version: str = MINI_VERSION) -> dict[str, int]:
    """Tracks of each split at a scale."""
    return {split: max(LEAST, round(n * scale)) for split, n in TRACKS[version].items()}


def _albums(total: int, largest: int, rng: np.random.Generator) -> list[int]:
    """Sizes of albums, in any order: as many of one track as of two, and so on, but for the last."""
    ends = np.cumsum(np.arange(total) % largest + 1)
    sizes: list[int] = rng.permutation(np.diff([0, *ends[ends < total], total])).tolist()
    return sizes


def _former_albums(total: int, rng: np.random.Generator) -> list[int]:
    """Sizes of albums of 3 to 6 tracks."""
    sizes: list[int] = []
    left = total
    while left > 6:
        sizes.append(min(int(rng.integers(3, 7)), left - 3))
        left -= sizes[-1]
    return [*sizes, left]


def _attempt(
    task: str, tradition: Tradition, sizes: Sequence[int], wanted: int, rng: np.random.Generator
) -> list[tuple[int, Draw]]:
    held = dict.fromkeys(mini_labels(task), 0)

    def need(label: str) -> float:
        if label not in held:
            return 1.0
        return 1.0 + 10.0 * max(0.0, 1.0 - held[label] / wanted)

    tracks: list[tuple[int, Draw]] = []
    for number, size in enumerate(sizes):
        cast = tradition.cast(rng, need)
        for _ in range(size):
            drawn = tradition.draw(rng, cast, need)
            tracks.append((number, drawn))
            for label in drawn.labels:
                held[label] += 1
    return tracks


def _lack(task: str, tracks: Sequence[tuple[int, Draw]], wanted: int) -> int:
    """Measure what is missing from the positives and negatives that every label should have, squared and summed."""
    lack = 0
    for label in mini_labels(task):
        positives = sum(label in d.labels for _, d in tracks)
        lack += max(0, wanted - positives) ** 2 + max(0, wanted - (len(tracks) - positives)) ** 2
    return lack


def plan(
    task: str, tradition: Tradition, seed: int, sizes: Mapping[str, int], version: str = MINI_VERSION
) -> list[TrackSpec]:
    """List the tracks of a corpus, in order of split and group.

    Each split is drawn up to :data:`ATTEMPTS` times until every label has :data:`WANTED` positives and negatives
    (less in proportion for smaller splits); the best drawing is taken.
    """
    return [spec for split, total in sizes.items() for spec in _planned(task, tradition, seed, split, total, version)]


@cache
def _planned(task: str, tradition: Tradition, seed: int, split: str, total: int, version: str) -> tuple[TrackSpec, ...]:
    """Draw the tracks of one split: the same every time, and asked for by every command that excludes them."""
    wanted = max(1, round(WANTED.get(split, 1) * min(1.0, total / TRACKS[version].get(split, total))))
    best: list[tuple[int, Draw]] = []
    least = -1
    for attempt in range(ATTEMPTS):
        rng = generator(seed, task, split, attempt)
        albums = _former_albums(total, rng) if version == FORMER else _albums(total, LARGEST.get(split, 3), rng)
        tracks = _attempt(task, tradition, albums, wanted, rng)
        lack = _lack(task, tracks, wanted)
        if least < 0 or lack < least:
            best, least = tracks, lack
        if least == 0:
            break
    specs = []
    place: Counter[int] = Counter()
    order = mini_labels(task).index
    for number, drawn in best:
        place[number] += 1
        name = f"{split}-{number:03d}-{place[number]}"
        seconds = int(generator(seed, task, name, "seconds").choice(SECONDS))
        drawn = replace(drawn, labels=tuple(sorted(drawn.labels, key=order)))
        specs.append(TrackSpec(task, name, split, f"{split}-{number:03d}", seconds, seed, drawn))
    return tuple(specs)
