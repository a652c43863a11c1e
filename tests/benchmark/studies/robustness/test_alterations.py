"""What is done to audio: each alteration does what it says, and nothing that it does not say."""

from __future__ import annotations

import importlib.util
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cmbench.baselines.spectral.pitch_salience import SAMPLE_RATE, track_pitches
from cmbench.benchmark.studies.robustness import alterations
from cmbench.benchmark.studies.robustness.alterations import ALTERATIONS, DISC_HZ, THERE_AND_BACK, Alteration, Altering
from cmbench.errors import UsageError

Audio = NDArray[np.float32]


@pytest.fixture(scope="module")
def melody() -> Audio:
    """Four notes of eight harmonics, 2 s, and a little noise."""
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    notes = [
        np.sin(np.pi * t / 0.5) * sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 9))
        for hertz in (196.0, 247.1, 220.0, 310.5)
    ]
    rng = np.random.default_rng(0)
    return (0.1 * np.concatenate(notes) + 1e-4 * rng.standard_normal(2 * SAMPLE_RATE)).astype(np.float32)


def moved_by(altered: Audio, clean: Audio) -> float:
    """Cents between the melodies of two recordings, by the pitch measurement of the baselines: the median."""
    longest = min(len(altered), len(clean))
    first, second = (track_pitches(one[:longest]) for one in (clean, altered))
    sounds = (first.melody_strength > 0) & (second.melody_strength > 0)
    return float(np.median((second.melody_cents - first.melody_cents)[sounds]))


@pytest.mark.parametrize("name", [name for name, one in ALTERATIONS.items()])
def test_pitch_moves_by_the_cents_that_it_says_and_length_stays(name: str, melody: Audio) -> None:
    one = ALTERATIONS[name]
    altered = one.alter(melody, SAMPLE_RATE)
    assert altered.dtype == np.float32
    shortest = len(melody) / 1.01 - 1 if name == "1 % faster" else len(melody)
    assert shortest <= len(altered) <= len(melody)
    assert moved_by(altered, melody) == pytest.approx(one.cents, abs=1.5)
    assert not np.array_equal(altered, melody[: len(altered)])
    assert np.array_equal(altered, one.alter(melody, SAMPLE_RATE))


def level(audio: Audio, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum()))


def test_noise_is_20_db_below_and_the_same_for_the_same_audio_alone() -> None:
    noise = np.random.default_rng(1).standard_normal(SAMPLE_RATE).astype(np.float32)
    added = ALTERATIONS["noise 20 dB"].alter(noise, SAMPLE_RATE) - noise
    assert 20 * np.log10(noise.std() / added.std()) == pytest.approx(20, abs=0.1)
    assert abs(np.corrcoef(noise, added)[0, 1]) < 0.03
    other = ALTERATIONS["noise 20 dB"].alter(noise[::-1].copy(), SAMPLE_RATE) - noise[::-1]
    assert abs(np.corrcoef(added, other)[0, 1]) < 0.03


def test_a_disc_holds_its_band_alone() -> None:
    noise = np.random.default_rng(2).standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    disc = ALTERATIONS["78 rpm band"].alter(noise, SAMPLE_RATE)
    low, high = DISC_HZ
    assert level(disc, 2 * low, 0.8 * high) == pytest.approx(level(noise, 2 * low, 0.8 * high), abs=0.3)
    assert level(disc, 0, low / 2) < level(noise, 0, low / 2) - 30
    assert level(disc, 2 * high, SAMPLE_RATE / 2) < level(noise, 2 * high, SAMPLE_RATE / 2) - 40
    assert np.isfinite(ALTERATIONS["78 rpm band"].alter(noise, 8000)).all()


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100])
def test_mp3_is_of_32_kbit_and_in_step_at_any_rate(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(3).standard_normal(rate * 8)
    audio = (0.1 * np.convolve(noise, np.ones(8) / 8, "same")).astype(np.float32)
    sizes, write = [], soundfile.write

    def noting(held: io.BytesIO, *args: Any, **how: Any) -> None:
        write(held, *args, **how)
        sizes.append(held.tell())

    monkeypatch.setattr(soundfile, "write", noting)
    coded = ALTERATIONS["mp3 32 kbit/s"].alter(audio, rate)
    assert sizes[0] * 8 / 8 / 1000 == pytest.approx(32, rel=0.03)
    lags = np.correlate(coded[2000:12_000], audio[2100:11_900], "valid")
    assert lags.argmax() == 100
    assert len(coded) == len(audio)


def test_there_and_back_leaves_a_trace_of_the_phase_vocoder_alone(melody: Audio) -> None:
    back = ALTERATIONS[THERE_AND_BACK].alter(melody, SAMPLE_RATE)
    assert abs(moved_by(back, melody)) < 0.5
    assert level(back, 50, 5000) == pytest.approx(level(melody, 50, 5000), abs=0.5)


@pytest.mark.parametrize(("rate", "samples"), [(24_000, 24_000), (16_000, 7_777)])
def test_a_shift_is_that_of_librosa_to_the_bit(rate: int, samples: int) -> None:
    from librosa.effects import pitch_shift

    audio = 0.1 * np.random.default_rng(4).standard_normal(samples).astype(np.float32)
    for cents in (50.0, -100.0):
        moved = pitch_shift(audio, sr=rate, n_steps=cents / 100, res_type="soxr_hq")
        level = np.float32(audio.std() / moved.std())
        assert np.array_equal(alterations.shifted(audio, rate, cents), moved * level)


def test_a_window_is_altered_once_in_every_form_for_all_who_hear_it(tmp_path: Path) -> None:
    calls = []

    def times(audio: Audio, rate: int, factor: float) -> Audio:
        calls.append((rate, factor))
        return audio * np.float32(factor)

    forms = [Alteration(f"times {by}", "times", 0.0, partial(times, factor=by)) for by in (2.0, 3.0)]
    altering = Altering(tmp_path, forms)
    audio = np.arange(6, dtype=np.float32).reshape(2, 3)
    for form, factor in ((forms[1], 3), (forms[0], 2), (forms[1], 3)):
        assert np.array_equal(altering.altered(audio, 8000, form), audio * factor)
    assert calls == [(8000, 2.0), (8000, 3.0)] * 2
    # What it is in another rate, or another window, is something else.
    altering.altered(audio[::-1], 8000, forms[0])
    assert len(calls) == 4
    altering.altered(audio[:1], 4000, forms[0])
    altering.altered(audio[:1] + 1, 8000, forms[0])
    assert calls[4:] == [(4000, 2.0), (4000, 3.0), (8000, 2.0), (8000, 3.0)]


def test_without_librosa_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "cmbench\[librosa\]"'):
        alterations.require_librosa()
