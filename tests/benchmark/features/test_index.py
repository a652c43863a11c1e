"""The index of a large store: the same as reading every piece, and never believed where it is not."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.benchmark.features import index as index_module
from cmbench.benchmark.features.index import forget, index_files, read_pieces, read_sums
from cmbench.benchmark.features.store import FeatureStore
from cmbench.benchmark.features.stored import Piece, StoredTrack, read_piece

SHARDS = 12


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    """A store of twelve shards with tracks of every kind, indexed, its folder long unchanged."""
    monkeypatch.setattr(index_module, "LEAST_PIECES", 4)
    found = FeatureStore(tmp_path / "f" / "store", 2, 3)
    for number in range(SHARDS):
        write(found, number)
    assert read_pieces(found.folder)[1] == []
    settle(found)
    return found


def write(store: FeatureStore, number: int, path: str = "ağaç.wav") -> Piece:
    stat = (5, 10**18 + number, 3, 2**62) if number % 3 else (5, 10**18)
    plain = StoredTrack(f"a{number}", path, 0.0, None, stat, f"{number:064d}", (0, 2), 1.5, decoder="libsndfile")
    warned = replace(plain, id=f"b{number}", rows=(2, 3), end=2.25, warnings=("nearly silent", "ş"), decoder=None)
    gone = StoredTrack(f"c{number}", path, 0.0, None, None, None, failure="there is no such file")
    return store.write(f"{number:020d}", np.zeros((3, 2, 3), np.float16), [plain, warned, gone], 0.5 + number)


def settle(store: FeatureStore) -> None:
    os.utime(store.folder, (1e9, 1e9))
    read_sums(store.folder)


def pieces_read(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Piece], int]:
    """What the store holds, and how many pieces were read for it; it is what reading all of them gives."""
    read: list[Path] = []

    def noted(path: Path) -> Piece:
        read.append(path)
        return read_piece(path)

    with monkeypatch.context() as patch:
        patch.setattr(index_module, "read_piece", noted)
        pieces, problems = read_pieces(store.folder)
    assert problems == []
    every = [read_piece(path) for path in sorted(store.folder.glob("*.index.json"))]
    assert pieces == every
    assert [p.path for p in pieces] == [p.path for p in every]
    return pieces, len(read)


def test_what_is_indexed_is_not_read(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pieces_read(store, monkeypatch)[1] == 0
    write(store, 3, "other.wav")
    assert pieces_read(store, monkeypatch)[1] == 1
    write(store, SHARDS)
    (store.folder / f"{0:020d}.index.json").unlink()
    assert pieces_read(store, monkeypatch)[1] == 2, "less than nine tenths were indexed, and are now"
    assert pieces_read(store, monkeypatch)[1] == 0


def test_a_small_store_has_no_index(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(store.folder)
    monkeypatch.setattr(index_module, "LEAST_PIECES", SHARDS + 1)
    assert pieces_read(store, monkeypatch)[1] == SHARDS
    assert read_sums(store.folder)[0].tracks == 3 * SHARDS
    assert not any(file.exists() for file in index_files(store.folder))


def flipped(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("which", [0, 1], ids=["rows", "seal"])
def test_a_damaged_index_is_made_again(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, which: int
) -> None:
    file = index_files(store.folder)[which]
    places = np.linspace(0, file.stat().st_size - 1, 12).astype(int)
    for number, at in enumerate([*places, None, None]):
        if at is not None:
            flipped(file, at)
        elif number % 2:
            file.write_bytes(b"")
        else:
            file.unlink()
        caplog.clear()
        assert pieces_read(store, monkeypatch)[1] == SHARDS, at
        assert ("made again" in caplog.text) == (at is not None or bool(number % 2))
        assert pieces_read(store, monkeypatch)[1] == 0
        assert read_sums(store.folder)[0].windows == 3 * SHARDS
        settle(store)


def test_forged_rows_are_not_believed(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, about = index_files(store.folder)
    with closing(sqlite3.connect(rows)) as db:
        db.execute("UPDATE pieces SET facts = replace(facts, '\"rows\"', '\"raws\"')")
        db.commit()
    assert pieces_read(store, monkeypatch)[1] == SHARDS
    settle(store)
    facts = json.loads(about.read_bytes())
    about.write_text(json.dumps(facts | {"tracks": 7}))
    assert read_sums(store.folder)[0].tracks == 3 * SHARDS
    about.write_text(
        json.dumps({key: value for key, value in facts.items() if key != "content_sha256"} | {"tracks": 7})
    )
    assert read_sums(store.folder)[0].tracks == 3 * SHARDS


def test_an_index_of_another_version_is_made_again(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_FORMAT", 99)
    assert pieces_read(store, monkeypatch)[1] == SHARDS
    assert pieces_read(store, monkeypatch)[1] == 0


def test_what_is_broken_is_told_whether_it_was_indexed_or_not(store: FeatureStore) -> None:
    piece = store.folder / f"{1:020d}.index.json"
    flipped(piece, 40)
    second, third = (next(store.folder.glob(f"{number:020d}-*.safetensors")) for number in (2, 3))
    with second.open("ab") as file:
        file.truncate(10)
    third.unlink()
    pieces, problems = read_pieces(store.folder)
    assert len(pieces) == SHARDS - 3
    assert [p.split(str(store.folder))[1][:21] for p in problems] == [f"/{number:020d}" for number in (1, 2, 3)]
    for _ in range(2):
        sums, told = read_sums(store.folder)
        assert (sums.tracks, sums.windows, told) == (3 * (SHARDS - 3), 3 * (SHARDS - 3), problems)
        settle(store)


def test_sums_are_noted_until_the_folder_changes(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(p.stat().st_size for p in store.folder.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "_listed", None)
        sums, problems = read_sums(store.folder)
    assert (sums.tracks, sums.windows, sums.bytes, problems) == (3 * SHARDS, 3 * SHARDS, size, [])
    (store.folder / "a.lock").write_bytes(b"xyz")
    with monkeypatch.context() as patch:
        patch.setattr(index_module, "read_pieces", None)
        assert read_sums(store.folder)[0] == replace(sums, bytes=size + 3), "the pieces are the same"
    settle(store)
    write(store, SHARDS)
    assert read_sums(store.folder)[0].tracks == 3 * SHARDS + 3


def test_a_folder_that_has_just_changed_is_not_believed(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(store.folder)
    read_sums(store.folder)
    listed: list[Any] = []
    plain = index_module._listed

    def noted(folder: Path) -> Any:
        listed.append(folder)
        return plain(folder)

    monkeypatch.setattr(index_module, "_listed", noted)
    read_sums(store.folder)
    assert listed


def test_a_store_for_reading_only_is_read(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    forget(store.folder)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(index_module, "whole_file", refuse)
    monkeypatch.setattr(index_module, "write_atomically", refuse)
    assert pieces_read(store, monkeypatch)[1] == SHARDS
    assert read_sums(store.folder)[0].tracks == 3 * SHARDS
