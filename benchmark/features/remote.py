"""Copies of whole shards elsewhere: pushed to a URL that fsspec knows, pulled from it, and checked before they serve.

Below the URL lie ``shards/<SHA-256>.safetensors`` and, for each store, its ``about.json`` and its index pieces in
``stores/<encoder fingerprint>/<task-edition-windowing>/``. What is pulled becomes part of the local store, whole and
checked, and is memory-mapped from there; nothing is read over the network later. A hash tells damage; it does not tell
whether who pushed the features computed them as they say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ...baselines.base import EncoderCard
from ...errors import CmbenchError, UsageError
from ...files import LARGEST_MODEL_JSON, SEAL, file_sha256, seal_is_broken, sealed, whole_file, write_atomically
from .store import FeatureStore, damage, read_about
from .stored import _INDEX, Piece, parse_piece, piece_bytes, read_piece
from .upkeep import store_folders

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_NAME = re.compile(r"[\w@+-][\w.@+-]*")
"""Of a folder that is made here."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK = 2**22
_REMEDY = "push it again from where it was made, or let `cmbench run` compute it here."


@dataclass(frozen=True)
class Copied:
    """What a push or a pull did."""

    stores: int  # looked at
    shards: int  # copied
    there: int  # shards that were there already
    bytes: int  # of the shards that were copied


class RemoteError(CmbenchError):
    """A file of a remote copy cannot be used; the message names it, the cause and the remedy."""


def push(url: str, root: Path) -> Copied:
    """Copy every sound shard of the stores below a cache root to a URL; pieces name no folder of this machine.

    Raises:
        UsageError: the URL is of no kind that fsspec knows here.
        OSError: it cannot be written to.
    """
    system, base = _system(url)
    system.makedirs(f"{base}/shards", exist_ok=True)
    stores, copied, there, size = store_folders(root), 0, 0, 0
    for folder in stores:
        facts = read_about(folder)
        if not facts:
            continue
        place = f"{base}/stores/{folder.parent.name}/{folder.name}"
        system.makedirs(place, exist_ok=True)
        for piece in FeatureStore(folder, facts["encoder"]["layers"], facts["encoder"]["dim"]).pieces():
            shard = f"{base}/shards/{piece.sha256}.safetensors"
            if damage(piece):
                continue
            if system.exists(shard) and system.size(shard) == piece.bytes:
                there += 1
            else:
                system.put_file(str(folder / piece.shard), shard)
                copied, size = copied + 1, size + piece.bytes
            system.pipe_file(f"{place}/{piece.path.name}", piece_bytes(_anonymous(piece)))
        content = sealed({key: value for key, value in facts.items() if key != SEAL})
        system.pipe_file(f"{place}/about.json", json.dumps(content).encode())
    return Copied(len(stores), copied, there, size)


def _anonymous(piece: Piece) -> Piece:
    """Return a piece without what is of this machine alone: of an audio file its name, size and hash remain."""
    tracks = (
        replace(t, path=PurePosixPath(Path(t.path).as_posix()).name, stat=None if t.stat is None else (t.stat[0], 0))
        for t in piece.tracks
    )
    return replace(piece, tracks=tuple(tracks))


def pull(url: str, root: Path) -> Copied:
    """Copy the stores at a URL below a cache root; shards that are here already stay as they are.

    Raises:
        UsageError: the URL is of no kind that fsspec knows here, or there are no features at it.
        RemoteError: a file there is damaged, cut short or forged; what was pulled before it stays.
        OSError: it cannot be read.
    """
    system, base = _system(url)
    stores = sorted(str(path) for path in system.glob(f"{base}/stores/*/*/about.json"))
    if not stores:
        raise UsageError(f"{url} holds no features; `cmbench cache push {url}` puts those of a machine there.")
    copied, there, size = 0, 0, 0
    for about in stores:
        facts, place = _read_about(system, about), PurePosixPath(about).parent
        folder = root / "features" / place.parent.name / place.name
        if not read_about(folder):
            write_atomically(folder / "about.json", json.dumps(facts, indent=1, sort_keys=True).encode())
        for found in sorted(str(path) for path in system.glob(f"{place}/*{_INDEX}")):
            piece = _pull_shard(system, base, found, folder, facts["encoder"])
            copied, there = copied + (piece is not None), there + (piece is None)
            size += piece.bytes if piece else 0
    return Copied(len(stores), copied, there, size)


