"""From a timbre and control curves to sound: one vectorised wavetable oscillator for every pitched instrument.

A table holds one period per register (half an octave) and stage. For plucked strings a stage is an age of the
note, for voices a vowel, for the rest a loudness; the oscillator interpolates between neighbouring stages and
along the period. Tables stop at :data:`TOP` Hz, so nothing aliases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .timbres import VOWELS, Timbre

Audio = NDArray[np.float64]

RATE = 24_000
"""Samples per second of everything rendered."""
CONTROL = 400
"""Control points per second; :data:`RATE` is a multiple of it."""
TOP = 10_800.0
PERIOD = 1024
STAGES = 6
_HARMONICS = 96
_BLOCK = 6000


@dataclass(frozen=True)
class Controls:
    """What a player does, at :data:`CONTROL` points per second, all ``[points]``."""

    f0: Audio  # fundamental, Hz
    amp: Audio  # amplitude, 0 to about 1
    stage: Audio  # age in seconds (plucked), vowel position in [0, 1] (voice), loudness in [0, 1] (others)


def stage_ages(timbre: Timbre) -> Audio:
    """Ages in seconds at which a plucked timbre's tables are computed ``[STAGES]``; dense at the start."""
    return timbre.decay * 0.5 * (np.arange(STAGES) / (STAGES - 1)) ** 2


def _body(timbre: Timbre, hz: Audio) -> Audio:
    gain = np.ones_like(hz)
    for centre, width, height in timbre.peaks:
        gain = gain + height / (1.0 + ((hz - centre) / (0.5 * width)) ** 2)
    return gain


def _formants(timbre: Timbre, hz: Audio, vowel: int) -> Audio:
    gain = np.full_like(hz, 0.05)
    for k, centre in enumerate(VOWELS[vowel % len(VOWELS)]):
        c = centre * timbre.formant
        width = 90.0 + 0.06 * c
        gain = gain + (1.0, 0.6, 0.35)[k] / (1.0 + ((hz - c) / (0.5 * width)) ** 2)
    singer = 2900.0 * timbre.formant
    return gain + 0.25 / (1.0 + ((hz - singer) / 300.0) ** 2)


def _spectrum(timbre: Timbre, f0: float, top: float, stage: int) -> Audio:
    """Amplitudes of the harmonics of ``f0``; none where the register's highest note (``top``, Hz) would pass TOP."""
    h = np.arange(1, _HARMONICS + 1, dtype=np.float64)
    level = h ** (timbre.slope / 6.0206)
    level[1::2] *= timbre.even
    hz = h * f0
    if timbre.kind == "plucked":
        if timbre.pluck > 0:
            level = level * (0.1 + np.abs(np.sin(np.pi * h * timbre.pluck)))
        extra = np.log(1000.0) / timbre.decay * timbre.damping * (h - 1.0)
        level = level * np.exp(-extra * stage_ages(timbre)[stage])
    elif timbre.kind == "voice":
        level = level * _formants(timbre, hz, stage)
    else:
        level = level * h ** (0.5 * (stage / (STAGES - 1) - 1.0))
    level = level * _body(timbre, hz)
    level[h * top > TOP] = 0.0
    power = np.sqrt(np.sum(level**2))
    return level / power if timbre.kind != "plucked" and power > 0 else level


