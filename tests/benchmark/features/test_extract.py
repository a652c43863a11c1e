"""Extraction: nothing twice, nothing lost, and a feature that does not depend on how it came about."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.benchmark.features import extract as extract_module
from cmbench.benchmark.features import windows as windows_module
from cmbench.benchmark.features.extract import (
    SHARD_SECONDS,
    SHARD_TRACKS,
    BatchSize,
    Extracted,
    Extraction,
    encode_windows,
    expected_seconds,
    plan_shards,
)
from cmbench.benchmark.features.store import FeatureStore, shard_name
from cmbench.benchmark.protocol import Windowing
from cmbench.errors import CmbenchError
from cmbench.tasks.base import LoadContext, Task, Track
from cmbench.tests.conftest import CountingEncoder, store_features

WINDOWING = Windowing(seconds=0.5, hop_seconds=0.5, min_tail_seconds=0.1)


def tracks_of(task: Task) -> list[Track]:
    data = task.load("custom", LoadContext(None, Path()))
    return [t for split in data.splits.values() for t in split]


def run_extract(encoder: Any, tracks: list[Track], folder: Path, **options: Any) -> Any:
    store = FeatureStore(folder, encoder.card.layers, encoder.card.dim)
    told: list[Extracted] = []
    settings: dict[str, Any] = {"batch_seconds": 2.0, "workers": 2} | options
    how = Extraction(store, WINDOWING, None, settings["workers"])
    entries = store_features(encoder, tracks, how, settings["batch_seconds"], told)
    return store, entries, told


def all_features(store: FeatureStore, entries: Any, tracks: list[Track]) -> Any:
    view = store.view([entries[t.id] for t in tracks if entries[t.id].track.failure is None])
    return view.take(np.arange(len(view.track_of_window)))


def test_every_window_is_encoded_once_and_progress_ends_full(tmp_path: Path, make_task: Any, encoder: Any) -> None:
    tracks = tracks_of(make_task())
    _, entries, told = run_extract(encoder, tracks, tmp_path / "s")
    windows = sum(e.track.rows[1] - e.track.rows[0] for e in entries.values())
    assert encoder.encoded == windows
    assert (told[-1].tracks, told[-1].share) == (len(tracks), pytest.approx(1.0))
    assert told[-1].audio_seconds == pytest.approx(sum(e.track.seconds for e in entries.values()))
    encoder.encoded = 0
    _, again, _ = run_extract(encoder, tracks, tmp_path / "s")
    assert encoder.encoded == 0
    assert {i: e.track for i, e in again.items()} == {i: e.track for i, e in entries.items()}


def test_features_are_those_of_the_track(tmp_path: Path, make_task: Any, encoder: Any) -> None:
    """A row of the store equals encoding that track's windows alone."""
    from cmbench.benchmark.features.windows import read_windows

    tracks = tracks_of(make_task())
    store, entries, _ = run_extract(encoder, tracks, tmp_path / "s")
    for track in tracks[::7]:
        audio = read_windows(track.path, 0.0, None, None, 8000, WINDOWING, 0.05)
        alone = encode_windows(encoder, audio.windows, BatchSize(2.0))
        view = store.view([entries[track.id]])
        assert np.array_equal(view.take(np.arange(len(alone))), alone)


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(
    tmp_path: Path, make_task: Any, make_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract_module, "SHARD_TRACKS", 5)
    tracks = tracks_of(make_task())
    whole_store, whole, _ = run_extract(make_encoder(), tracks, tmp_path / "whole")
    first = make_encoder(stop_after=30)
    with pytest.raises(KeyboardInterrupt):
        run_extract(first, tracks, tmp_path / "cut")
    second = make_encoder()
    store, entries, _ = run_extract(second, tracks, tmp_path / "cut")
    windows = sum(e.track.rows[1] - e.track.rows[0] for e in whole.values())
    in_flight = first.encoded + second.encoded - windows
    assert 0 <= in_flight <= 5 * 3, "only the shard in flight may be encoded twice"
    assert second.encoded < windows
    assert np.array_equal(all_features(store, entries, tracks), all_features(whole_store, whole, tracks))
    shards = {p.name: p.read_bytes() for p in (tmp_path / "whole").glob("*.safetensors")}
    assert shards == {p.name: p.read_bytes() for p in (tmp_path / "cut").glob("*.safetensors")}


