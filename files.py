"""Files and folders that are written wholly or not at all; hashes, seals, safe names and canonical JSON."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import platform
import shutil
import stat
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UsageError
from .untrusted import read_text

if TYPE_CHECKING:
    from pydantic import BaseModel

LARGEST_MODEL_JSON = 64 * 2**20
"""Bytes of a JSON file of a model folder; the index of a model in many parts is the longest."""

_GIT_LFS = b"version https://git-lfs"

LONGEST_NAME = 160
"""Bytes of a name in the name of a file; file systems take 255, and a task, a split or an ending come with it."""


def is_git_lfs_pointer(file: Path) -> bool:
    """Whether a file is what a clone without Git LFS leaves in place of a large one."""
    with file.open("rb") as stream:
        return stream.read(len(_GIT_LFS)) == _GIT_LFS


def read_json(file: Path) -> dict[str, object]:
    """Read a JSON object of a model folder.

    Raises:
        UsageError: there is no such file, or it is not a JSON object.
    """
    try:
        content = json.loads(read_text(file, LARGEST_MODEL_JSON))
    except FileNotFoundError as error:
        raise UsageError(f"{file.parent}: there is no {file.name}; this is not a model folder.") from error
    except (OSError, ValueError, RecursionError) as error:
        if file.is_file() and is_git_lfs_pointer(file):
            raise UsageError(f"{file}: this is a pointer of Git LFS; run `git lfs pull` in {file.parent}.") from None
        raise UsageError(f"{file}: this is not readable JSON ({error}).") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file}: this is not a JSON object.")
    return content


def file_sha256(path: Path) -> str:
    """Hash of the bytes of a file.

    Raises:
        OSError: the file cannot be read.
    """
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.ESPIPE, "a pipe, not a file" if stat.S_ISFIFO(kind) else "a device, not a file", str(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


FileVersion = tuple[int, ...]
"""Size, time of change of the content (ns), inode, and time of any change (ns), which nobody can set back."""


def file_version(path: Path) -> FileVersion | None:
    """Return what a file system tells of the state of a file; ``None`` if it is not there or cannot be looked at.

    Size and time alone are not identity: archives and ``rsync -t`` set the time of other content to what it was.
    """
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_ctime_ns


def current_sha256(path: Path) -> str:
    """Return the hash of a file, which a process computes once for each version of it.

    Raises:
        OSError: the file cannot be read.
    """
    return _version_sha256(path, file_version(path))


@lru_cache(maxsize=1 << 17)
def _version_sha256(path: Path, _version: FileVersion | None) -> str:
    return file_sha256(path)


@cache
def code_sha256(folder: Path, *patterns: str) -> str:
    """Return the hash of the source below a folder, by names and bytes, to tell what other code computed apart."""
    found = sorted({file for pattern in patterns or ("*.py",) for file in folder.rglob(pattern)})
    return sha256_of("".join(f"{f.relative_to(folder).as_posix()} {current_sha256(f)}\n" for f in found).encode())


SEAL = "content_sha256"
"""Key of a JSON object under which it states the hash of the rest of it."""


def seal(document: Mapping[str, object]) -> str:
    """Return the hash of a JSON object but for its seal; spaces and the order of keys do not matter."""
    rest = {key: value for key, value in document.items() if key != SEAL}
    return sha256_of(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def sealed(document: Mapping[str, object]) -> dict[str, object]:
    """Return a JSON object with its seal."""
    return {**document, SEAL: seal(document)}


def seal_is_broken(document: Mapping[str, object]) -> bool:
    """Whether an object states a seal that is not its own. One without a seal was written before there were any."""
    return document.get(SEAL) is not None and document[SEAL] != seal(document)


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is either wholly there or not at all; what a killed writer of it left is removed.

    Raises:
        OSError: it cannot be written; its path is in the message.
    """
    with whole_file(path) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give an empty file that becomes ``path`` when the block ends well, and is nowhere if it does not.

    Raises:
        OSError: it cannot be written; its path is in the message.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leavings(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{HOST}", suffix=PART)
        part = Path(name)
        try:
            # Held until it has its name, so that it is nobody's leaving. Windows renames only what nobody holds.
            if not POSIX:
                os.close(handle)
            else:
                _claim(handle)
            yield part
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
            if POSIX:
                os.close(handle)


def remove_held(path: Path) -> None:
    """Remove a file that this process holds open; on Windows, where that cannot be, it stays."""
    if POSIX:
        path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an error of the operating system that names no file, or a temporary one, the path of what was written."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and PART not in str(error.filename)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


POSIX = os.name == "posix"
"""Whether open files and folders can be claimed and renamed. Windows does neither; what differs there is in this file,
in ``processes.py`` (all are spawned) and in ``written.py`` (Unicode forms of names)."""

PART = ".part"
"""Ending of what is being written; before it stand a dot, the name it will have, a dot, this machine's sign and eight
letters."""

HOST = sha256(platform.node().encode()).hexdigest()[:4]
"""Sign of this machine: what another one is writing is left to it, whose locks may not be seen here."""

_YOUNG = 1.0
"""Age under which a file may be one whose writer has not claimed it yet, seconds."""


def _claim(handle: int) -> bool:
    """Lock an open file or folder for this process; the system frees it when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: nothing can be claimed, and so nothing is taken for a dead process's
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_part(path: Path) -> bool:
    """Whether a name is that of what is being written, or of what a killed process left of it."""
    return path.name.startswith(".") and path.name.endswith(PART)


def remove_leavings(path: Path) -> None:
    """Remove what killed processes of this machine left of a file or folder that they were writing; no live one's.

    A folder that was just being replaced goes back to its place.
    """
    # Earlier versions named no machine.
    stem = f".{glob.escape(path.name)}."
    for left in (left for sign in (HOST, "") for left in path.parent.glob(f"{stem}{sign}????????{PART}")):
        try:
            handle = os.open(left, os.O_RDONLY)
        except OSError:  # its writer is done with it, or it is somebody else's
            continue
        try:
            if time.time() - os.fstat(handle).st_mtime < _YOUNG or not _claim(handle):
                continue
            if (left / OLD).exists() and not path.exists():
                (left / OLD).rename(path)
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        finally:
            os.close(handle)


OLD, NEW = "old", "new"


@contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """Give a temporary folder in the folder of ``out``, and remove it at the end; see :func:`remove_leavings`.

    Raises:
        OSError: it cannot be made.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leavings(out)
    made = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.{HOST}", suffix=PART))
    handle = os.open(made, os.O_RDONLY) if POSIX else None
    try:
        if handle is not None:
            _claim(handle)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder that becomes ``out`` when the block ends well, and is nowhere if it does not.

    What ``out`` was is replaced.

    Raises:
        OSError: it cannot be written; a path is in the message.
    """
    with naming(out), folder_beside(out) as made:
        (made / NEW).mkdir()
        yield made / NEW
        put_in_place(out, made)


def put_in_place(out: Path, made: Path) -> None:
    """Let the folder :data:`NEW` of a temporary folder be ``out``; what was there goes, or comes back on failure."""
    if out.exists():
        out.rename(made / OLD)
    try:
        (made / NEW).rename(out)
    except BaseException:
        if (made / OLD).exists():
            (made / OLD).rename(out)
        raise


def write_folder_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files wholly or not at all; into one that holds others, file by file.

    ``files`` are by relative path, the most telling last.
    """
    if out.is_dir() and any(out.iterdir()):
        for name, content in files.items():
            write_atomically(out / name, content)
        return
    with whole_folder(out) as folder:
        for name, content in files.items():
            write_atomically(folder / name, content)


_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
"""Names that Windows keeps for devices, with any ending."""


def safe_name(name: str) -> str:
    """Turn a model's name into a file name on any system, cut where it is longer than a file system would take."""
    safe = "".join(c if c.isalnum() or c in "-_.@+" else "_" for c in name).strip(".") or "model"
    if safe.split(".")[0].casefold() in _DEVICES:
        safe = f"_{safe}"
    if len(safe.encode()) <= LONGEST_NAME:
        return safe
    return f"{safe.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}-{sha256_of(name.encode())[:8]}"


def name_on_any_disk(name: str) -> str:
    """Return what every disk keeps of a name: some tell neither case nor Unicode forms apart."""
    return unicodedata.normalize("NFC", safe_name(name)).casefold()


def sha256_of(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def canonical(part: BaseModel) -> bytes:
    """Return a part of an entry as JSON: sorted keys, one line per value."""
    return _canonical(part.model_dump(mode="json")).encode()
