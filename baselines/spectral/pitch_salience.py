"""From a waveform to pitches: spectral peaks, harmonic summation, and the melody above whatever sounds all the time.

The chain is that of Salamon and Gómez, *Melody Extraction from Polyphonic Music Signals using Pitch Contour
Characteristics* (IEEE TASLP 20(6), 2012), section III, reduced to what a distribution of pitches needs: there are no
contours, because an error of an octave is harmless once octaves are folded.

Nothing here imports numpy until a function is called.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 24_000
"""Hz."""

FRAME = 4096
"""Samples of a frame (171 ms): long enough to part two voices a whole tone apart at 160 Hz."""

HOP = 600
"""Samples between two frames (25 ms)."""

LOWEST_HZ = 55.0
"""Of a pitch: an octave multiple of A4 = 440 Hz, so that cents above it are, folded, cents above A."""

STEP_CENTS = 10.0
PITCH_STEPS = 600
"""Pitches reach five octaves, to 1760 Hz."""

PEAK_STEPS = 780
"""Partials reach 6.5 octaves, to 4978 Hz."""

HARMONICS = 10
HARMONIC_DECAY = 0.9
"""Weight of a partial against the one below it. Salamon and Gómez take 0.8 and 20 harmonics; a slower decay costs
octave errors, which are harmless here, and saves fifths, which are not."""

LOUDNESS_EXPONENT = 0.8
"""Partials count by amplitude to this power: a drone that is much louder does not drown the melody."""

PEAK_FLOOR = 10 ** (-50 / 20)
"""Peaks weaker than this share of their frame's strongest are left out."""

BLUR_CENTS = 15.0
"""Deviation of the Gaussian with which a partial votes for pitches."""

VOICES = 5
"""Pitches kept per frame."""

STEADY_SHARE = 0.9
"""Share of the median over time that is taken from the salience of every pitch before the melody is sought."""

_LOW_BIN = int(50 * FRAME / SAMPLE_RATE)
_HIGH_BIN = int(5000 * FRAME / SAMPLE_RATE)
_BLOCK = 256
_KERNEL_REACH = 4


@dataclass(frozen=True)
class Pitches:
    """What sounds, frame by frame. Cents are above 55 Hz; strengths have no unit and grow with the gain."""

    level: NDArray[np.float64]  # magnitude of each frame between 50 Hz and 5 kHz, float64 ``[frames]``
    total: NDArray[np.float64]  # summed strength of its partials, float64 ``[frames]``
    melody_cents: NDArray[np.float64]  # float64 ``[frames]``
    # salience of the melody over the steady sound, float64 ``[frames]``; 0 where nothing was found
    melody_strength: NDArray[np.float64]
    voice_cents: NDArray[np.float64]  # the most salient pitches, strongest first, float64 ``[frames, 5]``
    voice_strength: NDArray[np.float64]  # their salience, float64 ``[frames, 5]``; 0 where there are fewer
    partial_frame: NDArray[np.int64]  # frame of each spectral peak, int64 ``[peaks]``
    partial_cents: NDArray[np.float64]  # its frequency, float64 ``[peaks]``
    partial_strength: NDArray[np.float64]  # float64 ``[peaks]``


