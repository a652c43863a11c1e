"""What the store notes of a track: what identifies its audio, and whether that still holds; pieces of the index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...containers import COUNTED_SUFFIXES
from ...errors import CmbenchError
from ...files import SEAL, FileVersion, current_sha256, file_version, seal_is_broken, sealed
from ...opening import decoder_of, decoders
from ...sound import PLAIN, STRAIGHT

if TYPE_CHECKING:
    from ...tasks.base import Track

AS_IT_IS = (None, PLAIN, STRAIGHT)
"""Decoders of files of which libsndfile reads all: their bytes say what their samples are."""

_INDEX = ".index.json"


@dataclass(frozen=True, slots=True)
class StoredTrack:
    """What the store knows of one track."""

    id: str  # of the track
    path: str  # of the audio file, resolved
    start: float  # of the excerpt, seconds
    end: float | None  # of the excerpt, seconds, or ``None``
    # :func:`cmbench.files.file_version` of the audio file when it was read (size and time alone in files of 0.1.0);
    # ``None`` if it was absent
    stat: FileVersion | None
    sha256: str | None  # of the audio file; ``None`` if it was absent
    # first row and row after the last in the shard; both 0 for a track that could not be used
    rows: tuple[int, int] = (0, 0)
    seconds: float = 0.0  # audio that was encoded
    failure: str | None = None  # why the track could not be used; ``None`` if it could
    warnings: tuple[str, ...] = ()  # what a reader should know of a usable track
    # of the audio file when it was read, see :func:`cmbench.opening.decoder_of`; the piece of a file whose header is
    # believed does not mention it, nor do pieces written before 0.2
    decoder: str | None = None


@dataclass(frozen=True)
class Piece:
    """The index piece of one shard."""

    shard: str
    sha256: str
    bytes: int
    tracks: tuple[StoredTrack, ...]
    encode_seconds: float
    path: Path = field(compare=False)

    @property
    def windows(self) -> int:
        """Rows of the shard."""
        return max((t.rows[1] for t in self.tracks), default=0)


def shard_file(shard: str, sha256: str) -> str:
    """Return the name of the file of a shard with this content."""
    return f"{shard}-{sha256[:12]}.safetensors"


def piece_facts(piece: Piece) -> dict[str, object]:
    """Return what an index piece says, all but its place."""
    return {
        "shard": piece.shard,
        "sha256": piece.sha256,
        "bytes": piece.bytes,
        "encode_seconds": piece.encode_seconds,
        "tracks": [{k: v for k, v in asdict(t).items() if (k, v) != ("decoder", None)} for t in piece.tracks],
    }


def piece_of(facts: Mapping[str, Any], path: Path) -> Piece:
    """Return an index piece from what it says and the path of its file."""
    tracks = tuple(
        StoredTrack(
            **t
            | {
                "stat": tuple(t["stat"]) if t["stat"] else None,
                "rows": tuple(t["rows"]),
                "warnings": tuple(t["warnings"]),
            }
        )
        for t in facts["tracks"]
    )
    return Piece(facts["shard"], facts["sha256"], facts["bytes"], tracks, facts["encode_seconds"], path)


def piece_bytes(piece: Piece) -> bytes:
    """Return an index piece as it is written: JSON with the hash of its content."""
    # What is sealed is what will be read: JSON knows no tuples.
    facts = sealed(json.loads(json.dumps(piece_facts(piece), allow_nan=False)))
    return json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()


def read_piece(path: Path) -> Piece:
    """Read one index piece.

    Raises:
        CmbenchError: the file is not an index piece.
    """
    return parse_piece(path.read_bytes(), path)


def parse_piece(content: bytes, path: Path) -> Piece:
    """Return an index piece from what is, or is to be, the content of its file.

    Raises:
        CmbenchError: it is not an index piece.
    """
    try:
        facts: dict[str, Any] = json.loads(content)
        if facts.keys() - {SEAL} != {"shard", "sha256", "bytes", "encode_seconds", "tracks"}:
            raise ValueError("its keys are others")
        if seal_is_broken(facts):
            raise ValueError("it has changed since it was written")
        name = path.name.removesuffix(_INDEX)
        if facts["shard"] not in (shard_file(name, facts["sha256"]), f"{name}.safetensors"):  # as before 0.3
            raise ValueError("it is that of another shard")
        return piece_of(facts, path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CmbenchError(
            f"{path} is not an index piece of a feature store ({error}); delete it and its features are made again."
        ) from error


def _still_true(stored: StoredTrack, track: Track, now: FileVersion | None) -> bool:
    if (stored.start, stored.end) != (track.start, track.end) or not still_decoded_so(stored, track):
        return False
    if now is None or stored.stat is None or stored.sha256 is None:
        # A file that could not even be read is tried again whenever it is there.
        return now is None and stored.stat is None
    # Resolving a path takes longer than all the rest: one that reads as it was stored is left as it is.
    same_file = now == stored.stat and (stored.path == str(track.path) or stored.path == str(track.path.resolve()))
    return same_file or (now[0] == stored.stat[0] and _readable_sha256(track.path) == stored.sha256)


def _only_looks_new(stored: StoredTrack, track: Track, now: FileVersion | None) -> bool:
    """Whether a file with the content of a stored track differs by inode or time of change alone, at its place."""
    if now is None or stored.stat is None or now == stored.stat:
        return False
    return now[:2] == stored.stat[:2] and stored.path == str(track.path.resolve())


def still_decoded_so(stored: StoredTrack, track: Track) -> bool:
    """Whether a file would be decoded as it was.

    What was used is so with the same decoder. A file that could not be used is asked again, and so is one of which an
    earlier version noted none, or one that it read with wrong samples: an mp3 or an Ogg.
    """
    if stored.failure is None:
        suffix = track.path.suffix.lower()
        is_named_right = not any("wrong ext" in warning for warning in stored.warnings)
        plain = stored.decoder == PLAIN and suffix == ".flac" and is_named_right
        trusted = stored.decoder is None and suffix not in COUNTED_SUFFIXES and is_named_right
        if plain or trusted or stored.decoder in (STRAIGHT, *decoders()):
            return True
    return (decoder_of(track.path) or PLAIN) == (stored.decoder or PLAIN)


def _readable_sha256(path: Path) -> str | None:
    try:
        return current_sha256(path)
    except OSError:
        return None


def identify(track: Track) -> StoredTrack:
    """Return what identifies a track's audio now, as a stored track without features."""
    version, digest = file_version(track.path), _readable_sha256(track.path)
    where = str(track.path.resolve())
    return StoredTrack(track.id, where, track.start, track.end, version, digest, decoder=decoder_of(track.path))
