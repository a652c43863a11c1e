"""The feature store: pooled hidden states on disk, computed once per encoder, track and windowing.

One store is one folder, ``features/<encoder fingerprint>/<task>-<edition>-<windowing hash>/``. A shard is a
safetensors file of features ``[windows, layers, dim]`` and an index piece, a JSON file of the same name that says
which rows belong to which track. Both are written under a temporary name, synced and renamed, the piece last: the
piece is what makes a shard exist. A piece holds the hash of its shard and its own; both are compared before anything is
taken from them, the shard's once per process and version of the file. Processes and machines may share a store. A lock
per shard keeps them from doing the same work, and nothing else: a shard has its hash in its name, so that two that
write it at once, where locks do not work, leave two files, and the piece names one. A killed run loses the shard in
flight and nothing else.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...errors import CmbenchError
from ...files import (
    SEAL,
    current_sha256,
    file_version,
    seal_is_broken,
    sealed,
    sha256_of,
    write_atomically,
)
from .index import read_pieces
from .stored import _INDEX, AS_IT_IS, Piece, _only_looks_new, _still_true, identify, piece_bytes, read_piece, shard_file

if TYPE_CHECKING:
    from filelock import FileLock
    from numpy.typing import NDArray

    from ...baselines.base import EncoderCard
    from ...tasks.base import Task, Track
    from ..protocol import Windowing
    from .stored import StoredTrack

logger = logging.getLogger(__name__)

_TENSOR = "features"
_OPEN_SHARDS = 256


@dataclass(frozen=True)
class ShardTrack:
    """One track and the shard that holds it."""

    track: StoredTrack
    piece: Piece


def read_about(folder: Path) -> dict[str, Any]:
    """Return what a store says of itself; empty if it says nothing that can be read, or that was changed."""
    try:
        facts = json.loads((folder / "about.json").read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    known = isinstance(facts, dict) and facts.keys() - {SEAL} == {"encoder", "task", "edition", "windowing"}
    return facts if known and not seal_is_broken(facts) else {}


def store_folder(root: Path, card: EncoderCard, task: Task, edition: str, windowing: Windowing) -> Path:
    """Folder of the store of one encoder on one edition of a task, below the cache root."""
    key = windowing.sha256(task.max_track_seconds)[:12]
    return root / "features" / card.fingerprint / f"{task.name}-{edition}-{key}"


class NoLock:
    """A lock that keeps nobody out."""

    def acquire(self, timeout: float = -1) -> Self:
        """Go on at once."""
        return self

    def release(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        """Go on at once."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