def track_pitches(samples: NDArray[np.float32]) -> Pitches:
    """Find melody, voices and partials of one window: mono at 24 kHz, at least one frame of 4,096.

    Memory is bounded: spectra exist for 256 frames (6.4 s) at a time, the salience for all (96 kB per second).
    """
    import numpy as np

    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    blocks = [_block(frames[start : start + _BLOCK], start) for start in range(0, len(frames), _BLOCK)]
    level, total, salience, frame, cents, strength = (np.concatenate(part) for part in zip(*blocks, strict=True))
    steady = np.median(salience[:: max(1, len(salience) // 400)], axis=0)
    above = np.maximum(salience - np.float32(STEADY_SHARE) * steady, 0)
    melody_cents, melody_strength = _peaks(above, 1)
    voice_cents, voice_strength = _peaks(salience, VOICES)
    return Pitches(
        level=level,
        total=total,
        melody_cents=melody_cents[:, 0],
        melody_strength=melody_strength[:, 0],
        voice_cents=voice_cents,
        voice_strength=voice_strength,
        partial_frame=frame,
        partial_cents=cents,
        partial_strength=strength,
    )


def _block(frames: NDArray[np.float32], first: int) -> tuple[NDArray[np.generic], ...]:
    """Return level, total, salience, and frame, cents and strength of the partials, of some frames."""
    import numpy as np
    import scipy.fft

    spectrum = scipy.fft.rfft(frames * _window(), axis=1)[:, _LOW_BIN - 1 : _HIGH_BIN + 2]
    magnitude = np.abs(spectrum)
    level = np.sqrt((magnitude.astype(np.float64) ** 2).sum(axis=1))
    frame, cents, strength = _partials(magnitude)
    total = np.bincount(frame, strength, len(frames))
    return level, total, _salience(frame, cents, strength, len(frames)), frame + first, cents, strength


@cache
def _window() -> NDArray[np.float32]:
    import numpy as np

    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


def _partials(magnitude: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return frame, cents and strength of the local maxima of ``magnitude [frames, bins + 2]``.

    A parabola through the logarithms of three bins gives frequency and height (J. O. Smith, *Spectral Audio Signal
    Processing*, "Quadratic Interpolation of Spectral Peaks").
    """
    import numpy as np

    inner = magnitude[:, 1:-1]
    floor = magnitude.max(axis=1, keepdims=True) * np.float32(PEAK_FLOOR)
    frame, place = np.nonzero((inner > magnitude[:, :-2]) & (inner >= magnitude[:, 2:]) & (inner > floor))
    left, middle, right = (np.log(magnitude[frame, place + k].astype(np.float64) + 1e-30) for k in range(3))
    offset = 0.5 * (left - right) / (left - 2 * middle + right)
    cents = 1200 * np.log2((place + _LOW_BIN + offset) * (SAMPLE_RATE / FRAME / LOWEST_HZ))
    strength = np.exp(LOUDNESS_EXPONENT * (middle - 0.25 * (left - right) * offset))
    inside = (cents >= 0) & (cents < (PEAK_STEPS - 1) * STEP_CENTS)
    return frame[inside], cents[inside], strength[inside]


def _salience(
    frame: NDArray[np.int64], cents: NDArray[np.float64], strength: NDArray[np.float64], frames: int
) -> NDArray[np.float32]:
    """Let every partial vote for the pitches that it may be a harmonic of.

    Returns:
        float32 ``[frames, 602]``: 600 pitches, ten cents apart, and an empty one at each end.
    """
    import numpy as np

    place = cents / STEP_CENTS
    step = place.astype(np.int64)
    part = place - step
    at = frame * PEAK_STEPS + step
    votes = np.bincount(at, strength * (1 - part), frames * PEAK_STEPS)
    votes += np.bincount(at + 1, strength * part, frames * PEAK_STEPS)
    reach = _KERNEL_REACH
    padded = np.zeros((frames, PEAK_STEPS + 2 * reach), np.float32)
    padded[:, reach:-reach] = votes.reshape(frames, PEAK_STEPS)
    blurred = padded[:, reach:-reach].copy()
    for k in range(1, reach + 1):
        gain = np.float32(math.exp(-0.5 * (k * STEP_CENTS / BLUR_CENTS) ** 2))
        blurred += gain * padded[:, reach - k : reach - k + PEAK_STEPS]
        blurred += gain * padded[:, reach + k : reach + k + PEAK_STEPS]
    salience = np.zeros((frames, PITCH_STEPS + 2), np.float32)
    for harmonic in range(1, HARMONICS + 1):
        whole, rest = divmod(1200 * math.log2(harmonic) / STEP_CENTS, 1)
        weight = HARMONIC_DECAY ** (harmonic - 1)
        for shift, share in ((int(whole), 1 - rest), (int(whole) + 1, rest)):
            count = min(PITCH_STEPS, PEAK_STEPS - shift)
            if share:
                salience[:, 1 : 1 + count] += np.float32(weight * share) * blurred[:, shift : shift + count]
    return salience


def _peaks(salience: NDArray[np.float32], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cents and strength of the ``count`` highest local maxima of each frame, both ``[frames, count]``."""
    import numpy as np

    inner = salience[:, 1:-1]
    peaks = np.where((inner > salience[:, :-2]) & (inner >= salience[:, 2:]), inner, np.float32(0))
    rows = np.arange(len(salience))[:, None]
    place = np.empty((len(salience), count), np.int64)
    strength = np.zeros((len(salience), count), np.float64)
    for k in range(count):
        place[:, k] = peaks.argmax(axis=1)
        strength[:, k] = peaks[rows[:, 0], place[:, k]]
        peaks[rows[:, 0], place[:, k]] = 0
    left, middle, right = (salience[rows, place + k].astype(np.float64) for k in range(3))
    bend = left - 2 * middle + right
    found = (strength > 0) & (bend < 0)
    offset = np.where(found, 0.5 * (left - right) / np.where(found, bend, -1), 0)
    strength[~found] = 0
    return (STEP_CENTS * (place + offset)).astype(np.float64), strength
