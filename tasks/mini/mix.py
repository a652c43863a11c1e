"""From stems to a recording: levels, room, bandwidth, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .oscillator import RATE, Audio

PEAK = 0.97
"""Largest magnitude of a finished track."""


@dataclass(frozen=True)
class Stem:
    """One part of a mix: its samples and its level relative to the others in dB."""

    audio: Audio
    level: float


@dataclass(frozen=True)
class Room:
    """Where and on what an album was recorded."""

    reverb: float  # seconds to fall by 60 dB
    wet: float  # level of the reverberation relative to the direct sound
    damping: float  # Hz above which the reverberation is dull
    band: tuple[float, float]  # Hz that the recording passes
    noise: float  # level of hiss below the music, dB (negative)
    tint: float  # slope of a gentle tone control, dB per octave about 1 kHz


def draw_room(rng: np.random.Generator, old: float = 0.25) -> Room:
    """Draw an album's room; with probability ``old`` a narrow-band, noisy historical recording."""
    historical = rng.random() < old
    return Room(
        reverb=float(rng.uniform(0.15, 0.9)),
        wet=float(rng.uniform(0.05, 0.4)),
        damping=float(rng.uniform(2000.0, 7000.0)),
        band=(float(rng.uniform(90.0, 220.0)), float(rng.uniform(3400.0, 6000.0)))
        if historical
        else (float(rng.uniform(25.0, 60.0)), float(rng.uniform(8500.0, 11000.0))),
        noise=float(rng.uniform(-34.0, -20.0)) if historical else float(rng.uniform(-65.0, -36.0)),
        tint=float(rng.normal(0.0, 1.4)),
    )


def _rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio**2)))


def _loudness(audio: Audio) -> float:
    """RMS of the louder half of the 100 ms frames, so that rests do not make a part louder."""
    frame = RATE // 10
    count = len(audio) // frame
    if count < 2:
        return _rms(audio)
    power = np.sort(np.mean(audio[: count * frame].reshape(count, frame) ** 2, axis=1))
    return float(np.sqrt(np.mean(power[count // 2 :])))


def _spectrum_shape(room: Room, samples: int) -> Audio:
    hz = np.fft.rfftfreq(samples, 1.0 / RATE)
    hz[0] = hz[1]
    low, high = room.band
    below, above = (low / hz) ** 2, (hz / high) ** 2
    above *= above
    shape = 1.0 / np.sqrt((1.0 + below * below) * (1.0 + above * above))
    tone = np.exp((room.tint / 6.0206) * np.log(np.clip(hz / 1000.0, 0.06, 11.0)))
    return np.asarray(shape * tone, dtype=np.float64)


def _reverberation(dry: Audio, room: Room, rng: np.random.Generator) -> Audio:
    """Convolution with exponentially decaying noise (Moorer 1979), low-passed."""
    from scipy.signal import butter, oaconvolve, sosfilt

    t = np.arange(int(min(room.reverb, 0.8) * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * np.exp(-np.log(1000.0) * t / room.reverb)
    tail = sosfilt(butter(1, room.damping, fs=RATE, output="sos"), tail)
    tail /= np.sqrt(np.sum(tail**2))
    return np.asarray(oaconvolve(dry, tail)[: len(dry)], dtype=np.float64)


def mixdown(stems: Sequence[Stem], room: Room, rng: np.random.Generator, spread: float = 3.0) -> Audio:
    """Balance, place in the room, and set a random level.

    Returns:
        ``[samples]`` in [-:data:`PEAK`, :data:`PEAK`].
    """
    from scipy.fft import next_fast_len

    dry = np.zeros_like(stems[0].audio)
    for stem in stems:
        level = 10.0 ** ((stem.level + float(rng.normal(0.0, spread))) / 20.0)
        dry += stem.audio * (level / max(_loudness(stem.audio), 1e-6))
    wet = dry + room.wet * _reverberation(dry, room, rng)
    samples = len(wet)
    fast = next_fast_len(samples + RATE // 10, real=True)
    shape = _spectrum_shape(room, fast)
    out = np.fft.irfft(np.fft.rfft(wet, fast) * shape, fast)[:samples]
    hiss = np.convolve(rng.standard_normal(samples + 2), (0.35, 0.75, 0.35), mode="valid")
    out += hiss * (_rms(out) * 10.0 ** (room.noise / 20.0) / max(_rms(hiss), 1e-9))
    target = 10.0 ** (float(rng.uniform(-32.0, -15.0)) / 20.0)
    out *= target / max(_rms(out), 1e-9)
    top = float(np.abs(out).max())
    return out * (PEAK / top) if top > PEAK else out
