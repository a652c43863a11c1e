"""Check a task's audio file by file: there, readable to the end, long enough, as long as published; and hash it all.

Every file is decoded once and hashed once, whatever the number of tracks that it holds. What is found is data: a task
with missing tracks is verified like any other, and its coverage says how much of it there is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table

from ...decoding import SILENCE, blocks, channel_sums, find_stretch, missing_frames, variances
from ...errors import UnusableAudio
from ...files import file_sha256
from ...opening import opened
from ...terminal import silent
from ..base import Progress, TaskData, Track
from ..splits.names import SPLITS

if TYPE_CHECKING:
    from rich.console import Console

FAULTS = ("missing", "unreadable", "too short", "wrong duration")
"""What can be wrong with a track, worst first; each track counts once."""

SHORTEST_SECONDS = 1.0
"""A track under this is too short, whatever its published length; the shortest of any task is 18 s."""

TOLERANCE_SECONDS = 1.0
"""How far a track may be from its published length: frames of a codec, cuts at whole seconds."""

LEAST_SECONDS = 0.025
"""A track under this cannot be used: MERT's front end gives no frame for it. Other encoders may ask for more."""

FORMAT = 1
"""Version of the JSON finding."""


@dataclass(frozen=True)
class Fault:
    """A track that is not as it should be."""

    split: str  # whose it is
    id: str  # of the track
    file: str  # its path
    fault: str  # one of :data:`FAULTS`
    reason: str  # more exactly


@dataclass(frozen=True)
class SplitFinding:
    """What a split's audio is like."""

    asked: int  # tracks that the split lists
    published: int | None  # tracks that the published split has; ``None`` if there is no such number
    present: int  # tracks whose file is there
    usable: int  # tracks that a run can use: there, decoded to their end, not silent, not under :data:`LEAST_SECONDS`
    faults: Mapping[str, int]  # number of tracks by fault; every fault of :data:`FAULTS` is there
    seconds: float  # of audio in the usable tracks, up to the task's cap
    sha256: str  # of the lines ``id <tab> SHA-256 of the file`` in the split's order; ``-`` stands for a missing file

    @property
    def coverage(self) -> float:
        """Share of the listed tracks that can be used."""
        return self.usable / self.asked


