"""Teachers: the right frames, the same tokens after saving, slices of the whole track."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.tokens.kmeans import ResidualKMeans
from cmbench.errors import UnusableAudio, UsageError
from cmbench.pretraining.objective.targets import (
    TEACHER,
    cached_tokens,
    fit_teacher,
    open_teacher,
    read_teacher,
    require_teacher,
    save_teacher,
    slice_tokens,
)


def track(seed: int, seconds: float = 2.0) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    time = np.arange(round(24_000 * seconds)) / 24_000
    tone = np.sin(2 * np.pi * 200 * (1 + seed) * time * (1 + 0.1 * time))
    return np.asarray(0.2 * tone + 0.02 * draw.standard_normal(len(time)), np.float32)


@pytest.fixture(scope="module")
def teacher() -> ResidualKMeans:
    return fit_teacher([lambda seed=seed: track(seed) for seed in range(4)], 8, 0)  # type: ignore[misc]


def test_a_fitted_teacher_has_eight_levels_at_75_frames(teacher: ResidualKMeans) -> None:
    assert require_teacher(teacher) is teacher
    tokens = teacher.tokens(track(9))
    assert tokens.shape == (8, 151)
    assert len(np.unique(tokens[0])) > 2
    same = fit_teacher([lambda seed=seed: track(seed) for seed in range(4)], 8, 0)  # type: ignore[misc]
    other = fit_teacher([lambda seed=seed: track(seed) for seed in range(4)], 8, 1)  # type: ignore[misc]
    assert same.fingerprint == teacher.fingerprint != other.fingerprint


def test_a_saved_teacher_gives_the_same_tokens(teacher: ResidualKMeans, tmp_path: Path) -> None:
    save_teacher(tmp_path / "model", teacher)
    assert [file.name for file in (tmp_path / "model").iterdir()] == [TEACHER]
    again = read_teacher(tmp_path / "model")
    assert again.fingerprint == teacher.fingerprint
    assert (again.name, again.errors) == (teacher.name, teacher.errors)
    np.testing.assert_array_equal(again.tokens(track(5)), teacher.tokens(track(5)))


def test_damaged_teachers_are_refused(teacher: ResidualKMeans, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no teacher\.npz"):
        read_teacher(tmp_path)
    file = tmp_path / TEACHER
    for content in (b"", b"PK\x03\x04 nonsense", b"not an archive at all"):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="not a teacher that cmbench wrote"):
            read_teacher(tmp_path)
    np.savez(file, codebooks=np.array([object()]), mean=0, deviation=0, facts="{}")
    with pytest.raises(UsageError, match="not a teacher"):
        read_teacher(tmp_path)
    facts = '{"errors": [], "seed": 0}'
    np.savez(file, codebooks=teacher.codebooks, mean=teacher.mean[:3], deviation=teacher.deviation, facts=facts)
    with pytest.raises(UsageError, match="shapes or values"):
        read_teacher(tmp_path)


def test_tokens_of_a_track_are_made_once(teacher: ResidualKMeans, tmp_path: Path) -> None:
    read: list[int] = []

    def audio() -> NDArray[np.float32]:
        read.append(1)
        return track(2)

    first, second = (cached_tokens(tmp_path, teacher, "track ü/2", audio) for _ in range(2))
    assert len(read) == 1
    np.testing.assert_array_equal(first, teacher.tokens(track(2)))
    np.testing.assert_array_equal(second, first)
    other = fit_teacher([lambda: track(1, 4.0)], 8, 3)
    np.testing.assert_array_equal(cached_tokens(tmp_path, other, "track ü/2", audio), other.tokens(track(2)))
    assert len(read) == 2


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "zeroed"])
def test_damaged_tokens_are_told_and_made_again(
    teacher: ResidualKMeans, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    whole = np.array(cached_tokens(tmp_path, teacher, "one", lambda: track(2)))
    (file,) = tmp_path.rglob("*.npy")
    content = bytearray(file.read_bytes())
    if damage == "flipped":  # still a token of the codebook: nothing but the hash can tell
        content[200] ^= 1
    spoilt = {"cut": content[:-100], "emptied": b"", "zeroed": bytes(len(content)), "flipped": content}
    file.write_bytes(bytes(spoilt[damage]))
    os.utime(file, (1, 1))
    np.testing.assert_array_equal(cached_tokens(tmp_path, teacher, "one", lambda: track(2)), whole)
    assert "damaged" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(cached_tokens(tmp_path, teacher, "one", lambda: track(3)), whole)
    assert caplog.text == ""


SHARING = """
import sys, numpy as np
from pathlib import Path
from cmbench.pretraining.objective.targets import cached_tokens, read_teacher
teacher = read_teacher(Path(sys.argv[1]))
sys.stdin.readline()
for number in range(40):
    audio = np.random.default_rng(number).standard_normal(4800).astype(np.float32)
    found = np.array(cached_tokens(Path(sys.argv[2]), teacher, str(number), lambda: audio))
    assert np.array_equal(found, teacher.tokens(audio)), number