def _system(url: str) -> tuple[AbstractFileSystem, str]:
    from fsspec.core import url_to_fs

    try:
        system, base = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f'{url} cannot be reached: {error}. For s3:// `pip install "cmbench[s3]"`.') from error
    system.invalidate_cache()
    return system, base.rstrip("/")


def _content(system: AbstractFileSystem, path: str) -> bytes:
    with system.open(path, "rb") as file:
        content: bytes = file.read(LARGEST_MODEL_JSON + 1)
    if len(content) > LARGEST_MODEL_JSON:
        raise RemoteError(f"{path} is larger than any description; {_REMEDY}")
    return content


def _read_about(system: AbstractFileSystem, path: str) -> dict[str, Any]:
    """Return what a remote store says of itself, if its folder is named after the encoder that it names."""
    place = PurePosixPath(path).parent
    try:
        facts: dict[str, Any] = json.loads(_content(system, path))
        if SEAL not in facts or seal_is_broken(facts):
            raise ValueError("it has changed since it was written")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["encoder"].items()}
        if EncoderCard(**values).fingerprint != place.parent.name or not _NAME.fullmatch(place.name):
            raise ValueError("it is of another encoder than its folder says")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RemoteError(f"{path} cannot be used ({error}); {_REMEDY}") from error
    return facts


def _pull_shard(
    system: AbstractFileSystem, base: str, found: str, folder: Path, encoder: dict[str, Any]
) -> Piece | None:
    """Fetch one shard and its piece, unless the shard is here; check both before either has its name."""
    content, path = _content(system, found), folder / PurePosixPath(found).name
    try:
        piece = parse_piece(content, path)
        if not (_NAME.fullmatch(path.name) and _SHA256.fullmatch(piece.sha256) and SEAL.encode() in content):
            raise ValueError("its names are no names or it has no seal")
        if not isinstance(piece.bytes, int) or any(type(row) is not int for t in piece.tracks for row in t.rows):
            raise ValueError("its numbers are no numbers")
    except (CmbenchError, ValueError, TypeError) as error:
        raise RemoteError(f"{found} cannot be used ({error}); {_REMEDY}") from error
    if path.exists() and _is_sound(path):
        return None
    shard = f"{base}/shards/{piece.sha256}.safetensors"
    with whole_file(folder / piece.shard) as part:
        _fetch(system, shard, part, piece)
        _require_features(shard, part, piece, encoder)
    write_atomically(path, content)
    return piece


def _is_sound(path: Path) -> bool:
    try:
        return damage(read_piece(path)) is None
    except CmbenchError:
        return False


def _fetch(system: AbstractFileSystem, shard: str, part: Path, piece: Piece) -> None:
    """Copy a shard to this machine and compare it with the hash of its piece."""
    held = 0
    try:
        with system.open(shard, "rb") as source, part.open("wb") as file:
            while held <= piece.bytes and (block := source.read(_BLOCK)):
                file.write(block)
                held += len(block)
    except FileNotFoundError as error:
        raise RemoteError(f"{shard} is not there, but an index names it; {_REMEDY}") from error
    if held != piece.bytes:
        story = "has more than the" if held > piece.bytes else f"was cut short: it has {held:,} of"
        raise RemoteError(f"{shard} {story} {piece.bytes:,} bytes that its index states; {_REMEDY}")
    if file_sha256(part) != piece.sha256:
        raise RemoteError(f"{shard} is damaged or forged: its content has another hash; {_REMEDY}")


def _require_features(shard: str, part: Path, piece: Piece, encoder: dict[str, Any]) -> None:
    """Check that a shard holds the features that its piece and its store speak of."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(part, "np") as file:
            features = file.get_slice("features")
            shape, kind = features.get_shape(), features.get_dtype()
    except SafetensorError as error:
        raise RemoteError(f"{shard} holds no features ({error}); {_REMEDY}") from error
    expected = [encoder["layers"], encoder["dim"]]
    if kind != "F16" or shape[1:] != expected or any(not 0 <= t.rows[0] <= t.rows[1] <= shape[0] for t in piece.tracks):
        raise RemoteError(
            f"{shard} holds {kind} {shape}, not the rows that its index names of float16 [windows, {expected[0]}, "
            f"{expected[1]}]; {_REMEDY}"
        )
