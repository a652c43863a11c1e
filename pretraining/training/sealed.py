"""Notes of a run that carry the hash of their own content, so that a changed byte is reported and never used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...untrusted import read_object

SEAL = "sha256"


def seal_of(content: Mapping[str, object]) -> str:
    """Hash everything but the seal itself."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()).hexdigest()


def sealed(content: Mapping[str, object]) -> dict[str, object]:
    """Return the content with its seal."""
    return {**content, SEAL: seal_of(content)}


def read_sealed(path: Path, before: Collection[str]) -> dict[str, Any]:
    """Return what a sealed note says.

    Args:
        path: of the note.
        before: keys of such a note in version 0.1.0, which had no seal: with exactly these it is read as it is.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is damaged.
    """
    try:
        content = read_object(path)
    except UsageError as error:
        raise UsageError(f"{path}: damaged ({error}).") from error
    if set(content) != set(before) and content.get(SEAL) != seal_of(content):
        raise UsageError(f"{path}: damaged: its content is not what its hash says.")
    return content
