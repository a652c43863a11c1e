"""Unpacking zip archives that others made: in parts or whole, never outside the folder, every bad member named."""

from __future__ import annotations

import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from ...errors import CmbenchError, UsageError
from ...sound import FileBytes, joined_bytes
from ...terminal import silent
from ...untrusted import DEEPEST
from ..base import Progress
from .room import require_room, spoken_bytes

_BLOCK = 2**20

_LONGEST = 255
"""Bytes of a name in a file system."""

_BOMB_RATIO, _BOMB_BYTES = 100, 2**30
"""An archive that would grow by more than this factor, and to more than this, is not unpacked: audio shrinks by a few
percent, a table by ten times."""


def unpack(
    parts: Sequence[Path],
    folder: Path,
    wanted: Callable[[str], bool] = lambda name: True,
    progress: Progress = silent,
) -> int:
    """Unpack a zip archive into a folder and return how many files of it are there now.

    Each file is written under another name and renamed when it is whole and its check sum is right, so that a file that
    is there with the right length was unpacked before and is passed over. Nothing is written if a member would land
    outside the folder, is a link or is encrypted, if two differ and have one name, or if the archive is a bomb. Damaged
    members are passed over and named at the end. ``parts`` are in order; ``wanted`` is told a member's name, and others
    are not unpacked.

    Raises:
        CmbenchError: the archive or a member is damaged.
        UsageError: a member must not be unpacked, or the disk has not enough room.
    """
    name = parts[0].name
    try:
        with joined_bytes(b"", [FileBytes(part) for part in parts]) as joined, zipfile.ZipFile(joined) as archive:
            members = [one for one in archive.infolist() if not one.is_dir() and wanted(one.filename)]
            for one in members:
                _require_harmless(name, one)
            members = _of_one_name_each(name, members)
            _require_no_bomb(name, sum(one.file_size for one in members), sum(part.stat().st_size for part in parts))
            todo = [one for one in members if not _is_there(folder / one.filename, one)]
            require_room(folder, sum(one.file_size for one in todo))
            damaged = []
            for done, one in enumerate(todo, len(members) - len(todo) + 1):
                try:
                    _extract(archive, one, folder / one.filename)
                except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
                    damaged.append(f"{one.filename} ({error})")
                progress(f"unpacking {name}", done, len(members))
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CmbenchError(
            f"{parts[0]} is damaged: {error}. Remove it{' and its other parts' if len(parts) > 1 else ''} and prepare "
            "again."
        ) from error
    if damaged:
        shown = "; ".join(damaged[:5]) + ("; …" if len(damaged) > 5 else "")
        raise CmbenchError(
            f"{parts[0]}: {len(damaged)} of {len(members)} members are damaged and were not unpacked: {shown}. Remove "
            "the archive and prepare again."
        )
    return len(members)


def _require_harmless(archive: str, member: zipfile.ZipInfo) -> None:
    """Refuse a member that would land outside the folder, is a link, or needs a password."""
    path = PurePosixPath(member.filename)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in member.filename
        or PureWindowsPath(member.filename).drive
        or not path.parts
    ):
        raise UsageError(f"{archive}: the member {member.filename!r} would land outside the folder; nothing unpacked.")
    if len(path.parts) > DEEPEST or any(len(part.encode()) > _LONGEST for part in path.parts):
        raise UsageError(
            f"{archive}: the member {member.filename[:80]!r}… lies {len(path.parts)} folders deep or has a name that "
            "no file system takes; nothing unpacked."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UsageError(f"{archive}: the member {member.filename!r} is a link; nothing unpacked.")
    if member.flag_bits & 1:
        raise UsageError(f"{archive}: the member {member.filename!r} is encrypted; nothing unpacked.")


def _of_one_name_each(archive: str, members: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the members without repetitions; refuse those that would overwrite one another."""
    kept: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for one in members:
        first = kept.setdefault(PurePosixPath(one.filename), one)
        if (first.file_size, first.CRC) != (one.file_size, one.CRC):
            raise UsageError(f"{archive}: two members are called {one.filename!r}; nothing unpacked.")
    for path in kept:
        if folder := next((parent for parent in path.parents if parent in kept), None):
            raise UsageError(f"{archive}: the member {str(folder)!r} is a file and a folder; nothing unpacked.")
    return list(kept.values())


def _require_no_bomb(archive: str, unpacked: int, packed: int) -> None:
    if unpacked > max(_BOMB_BYTES, _BOMB_RATIO * packed):
        raise UsageError(
            f"{archive}: {spoken_bytes(packed)} would become {spoken_bytes(unpacked)}, as no real data do; nothing "
            "unpacked."
        )


def _is_there(target: Path, member: zipfile.ZipInfo) -> bool:
    return target.is_file() and target.stat().st_size == member.file_size


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one member; the check sum is compared when its last byte is read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    try:
        with archive.open(member) as packed, partial.open("wb") as stream:
            shutil.copyfileobj(packed, stream, _BLOCK)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