"""


def test_processes_share_a_cache(teacher: ResidualKMeans, tmp_path: Path) -> None:
    save_teacher(tmp_path, teacher)
    command = [sys.executable, "-c", SHARING, str(tmp_path), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        _, told = one.communicate(timeout=240)
        assert (one.returncode, told) == (0, "")
    assert len([file for file in (tmp_path / "cache").rglob("*") if file.is_file()]) == 40


def test_crops_are_slices_of_the_track() -> None:
    tokens = np.arange(16, dtype=np.int16).reshape(2, 8)
    np.testing.assert_array_equal(slice_tokens(tokens, 640, 3), [[2, 3, 4], [10, 11, 12]])
    np.testing.assert_array_equal(slice_tokens(tokens, 801, 3), slice_tokens(tokens, 960, 3))
    np.testing.assert_array_equal(slice_tokens(tokens, 799, 3), slice_tokens(tokens, 640, 3))
    for start, frames in ((-320, 2), (640, 7), (0, 9)):
        with pytest.raises(UsageError, match="the track has 8"):
            slice_tokens(tokens, start, frames)


def broken() -> NDArray[np.float32]:
    raise UnusableAudio(Path("broken.mp3"), "breaks off")


def test_too_little_to_fit_on() -> None:
    with pytest.raises(UsageError, match="no tracks"):
        fit_teacher([], 8, 0)
    with pytest.raises(UsageError, match="None of the 2 tracks"):
        fit_teacher([broken, broken], 8, 0)
    assert fit_teacher([broken, lambda: track(1)], 8, 0).fingerprint != ""
    with pytest.raises(UsageError, match="too few for codebooks of 64"):
        fit_teacher([lambda: track(1)], 64, 0)


def save_encodec(folder: Path, ratios: list[int], rate: int) -> Path:
    transformers = pytest.importorskip("transformers")
    config = transformers.EncodecConfig(
        num_filters=2, hidden_size=8, codebook_dim=8, upsampling_ratios=ratios, codebook_size=1024,
        num_lstm_layers=1, target_bandwidths=[1.5, 6.0], sampling_rate=rate,
    )  # fmt: skip
    transformers.EncodecModel(config).save_pretrained(folder)
    return folder


def test_encodec_of_the_published_frames_is_a_teacher(tmp_path: Path) -> None:
    options = LoadOptions(device="cpu", offline=True)
    teacher = open_teacher(str(save_encodec(tmp_path / "encodec", [8, 5, 4, 2], 24_000)), options)
    assert (teacher.levels, teacher.codebook_size) == (8, 1024)
    assert teacher.tokens(track(0, 1.0)).shape == (8, 75)
    with pytest.raises(UsageError, match="every 40 samples at 24000 Hz; pre-training needs 8 every 320"):
        open_teacher(str(save_encodec(tmp_path / "other", [5, 4, 2], 24_000)), options)


def test_threads_may_ask_for_the_same_track(teacher: ResidualKMeans, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cached_tokens, tmp_path, teacher, "one", lambda: track(3)) for _ in range(8)]
        found = [one.result() for one in asked]
    for tokens in found:
        np.testing.assert_array_equal(tokens, teacher.tokens(track(3)))
    assert len(list(tmp_path.rglob("*.npy"))) == 1