@cache
def _locks_work(folder: Path) -> bool:
    """Whether the file system of a folder has locks; a folder for reading only is not found out here."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".locks.lock", timeout=0):
            return True
    except Timeout:
        return True
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            return True
        logger.warning("%s has no locks: processes that share it may do the same work twice", folder)
        return False


class FeatureStore:
    """One folder of features, made when first written to."""

    def __init__(self, folder: Path, layers: int, dim: int) -> None:
        self.folder = folder
        self.layers = layers  # hidden states per window
        self.dim = dim  # length of each

    def describe(self, card: EncoderCard, task: Task, edition: str, windowing: Windowing) -> None:
        """Write ``about.json``, for people and for ``cmbench cache``."""
        about = self.folder / "about.json"
        if not read_about(self.folder):
            if about.exists():
                _warn(f"{about} is damaged and is written again")
            facts = {
                "encoder": asdict(card),
                "task": task.name,
                "edition": edition,
                "windowing": windowing.settings | {"max_track_seconds": task.max_track_seconds},
            }
            # What is sealed is what will be read: JSON knows no tuples.
            content = sealed(json.loads(json.dumps(facts)))
            write_atomically(about, json.dumps(content, indent=1, sort_keys=True).encode())

    def pieces(self) -> Iterator[Piece]:
        """Yield the index piece of every whole shard, by name; what is broken is named in a warning and left out."""
        pieces, problems = read_pieces(self.folder)
        for problem in problems:
            _warn(problem)
        yield from pieces

    def valid_entries(self, tracks: Iterable[Track], *, sound: bool = True) -> dict[str, ShardTrack]:
        """Those of ``tracks`` whose stored features still belong to the audio on disk, by id.

        A file whose path and :func:`cmbench.files.file_version` are the same is taken as unchanged; otherwise its hash
        decides. With ``sound``, only those whose shard is as it was written.
        """
        wanted = {t.id: t for t in tracks}
        found: dict[str, ShardTrack] = {}
        for piece in self.pieces():
            known = {s.id: wanted[s.id] for s in piece.tracks if s.id in wanted and s.id not in found}
            looks_new = False
            for stored in piece.tracks:
                track = known.get(stored.id)
                now = file_version(track.path) if track else None
                if track and _still_true(stored, track, now):
                    found[stored.id] = ShardTrack(stored, piece)
                    looks_new |= _only_looks_new(stored, track, now)
            if looks_new:
                self._look_again(piece, known)
        return self.sound(found) if sound else found

    def sound(self, entries: Mapping[str, ShardTrack]) -> dict[str, ShardTrack]:
        """Those of some entries whose shard is as it was written; a shard that is not is named in a warning."""
        broken = {p.path: why for p in {e.piece.path: e.piece for e in entries.values()}.values() if (why := damage(p))}
        for why in broken.values():
            _warn(f"{why}; its features are made again")
        return {track: entry for track, entry in entries.items() if entry.piece.path not in broken}

    def _look_again(self, piece: Piece, tracks: Mapping[str, Track]) -> None:
        """Note the files' present state in an index piece, so that the next run need not hash them again."""
        from filelock import Timeout

        try:
            with self.lock(piece.path.name.removesuffix(_INDEX)).acquire(timeout=0):
                if read_piece(piece.path) == piece:
                    stored = [
                        replace(s, stat=file_version(tracks[s.id].path))
                        if s.id in tracks and _only_looks_new(s, tracks[s.id], file_version(tracks[s.id].path))
                        else s
                        for s in piece.tracks
                    ]
                    self._write_piece(replace(piece, tracks=tuple(stored)))
        except (Timeout, OSError) as error:
            # Another process is at it, or the store is for reading only: the next run hashes the files again.
            logger.debug("%s is left as it is: %s", piece.path, error)

    def lock(self, shard: str) -> FileLock:
        """Return the lock of a shard; the operating system frees it when its holder dies.

        Without locks, on a file system that has none or with ``CMBENCH_LOCKS=off``, work may be done twice.
        """
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        if os.environ.get("CMBENCH_LOCKS") == "off" or not _locks_work(self.folder):
            return NoLock()  # type: ignore[return-value]  # all of a lock that is used here
        return FileLock(self.folder / f"{shard}.lock")

    def write(
        self, shard: str, features: NDArray[np.float16], tracks: Sequence[StoredTrack], encode_seconds: float
    ) -> Piece:
        """Write one shard and then its index piece.

        ``shard`` is from :func:`shard_name`; ``features`` are ``[windows, layers, dim]`` of ``tracks``, failures
        included.

        Raises:
            ValueError: the shape of the features is not that of the store.
        """
        from safetensors.numpy import save

        if features.shape[1:] != (self.layers, self.dim):
            raise ValueError(f"features are {features.shape}, the store holds [windows, {self.layers}, {self.dim}]")
        content = save({_TENSOR: features})
        digest, path = sha256_of(content), self.folder / f"{shard}{_INDEX}"
        name = shard_file(shard, digest)
        write_atomically(self.folder / name, content)
        return self._write_piece(Piece(name, digest, len(content), tuple(tracks), encode_seconds, path))

    def _write_piece(self, piece: Piece) -> Piece:
        write_atomically(piece.path, piece_bytes(piece))
        return read_piece(piece.path)

    def view(self, entries: Sequence[ShardTrack]) -> FeatureView:
        """Features of some usable tracks, read through memory maps."""
        return FeatureView(self, entries)


