"""Comparing the sound of a split: planted copies are found, absent and broken files are said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cmbench.tasks.audit.landmarks import RATE
from cmbench.tasks.audit.sound import TrackInSplit, compare_audio, hear, leaking
from cmbench.tasks.base import Edition, LoadContext, Task, TaskData, Track

FULL = 16000


def tune(seed: int, seconds: float = 6.0) -> NDArray[np.float64]:
    """Random plucked notes, ``[samples]`` at 16 kHz."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * FULL))
    for start in range(0, len(out), FULL // 5):
        note = np.arange(min(FULL // 2, len(out) - start)) / FULL
        pitch = 150 * 2 ** (rng.integers(0, 30) / 12)
        wave = sum(np.sin(2 * np.pi * k * pitch * note) / k for k in range(1, 6))
        out[start : start + len(note)] += 0.1 * wave * np.exp(-6 * note)
    return out + 1e-3 * rng.standard_normal(len(out))


@pytest.fixture
def corpus(tmp_path: Path) -> TaskData:
    """Ten training, three validation and four test tracks of different tunes, as 16-bit wav."""
    splits: dict[str, tuple[Track, ...]] = {}
    for first, (split, size) in zip((0, 100, 200), (("train", 10), ("valid", 3), ("test", 4)), strict=True):
        tracks = []
        for i in range(size):
            path = tmp_path / f"{split}{i}.wav"
            soundfile.write(path, tune(first + i), FULL, subtype="PCM_16")
            tracks.append(Track(f"{split}{i}", path, ("a",) if i % 2 else (), f"{split}{i}"))
        splits[split] = tuple(tracks)
    task = Task(
        name="tunes", title="Tunes", tradition="western", description="", labels=("a",), families={"a": "tag"},
        licence="", citation="", access="", editions={"custom": Edition("custom", ("a",), lambda *_: splits)},
    )  # fmt: skip
    return task.load("custom", LoadContext(None, tmp_path))


def compare(data: TaskData) -> Any:
    told: list[tuple[int, int]] = []
    found = compare_audio(data, 2, lambda done, total: told.append((done, total)))
    total = sum(map(len, data.splits.values()))
    assert told == [(i + 1, total) for i in range(total)]
    return found


def path_of(data: TaskData, split: str, place: int) -> Path:
    return data.splits[split][place].path


def test_different_tunes_are_no_copies(corpus: TaskData) -> None:
    found = compare(corpus)
    assert found.compared == {"train": 10, "valid": 3, "test": 4}
    assert found.exact == found.near == found.unheard == found.plain == ()
    assert found.leaking_tracks == {"train": 0, "valid": 0, "test": 0}


def test_the_same_samples_in_another_file_are_an_exact_copy(corpus: TaskData) -> None:
    samples, rate = soundfile.read(path_of(corpus, "train", 3), dtype="int16")
    target = path_of(corpus, "test", 1)
    target.unlink()
    soundfile.write(target, samples, rate, format="FLAC", subtype="PCM_16")
    found = compare(corpus)
    assert found.exact == ((TrackInSplit("train3", "train"), TrackInSplit("test1", "test")),)
    assert found.near == ()
    assert found.leaking_tracks == {"train": 0, "valid": 0, "test": 1}


@pytest.mark.parametrize(
    ("form", "subtype", "rate", "channels"),
    [("OGG", "VORBIS", 11025, 1), ("MP3", "MPEG_LAYER_III", 16000, 2), ("WAV", "PCM_16", 44100, 2)],
)
def test_a_planted_copy_encoded_anew_is_found(
    corpus: TaskData, form: str, subtype: str, rate: int, channels: int
) -> None:
    import soxr

    softer = 0.4 * tune(100)[int(0.087 * FULL) :]
    encoded = np.repeat(soxr.resample(softer, FULL, rate)[:, None], channels, axis=1)
    quality = {} if form == "WAV" else {"compression_level": 0.8}
    soundfile.write(path_of(corpus, "test", 2), encoded, rate, format=form, subtype=subtype, **quality)
    found = compare(corpus)
    assert found.exact == ()
    (copy,) = found.near
    assert (copy.first, copy.second) == (TrackInSplit("valid0", "valid"), TrackInSplit("test2", "test"))
    assert copy.shift == pytest.approx(0.087, abs=0.1)
    assert found.leaking_tracks == {"train": 0, "valid": 0, "test": 1}


def test_files_that_cannot_be_read_are_said_and_the_rest_is_compared(corpus: TaskData) -> None:
    path_of(corpus, "train", 0).unlink()
    path_of(corpus, "test", 0).write_bytes(b"no audio at all, only words")
    soundfile.write(path_of(corpus, "valid", 1), np.zeros(FULL * 2), FULL)
    found = compare(corpus)
    assert [(u.track.id, u.reason.split(";")[0]) for u in found.unheard] == [
        ("train0", "there is no such file"),
        ("test0", "text, not audio"),
    ]
    assert found.compared == {"train": 9, "valid": 3, "test": 3}
    assert found.plain == (TrackInSplit("valid1", "valid"),)


def test_only_the_tracks_stretch_is_heard(tmp_path: Path) -> None:
    path, part = tmp_path / "long.wav", tmp_path / "part.wav"
    both = np.concatenate([tune(1), tune(2)])
    soundfile.write(path, both, FULL, subtype="PCM_16")
    soundfile.write(part, both[6 * FULL :], FULL, subtype="PCM_16")
    cut = hear(Track("a", path, (), start=6.0, end=12.0), None)
    assert cut.sha256 == hear(Track("b", part, ()), None).sha256
    assert cut.sha256 != hear(Track("c", path, ()), None).sha256
    assert hear(Track("c", path, ()), 6.0).sha256 == hear(Track("d", path, (), end=6.0), None).sha256


def test_audio_at_the_fingerprints_rate_is_heard_too(tmp_path: Path) -> None:
    path = tmp_path / "low.wav"
    soundfile.write(path, tune(1)[::2], RATE, subtype="PCM_16")
    assert len(hear(Track("a", path, ()), None).print.names) > 0


def members(text: str) -> Sequence[TrackInSplit]:
    return [TrackInSplit(word, {"t": "train", "v": "valid", "x": "test"}[word[0]]) for word in text.split()]


def test_copies_of_copies_leak() -> None:
    assert leaking([members("v1 x1"), members("x1 x2"), members("t1 v1"), members("x3 x4")]) == {
        "train": 0,
        "valid": 1,
        "test": 2,
    }
    assert leaking([]) == {"train": 0, "valid": 0, "test": 0}


def test_two_tracks_of_one_file_are_compared_as_two(corpus: TaskData) -> None:
    twice = replace(corpus.splits["train"][0], id="again")
    splits = {**corpus.splits, "test": (*corpus.splits["test"], twice)}
    found = compare(replace(corpus, splits=splits))
    assert found.exact == ((TrackInSplit("train0", "train"), TrackInSplit("again", "test")),)