@dataclass(frozen=True)
class VerifiedTask:
    """What a task's audio is like."""

    task: str  # name
    edition: str  # name
    split_name: str  # which way of splitting
    split_sha256: str  # of ids, labels, groups and excerpts (:attr:`cmbench.tasks.base.TaskData.split_sha256`)
    splits: Mapping[str, SplitFinding]  # by name
    sha256: str  # of the lines ``split <tab> its checksum``, in the order train, valid, test: the checksum of the whole
    faults: tuple[Fault, ...]  # every track that is not as it should be, in the order of the splits

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, and the splits have the published number of tracks."""
        return not self.faults and all(one.published in (None, one.asked) for one in self.splits.values())

    def to_json(self) -> str:
        """Return the finding as a JSON document (RFC 8259)."""
        splits = {name: asdict(one) | {"coverage": one.coverage} for name, one in self.splits.items()}
        document = {"format": FORMAT, "sound": self.is_sound} | asdict(self) | {"splits": splits}
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@dataclass(frozen=True)
class _Checked:
    """What was found of one track: its length in seconds (``None`` if it cannot be used), and what is wrong if any."""

    seconds: float | None
    fault: str = ""
    reason: str = ""


def verify(data: TaskData, workers: int = 1, progress: Progress = silent) -> VerifiedTask:
    """Decode and hash every file of a task.

    Returns:
        The finding; the same for any number of workers.
    """
    tracks: dict[Path, list[Track]] = {}
    for name in SPLITS:
        for track in data.splits[name]:
            tracks.setdefault(track.path, []).append(track)
    cap = data.task.max_track_seconds
    checked: dict[str, _Checked] = {}
    hashes: dict[Path, str] = {}
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        found = pool.map(lambda path: _check_file(path, tracks[path], cap), tracks)
        for done, (path, (digest, states)) in enumerate(zip(tracks, found, strict=True), 1):
            hashes[path] = digest
            checked |= states
            progress(data.task.name, done, len(tracks))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C must not wait for thousands of files
    usual = data.edition == "full" and data.split_name in ("official", "own")
    published = data.task.counts if usual else {}
    splits = {name: _summary(data.splits[name], checked, hashes, published.get(name)) for name in SPLITS}
    return VerifiedTask(
        task=data.task.name,
        edition=data.edition,
        split_name=data.split_name,
        split_sha256=data.split_sha256,
        splits=splits,
        sha256=_lines_sha256(f"{name}\t{one.sha256}" for name, one in splits.items()),
        faults=tuple(
            Fault(name, track.id, str(track.path), state.fault, state.reason)
            for name in SPLITS
            for track in data.splits[name]
            if (state := checked[track.id]).fault
        ),
    )


def _check_file(path: Path, tracks: Sequence[Track], cap: float | None) -> tuple[str, dict[str, _Checked]]:
    """Return a file's hash (``-`` if it cannot be had) and what was found of each of its tracks, by id."""
    try:
        there = path.is_file()
    except OSError:  # a name that no file can have
        there = False
    if not there:
        return "-", {track.id: _Checked(None, "missing", "there is no such file") for track in tracks}
    try:
        digest = file_sha256(path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return "-", {track.id: _Checked(None, "unreadable", reason) for track in tracks}
    return digest, {track.id: _check_track(track, cap) for track in tracks}


def _check_track(track: Track, cap: float | None) -> _Checked:
    """Decode a track to its end or to the cap, whichever comes first, and judge it."""
    try:
        seconds = _decoded_seconds(track, cap)
    except UnusableAudio as error:
        return _Checked(None, "unreadable", error.reason)
    if seconds < SHORTEST_SECONDS:
        return _Checked(seconds, "too short", f"{seconds:.2f} s, where {SHORTEST_SECONDS:g} s are the least")
    expected = track.seconds
    if expected is not None and abs(seconds - min(expected, cap or expected)) > TOLERANCE_SECONDS:
        return _Checked(seconds, "wrong duration", f"{seconds:.2f} s, published {expected:.2f} s")
    return _Checked(seconds)


def _decoded_seconds(track: Track, cap: float | None) -> float:
    """Decode a track in blocks and return its length; raise if it cannot be decoded to its end, or is silent."""
    with opened(track.path) as sound:
        stretch = find_stretch(track.path, sound, track.start, track.end, cap)
        frames, sums = 0, np.zeros((sound.channels, 2))
        for block in blocks(track.path, sound, stretch):
            frames += len(block)
            sums += channel_sums(np.ascontiguousarray(block.T))
        missing_frames(track.path, sound, stretch, frames)
        if math.sqrt(float(variances(sums, frames).max())) < SILENCE:
            raise UnusableAudio(track.path, "silence from beginning to end")
        return frames / float(sound.samplerate)


def _summary(
    tracks: Sequence[Track], checked: Mapping[str, _Checked], hashes: Mapping[Path, str], published: int | None
) -> SplitFinding:
    states = [checked[track.id] for track in tracks]
    usable = [state for state in states if state.seconds is not None and state.seconds >= LEAST_SECONDS]
    counted = Counter(state.fault for state in states)
    return SplitFinding(
        asked=len(tracks),
        published=published,
        present=len(tracks) - counted["missing"],
        usable=len(usable),
        faults={fault: counted[fault] for fault in FAULTS},
        seconds=round(sum(state.seconds or 0.0 for state in usable), 3),
        sha256=_lines_sha256(f"{track.id}\t{hashes[track.path]}" for track in tracks),
    )


def _lines_sha256(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def print_finding(finding: VerifiedTask, console: Console, shown: int = 20) -> None:
    """Print a finding: a line for each split, the first faults, the checksum of the whole."""
    table = Table(
        "split", "listed", "published", "present", *FAULTS, "coverage", "hours", box=None, header_style="bold"
    )
    for name, one in finding.splits.items():
        table.add_row(
            name,
            str(one.asked),
            "–" if one.published is None else str(one.published),
            str(one.present),
            *(str(one.faults[fault]) for fault in FAULTS),
            _percent(one.coverage),
            f"{one.seconds / 3600:.2f}",
        )
    console.print(f"[bold]{finding.task}[/] ({finding.edition}, {finding.split_name} split)", highlight=False)
    console.print(table)
    # What is there and wrong comes first: of what is missing there may be a thousand.
    for fault in sorted(finding.faults, key=lambda one: one.fault == FAULTS[0])[:shown]:
        line = f"{fault.fault}  {fault.split}  {escape(fault.file)} ({escape(fault.reason)})"
        console.print(line, highlight=False, soft_wrap=True)
    if len(finding.faults) > shown:
        console.print(f"… and {len(finding.faults) - shown} more; --json FILE has them all.", highlight=False)
    console.print(f"checksum of the whole: sha256 {finding.sha256}", highlight=False, soft_wrap=True)


def _percent(share: float) -> str:
    """Write a share so that only a whole one reads as 100 %."""
    text = f"{100 * share:.1f} %"
    return "99.9 %" if share < 1 and text == "100.0 %" else text
