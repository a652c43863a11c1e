"""From pitches to the distributions that tell modes, keys and tunings apart.

A distribution is a circle of 240 pitch classes, five cents apart. Three questions decide what it says, and the data,
not this file, should answer them: where is the tonic, does it matter, and who sounds it? So the same distributions are
given in several frames of reference, each a hidden state of its own:

``absolute``: above A = 440 Hz, for keys and for drones of a known pitch.
``tonic-free``: which intervals occur, whatever they stand on.
``tonic-aligned``: above the pitch classes that may be the tonic: the most prominent, the last to be held, the most
prominent with accompaniment. No decision is taken: the distribution is correlated with the distribution of the
candidates, so that a doubtful tonic blurs the result instead of upsetting it.
``progression``: the melody above what is both last and prominent, in the first and in the second half of the window;
and all voices above the last.

Tonic-aligned distributions of pitch classes are those of Gedik and Bozkurt, *Pitch-frequency histogram-based music
information retrieval for Turkish music* (Signal Processing 90(4), 2010). Square roots make Euclidean distances
Hellinger's. Nothing here imports numpy until a function is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .pitch_salience import HOP, SAMPLE_RATE, Pitches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAYERS = ("absolute", "tonic-free", "tonic-aligned", "progression")
DIM = 360

_FINE = 240
_HALF = 60

_CONTENT_BLUR = 15.0
"""Cents; 20 and 25 told makams apart no better."""

_TONIC_BLUR = 10.0

_PROMINENCE = 4
"""Exponent that turns a distribution of pitch classes into one of tonic candidates."""

_FIFTH_STEPS = 140
_FIFTH_SHARE = 0.5
"""What the pitch class a fifth above adds to a candidate: where tonic and fifth sound together, as in a tanpura or a
tonic chord, the fifth is often the stronger one, and only the tonic has the other above it."""

_FINAL_SECONDS = 4.0
"""Sounding time over which the weight of the past, seen from the end, falls to 1/e."""

_FINALITY = 3
"""Exponent that turns the distribution near the end into one of tonic candidates."""

_STEADY_CENTS = 25.0
_GLIDE_WEIGHT = 0.2
"""What a frame within a glide counts, where a held one counts 1."""

_INTERVAL_SECONDS = 0.5
_BASS_CENTS = 2700.0
"""Above 55 Hz: 262 Hz, about middle C."""


@dataclass(frozen=True)
class _Weights:
    """How much each frame counts: ``held`` for the melody, ``voices`` for all that sounds; float64 ``[frames]``."""

    held: NDArray[np.float64]
    voices: NDArray[np.float64]


def describe_pitches(pitches: Pitches) -> NDArray[np.float32]:
    """Return the hidden states of one window, float32 ``[4, 360]``: square roots of densities, 1 where all is equal.

    Silence gives zeros. The gain does not matter, and a transposition only to ``absolute``.
    """
    import numpy as np

    weights = _weigh(pitches)
    held = weights.held
    melody = _distribution(pitches.melody_cents, held, _CONTENT_BLUR)
    best = pitches.voice_strength.max(axis=1, keepdims=True)
    share = (pitches.voice_strength / np.where(best > 0, best, 1)) ** 2 * weights.voices[:, None]
    voices = _distribution(pitches.voice_cents.ravel(), share.ravel(), _CONTENT_BLUR)

    to_come = np.cumsum(held[::-1])[::-1] * (HOP / SAMPLE_RATE)
    final = _distribution(pitches.melody_cents, held * np.exp(-to_come / _FINAL_SECONDS), _TONIC_BLUR)
    rest = _share_out(final**_FINALITY)
    tonic = _share_out(final * melody**2)
    past = np.cumsum(held)
    early = past <= past[-1] / 2
    halves = [_distribution(pitches.melody_cents, held * half, _CONTENT_BLUR) for half in (early, ~early)]
    return np.stack(
        [
            _joined(melody[::2], voices[::2], _bass(pitches, weights)[::2]),
            _joined(
                _above(melody, melody)[1 : _HALF + 1],
                _above(voices, voices)[1 : _HALF + 1],
                _above(voices, melody),
                _intervals(pitches.melody_cents, held)[::2],
            ),
            _joined(
                _above(_prominent(melody), melody),
                _above(rest, melody),
                _above(_prominent(voices), voices),
            ),
            _joined(*(_above(tonic, half) for half in halves), _above(rest, voices)),
        ]
    )


def _weigh(pitches: Pitches) -> _Weights:
    """Let loud, harmonic and held frames count.

    The gate is soft, 25 dB under the loudest frames; harmonic is a frame in which one pitch explains the partials.
    """
    import numpy as np

    loud = np.percentile(pitches.level, 95)
    if not loud > 0:
        nothing = np.zeros(len(pitches.level))
        return _Weights(nothing, nothing)
    decibels = 20 * np.log10(pitches.level / loud + 1e-9)
    gate = 1 / (1 + np.exp(-(decibels + 25) / 2))
    total = np.where(pitches.total > 0, pitches.total, 1)
    explained = [
        np.sqrt(np.clip(2 * s / total, 0, 1)) for s in (pitches.melody_strength, pitches.voice_strength.max(1))
    ]
    return _Weights(gate * explained[0] * _steadiness(pitches.melody_cents), gate * explained[1])


def _steadiness(cents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for frames in a run of three at one pitch class, down to 0.2 in a glide; ``[frames]``."""
    import numpy as np

    unlike = 600.0
    padded = np.concatenate([[cents[0] + unlike] * 2, cents, [cents[-1] + unlike] * 2])
    back2, back1, on1, on2 = (np.abs((padded[k : k + len(cents)] - cents + 600) % 1200 - 600) for k in (0, 1, 3, 4))
    spread = np.minimum(np.minimum(np.maximum(back1, back2), np.maximum(on1, on2)), np.maximum(back1, on1))
    steady: NDArray[np.float64] = np.exp(-0.5 * (spread / _STEADY_CENTS) ** 2)
    return _GLIDE_WEIGHT + (1 - _GLIDE_WEIGHT) * steady


