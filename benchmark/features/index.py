"""One index of all pieces of a large store: a cache of what they say, which stay the truth.

It lies beside the store's folder, so that the folder's own time of change tells whether a piece came or went: rows in
SQLite, and a JSON file with their hash and the sums that ``cmbench cache ls`` shows. A piece's rows are believed while
:func:`cmbench.files.file_version` of the piece is what it was when its seal was looked at; what has no such rows is
read. An index that is damaged, of another folder or another version of cmbench is made again.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import CmbenchError
from ...files import (
    SEAL,
    FileVersion,
    current_sha256,
    file_sha256,
    file_version,
    seal_is_broken,
    sealed,
    sha256_of,
    whole_file,
    write_atomically,
)
from .stored import _INDEX, Piece, piece_facts, piece_of, read_piece

logger = logging.getLogger(__name__)

LEAST_PIECES = 32
"""Stores of fewer pieces have no index: theirs are read in no time."""

_FORMAT = 2

_SETTLED_NS = 2 * 10**9
"""Age, when it was listed, from which a folder's time of change tells of every later change: clocks of file systems
tick slowly, and those of two machines differ."""

_INDEXED = 0.9
"""Share of the pieces that are indexed at least; the others are read."""

_TABLE = "CREATE TABLE pieces (name TEXT, version TEXT, facts TEXT)"


@dataclass(frozen=True)
class StoreSums:
    """What a store has as a whole."""

    tracks: int  # noted in whole pieces
    windows: int  # of these
    bytes: int  # of all files of the folder


def index_files(folder: Path) -> tuple[Path, Path]:
    """Return where the index of a store lies: its rows, and what seals them."""
    return folder.with_name(f".{folder.name}.sqlite"), folder.with_name(f".{folder.name}.json")


def read_pieces(folder: Path) -> tuple[list[Piece], list[str]]:
    """Return the pieces of a store, by name, and what is wrong with those that cannot be used, one line each.

    Where much of a large store is not indexed, it is.
    """
    problems: list[str] = []
    there = _listed(folder)
    known = {} if len(there) < LEAST_PIECES else {piece.path.name: piece for piece in _indexed(folder, there)}
    pieces = []
    for name in there:
        try:
            piece = known.get(name) or read_piece(folder / name)
            size = (folder / piece.shard).stat().st_size
        except (CmbenchError, FileNotFoundError) as error:
            problems.append(f"A shard of the feature store is broken and will be made again: {error}")
            continue
        if size == piece.bytes:
            pieces.append(piece)
        else:
            problems.append(f"{folder / piece.shard} was cut short and will be made again")
    if len(there) >= LEAST_PIECES and len(known) < _INDEXED * len(there):
        _write(folder, there, pieces)
    return pieces, problems


def read_sums(folder: Path) -> tuple[StoreSums, list[str]]:
    """Return the sums of a store and what is wrong with it, one line each.

    Of a large one they are noted: nothing but its folder is looked at until that changes.
    """
    about, now, listed_ns = _about(folder), file_version(folder), time.time_ns()
    if about is not None and now is not None and about["folder"] == list(now):
        return StoreSums(about["tracks"], about["windows"], about["bytes"]), []
    there = _listed(folder)
    size = sum(entry.stat().st_size for entry in os.scandir(folder))
    problems: list[str] = []
    if about is not None and about["listing"] == _listing_sha256(there):
        sums = StoreSums(about["tracks"], about["windows"], size)
    else:
        pieces, problems = read_pieces(folder)
        about = _about(folder)
        sums = StoreSums(sum(len(p.tracks) for p in pieces), sum(p.windows for p in pieces), size)
    # What came within the tick of a clock might not show.
    is_settled = now is not None and now[1] < listed_ns - _SETTLED_NS
    if about is not None and not problems:
        noted = {"folder": list(now or ()) if is_settled else None, "listing": _listing_sha256(there)}
        _write_about(folder, about["rows_sha256"], noted | asdict(sums))
    return sums, problems


def forget(folder: Path) -> None:
    """Remove the index of a store that was removed."""
    for file in index_files(folder):
        file.unlink(missing_ok=True)


def _listed(folder: Path) -> dict[str, FileVersion]:
    found = {path.name: file_version(path) for path in sorted(folder.glob(f"*{_INDEX}"))}
    return {name: version for name, version in found.items() if version is not None}


def _listing_sha256(there: Mapping[str, FileVersion]) -> str:
    return sha256_of(json.dumps(list(there.items())).encode())


def _about(folder: Path) -> dict[str, Any] | None:
    """Return what an index says of itself; ``None`` if there is none, or none that can be believed."""
    path = index_files(folder)[1]
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        facts = None
    if isinstance(facts, dict) and facts.get("format") == _FORMAT and SEAL in facts and not seal_is_broken(facts):
        return facts
    logger.warning("%s is damaged or of another version, and is made again", path)
    return None


def _indexed(folder: Path, there: Mapping[str, FileVersion]) -> list[Piece]:
    """Return those pieces of an index that are as they were when they were indexed."""
    about, rows = _about(folder), index_files(folder)[0]
    if about is None or not rows.is_file():
        return []
    if current_sha256(rows) != about["rows_sha256"]:
        logger.warning("%s has changed since it was written, and is made again", rows)
        return []
    with closing(sqlite3.connect(f"{rows.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        noted = db.execute("SELECT name, version, facts FROM pieces")
        return [
            piece_of(json.loads(facts), folder / name)
            for name, version, facts in noted
            if json.dumps(there.get(name)) == version
        ]


def _write(folder: Path, there: Mapping[str, FileVersion], pieces: Sequence[Piece]) -> None:
    """Index some pieces, unless the store is for reading only."""
    rows = index_files(folder)[0]
    try:
        with whole_file(rows) as part, closing(sqlite3.connect(part)) as db:
            db.execute(_TABLE)
            noted = ((p.path.name, json.dumps(there[p.path.name]), json.dumps(piece_facts(p))) for p in pieces)
            db.executemany("INSERT INTO pieces VALUES (?, ?, ?)", noted)
            db.commit()
            digest = file_sha256(part)
        _write_about(folder, digest, {"folder": None, "listing": None, "tracks": 0, "windows": 0, "bytes": 0})
    except (OSError, sqlite3.OperationalError) as error:
        logger.debug("%s is not written: %s", rows, error)


def _write_about(folder: Path, digest: str, noted: Mapping[str, object]) -> None:
    content = sealed({"format": _FORMAT, "rows_sha256": digest, **noted})
    try:
        write_atomically(index_files(folder)[1], json.dumps(content).encode())
    except OSError as error:
        logger.debug("%s is not written: %s", index_files(folder)[1], error)
