"""Files that are written wholly or not at all; hashes, safe names and canonical JSON."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

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
        content = json.loads(file.read_text(encoding="utf-8"))
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
    if stat.S_ISFIFO(path.stat().st_mode):
        raise OSError(errno.ESPIPE, "a pipe, not a file", str(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is either wholly there or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def safe_name(name: str) -> str:
    """Turn a model's name into a file name, cut where it is longer than a file system would take."""
    safe = "".join(c if c.isalnum() or c in "-_.@+" else "_" for c in name).strip(".") or "model"
    if len(safe.encode()) <= LONGEST_NAME:
        return safe
    return f"{safe.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}-{sha256_of(name.encode())[:8]}"


def sha256_of(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def canonical(part: BaseModel) -> bytes:
    """Return a part of an entry as JSON: sorted keys, one line per value."""
    value = part.model_dump(mode="json")
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n").encode()
