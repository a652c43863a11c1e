"""What a task is: tracks with labels, in splits, of one musical tradition.

A built-in task is one file in this folder that defines ``TASK``; a distribution of someone else's
offers one through the entry point group ``cmbench.tasks``. Nothing here knows of torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError, quoted
from ..terminal import silent
from .splits.names import GROUP_SAFE, KIND_SAFE, SPLITS

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from .preparing import Plan, PrepareContext

TRADITION_ORDER = ("turkish", "hindustani", "carnatic", "greek", "western")
"""The order of the columns in the paper's tables; other traditions follow by name."""


def tradition_place(tradition: str) -> tuple[int, str]:
    """Return what to sort traditions by: the paper's in its order, then others by name."""
    known = tradition in TRADITION_ORDER
    return (TRADITION_ORDER.index(tradition) if known else len(TRADITION_ORDER), tradition)


WESTERN = "western"
"""The tradition of the pre-training, against which the others are set."""

EDITION_ORDER = ("full", "custom", "mini")

MINI_VERSION = "r3"
"""Of the splits of the ``mini`` edition; changes whenever a sample of any of their tracks changes."""
MINI_LABEL = "mini: synthetic audio rendered from music theory; not comparable with real data"

TRADITIONS = ("greek", "turkish", "carnatic", "hindustani", "western")
"""Of the paper's tasks: what models are pre-trained on, and a word of a specification of tasks each."""

PAPER_TASKS = frozenset({"turkish_makam", "hindustani", "carnatic", "lyra", "fma_medium", "magnatagatune"})
"""The tasks of the paper's tables: what ``all`` means, whatever else is installed."""

TASK_WORDS = ("all", "world", "ready", "installed")
"""Words of a specification of tasks, which no task may be named."""


@dataclass(frozen=True)
class Track:
    """One recording, or a stretch of one, with its labels.

    Attributes:
        id: stable identifier, unique within the task.
        path: the audio file.
        labels: names, each one of the edition's labels; may be empty.
        group: unit that must not straddle splits (album, concert, artist, source video); several joined with ``|``;
            ``None`` if unknown.
        start: where the track begins in the file, seconds.
        end: where it ends, seconds; ``None`` for the end of the file.
        seconds: published length of the track; ``None`` if it is not known. Only checked, never used.
        unknown: labels of which nobody knows whether the track has them; none of ``labels``.
        work: the composition, where a recording is of one; several joined with ``|``; ``None`` if unknown.
        performer: who plays or sings, as far as it leads; several joined with ``|``; ``None`` if unknown.
    """

    id: str
    path: Path
    labels: tuple[str, ...]
    group: str | None = None
    start: float = 0.0
    end: float | None = None
    seconds: float | None = None
    unknown: tuple[str, ...] = ()
    work: str | None = None
    performer: str | None = None


Splits = Mapping[str, Sequence[Track]]
Progress = Callable[[str, int, int], None]
"""``progress(what, done, total)``: called while a loader works."""


@dataclass(frozen=True)
class LoadContext:
    """What a loader may need to find or make its tracks."""

    data_root: Path | None  # folder of the real data sets, or ``None`` if the user configured none
    cache_root: Path  # folder for what can be made again (the rendered ``mini`` edition)
    workers: int = 1  # processes that a loader may use
    progress: Progress = silent  # notified of how far the loader is
    mini_scale: float = 1.0  # factor on the number of tracks of the ``mini`` edition
    mini_seed: int = 0  # seed of the ``mini`` edition
    mini_version: str = MINI_VERSION  # of the ``mini`` edition's splits
    needs_audio: bool = True  # whether the audio must be there; if not, a loader names files that may be absent
    # whether a loader may write into the user's folders: the splits that it drew for a corpus of one's own
    writes: bool = True
    # processes that are there already, for several loaders in turn; without, a loader starts its own
    pool: Executor | None = None


Loader = Callable[["Task", LoadContext], Splits]
Preparer = Callable[["Task", "PrepareContext"], "Plan"]
"""Looks at the data root and says what is to be done; see :mod:`cmbench.tasks.preparing`."""


