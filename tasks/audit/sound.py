"""Compare the sound of a split's tracks: the same samples, or the same sound in another form.

Every track is decoded once, as far as a run would use it: hashed as it is, and fingerprinted at a common rate.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...decoding import blocks, find_stretch, missing_frames
from ...errors import UnusableAudio
from ...opening import opened
from ..base import TaskData, Track
from ..splits.names import SPLITS
from .landmarks import LEAST_LANDMARKS, RATE, VERSION, Fingerprint, fingerprint, matches

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUALITY = "MQ"
"""soxr's name of the resampling quality: aliases lie 96 dB below, far under any peak that is used."""

DecodeProgress = Callable[[int, int], None]
"""``progress(done, total)``: called while tracks are decoded."""


@dataclass(frozen=True)
class TrackInSplit:
    """A track by its id and its split."""

    id: str
    split: str


@dataclass(frozen=True)
class NearCopy:
    """Two tracks that hold the same sound though not the same samples."""

    first: TrackInSplit  # the one in the earlier split
    second: TrackInSplit  # the other
    share: float  # landmarks they share, relative to the track with fewer, 0 to 1; 0.3 to 0.5 is usual for a copy
    shift: float  # seconds by which the sound is later in the first
    pitch: float = 1.0  # by what factor the sound is lower in the first; 1 if it is not
    speed: float = 1.0  # by what factor it is slower in the first; 1 if it is not


@dataclass(frozen=True)
class Unheard:
    """A track that could not be compared, and why."""

    track: TrackInSplit
    reason: str


@dataclass(frozen=True)
class AudioFindings:
    """What the sound of a split's tracks tells."""

    method: str  # version of the fingerprint
    compared: Mapping[str, int]  # tracks that were decoded, by split
    exact: tuple[tuple[TrackInSplit, ...], ...]  # sets of tracks with the same samples
    # pairs of tracks with the same sound; of a set of exact copies only the first is compared
    near: tuple[NearCopy, ...]
    # by split, tracks with an exact or near copy in an earlier split, directly or over others
    leaking_tracks: Mapping[str, int]
    unheard: tuple[Unheard, ...]  # tracks that were not compared at all
    # tracks with too little going on for a fingerprint; exact copies of them are found all the same
    plain: tuple[TrackInSplit, ...]


@dataclass(frozen=True)
class Heard:
    """What is kept of a decoded track."""

    sha256: str  # of sample rate, number of channels and every sample as float32
    print: Fingerprint  # its fingerprint


def hear(track: Track, max_seconds: float | None) -> Heard:
    """Decode a track, hash its samples and fingerprint it.

    Raises:
        UnusableAudio: the file, or the track's stretch of it, cannot be decoded.
    """
    import soxr

    digest = hashlib.sha256()
    pieces: list[NDArray[np.float32]] = []
    with opened(track.path) as sound:
        digest.update(f"{sound.samplerate} Hz, {sound.channels} channels\n".encode())
        stretch = find_stretch(track.path, sound, track.start, track.end, max_seconds)
        resampler = soxr.ResampleStream(sound.samplerate, RATE, 1, "float32", _QUALITY)
        frames = 0
        for block in blocks(track.path, sound, stretch):
            frames += len(block)
            digest.update(np.ascontiguousarray(block, dtype="<f4").tobytes())
            pieces.append(resampler.resample_chunk(block.mean(axis=1, dtype=np.float32)))
        missing_frames(track.path, sound, stretch, frames)
        pieces.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
    return Heard(digest.hexdigest(), fingerprint(np.concatenate(pieces)))


def compare_audio(data: TaskData, workers: int, progress: DecodeProgress) -> AudioFindings:
    """Decode every track of a split and compare each with each."""
    heard: dict[TrackInSplit, Heard] = {}
    unheard: list[Unheard] = []
    for member, result in _results(data, workers, progress):
        if isinstance(result, Heard):
            heard[member] = result
        else:
            unheard.append(Unheard(member, result))
    exact = exact_copies(heard)
    repeated = {member for copies in exact for member in copies[1:]}
    near = near_copies({member: one.print for member, one in heard.items() if member not in repeated})
    return AudioFindings(
        method=VERSION,
        compared={split: sum(member.split == split for member in heard) for split in SPLITS},
        exact=exact,
        near=near,
        leaking_tracks=leaking([*exact, *((pair.first, pair.second) for pair in near)]),
        unheard=tuple(unheard),
        plain=tuple(member for member, one in heard.items() if len(one.print.names) < LEAST_LANDMARKS),
    )


def _results(data: TaskData, workers: int, progress: DecodeProgress) -> Iterator[tuple[TrackInSplit, Heard | str]]:
    """Yield what is heard of each track, or why nothing is, in the order of the splits."""

    def attempt(track: Track) -> Heard | str:
        try:
            return hear(track, data.task.max_track_seconds)
        except UnusableAudio as error:
            return error.reason

    tracks = [(split, track) for split in SPLITS for track in data.splits[split]]
    pool = ThreadPoolExecutor(workers)
    try:
        found = pool.map(attempt, (track for _, track in tracks))
        for done, ((split, track), result) in enumerate(zip(tracks, found, strict=True), start=1):
            progress(done, len(tracks))
            yield TrackInSplit(track.id, split), result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def exact_copies(heard: Mapping[TrackInSplit, Heard]) -> tuple[tuple[TrackInSplit, ...], ...]:
    """Return the sets of tracks with the same samples, in the order of the tracks."""
    alike: dict[str, list[TrackInSplit]] = defaultdict(list)
    for member, one in heard.items():
        alike[one.sha256].append(member)
    return tuple(tuple(members) for members in alike.values() if len(members) > 1)


def near_copies(prints: Mapping[TrackInSplit, Fingerprint]) -> tuple[NearCopy, ...]:
    """Return the pairs of tracks with the same sound, in the order of the tracks."""
    members = list(prints)
    return tuple(
        NearCopy(
            members[m.first],
            members[m.second],
            round(m.share, 3),
            round(m.shift, 2),
            round(m.pitch, 3),
            round(m.speed, 3),
        )
        for m in matches(list(prints.values()))
    )


def leaking(copies: Iterable[Sequence[TrackInSplit]]) -> dict[str, int]:
    """Count, for each split, its tracks with a copy in an earlier split.

    A track in two of the sets joins them.
    """
    home: dict[TrackInSplit, set[TrackInSplit]] = {}
    for some in copies:
        joined = set(some).union(*(home.get(member, ()) for member in some))
        home.update(dict.fromkeys(joined, joined))
    order = {split: place for place, split in enumerate(SPLITS)}
    found = dict.fromkeys(SPLITS, 0)
    for member, joined in home.items():
        found[member.split] += any(order[other.split] < order[member.split] for other in joined)
    return found
