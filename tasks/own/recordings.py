r"""The recordings below a folder, and which of them a cell of a table means.

People write a recording as a path from the folder or from another machine, with or without folders and ending, with
``\`` or ``/``, with accented letters in one Unicode form or the other, as a number without the zeros before it
(Excel makes ``1`` of ``001``). A column is read in one way for all its rows: a cell is never matched by less of its
path than the others.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from ...written import find_path, folded, is_there

ENDINGS = frozenset((
    ".wav", ".wave", ".flac", ".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au",
    ".snd", ".w64", ".rf64", ".caf", ".m4a", ".m4b", ".mp4", ".aac", ".alac", ".wma", ".webm", ".mka", ".mkv",
    ".mov", ".3gp", ".amr", ".ape", ".wv", ".tta", ".ac3", ".dts", ".spx",
))  # fmt: skip
"""Endings of files that hold sound, whether or not this machine decodes them: what it cannot is said, file by file."""

_NOT_DATA = ("__MACOSX", "$RECYCLE.BIN")


@dataclass(frozen=True)
class Meant:
    """What a cell means."""

    paths: tuple[Path, ...]  # the recordings that it may mean; one if it is clear, none if there is no such file
    other_ending: bool = False  # whether the file has another ending than the cell says
    other_zeros: bool = False  # whether a number in the file's name has other zeros before it than in the cell

    @property
    def path(self) -> Path | None:
        """The recording, if it is clear which."""
        return self.paths[0] if len(self.paths) == 1 else None


@dataclass(frozen=True)
class Recordings:
    """The recordings of a folder."""

    folder: Path  # where they are
    paths: tuple[PurePosixPath, ...]  # from the folder, by name
    _ends: dict[str, list[PurePosixPath]] = field(default_factory=dict, repr=False, compare=False)
    _stems: dict[str, list[PurePosixPath]] = field(default_factory=dict, repr=False, compare=False)
    _numbers: dict[str, list[PurePosixPath]] = field(default_factory=dict, repr=False, compare=False)

    def name(self, cells: Sequence[str]) -> list[Meant]:
        """Return what each cell of a column means.

        Leading folders that only another machine has are left out of all cells alike: as many as let most be found.
        """
        best: list[Meant] = []
        deepest = max((_written(cell).count("/") for cell in cells), default=0)
        for dropped in range(deepest + 1):
            found = [self._one(cell, dropped) for cell in cells]
            if not best or clear(found) > clear(best):
                best = found
            if clear(best) == len(cells):
                break
        return best

    def _one(self, cell: str, dropped: int) -> Meant:
        text = _written(cell)
        if not text:
            return Meant(())
        rooted = Path(cell).is_absolute() or cell.lower().startswith("file:") or text.startswith("~")
        if rooted and is_there(cell) and (there := find_path(cell)).is_file():
            return Meant((there,))
        parts = [part for part in text.split("/") if part not in ("", ".")]
        wanted = "/".join(parts[min(dropped, len(parts) - 1) :]) if parts else ""
        key = folded(wanted).strip()
        if found := self._ends.get(key):
            return Meant(self._those(found, wanted))
        if found := self._stems.get(key):
            return Meant(self._those(found, wanted))
        bare = PurePosixPath(key)
        if bare.suffix in ENDINGS and (found := self._stems.get(str(bare.with_suffix("")))):
            return Meant(self._those(found, wanted), other_ending=True)
        stem = str(bare.with_suffix("")) if bare.suffix in ENDINGS else re.sub(r"^(\d+)\.0+$", r"\1", key)
        if found := self._numbers.get(_without_zeros(stem)):
            return Meant(self._those(found, wanted), other_zeros=True)
        return Meant(())

    def told_apart(self, named: Sequence[Meant], cells: Sequence[str]) -> list[Meant]:
        """Return what is meant where several recordings have a name, and a cell of another column names a folder."""
        return [
            replace(one, paths=here)
            if len(one.paths) > 1 and cell and len(here := tuple(p for p in one.paths if self._is_in(p, cell))) == 1
            else one
            for one, cell in zip(named, cells, strict=True)
        ]

    def _is_in(self, path: Path, cell: str) -> bool:
        above = (
            path.parent.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path.parent)
        )
        return f"/{_without_zeros(folded(_written(cell)))}/" in f"/{_without_zeros(folded(above))}/"

    def _those(self, found: Sequence[PurePosixPath], wanted: str) -> tuple[Path, ...]:
        """Return the files of one name; what is written exactly so wins over what differs in case."""
        exact = [p for p in found if unicodedata.normalize("NFC", str(p)) in (wanted, f"{wanted}{p.suffix}")]
        return tuple(self.folder / p for p in (exact if len(exact) == 1 else found))


def find_recordings(folder: Path) -> Recordings:
    """Return every file below a folder whose ending is one of sound; what begins with a dot is no data."""
    found: list[PurePosixPath] = []
    for above, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _NOT_DATA)
        place = PurePosixPath(Path(above).relative_to(folder).as_posix())
        found += [place / f for f in files if not f.startswith(".") and PurePosixPath(f).suffix.lower() in ENDINGS]
    return recordings_of(folder, found)


def recordings_of(folder: Path, paths: Iterable[PurePosixPath]) -> Recordings:
    """Return these recordings of a folder, ready to be looked up by any end of their path."""
    ends: dict[str, list[PurePosixPath]] = defaultdict(list)
    stems: dict[str, list[PurePosixPath]] = defaultdict(list)
    numbers: dict[str, list[PurePosixPath]] = defaultdict(list)
    ordered = tuple(sorted(paths))
    for path in ordered:
        for first in range(len(path.parts)):
            end = PurePosixPath(*path.parts[first:])
            ends[folded(str(end)).strip()].append(path)  # white space around a cell is none of it
            stem = folded(str(end.with_suffix(""))).strip()
            stems[stem].append(path)
            numbers[_without_zeros(stem)].append(path)
    return Recordings(folder, ordered, dict(ends), dict(stems), dict(numbers))


def clear(found: Iterable[Meant]) -> int:
    """Return how many cells name one recording and no other."""
    return sum(one.path is not None for one in found)


def _written(cell: str) -> str:
    """Write a cell as a path with ``/`` and composed letters."""
    cell = cell.strip()
    local = unquote(cell.removeprefix("file://")) if cell.startswith("file://") else cell
    return unicodedata.normalize("NFC", local).replace("\\", "/").strip("/")


def _without_zeros(key: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", key)