def _share_out(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weights.sum()
    return weights / total if total > 0 else weights


def _circle(cents: NDArray[np.float64], weights: NDArray[np.float64], blur: float) -> NDArray[np.float64]:
    """Return the weight of each of 240 pitch classes, blurred by a Gaussian of ``blur`` cents."""
    import numpy as np

    place = (cents % 1200) * (_FINE / 1200)
    step = np.floor(place).astype(np.int64)
    part = place - step
    sharp = np.bincount(step % _FINE, weights * (1 - part), _FINE)
    sharp += np.bincount((step + 1) % _FINE, weights * part, _FINE)
    decay = np.exp(-2 * (np.pi * np.arange(_FINE // 2 + 1) * blur / 1200) ** 2)
    return np.maximum(np.fft.irfft(np.fft.rfft(sharp) * decay, _FINE), 0)


def _distribution(cents: NDArray[np.float64], weights: NDArray[np.float64], blur: float) -> NDArray[np.float64]:
    """Return the same scaled to a sum of 1 ``[240]``; zeros where nothing has weight."""
    return _share_out(_circle(cents, weights, blur))


def _prominent(distribution: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how likely each pitch class is the tonic if the one that stands out with its fifth is ``[240]``."""
    import numpy as np

    supported = distribution + _FIFTH_SHARE * np.roll(distribution, -_FIFTH_STEPS)
    return _share_out(supported**_PROMINENCE)


def _above(tonic: NDArray[np.float64], content: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected distribution above the tonic, in steps of ten cents from 0 ``[120]``."""
    import numpy as np

    spectrum = np.conj(np.fft.rfft(tonic)) * np.fft.rfft(content)
    return np.fft.irfft(spectrum, _FINE)[::2]


def _bass(pitches: Pitches, weights: _Weights) -> NDArray[np.float64]:
    """Return the share of the sound that is partials under 262 Hz, by pitch class ``[240]``; sums to less than 1."""
    import numpy as np

    low = pitches.partial_cents < _BASS_CENTS
    frame = pitches.partial_frame[low]
    total = np.where(pitches.total > 0, pitches.total, 1)
    strength = pitches.partial_strength[low] / total[frame] * weights.voices[frame]
    everything = weights.voices.sum()
    return _circle(pitches.partial_cents[low], strength, _CONTENT_BLUR) / (everything if everything > 0 else 1)


def _intervals(cents: NDArray[np.float64], held: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distribution of the melody's steps over half a second, octaves folded ``[240]``."""
    lag = round(_INTERVAL_SECONDS * SAMPLE_RATE / HOP)
    return _distribution(cents[lag:] - cents[:-lag], held[lag:] * held[:-lag], _CONTENT_BLUR)


def _joined(*blocks: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the square roots of densities relative to an even one, end to end: float32 ``[360]``."""
    import numpy as np

    root: NDArray[np.float32] = np.sqrt(_FINE * np.maximum(np.concatenate(blocks), 0)).astype(np.float32)
    return root