@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers_changes_nothing(tmp_path: Path, make_task: Any, encoder: Any, workers: int) -> None:
    tracks = tracks_of(make_task())
    store, entries, _ = run_extract(encoder, tracks, tmp_path / "s", workers=workers)
    other_store, other, _ = run_extract(encoder, tracks[::-1], tmp_path / "other", workers=2)
    assert np.array_equal(all_features(store, entries, tracks), all_features(other_store, other, tracks))


@pytest.mark.parametrize("batch_seconds", [0.5, 1.3, 20.0])
def test_long_tracks_end_in_the_same_bytes(
    tmp_path: Path, make_task: Any, make_encoder: Any, monkeypatch: pytest.MonkeyPatch, batch_seconds: float
) -> None:
    tracks = tracks_of(make_task())
    shape: list[list[tuple[int, int]]] = []
    for name, seconds in (("held", 300.0), ("long", 0.7)):
        monkeypatch.setattr(windows_module, "HELD_SECONDS", seconds)
        encoder = make_encoder()
        run_extract(encoder, tracks, tmp_path / name, batch_seconds=batch_seconds)
        shape.append(sorted(encoder.batches))
    assert shape[0] == shape[1]
    shards = {p.name: p.read_bytes() for p in (tmp_path / "held").glob("*.safetensors")}
    assert shards == {p.name: p.read_bytes() for p in (tmp_path / "long").glob("*.safetensors")}


def test_a_batch_holds_windows_of_one_length(tmp_path: Path, make_task: Any, encoder: Any) -> None:
    run_extract(encoder, tracks_of(make_task(seconds=0.3)), tmp_path / "s", batch_seconds=2.0)
    assert len({shape[1] for shape in encoder.batches}) > 1
    assert all(rows * samples <= 2.0 * 8000 for rows, samples in encoder.batches)
    assert max(rows for rows, _ in encoder.batches) == 6, "a batch is filled"


def test_what_is_broken_is_stored_with_its_reason_and_not_tried_again(
    tmp_path: Path, make_task: Any, encoder: Any
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"")
    extra = [Track("bad", bad, ()), Track("gone", tmp_path / "gone.wav", ())]
    tracks = tracks_of(make_task(extra=extra))
    _, entries, _ = run_extract(encoder, tracks, tmp_path / "s")
    assert entries["bad"].track.failure
    assert entries["gone"].track.failure
    before = encoder.encoded
    _, again, _ = run_extract(encoder, tracks, tmp_path / "s")
    assert encoder.encoded == before
    assert again["bad"].track == entries["bad"].track


def test_a_new_track_costs_only_itself(tmp_path: Path, make_task: Any, encoder: Any) -> None:
    tracks = tracks_of(make_task())
    run_extract(encoder, tracks[1:], tmp_path / "s")
    before = encoder.encoded
    _, entries, _ = run_extract(encoder, tracks, tmp_path / "s")
    assert encoder.encoded - before == entries[tracks[0].id].track.rows[1]


def test_two_runs_share_the_work(tmp_path: Path, make_task: Any, make_encoder: Any, monkeypatch: Any) -> None:
    """What another process holds is left to it; the run waits, takes what came of it, and encodes nothing twice."""
    monkeypatch.setattr(extract_module, "SHARD_TRACKS", 4)
    tracks = tracks_of(make_task())
    shard = plan_shards(tracks, None)[0]
    mine, theirs = make_encoder(), make_encoder()
    store = FeatureStore(tmp_path / "s", 2, 3)
    held = threading.Event()

    def other_process() -> None:
        with store.lock(shard_name(shard)):
            held.set()
            aside, _, _ = run_extract(theirs, list(shard), tmp_path / "aside")
            for path in sorted(aside.folder.glob(f"{shard_name(shard)}[-.][!l]*")):
                path.rename(store.folder / path.name)

    thread = threading.Thread(target=other_process)
    thread.start()
    assert held.wait(30)
    _, entries, _ = run_extract(mine, tracks, tmp_path / "s")
    thread.join()
    assert len(entries) == len(tracks)
    windows = sum(e.track.rows[1] - e.track.rows[0] for e in entries.values())
    assert theirs.encoded > 0
    assert mine.encoded + theirs.encoded == windows


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_a_broken_encoder_is_refused(make_encoder: Any, value: float) -> None:
    windows = [np.zeros(800, np.float32)] * 3
    with pytest.raises(CmbenchError, match="Model counting ret"):
        encode_windows(make_encoder(broken=value), windows, BatchSize(1.0))


