"""Looking after the store: damage is found, what is broken goes, what is in use stays."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cmbench.benchmark.features.store import FeatureStore, shard_name, store_folder
from cmbench.benchmark.features.stored import identify
from cmbench.benchmark.features.upkeep import collect_garbage, list_stores, piece_problem, verify_store
from cmbench.benchmark.protocol import Windowing
from cmbench.tasks.base import Track


def some_tracks(folder: Path, count: int = 3) -> list[Track]:
    folder.mkdir(exist_ok=True)
    tracks = []
    for i in range(count):
        path = folder / f"{i}.wav"
        path.write_bytes(bytes([i]) * 100)
        tracks.append(Track(f"t{i}", path, ()))
    return tracks


def write_shard(store: FeatureStore, tracks: Sequence[Track], windows: int = 2, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((windows * len(tracks), store.layers, store.dim)).astype(np.float16)
    stored = [replace(identify(t), rows=(windows * i, windows * (i + 1)), seconds=1.0) for i, t in enumerate(tracks)]
    store.write(shard_name(tracks), features, stored, 0.5)


def test_verify_finds_damage_and_gc_removes_it(tmp_path: Path, make_task: Any, make_encoder: Any) -> None:
    task, card = make_task(), make_encoder().card
    folder = store_folder(tmp_path, card, task, "custom", Windowing())
    store = FeatureStore(folder, card.layers, card.dim)
    store.describe(card, task, "custom", Windowing())
    tracks = some_tracks(tmp_path / "audio", 4)
    write_shard(store, tracks[:2])
    write_shard(store, tracks[2:])
    assert verify_store(folder) == []
    (summary,) = list_stores(tmp_path)
    assert (summary.tracks, summary.windows, summary.encoder) == (4, 8, "counting")
    (shard,) = folder.glob(f"{shard_name(tracks[:2])}-*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    orphan = folder / "orphan.safetensors"
    orphan.write_bytes(b"")
    os.utime(orphan, (0, 0))
    fresh = folder / ".fresh.tmp"
    fresh.write_bytes(b"")
    assert len(verify_store(folder)) == 1
    assert "has changed" in str(piece_problem(folder / f"{shard_name(tracks[:2])}.index.json"))
    planned, _ = collect_garbage(tmp_path, dry_run=True)
    assert shard.exists()
    assert collect_garbage(tmp_path)[0] == planned
    assert not shard.exists()
    assert not orphan.exists()
    assert fresh.exists(), "another process may be writing it"
    assert verify_store(folder) == []
    assert set(store.valid_entries(tracks)) == {"t2", "t3"}
    os.utime(folder / "about.json", (time.time() - 10 * 86400,) * 2)
    assert collect_garbage(tmp_path, unused_days=11)[0] == ()
    assert collect_garbage(tmp_path, unused_days=9)[0] == (folder,)
    assert not folder.exists()


def test_a_store_that_lost_its_description_gets_it_back(tmp_path: Path, make_task: Any, make_encoder: Any) -> None:
    task, card = make_task(), make_encoder().card
    folder = store_folder(tmp_path, card, task, "custom", Windowing())
    store = FeatureStore(folder, card.layers, card.dim)
    store.describe(card, task, "custom", Windowing())
    (folder / "about.json").write_text("garbage")
    assert list_stores(tmp_path) == []
    store.describe(card, task, "custom", Windowing())
    assert [s.encoder for s in list_stores(tmp_path)] == ["counting"]