@dataclass(frozen=True)
class Edition:
    """One form in which a task's data exists: real (``full``), rendered (``mini``) or the user's (``custom``)."""

    name: str  # ``full``, ``mini`` or ``custom``
    labels: tuple[str, ...]  # the ordered labels that this edition has; a subset of the task's for ``mini``
    load: Loader  # finds or makes the tracks; raises :class:`cmbench.errors.MissingError` if it cannot
    # by name, loaders of the same data split in another published way; never compared with the first
    other_splits: Mapping[str, Loader] = field(default_factory=dict)
    drawn: bool = False  # whether the split is this project's draw, as no publication fixed one

    @property
    def split_name(self) -> str:
        """``official`` where a publication fixed who is in which split, else ``own``."""
        return "official" if self.name == "full" and not self.drawn else "own"

    @property
    def split_names(self) -> tuple[str, ...]:
        """Every split by name, the usual one first."""
        return (self.split_name, *self.other_splits, GROUP_SAFE, *KIND_SAFE)


@dataclass(frozen=True)
class Task:
    """A tagging task: several labels a track, or exactly one.

    Attributes:
        name: how the command line calls it.
        title: how a reader calls it.
        tradition: one of :data:`TRADITIONS` (a custom task may name another).
        description: one sentence.
        labels: every label, in the published order.
        families: label -> makam | usul | raga | tala | form | instrument | genre | place | tag.
        licence: of audio and labels.
        citation: what to cite.
        access: how a user gets the audio.
        editions: by name.
        max_track_seconds: only this much of each track is used; ``None`` for all of it.
        mean_seconds: length of a recording in the mean, before that cap: what estimates rest on; ``None`` if unknown.
        counts: published number of tracks by split.
        test_support: published positives in the test split by label.
        notes: traps that a reader of a result must know.
        group_kind: what a track's group is: release, concert, artist, video …
        group_source: where the groups come from.
        group_safe_sha256: hash of the ``group-safe`` draw of the published tracks
            (:func:`.splits.group_safe.draw_sha256`); empty where they are not known to us.
        described_in: the user's file that describes a custom task; ``None`` for the others.
        single_label: whether each track has exactly one label; accuracy then stands beside the other scores.
        folder: of its data in the data root, where that is not the task's name.
        prepare: plans how the ``full`` edition gets onto this machine; ``None`` where there is nothing to do.
    """

    name: str
    title: str
    tradition: str
    description: str
    labels: tuple[str, ...]
    families: Mapping[str, str]
    licence: str
    citation: str
    access: str
    editions: Mapping[str, Edition]
    max_track_seconds: float | None = None
    mean_seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    test_support: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    group_kind: str = "group"
    group_source: str = "the groups of the task's tracks"
    group_safe_sha256: str = ""
    described_in: Path | None = None
    single_label: bool = False
    folder: str = ""
    prepare: Preparer | None = None

    def load(self, edition: str, context: LoadContext, split: str | None = None) -> TaskData:
        """Find or make the tracks of one edition, in its usual split or in another by name.

        Without ``split``, in the usual one.

        Raises:
            UsageError: the task has no such edition or split, or its tracks contradict its labels.
            MissingError: the data, or the groups, works or performers that a split needs, are not on this machine.
        """
        if edition not in self.editions:
            raise UsageError(
                f"Task {self.name} has no edition {quoted(edition)}; it has {', '.join(sorted(self.editions))}."
            )
        chosen = self.editions[edition]
        loaders = {chosen.split_name: chosen.load, **chosen.other_splits}
        name = split or chosen.split_name
        if name not in (known := chosen.split_names):
            raise UsageError(
                f"Task {self.name} ({edition}) has no split {quoted(name)}; it has {', '.join(map(quoted, known))}."
            )
        load = loaders.get(name, chosen.load)
        splits = {part: tuple(tracks) for part, tracks in load(self, context).items()}
        data = checked(TaskData(self, edition, chosen.labels, splits, name))
        if name in loaders:
            return data
        from .splits.group_safe import group_safe
        from .splits.kind_safe import kind_safe

        return group_safe(data) if name == GROUP_SAFE else kind_safe(data, name)


