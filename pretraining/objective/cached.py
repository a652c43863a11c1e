"""Arrays that are computed once for each recording and then only read: tokens, and spectra of a frozen front end."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files import whole_file

_DIGEST = hashlib.sha256().digest_size


def cached_array(file: Path, what: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return an array from its file, which is made if it is not there.

    A file is written under another name, synced and renamed, with the hash of its content at its end, which every
    process checks before its first use: two processes may share the cache, and a file that was damaged is reported in a
    warning and made again.

    Args:
        file: named after everything that the array follows from.
        what: it holds, for messages: ``"tokens"``.
        make: gives the array; called where it is not there yet.

    Returns:
        Read-only and on disk: slices of it are read when they are used.
    """
    if file.is_file() and not _sound(file, file.stat().st_mtime_ns, file.stat().st_ctime_ns):
        logging.getLogger(__name__).warning("%s: this cached file is damaged; its %s are made again.", file, what)
        file.unlink(missing_ok=True)
    if not file.is_file():
        made = make()
        with whole_file(file) as half:
            _write(half, made)
    stored: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return stored


def _write(file: Path, array: NDArray[Any]) -> None:
    """Write an array and, after it, the hash of what was written; numpy reads no further than the array."""
    content = io.BytesIO()
    np.save(content, array)
    with file.open("wb") as out:
        out.write(content.getbuffer())
        out.write(hashlib.sha256(content.getbuffer()).digest())
        out.flush()
        os.fsync(out.fileno())


@lru_cache(maxsize=1 << 16)
def _sound(file: Path, changed: int, touched: int) -> bool:
    """Whether a file has the content that its last bytes are the hash of; looked at once for each change."""
    content = file.read_bytes()
    return hashlib.sha256(content[:-_DIGEST]).digest() == content[-_DIGEST:]
