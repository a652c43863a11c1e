"""Room on the disk: looked for before it is needed, and told as people write it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...errors import UsageError

SPARE_BYTES = 2**26
"""Room that a download leaves on the disk."""


def require_room(folder: Path, size: int) -> None:
    """Check that a folder's disk has room for ``size`` more bytes; the folder need not exist.

    Raises:
        UsageError: it has not.
    """
    standing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(standing).free
    if size + SPARE_BYTES > free:
        raise UsageError(
            f"{folder}: {spoken_bytes(size)} are needed and {spoken_bytes(free)} are free. Make room, or choose "
            "another --data-root; what was fetched so far is kept."
        )


def spoken_bytes(size: int) -> str:
    """Write a size as a person would, in powers of 1000."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