@dataclass(frozen=True)
class TaskData:
    """The tracks of one edition of a task, checked."""

    task: Task  # whose they are
    edition: str  # which
    labels: tuple[str, ...]  # ordered labels of the edition; the columns of every label matrix
    splits: Mapping[str, tuple[Track, ...]]  # split name -> tracks, in the order of every row
    split_name: str  # one of :attr:`Edition.split_names`

    @property
    def group_kind(self) -> str:
        """What a track's group is; in the ``mini`` edition always an invented album."""
        return "album" if self.edition == "mini" else self.task.group_kind

    def label_matrix(self, split: str) -> NDArray[np.bool_]:
        """Labels of a split as booleans ``[tracks, labels]``; one that is not known is false."""
        return self._matrix([track.labels for track in self.splits[split]])

    def known_matrix(self, split: str) -> NDArray[np.bool_] | None:
        """Of which labels of a split it is known whether they hold, ``[tracks, labels]``; ``None`` if of all."""
        unknown = [track.unknown for track in self.splits[split]]
        return ~self._matrix(unknown) if any(unknown) else None

    def _matrix(self, named: Sequence[tuple[str, ...]]) -> NDArray[np.bool_]:
        import numpy as np

        column = {label: i for i, label in enumerate(self.labels)}
        matrix = np.zeros((len(named), len(self.labels)), dtype=bool)
        for row, labels in enumerate(named):
            matrix[row, [column[label] for label in labels]] = True
        return matrix

    def read_as(self, unknown: str) -> TaskData:
        """Return the data as a protocol reads labels that are not known: ``negative``, or ``masked`` (as they are).

        Raises:
            UsageError: it is neither.
        """
        if unknown not in ("negative", "masked"):
            raise UsageError(f"An unknown label is 'negative' or 'masked', not {unknown!r}.")
        if unknown == "masked" or not self.unknown_sha256:
            return self
        splits = {name: tuple(replace(t, unknown=()) for t in tracks) for name, tracks in self.splits.items()}
        return replace(self, splits=splits)

    @property
    def unknown_sha256(self) -> str:
        """Hash of what is not known, by track; empty where everything is."""
        rows = [f"{t.id}\t{'|'.join(sorted(t.unknown))}\n" for name in SPLITS for t in self.splits[name] if t.unknown]
        return hashlib.sha256("".join(rows).encode()).hexdigest() if rows else ""

    @property
    def label_sha256(self) -> str:
        """Hash of the ordered label set."""
        return hashlib.sha256("\n".join(self.labels).encode()).hexdigest()

    @cached_property
    def split_sha256(self) -> str:
        """Hash of what decides a score besides the audio: ids, labels, groups, excerpts and order of every split."""
        digest = hashlib.sha256()
        for name in SPLITS:
            for t in self.splits[name]:
                row = (name, t.id, "|".join(sorted(t.labels)), t.group or "", repr(t.start), repr(t.end))
                digest.update("\t".join(row).encode() + b"\n")
        return digest.hexdigest()


def checked(data: TaskData) -> TaskData:
    """Return ``data`` if it is sound.

    Raises:
        UsageError: a split is absent or empty, an id occurs twice, a track has a label that the edition lacks, or not
            exactly one where the task is of single labels.
    """
    where = f"Task {data.task.name} ({data.edition})"
    seen: dict[str, str] = {}
    known = set(data.labels)
    for name in SPLITS:
        if not data.splits.get(name):
            raise UsageError(f"{where}: split {quoted(name)} has no tracks; train, valid and test are all needed.")
        for track in data.splits[name]:
            if track.id in seen:
                raise UsageError(
                    f"{where}: track id {quoted(track.id)} occurs twice (in {seen[track.id]} and in {name}); "
                    "ids must be unique."
                )
            seen[track.id] = name
            if data.task.single_label and len(track.labels) != 1:
                raise UsageError(
                    f"{where}: track {quoted(track.id)} has {len(track.labels)} labels; each track of this task has "
                    "exactly one."
                )
            if both := set(track.labels) & set(track.unknown):
                raise UsageError(f"{where}: track {quoted(track.id)} has the label {quoted(min(both))}, and not known.")
            if unknown := {*track.labels, *track.unknown} - known:
                raise UsageError(
                    f"{where}: track {quoted(track.id)} has the label {quoted(min(unknown))}, which is not among the "
                    "task's labels."
                )
    return data