class FeatureView:
    """The windows of some tracks, in order: ``[windows, layers, dim]``, read as they are asked for."""

    def __init__(self, store: FeatureStore, entries: Sequence[ShardTrack]) -> None:
        self.layers = store.layers
        self.dim = store.dim
        counts = [e.track.rows[1] - e.track.rows[0] for e in entries]
        # Position of each window's track among the given ones ``[windows]``.
        self.track_of_window: NDArray[np.int64] = np.repeat(np.arange(len(entries)), counts)
        pieces = {e.piece.path: e.piece for e in entries}
        shards = {path: i for i, path in enumerate(pieces)}
        self._places = [_place(piece) for piece in pieces.values()]
        self._shard = np.repeat([shards[e.piece.path] for e in entries], counts).astype(np.int64)
        rows = [np.arange(*e.track.rows) for e in entries]
        self._row: NDArray[np.int64] = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the features of some windows ``[len(rows), layers, dim]``."""
        out = np.empty((len(rows), self.layers, self.dim), dtype=np.float16)
        shards = self._shard[rows]
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            out[here] = _open_shard(*self._places[shard])[self._row[rows[here]]]
        return out


@lru_cache(maxsize=4096)
def _warn(message: str) -> None:
    """Say something once: several steps of a run look at the same files."""
    logger.warning("%s", message)


def damage(piece: Piece) -> str | None:
    """Say what is wrong with the shard of an index piece; ``None`` if nothing is. It is hashed once per version."""
    return _damage(*_place(piece))


def _place(piece: Piece) -> tuple[Path, str]:
    return piece.path.parent / piece.shard, piece.sha256


def _damage(shard: Path, sha256: str) -> str | None:
    try:
        same = current_sha256(shard) == sha256
    except FileNotFoundError:
        return f"{shard} is missing, but its index lists it"
    return None if same else f"{shard} has changed since it was written"


@lru_cache(maxsize=_OPEN_SHARDS)
def _open_shard(path: Path, sha256: str) -> NDArray[np.float16]:
    """Check a shard and memory-map its one tensor, which safetensors does for torch and not for NumPy.

    Raises:
        CmbenchError: it is not what was written, or is gone.
    """
    from safetensors import safe_open

    if why := _damage(path, sha256):
        raise CmbenchError(f"{why}; run `cmbench run` again: it makes these features again.")
    with safe_open(path, "pt") as file:
        mapped: NDArray[np.float16] = file.get_tensor(_TENSOR).numpy()
    if mapped.dtype != np.float16:
        raise CmbenchError(f"{path} holds {mapped.dtype} features, not float16; `cmbench cache verify`.")
    return mapped


def audio_sha256(tracks: Iterable[Track], known: dict[str, ShardTrack]) -> str:
    """Hash of the audio of some tracks, missing files included as missing, and of decoders that give other samples.

    What ``known`` has is not computed again.
    """
    lines = []
    for track in sorted(tracks, key=lambda t: t.id):
        stored = known[track.id].track if track.id in known else identify(track)
        reading = f"\t{stored.decoder}" if stored.decoder not in AS_IT_IS else ""
        lines.append(f"{track.id}\t{stored.sha256 or 'missing'}{reading}\n")
    return sha256_of("".join(lines).encode())


def used_decoders(entries: Iterable[ShardTrack]) -> dict[str, str]:
    """Return the versions, by name, of decoders that gave other samples than libsndfile as it is."""
    named = {e.track.decoder for e in entries if e.track.failure is None} - set(AS_IT_IS)
    return dict(sorted(name.rsplit(" ", 1) for name in named if name))


def shard_name(tracks: Sequence[Track]) -> str:
    """Name of the shard of these tracks: the same tracks have the same name in every process."""
    text = "\n".join(f"{t.id}\t{t.start!r}\t{t.end!r}" for t in tracks)
    return sha256_of(text.encode())[:20]


def touch_store(folder: Path) -> None:
    """Mark a store as used now, unless it is for reading only: the mark serves ``cmbench cache gc`` alone."""
    try:
        os.utime(folder / "about.json")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
