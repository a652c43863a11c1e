"""The hash of a task's audio, noted with how its files looked: a finished run is seen by a look at every file.

How a file looks is its path and :func:`cmbench.files.file_version`; a look costs microseconds, its hash a reading. What
looks otherwise is hashed, or compared with the feature store, as if nothing were noted.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...files import SEAL, file_version, seal_is_broken, sealed, write_atomically
from ...opening import decoders
from .stored import AS_IT_IS

if TYPE_CHECKING:
    from ...tasks.base import Track
    from .stored import StoredTrack

logger = logging.getLogger(__name__)


def looks_sha256(tracks: Iterable[Track]) -> str:
    """Hash of how the files of some tracks look, in their order."""
    found = hashlib.sha256()
    for track in tracks:
        line = f"{track.id}\t{track.path}\t{track.start!r}\t{track.end!r}\t{file_version(track.path)}\n"
        found.update(line.encode(errors="surrogateescape"))
    return found.hexdigest()


def noted_audio(file: Path, looks: str) -> str | None:
    """Return the hash of the audio of files that look so; ``None`` where none is noted that can be believed."""
    try:
        facts = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or SEAL not in facts or seal_is_broken(facts):
        logger.warning("%s is damaged and is written again", file)
        return None
    if facts["looks"] != looks or facts["decoders"] not in (None, sorted(decoders()) if facts["decoders"] else None):
        return None
    audio: str = facts["audio"]
    return audio


def note_audio(file: Path, looks: str, audio: str, known: Iterable[StoredTrack]) -> None:
    """Note the hash of the audio of files that looked so before it was taken, unless nothing can be written.

    Args:
        file: of the note.
        looks: see :func:`looks_sha256`.
        audio: the hash.
        known: of every track what the store, or :func:`.stored.identify`, knows. The hash rests on the decoders of this
            machine where one of them cannot be used, or is not read by libsndfile as it is.
    """
    # Asking for them loads what decodes, which a run that finds all done does without.
    rests = any(t.failure or t.decoder not in AS_IT_IS or t.warnings for t in known)
    facts = {"looks": looks, "audio": audio, "decoders": sorted(decoders()) if rests else None}
    try:
        write_atomically(file, json.dumps(sealed(facts)).encode())
    except OSError as error:
        logger.debug("%s is not written: %s", file, error)
