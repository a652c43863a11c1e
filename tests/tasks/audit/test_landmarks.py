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

from cmbench.tasks.audit import landmarks
from cmbench.tasks.audit.landmarks import (
    HOP,
    LEAST_LANDMARKS,
    LEAST_SHARE,
    LEAST_SHARED,
    RATE,
    WINDOW,
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


def faster(samples: Samples, factor: float) -> Samples:
    """As from a tape that runs faster by a factor: shorter and higher."""
    return np.asarray(soxr.resample(samples, FULL * factor, FULL), np.float32)


@pytest.mark.parametrize("factor", [0.99, 1.005, 1.01, 2 ** (20 / 1200)])
def test_a_copy_from_another_tape_machine_is_found(factor: float) -> None:
    for seed in (1, 2, 3):
        original = music(seed)
        copy = faster(original, factor)
        (found,) = matches([fingerprint(resampled(x, FULL, RATE)) for x in (original, copy)])
        assert found.pitch == pytest.approx(factor, abs=0.0035)
        # Half a per cent of these ten seconds is a frame and a half: too little to tell from the same speed.
        assert found.speed in ((found.pitch,) if abs(factor - 1) > 0.006 else (1.0, found.pitch))
        assert found.share > 1.5 * LEAST_SHARE
        # The other way round the second is slower and lower.
        (turned,) = matches([fingerprint(resampled(x, FULL, RATE)) for x in (copy, original)])
        assert turned.pitch == pytest.approx(1 / factor, abs=0.0035)


@pytest.mark.parametrize("factor", [2 ** (20 / 1200), 2 ** (-20 / 1200)])
def test_a_copy_of_another_pitch_at_the_same_speed_is_found(factor: float) -> None:
    """Higher notes at the same times, as a key changer makes them; the notes are those of the same seed."""
    notes = [np.asarray(tuned(1, by), np.float32) for by in (1.0, factor)]
    (found,) = matches([fingerprint(resampled(x, FULL, RATE)) for x in notes])
    assert found.pitch == pytest.approx(factor, abs=0.0035)
    assert found.speed == 1.0


def tuned(seed: int, factor: float) -> NDArray[np.float64]:
    """Random notes, all of them higher by a factor."""
    rng = np.random.default_rng(seed)
    t = np.arange(10 * FULL) / FULL
    out = 0.002 * rng.standard_normal(len(t))
    for start in np.arange(0.0, 9.5, 0.25):
        note = t[int(start * FULL) :] - start
        pitch = 146.83 * factor * 2 ** (rng.integers(0, 25) / 12)
        for harmonic in range(1, 7):
            out[-len(note) :] += 0.3 / harmonic * np.sin(2 * np.pi * harmonic * pitch * note) * np.exp(-6 * note)
    return out / 2


def test_the_same_speed_is_told_as_the_same() -> None:
    (found,) = matches([fingerprint(resampled(x, FULL, RATE)) for x in (music(4), music(4)[999:])])
    assert (found.pitch, found.speed) == (1.0, 1.0)


def test_another_speed_needs_more_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    original = music(1)
    prints = [fingerprint(resampled(x, FULL, RATE)) for x in (original, faster(original, 1.01))]
    (found,) = matches(prints)
    for least, there in ((found.shared, 1), (found.shared + 1, 0)):
        monkeypatch.setattr(landmarks, "LEAST_SHARED_BENT", least)
        assert len(list(matches(prints))) == there
    monkeypatch.setattr(landmarks, "LEAST_SHARED_BENT", 24)
    for share, there in ((found.share - 1e-9, 1), (found.share + 1e-3, 0)):
        monkeypatch.setattr(landmarks, "LEAST_SHARE_BENT", share)
        assert len(list(matches(prints))) == there


def test_a_frequency_is_kept_finer_than_a_bin_and_named_by_it() -> None:
    """A decaying note between two bins, asked for at its own pitch and half a bin higher."""
    t = np.arange(RATE) / RATE
    note = sum(np.exp(-5 * (t - s)) * np.sin(2 * np.pi * 1003.0 * t) * (t >= s) for s in (0.0, 0.3, 0.6))
    found = fingerprint(np.tile(np.asarray(note, np.float32), 8))
    exact = 1003.0 * WINDOW / RATE
    assert np.median(np.abs(found.fine / 64 - exact)) < 0.1
    assert np.array_equal(np.rint(found.fine / 64).astype(np.uint32)[:, 0], found.names >> 15)
    higher = found.at(1.0 + 1.0 / exact)
    assert np.median((higher >> 15).astype(int) - (found.names >> 15).astype(int)) == 1
    assert np.array_equal(higher & 63, found.names & 63)


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