def test_an_encoder_that_contradicts_its_card_is_refused(make_encoder: Any) -> None:
    encoder = make_encoder()
    encoder.encode = lambda audio: np.zeros((len(audio), 1, 3), np.float32)
    with pytest.raises(CmbenchError, match="its card says"):
        encode_windows(encoder, [np.zeros(800, np.float32)], BatchSize(1.0))


@given(st.lists(st.floats(0.1, 5000), min_size=1, max_size=200), st.none() | st.floats(1, 900))
def test_shards_cover_every_track_once_and_stay_small(lengths: list[float], cap: float | None) -> None:
    tracks = [Track(f"{i:03d}", Path("x"), (), end=s) for i, s in enumerate(lengths)]
    shards = plan_shards(tracks[::-1], cap)
    assert [t for shard in shards for t in shard] == tracks
    for shard in shards:
        assert len(shard) <= SHARD_TRACKS
        assert len(shard) == 1 or sum(expected_seconds(t, cap) for t in shard) <= SHARD_SECONDS


def test_a_shard_may_be_full_to_the_last_track_and_second() -> None:
    short = [Track(f"{i:03d}", Path("x"), (), end=1.0) for i in range(2 * SHARD_TRACKS + 1)]
    assert [len(shard) for shard in plan_shards(short, None)] == [SHARD_TRACKS, SHARD_TRACKS, 1]
    long = [Track(f"{i}", Path("x"), (), end=SHARD_SECONDS / 2) for i in range(3)]
    assert [len(shard) for shard in plan_shards(long, None)] == [2, 1]


def test_shards_are_cut_before_what_is_stored_is_left_out(
    tmp_path: Path, make_task: Any, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run that goes on writes the shards that it would have written."""
    monkeypatch.setattr(extract_module, "SHARD_TRACKS", 4)
    tracks = sorted(tracks_of(make_task()), key=lambda track: track.id)
    run_extract(encoder, tracks[1:4], tmp_path / "s")
    store, _, _ = run_extract(encoder, tracks, tmp_path / "s")
    cut = [tracks[1:4], tracks[:1], *(tracks[i : i + 4] for i in range(4, len(tracks), 4))]
    assert {p.stem[:20] for p in store.folder.glob("*.safetensors")} == {shard_name(shard) for shard in cut}


def test_the_expected_length_is_capped_and_known_from_the_excerpt(tmp_path: Path) -> None:
    track = Track("a", tmp_path / "a.wav", (), start=2.0, end=12.0)
    assert expected_seconds(track, None) == 10.0
    assert expected_seconds(track, 4.0) == 4.0
    assert expected_seconds(replace(track, end=None), None) == 0.0


class Tight(CountingEncoder):
    """Has room for some windows only."""

    room = 3

    def encode(self, audio: Any) -> Any:
        import torch

        if len(audio) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().encode(audio)


WINDOWS = [np.full(800, i / 10, np.float32) for i in range(1, 8)] + [np.zeros(400, np.float32)]
"""Seven of 0.1 s and a shorter one."""


def test_a_device_without_room_gets_half_the_batch_from_then_on(
    make_encoder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tight, batch = Tight(), BatchSize(0.8, fixed=False)
    features = encode_windows(tight, WINDOWS, batch)
    assert np.array_equal(features, encode_windows(make_encoder(), WINDOWS, BatchSize(0.8)))
    assert [shape[0] for shape in tight.batches] == [3, 3, 1, 1]
    assert batch.seconds == pytest.approx(0.3)
    assert [record.args for record in caplog.records] == [("counting", pytest.approx(0.3))]
    encode_windows(tight, WINDOWS, batch)
    assert len(caplog.records) == 1, "it is not tried again"


def test_a_batch_on_a_processor_stays_what_it_is() -> None:
    import torch

    batch = BatchSize(0.8)
    with pytest.raises(torch.OutOfMemoryError):
        encode_windows(Tight(), WINDOWS, batch)
    assert batch.seconds == 0.8


def test_a_device_without_room_for_one_window_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tight, "room", 0)
    with pytest.raises(CmbenchError, match=r"no room for one window of 0\.1 s"):
        encode_windows(Tight(), WINDOWS, BatchSize(0.8, fixed=False))


def test_other_errors_of_an_encoder_are_its_own(make_encoder: Any) -> None:
    class Failing(CountingEncoder):
        def encode(self, audio: Any) -> Any:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        encode_windows(Failing(), WINDOWS, BatchSize(0.8, fixed=False))
