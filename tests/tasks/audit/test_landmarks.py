"""Fingerprints: a copy is found however it was made; other music is not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cmbench.tasks.audit.landmarks import (
    HOP,
    LEAST_LANDMARKS,
    LEAST_SHARE,
    LEAST_SHARED,
    RATE,
    fingerprint,
    matches,
)

Samples = NDArray[np.float32]
FULL = 22050
"""Sample rate of the music, Hz."""


def music(seed: int, seconds: float = 10.0, rate: int = FULL) -> Samples:
    """Random notes with harmonics over a drone that all seeds share: alike, but not the same."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    out = 0.05 * np.sin(2 * np.pi * 146.83 * t) + 0.03 * np.sin(2 * np.pi * 220.0 * t)
    start = 0.0
    while start < seconds:
        length = rng.uniform(0.12, 0.6)
        span = slice(int(start * rate), int((start + length) * rate))
        note = t[span] - start
        pitch = 146.83 * 2 ** (rng.integers(0, 25) / 12)
        for harmonic in range(1, 7):
            out[span] += 0.3 / harmonic * np.sin(2 * np.pi * harmonic * pitch * note) * np.exp(-4 * note)
        start += length * rng.uniform(0.4, 1.0)
    return np.asarray((out + 0.002 * rng.standard_normal(len(t))) / 2, np.float32)


def resampled(samples: Samples, rate: int, target: int) -> Samples:
    return np.asarray(soxr.resample(samples, rate, target), np.float32)


def encoded(samples: Samples, rate: int, form: str, subtype: str, level: float) -> Samples:
    """Return samples after an encoder and a decoder; the level is 0 (best) to 1 (smallest)."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype, compression_level=level)
    file.seek(0)
    decoded: Samples = soundfile.read(file, dtype="float32")[0]
    return decoded


COPIES: dict[str, Callable[[Samples], tuple[Samples, int]]] = {
    "as it is": lambda x: (x, FULL),
    "18 dB softer": lambda x: (x / np.float32(8), FULL),
    "the first 0.1137 s cut off": lambda x: (x[int(0.1137 * FULL) :], FULL),
    "the second half": lambda x: (x[len(x) // 2 :], FULL),
    "ogg at 11 kHz": lambda x: (encoded(resampled(x, FULL, 11025), 11025, "OGG", "VORBIS", 0.9), 11025),
    "mp3 at 16 kHz": lambda x: (encoded(resampled(x, FULL, 16000), 16000, "MP3", "MPEG_LAYER_III", 0.9), 16000),
    "mp3 at 16 kHz, softer and shifted": lambda x: (
        encoded(resampled(x, FULL, 16000)[4321:] * 0.3, 16000, "MP3", "MPEG_LAYER_III", 0.9),
        16000,
    ),
    "noise 20 dB below": lambda x: (
        (x + 0.1 * x.std() * np.random.default_rng(9).standard_normal(len(x))).astype(np.float32),
        FULL,
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found(name: str) -> None:
    for seed in (1, 2, 3):
        original = music(seed)
        (found,) = matches([fingerprint(resampled(x, r, RATE)) for x, r in ((original, FULL), COPIES[name](original))])
        assert (found.first, found.second) == (0, 1)
        assert found.share > 1.5 * LEAST_SHARE, "not by a hair"


def test_the_shift_is_told() -> None:
    original = music(4)
    (found,) = matches([fingerprint(resampled(x, FULL, RATE)) for x in (original, original[2 * FULL :])])
    assert found.shift == pytest.approx(2.0, abs=1.5 * HOP / RATE)


def test_other_music_over_the_same_drone_is_not_a_copy() -> None:
    prints = [fingerprint(resampled(music(seed, 6.0), FULL, RATE)) for seed in range(30)]
    assert all(len(p.names) >= LEAST_LANDMARKS for p in prints)
    assert list(matches(prints)) == []


@pytest.mark.parametrize("semitones", [1])
def test_another_pitch_is_not_a_copy(semitones: int) -> None:
    original = music(5)
    shifted = resampled(original, FULL, round(FULL * 2 ** (-semitones / 12)))
    assert list(matches([fingerprint(resampled(x, FULL, RATE)) for x in (original, shifted)])) == []


def test_plain_sound_matches_nothing() -> None:
    t = np.arange(5 * RATE) / RATE
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    silence = np.zeros(5 * RATE, np.float32)
    prints = [fingerprint(x) for x in (tone, tone, silence, silence, silence[:100], silence[:0])]
    assert all(len(p.names) < LEAST_LANDMARKS for p in prints)
    assert list(matches(prints)) == []
    assert list(matches([])) == []


def test_each_pair_is_told_once_and_by_place() -> None:
    one, other = (fingerprint(resampled(music(seed), FULL, RATE)) for seed in (6, 7))
    found = [(m.first, m.second, m.share, m.shared >= LEAST_SHARED) for m in matches([one, other, one, one])]
    assert found == [(0, 2, 1.0, True), (0, 3, 1.0, True), (2, 3, 1.0, True)]


@given(st.integers(0, 10_000), st.integers(0, 4 * HOP), st.floats(0.01, 4.0))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_level_and_start_do_not_matter(seed: int, late: int, gain: float) -> None:
    original = music(seed, 8.0, RATE)
    (found,) = matches([fingerprint(original), fingerprint(original[late:] * np.float32(gain))])
    assert found.share > 1.5 * LEAST_SHARE
