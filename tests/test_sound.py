"""A stretch of a file holds the samples that decoding everything gives, wherever it begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmbench.opening import decoder_of, opened
from cmbench.sound import PLAIN, STRAIGHT

RATE = 22_050

KINDS: dict[str, dict[str, object]] = {
    "vorbis.ogg": {"subtype": "VORBIS"},
    "opus.ogg": {"subtype": "OPUS"},
    "low.mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.99},
    "high.mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.1},
    "constant.mp3": {"bitrate_mode": "CONSTANT", "compression_level": 0.99},
    "plain.flac": {},
    "plain.wav": {},
}


def write(path: Path, seconds: float = 8.0) -> Path:
    """Tones that come and go: frames of very different sizes, which borrow bits from each other."""
    rate = 24_000 if "opus" in path.name else RATE
    t = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * t * (1 + 0.1 * np.sin(t))) for hertz in (220.0, 311.0, 1900.0, 5200.0))
    soundfile.write(path, 0.2 * np.asarray(tones) * (np.sin(9 * t) > 0), rate, **KINDS[path.name])
    return path


def stretch(path: Path, first: int, stop: int) -> np.ndarray:
    with opened(path) as sound:
        return np.concatenate(list(sound.read(first, stop, 5000)))


@pytest.mark.parametrize("name", KINDS)
def test_a_stretch_is_the_slice_of_the_whole(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    with opened(path) as sound:
        whole = np.concatenate(list(sound.read(0, sound.frames, 5000)))
        assert sound.frames == len(whole)
    draw = np.random.default_rng(0)
    late = len(whole) - draw.integers(2000, RATE, 10)  # in the last page of a Vorbis
    for first in [*draw.integers(1, len(whole) - 2000, 20), *late]:
        np.testing.assert_allclose(stretch(path, first, first + 2000), whole[first : first + 2000], atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_blocks_are_those_of_a_file_that_is_read_at_once(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(stretch(path, 0, len(whole)), whole, atol=1e-6)


def test_what_is_read_otherwise_than_before_has_a_name_of_its_own(tmp_path: Path) -> None:
    for name in KINDS:
        path = write(tmp_path / name, seconds=1.0)
        badly = name.endswith("mp3") or "vorbis" in name
        assert decoder_of(path) == (STRAIGHT if badly else None if name.endswith("wav") else PLAIN)
