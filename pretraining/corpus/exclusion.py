"""What pre-training must not hear: the validation and test tracks of every task.

A track is recognised by its id within its task, by the name of its file anywhere, and, where the file is on this
machine, by its bytes: a copy under another name is found. A hash is only computed where two files have the same size,
so that this costs little. What is not recognised is the same music in another encoding.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import MissingError
from ...files import current_sha256
from ...tasks.base import LoadContext, Task, Track

HIDDEN_SPLITS = ("valid", "test")


@dataclass(frozen=True)
class Recording:
    """Music without labels: a file, or a stretch of one.

    Attributes:
        id: unique within the corpus, ``source/track``.
        tradition: whose music it is.
        path: the audio file.
        start: seconds.
        end: seconds; ``None`` for the end of the file.
        seconds: its length.
        task: the task that it comes from; empty for a folder's.
        track: its id within the task.
        telling: file of the same melody by other instruments in another key, where there is one.
    """

    id: str
    tradition: str
    path: Path
    start: float
    end: float | None
    seconds: float
    task: str = ""
    track: str = ""
    telling: Path | None = None


@dataclass(frozen=True)
class Exclusion:
    """The tracks that are kept out.

    Attributes:
        tracks: task and split -> tracks.
        unchecked: tasks whose lists are not on this machine, so that nothing of them could be kept out.
        edition: whose tracks they are.
    """

    edition: str
    tracks: dict[tuple[str, str], tuple[Track, ...]] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of tracks."""
        return sum(map(len, self.tracks.values()))

    @property
    def lines(self) -> list[str]:
        """One line per track, sorted: edition, task, split, id."""
        return sorted(
            f"{self.edition}\t{task}\t{split}\t{t.id}" for (task, split), ts in self.tracks.items() for t in ts
        )


def exclusion_sha256(exclusions: Iterable[Exclusion]) -> str:
    """Hash of the list: its sorted lines. It does not depend on which audio is on this machine."""
    digest = hashlib.sha256()
    for line in sorted(line for one in exclusions for line in one.lines):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def hidden_tracks(tasks: Iterable[Task], edition: str, context: LoadContext) -> Exclusion:
    """List the validation and test tracks of an edition of some tasks, in every published split of theirs.

    Args:
        tasks: whose.
        edition: ``full``, ``mini`` or ``custom``; tasks without it are passed over.
        context: where the lists are; the audio need not be there.
    """
    found: dict[tuple[str, str], tuple[Track, ...]] = {}
    unchecked = []
    for task in tasks:
        if edition not in task.editions:
            continue
        try:
            for name in (None, *task.editions[edition].other_splits):
                data = task.load(edition, context, name)
                for split in HIDDEN_SPLITS:
                    found[task.name, split if name is None else f"{name} {split}"] = data.splits[split]
        except MissingError:
            unchecked.append(task.name)
    return Exclusion(edition, found, tuple(unchecked))


@dataclass(frozen=True)
class Found:
    """A recording that is to be kept out.

    Attributes:
        recording: which.
        hidden: task, split and id of the track that it is.
        how: ``id``, ``file name`` or ``bytes``.
    """

    recording: Recording
    hidden: str
    how: str


def find_hidden(recordings: Sequence[Recording], exclusions: Sequence[Exclusion]) -> list[Found]:
    """Recognise validation and test tracks among recordings.

    Raises:
        OSError: a file cannot be read.
    """
    by_id: dict[tuple[str, str], str] = {}
    by_name: dict[str, str] = {}
    by_size: dict[int, list[tuple[Track, str]]] = defaultdict(list)
    # Mini music need not be rendered to be listed.
    sizes = {r.path: r.path.stat().st_size if r.path.is_file() else -1 for r in recordings}
    wanted = set(sizes.values())
    for one in exclusions:
        for (task, split), tracks in one.tracks.items():
            for track in tracks:
                where = f"{task} {split} {track.id}"
                by_id[task, track.id] = where
                by_name[track.id] = where
                if track.start == 0 and track.end is None:
                    by_name[track.path.stem] = where
                if track.path.is_file() and (size := track.path.stat().st_size) in wanted:
                    by_size[size].append((track, where))
    found = []
    for r in recordings:
        if (where := by_id.get((r.task, r.track), "")) and r.task:
            found.append(Found(r, where, "id"))
            continue
        # Bytes before names: tracks of several tasks may have the same name, and a card says which task was heard.
        same = (
            w for t, w in by_size[sizes[r.path]] if _overlap(r, t) and current_sha256(t.path) == current_sha256(r.path)
        )
        if where := next(same, ""):
            found.append(Found(r, where, "bytes"))
        elif not r.task and (where := by_name.get(r.path.stem, "")):
            found.append(Found(r, where, "file name"))
    return found


def _overlap(recording: Recording, track: Track) -> bool:
    ends = (recording.end or float("inf"), track.end or float("inf"))
    return max(recording.start, track.start) < min(ends)