def _tables(timbre: Timbre, low: float, registers: int, phases: Audio) -> Audio:
    """Wavetables ``[registers, STAGES, PERIOD + 1]``, the last sample of a period repeating the first."""
    tables = np.zeros((registers, STAGES, PERIOD + 1))
    bins = np.zeros((STAGES, PERIOD // 2 + 1), dtype=np.complex128)
    for r in range(registers):
        bottom = low * 2.0 ** (r / 2.0)
        for s in range(STAGES):
            level = _spectrum(timbre, bottom * 2.0**0.25, bottom * 2.0**0.5, s)
            bins[s, 1 : _HARMONICS + 1] = level * np.exp(1j * phases)
        tables[r, :, :PERIOD] = np.fft.irfft(bins, PERIOD, axis=1) * (PERIOD / 2)
        if timbre.kind == "plucked":
            first = np.sqrt(np.mean(tables[r, 0, :PERIOD] ** 2))
            tables[r] /= max(float(first), 1e-9) * np.sqrt(2.0)
    tables[:, :, PERIOD] = tables[:, :, 0]
    return tables


def upsample(curve: Audio, samples: int) -> Audio:
    """Interpolate a control curve ``[points]`` linearly to ``[samples]``."""
    step = RATE // CONTROL
    points = -(-samples // step)
    ramp = np.arange(step) / step
    rise = np.diff(curve[: points + 1], append=curve[-1:])[:points]
    lines: Audio = curve[:points, None] + rise[:, None] * ramp
    return lines.ravel()[:samples]


def _stage_position(timbre: Timbre, stage: Audio) -> Audio:
    if timbre.kind == "plucked":
        ages = stage_ages(timbre)
        position = np.sqrt(np.clip(stage / ages[-1], 0.0, 1.0)) * (STAGES - 1)
    else:
        position = np.clip(stage, 0.0, 1.0) * (STAGES - 1)
    return np.asarray(np.minimum(position, STAGES - 1 - 1e-6), dtype=np.float64)


def tone(timbre: Timbre, controls: Controls, samples: int, rng: np.random.Generator) -> Audio:
    """Sound of one player following control curves.

    ``controls`` are curves over ``samples / RATE`` seconds.

    Returns:
        ``[samples]`` at :data:`RATE`, amplitude as the controls say (about 0.7 RMS of ``amp`` for held notes).
    """
    low = float(controls.f0.min()) * 0.999
    registers = int(np.floor(2.0 * np.log2(float(controls.f0.max()) / low))) + 1
    tables = _tables(timbre, low, registers, rng.uniform(0.0, 2.0 * np.pi, _HARMONICS))
    register = np.clip(np.floor(2.0 * np.log2(controls.f0 / low)).astype(np.int64), 0, registers - 1)
    position = _stage_position(timbre, controls.stage)
    stage = upsample(position, samples)
    whole = stage.astype(np.int64)
    blend = stage - whole
    rows = (np.repeat(register, RATE // CONTROL)[:samples] * STAGES + whole) * (PERIOD + 1)
    cycles = np.cumsum(upsample(controls.f0, samples)) / RATE
    flat = tables.ravel()
    if timbre.course > 0:
        apart = 2.0 ** (0.5 * timbre.course / 1200.0)
        out = 0.6 * (_read(flat, rows, blend, cycles * apart) + _read(flat, rows, blend, cycles / apart))
    else:
        out = _read(flat, rows, blend, cycles)
    amp = upsample(controls.amp, samples)
    out *= amp
    if timbre.breath > 0 and timbre.kind != "plucked":
        out += _breath(timbre, samples, rng) * amp
    return out


def _read(flat: Audio, rows: NDArray[np.int64], blend: Audio, cycles: Audio) -> Audio:
    """Interpolate in the tables, in blocks that stay in a processor's cache."""
    out = np.empty(len(cycles))
    for start in range(0, len(cycles), _BLOCK):
        block = slice(start, start + _BLOCK)
        turn = cycles[block]
        at = (turn - np.floor(turn)) * PERIOD
        whole = at.astype(np.int64)
        part = at - whole
        whole = np.minimum(whole, PERIOD - 1) + rows[block]
        near = flat[whole]
        near += part * (flat[whole + 1] - near)
        whole += PERIOD + 1
        far = flat[whole]
        far += part * (flat[whole + 1] - far)
        far -= near
        far *= blend[block]
        near += far
        out[block] = near
    return out


def _breath(timbre: Timbre, samples: int, rng: np.random.Generator) -> Audio:
    return timbre.breath * band_noise(timbre.breath_band, samples, rng)


def band_noise(band: tuple[float, float], samples: int, rng: np.random.Generator) -> Audio:
    """White noise between two frequencies (Hz), unit RMS, ``[samples]``."""
    from scipy.signal import butter, sosfilt

    high = min(band[1], 0.46 * RATE)
    sos = butter(1, (min(band[0], 0.8 * high), high), "bandpass", fs=RATE, output="sos")
    noise = np.asarray(sosfilt(sos, rng.standard_normal(samples)), dtype=np.float64)
    return noise / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
