"""The feature store: what is written is what is read, and only what is whole exists."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from filelock import Timeout
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench import ffmpeg
from cmbench.benchmark.features import store as store_module
from cmbench.benchmark.features import stored
from cmbench.benchmark.features.store import (
    FeatureStore,
    audio_sha256,
    shard_name,
    store_folder,
    touch_store,
    used_decoders,
)
from cmbench.benchmark.features.stored import StoredTrack, identify, read_piece
from cmbench.benchmark.features.upkeep import verify_store
from cmbench.benchmark.protocol import Windowing
from cmbench.errors import CmbenchError
from cmbench.files import SEAL, sealed, sha256_of
from cmbench.sound import STRAIGHT
from cmbench.tasks.base import Track


def some_tracks(folder: Path, count: int = 3) -> list[Track]:
    folder.mkdir(exist_ok=True)
    tracks = []
    for i in range(count):
        path = folder / f"{i}.wav"
        path.write_bytes(bytes([i]) * 100)
        tracks.append(Track(f"t{i}", path, ()))
    return tracks


def write_shard(store: FeatureStore, tracks: Sequence[Track], windows: int = 2, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((windows * len(tracks), store.layers, store.dim)).astype(np.float16)
    stored = [replace(identify(t), rows=(windows * i, windows * (i + 1)), seconds=1.0) for i, t in enumerate(tracks)]
    store.write(shard_name(tracks), features, stored, 0.5)
    return features


def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    tracks = some_tracks(tmp_path / "audio", 4)
    store = FeatureStore(tmp_path / "store", 2, 5)
    first, second = write_shard(store, tracks[:2]), write_shard(store, tracks[2:], windows=3, seed=1)
    entries = store.valid_entries(tracks)
    view = store.view([entries[t.id] for t in (tracks[3], tracks[0])])
    assert view.track_of_window.tolist() == [0, 0, 0, 1, 1]
    expected = np.concatenate([second[3:], first[:2]])
    assert np.array_equal(view.take(np.arange(5)), expected)
    assert np.array_equal(view.take(np.array([4, 0, 4])), expected[[4, 0, 4]])


def test_a_shard_without_its_index_does_not_exist(tmp_path: Path) -> None:
    tracks = some_tracks(tmp_path / "audio")
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    next(store.folder.glob("*.index.json")).unlink()
    assert store.valid_entries(tracks) == {}


def test_changed_audio_is_not_served(tmp_path: Path) -> None:
    tracks = some_tracks(tmp_path / "audio")
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    tracks[0].path.write_bytes(b"x" * 100)  # the same size, other content
    os.utime(tracks[1].path, ns=(1, 1))  # another time, the same content
    tracks[2].path.unlink()
    assert set(store.valid_entries(tracks)) == {"t1"}


def test_a_repaired_file_is_tried_again_and_the_new_piece_wins(tmp_path: Path) -> None:
    (track,) = some_tracks(tmp_path / "audio", 1)
    store = FeatureStore(tmp_path / "store", 1, 2)
    failed = replace(identify(track), failure="empty")
    store.write("zz-old", np.zeros((0, 1, 2), np.float16), [failed], 0.0)
    assert store.valid_entries([track])["t0"].track.failure == "empty"
    track.path.write_bytes(b"repaired")
    assert store.valid_entries([track]) == {}
    write_shard(store, [track])
    assert store.valid_entries([track])["t0"].track.failure is None


def mp3(path: Path, seed: int, lies: bool = False) -> Path:
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(32_000), 16_000)
    if lies:
        data = bytearray(path.read_bytes())
        at = max(data.find(b"Xing"), data.find(b"Info")) + 8
        data[at : at + 4] = (5).to_bytes(4, "big")
        path.write_bytes(data)
    return path


def test_what_libsndfile_reads_whole_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(8000)
    for name in ("sound.flac", "sound.wav", "opus.ogg"):
        soundfile.write(tmp_path / name, samples, 8000, subtype="OPUS" if "opus" in name else None)
    tracks = [Track(path.name, path, ()) for path in (*tmp_path.iterdir(), mp3(tmp_path / "sound.mp3", 1))]
    store = FeatureStore(tmp_path / "store", 1, 1)
    write_shard(store, tracks)
    opened: list[str] = []
    monkeypatch.setattr(stored, "decoder_of", lambda path: opened.append(path.name))
    assert store.valid_entries(tracks).keys() == {track.id for track in tracks}
    assert opened == ["opus.ogg"]  # an earlier version may have noted a Vorbis so, and read it with wrong samples


def test_a_store_of_an_earlier_version_is_asked_again_where_it_took_a_length_on_trust(tmp_path: Path) -> None:
    wave = tmp_path / "wave.wav"
    soundfile.write(wave, 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    paths = [wave, mp3(tmp_path / "honest.mp3", 1), mp3(tmp_path / "lies.mp3", 2, lies=True)]
    tracks = [Track(path.stem, path, ()) for path in paths]
    store = FeatureStore(tmp_path / "store", 1, 1)
    write_shard(store, tracks)
    assert set(store.valid_entries(tracks)) == {"wave", "honest", "lies"}
    (index,) = store.folder.glob("*.index.json")
    piece = json.loads(index.read_bytes())
    decoders = {track["id"]: track.pop("decoder", None) for track in piece["tracks"]}
    assert decoders == {"wave": None, "honest": STRAIGHT, "lies": identify(tracks[2]).decoder}
    del piece[SEAL]
    index.write_text(json.dumps(piece))
    old = store.valid_entries(tracks)
    assert set(old) == {"wave"}
    honest = tracks[:2]
    assert audio_sha256(honest, old) == audio_sha256(honest, {})
    lines = "".join(f"{t.id}\t{identify(t).sha256}\n" for t in sorted(honest, key=lambda t: t.id))
    assert audio_sha256(honest, {}) == sha256_of(lines.encode())
    lying = f"lies\t{identify(tracks[2]).sha256}\t{identify(tracks[2]).decoder}\n"
    assert audio_sha256(tracks[2:], {}) == sha256_of(lying.encode())


def test_a_file_that_failed_is_tried_again_when_its_decoder_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    track = Track("a", path, ())
    monkeypatch.setattr(ffmpeg, "ffmpeg_name", lambda: None)
    store = FeatureStore(tmp_path / "store", 1, 1)
    failed = replace(identify(track), failure="needs FFmpeg")
    store.write(shard_name([track]), np.zeros((0, 1, 1), np.float16), [failed], 0.0)
    assert set(store.valid_entries([track])) == {"a"}
    monkeypatch.setattr(ffmpeg, "ffmpeg_name", lambda: "ffmpeg 8.0")
    assert store.valid_entries([track]) == {}
    used = replace(identify(track), seconds=1.0)
    store.write("other", np.zeros((1, 1, 1), np.float16), [used], 0.0)
    entries = store.valid_entries([track])
    assert used_decoders(entries.values()) == {"ffmpeg": "8.0"}
    monkeypatch.setattr(ffmpeg, "ffmpeg_name", lambda: "ffmpeg 8.1")
    assert store.valid_entries([track]) == {}


def test_another_excerpt_of_the_same_file_is_another_track(tmp_path: Path) -> None:
    (track,) = some_tracks(tmp_path / "audio", 1)
    store = FeatureStore(tmp_path / "store", 1, 2)
    write_shard(store, [track])
    assert store.valid_entries([replace(track, start=1.0)]) == {}
    assert store.valid_entries([replace(track, end=1.0)]) == {}


def test_the_hash_of_the_audio_sees_content_and_absence_but_not_time(tmp_path: Path) -> None:
    tracks = some_tracks(tmp_path / "audio")
    before = audio_sha256(tracks, {})
    os.utime(tracks[0].path, ns=(1, 1))
    assert audio_sha256(tracks[::-1], {}) == before
    tracks[1].path.write_bytes(b"other")
    changed = audio_sha256(tracks, {})
    tracks[1].path.unlink()
    assert len({before, changed, audio_sha256(tracks, {})}) == 3


def test_the_folder_changes_with_everything_that_changes_a_feature(make_task: Any, make_encoder: Any) -> None:
    task, card = make_task(), make_encoder().card
    root = Path("root")
    places = {
        store_folder(root, card, task, "custom", Windowing()),
        store_folder(root, card, task, "mini", Windowing()),
        store_folder(root, card, replace(task, max_track_seconds=5.0), "custom", Windowing()),
        store_folder(root, card, task, "custom", Windowing(seconds=5)),
        store_folder(root, card, task, "custom", Windowing(tail="keep")),
        *(
            store_folder(root, replace(card, **change), task, "custom", Windowing())
            for change in (
                {"weights_sha256": "1" * 64},
                {"code_version": "2"},
                {"preprocessing": "other"},
                {"sample_rate": 16000},
                {"dtype": "bfloat16"},
            )
        ),
    }
    assert len(places) == 10
    assert store_folder(root, replace(card, name="other"), task, "custom", Windowing()) in places


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text(min_size=1), st.floats(0, 1e6), st.none() | st.floats(0, 1e6)), unique=True))
def test_shard_names_tell_track_lists_apart(rows: list[tuple[str, float, float | None]]) -> None:
    tracks = [Track(i, Path("x"), (), start=s, end=e) for i, s, e in rows]
    name = shard_name(tracks)
    assert name == shard_name(tracks)
    assert name != shard_name([*tracks, Track("one more", Path("x"), ())])


def test_a_foreign_index_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "x.index.json"
    path.write_text(json.dumps({"tracks": 3}))
    with pytest.raises(CmbenchError, match=r"x\.index\.json is not an index piece"):
        read_piece(path)


def _hold(folder: str, locked: Any, release: Any) -> None:
    with FeatureStore(Path(folder), 1, 1).lock("s"):
        locked.set()
        release.wait(30)


def test_a_lock_keeps_another_process_out_and_dies_with_its_holder(tmp_path: Path) -> None:
    from filelock import Timeout

    context = multiprocessing.get_context("fork")
    locked, release = context.Event(), context.Event()
    child = context.Process(target=_hold, args=(str(tmp_path), locked, release))
    child.start()
    assert locked.wait(30)
    lock = FeatureStore(tmp_path, 1, 1).lock("s")
    with pytest.raises(Timeout):
        lock.acquire(timeout=0)
    child.kill()
    child.join()
    lock.acquire(timeout=5)
    lock.release()


def test_stored_tracks_survive_the_round_trip(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "store", 1, 1)
    tracks = (
        StoredTrack("şarkı", "a.wav", 0.5, None, None, None, failure="no such file"),
        StoredTrack("b", "b.wav", 0.0, 2.5, (3, 4), "ab", rows=(0, 1), seconds=2.5, warnings=("clipped",)),
    )
    piece = store.write("s", np.ones((1, 1, 1), np.float16), tracks, 1.25)
    assert piece.tracks == tracks
    assert (piece.windows, piece.encode_seconds) == (1, 1.25)


def test_features_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the store holds \[windows, 1, 1\]"):
        FeatureStore(tmp_path, 1, 1).write("s", np.ones((1, 2, 1), np.float16), [], 0.0)


def test_files_that_share_size_and_time_are_told_apart(tmp_path: Path) -> None:
    """As after unpacking an archive whose times were all set alike, when paths are exchanged in a table."""
    tracks = some_tracks(tmp_path / "audio", 2)
    for track in tracks:
        os.utime(track.path, ns=(1, 1))
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    exchanged = [replace(tracks[0], path=tracks[1].path), replace(tracks[1], path=tracks[0].path)]
    assert store.valid_entries(exchanged) == {}
    moved = replace(tracks[0], path=tracks[0].path.rename(tmp_path / "elsewhere.wav"))
    assert set(store.valid_entries([moved])) == {"t0"}, "the same content in another place"


def test_a_corrected_release_with_the_same_dates_is_other_audio(tmp_path: Path) -> None:
    """Unpacked over the old one: path, size and time of a file are those of other content."""
    tracks = some_tracks(tmp_path / "audio", 2)
    for track in tracks:
        os.utime(track.path, ns=(1, 1))
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    first = tracks[0].path.read_bytes()
    tracks[0].path.write_bytes(tracks[1].path.read_bytes())  # the same inode
    os.utime(tracks[0].path, ns=(1, 1))
    other = tmp_path / "audio" / "other"
    other.write_bytes(first)
    os.utime(other, ns=(1, 1))
    other.replace(tracks[1].path)  # another
    assert store.valid_entries(tracks) == {}


@pytest.mark.parametrize("old", [True, False])
def test_a_file_that_only_looks_new_is_hashed_once_and_noted(
    tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its inode and time of change are others, or were not noted yet, in 0.1.0."""
    tracks = some_tracks(tmp_path / "audio")
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    (index,) = store.folder.glob("*.index.json")
    if old:
        facts = json.loads(index.read_bytes())
        del facts["content_sha256"]
        for track in facts["tracks"]:
            del track["stat"][2:]
        index.write_text(json.dumps(facts))
    else:
        times = tracks[0].path.stat().st_mtime_ns
        tracks[0].path.write_bytes(tracks[0].path.read_bytes())
        os.utime(tracks[0].path, ns=(times, times))
    assert set(store.valid_entries(tracks)) == {"t0", "t1", "t2"}

    def never(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(store_module, "current_sha256", never)
    assert set(store.valid_entries(tracks, sound=False)) == {"t0", "t1", "t2"}
    assert "content_sha256" in json.loads(index.read_bytes())


def test_a_damaged_shard_is_never_read(tmp_path: Path) -> None:
    tracks = some_tracks(tmp_path / "audio")
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    view = store.view(list(store.valid_entries(tracks).values()))
    (shard,) = store.folder.glob("*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CmbenchError, match=r"safetensors has changed since it was written; run `cmbench run` again"):
        view.take(np.arange(1))


@given(data=st.data())
def test_any_flipped_byte_of_an_index_piece_is_found(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("flip")
    store = FeatureStore(folder / "store", 1, 1)
    track = StoredTrack("şarkı", "b.wav", 0.0, 2.5, (3, 4, 5, 6), "ab", rows=(0, 1), seconds=2.5, warnings=("w",))
    piece = store.write("s", np.ones((1, 1, 1), np.float16), [track], 1.25)
    content = bytearray(piece.path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    piece.path.write_bytes(content)
    try:
        read = read_piece(piece.path)
    except CmbenchError:
        return
    assert read == piece, "a space, or a digit that changes no number"


@pytest.mark.parametrize("damage", ["missing", "short", "index"])
def test_a_broken_shard_is_made_again_and_said(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    tracks = some_tracks(tmp_path / "audio")
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    shard, index = (next(store.folder.glob(f"*.{ending}")) for ending in ("safetensors", "index.json"))
    if damage == "missing":
        shard.unlink()
    elif damage == "short":
        shard.write_bytes(shard.read_bytes()[:-4])
    else:
        index.write_text("[]")
    assert store.valid_entries(tracks) == {}
    assert "made again" in caplog.text


def test_a_store_for_reading_only_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the mark of its use nor what is newly known of its audio can be noted in it."""
    tracks = some_tracks(tmp_path / "audio")
    store = FeatureStore(tmp_path / "store", 2, 5)
    write_shard(store, tracks)
    times = tracks[0].path.stat().st_mtime_ns
    tracks[0].path.write_bytes(tracks[0].path.read_bytes())
    os.utime(tracks[0].path, ns=(times, times))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system", str(store.folder))

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(store_module, "write_atomically", refuse)
    assert set(store.valid_entries(tracks)) == {"t0", "t1", "t2"}
    touch_store(store.folder)
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        touch_store(tmp_path / "gone")


# without locks


def a_shard(track: Track, value: float) -> tuple[str, np.ndarray, list[StoredTrack]]:
    return shard_name([track]), np.full((2, 2, 3), value, np.float16), [replace(identify(track), rows=(0, 2))]


def write_often(folder: Path, track: Track, value: float, times: int) -> None:
    store = FeatureStore(folder, 2, 3)
    for _ in range(times):
        store.write(*a_shard(track, value), 1.0)


@pytest.mark.parametrize("locks", ["on", "off"])
def test_two_that_write_one_shard_end_in_one_sound_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: str
) -> None:
    monkeypatch.setenv("CMBENCH_LOCKS", locks)
    (tmp_path / "a.wav").write_bytes(b"a")
    track, folder = Track("a", tmp_path / "a.wav", ()), tmp_path / "s"
    store = FeatureStore(folder, 2, 3)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(folder, track, value, 40)) for value in (1.0, 2.0)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        if entries := store.valid_entries([track]):  # a reader beside them is never given half of something
            found = store.view(list(entries.values())).take(np.arange(2))
            seen |= set(found.ravel().tolist())
            assert len(set(found.ravel().tolist())) == 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = store.view(list(store.valid_entries([track]).values())).take(np.arange(2))
    assert len(set(found.ravel().tolist()) | seen) <= 2
    assert verify_store(folder) == []


def test_who_read_an_entry_keeps_its_features_when_another_writes_the_shard_again(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"a")
    track, store = Track("a", tmp_path / "a.wav", ()), FeatureStore(tmp_path / "s", 2, 3)
    store.write(*a_shard(track, 1.0), 1.0)
    entries = list(store.valid_entries([track]).values())
    store.write(*a_shard(track, 2.0), 1.0)
    assert (store.view(entries).take(np.arange(2)) == 1).all()
    assert (store.view(list(store.valid_entries([track]).values())).take(np.arange(2)) == 2).all()


def test_a_shard_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no hash in its name."""
    (tmp_path / "a.wav").write_bytes(b"a")
    track, store = Track("a", tmp_path / "a.wav", ()), FeatureStore(tmp_path / "s", 2, 3)
    piece = store.write(*a_shard(track, 1.0), 1.0)
    facts = json.loads(piece.path.read_bytes())
    old = f"{shard_name([track])}.safetensors"
    (store.folder / piece.shard).rename(store.folder / old)
    piece.path.write_text(json.dumps(sealed(facts | {"shard": old})))
    assert (store.view(list(store.valid_entries([track]).values())).take(np.arange(2)) == 1).all()
    piece.path.write_text(json.dumps(sealed(facts | {"shard": "other.safetensors"})))
    assert store.valid_entries([track]) == {}


@pytest.mark.parametrize("error", [NotImplementedError(), OSError(errno.ENOLCK, "No locks available")])
def test_a_file_system_without_locks_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    store = FeatureStore(tmp_path / "s", 2, 3)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with store.lock("a"), store.lock("a"):
        pass
    assert "has no locks" in caplog.text


def test_locks_are_switched_off_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore(tmp_path / "s", 2, 3)
    with store.lock("a"):
        with pytest.raises(Timeout):
            store.lock("a").acquire(timeout=0)
        monkeypatch.setenv("CMBENCH_LOCKS", "off")
        store.lock("a").acquire(timeout=0)
