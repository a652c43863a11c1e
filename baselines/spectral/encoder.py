"""Encoders without weights: mel cepstra (timbre) and pitch-class statistics (modes, keys, tunings).

They say what a score owes to the plainest descriptions of sound. Each is one formula on one window; a row of a batch is
computed alone, so that it is the same to the last bit whatever else is in the batch. Nothing here imports numpy or
scipy until a function is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ..base import EncoderCard, EncoderEntry, LoadOptions, require_audio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

SAMPLE_RATE = 24_000
"""Hz; MERT's, so that a track is resampled the same for both."""

MFCC_FRAME = 2048
MFCC_HOP = 512
MEL_BANDS = 128
COEFFICIENTS = 20
DELTA_FRAMES = 9
"""Frames of the regression that gives the deltas; the defaults of librosa 0.11, as are those above."""

DECIBELS_PER_UNIT = 10.0
"""Cepstra are of levels in bels: in decibels the lowest coefficient of digital silence is -1,131."""

_DYNAMIC_RANGE_DB = 80.0
_LEAST_POWER = 1e-10
_BLOCK = 1024
_SHORTEST = 4096
"""Samples: nine frames for the deltas, one frame for the pitches."""


@dataclass(frozen=True)
class SpectralEncoder:
    """A formula on one window; satisfies :class:`cmbench.baselines.base.Encoder`."""

    card: EncoderCard  # who it is
    describe: Callable[[NDArray[np.float32]], NDArray[np.float32]]  # ``[samples]`` to ``[layers, dim]`` float32

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the statistics of every window."""
        import numpy as np

        require_audio(audio, self.card)
        return np.stack([self.describe(np.ascontiguousarray(row)) for row in audio])


def mfcc(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mel-frequency cepstral coefficients ``[20, 1 + samples // 512]`` of 24 kHz mono, of levels in bels.

    Ten times the result is ``librosa.feature.mfcc(y=samples, sr=24000)`` (librosa 0.11: Slaney's mel scale and norm,
    128 bands, 80 dB of range, orthonormal DCT-II) within 0.01 for music.
    """
    import scipy.fft

    level = mel_levels(samples)
    coefficients: NDArray[np.float32] = scipy.fft.dct(level, type=2, norm="ortho", axis=0)[:COEFFICIENTS]
    return coefficients


def mel_levels(samples: NDArray[np.float32], hop: int = MFCC_HOP, bands: int = MEL_BANDS) -> NDArray[np.float32]:
    """Return levels in mel bands over time, in bels, at most 8 bels below the loudest.

    ``samples`` are mono at 24 kHz, ``hop`` samples between frames.

    Returns:
        float32 ``[bands, 1 + samples // hop]``.
    """
    import numpy as np
    import scipy.fft

    padded = np.pad(samples, MFCC_FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, MFCC_FRAME)[::hop]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(MFCC_FRAME) / MFCC_FRAME)).astype(np.float32)
    filters = mel_filters(bands=bands)
    power = []
    for start in range(0, len(frames), _BLOCK):
        spectrum = scipy.fft.rfft(frames[start : start + _BLOCK] * window, axis=1)
        power.append(filters @ np.ascontiguousarray((spectrum.real**2 + spectrum.imag**2).T))
    level = (10 / DECIBELS_PER_UNIT) * np.log10(np.maximum(np.concatenate(power, axis=1), np.float32(_LEAST_POWER)))
    floor = level.max() - np.float32(_DYNAMIC_RANGE_DB / DECIBELS_PER_UNIT)
    return np.asarray(np.maximum(level, floor), np.float32)


@cache
def mel_filters(rate: int = SAMPLE_RATE, frame: int = MFCC_FRAME, bands: int = MEL_BANDS) -> csr_array:
    """Return triangular filters of equal area, evenly spaced in mel up to half the rate: sparse float32.

    The mel scale is that of M. Slaney, *Auditory Toolbox* (Interval Research, 1998): linear to 1 kHz, then logarithmic.
    Sparse, because the sum over a band then has one order whatever the number of threads.

    Returns:
        ``[bands, frame // 2 + 1]``.
    """
    import numpy as np
    from scipy.sparse import csr_array

    linear_hz, corner_hz, ratio = 200 / 3, 1000.0, np.log(6.4) / 27
    corner = corner_hz / linear_hz
    top = corner + np.log(rate / 2 / corner_hz) / ratio
    mel = np.linspace(0, top, bands + 2)
    edges = np.where(mel < corner, mel * linear_hz, corner_hz * np.exp(ratio * (mel - corner)))
    bins = np.fft.rfftfreq(frame, 1 / rate)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return csr_array((np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)).astype(np.float32))


def mfcc_statistics(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return means and deviations over time of 20 MFCC, then of their deltas (per frame), ``[1, 80]``.

    ``samples`` are mono at 24 kHz, at least 4,096.
    """
    import numpy as np
    from scipy.signal import savgol_filter

    static = mfcc(samples).astype(np.float64)
    delta = savgol_filter(static, DELTA_FRAMES, polyorder=1, deriv=1, axis=1)
    parts = (static.mean(axis=1), static.std(axis=1), delta.mean(axis=1), delta.std(axis=1))
    return np.concatenate(parts).astype(np.float32)[None]


def chroma_statistics(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pitch-class distributions of :mod:`.pitch_classes` of at least 4,096 samples, ``[4, 360]``."""
    from .pitch_classes import describe_pitches
    from .pitch_salience import track_pitches

    return describe_pitches(track_pitches(samples))


def load_mfcc(options: LoadOptions) -> SpectralEncoder:
    """Return the MFCC encoder; it needs no device."""
    return SpectralEncoder(
        _card(
            "mfcc",
            ("statistics",),
            4 * COEFFICIENTS,
            "20 MFCC (2048/512 samples, 128 Slaney mel bands, 80 dB) of levels in bels",
            "Mean and deviation of 20 MFCC and their deltas.",
        ),
        mfcc_statistics,
    )


def load_chroma(options: LoadOptions) -> SpectralEncoder:
    """Return the pitch-class encoder; it needs no device."""
    from .pitch_classes import DIM, LAYERS

    return SpectralEncoder(
        _card(
            "chroma",
            LAYERS,
            DIM,
            "harmonic summation of spectral peaks (4096/600 samples), pitch classes of ten cents, square roots",
            "Tuning-aware pitch-class distributions: absolute, tonic-free, tonic-aligned and over time.",
        ),
        chroma_statistics,
    )


def _card(name: str, layers: tuple[str, ...], dim: int, preprocessing: str, description: str) -> EncoderCard:
    version = "1"
    definition = "|".join((name, version, *layers, str(dim), preprocessing))
    return EncoderCard(
        name=name,
        family="spectral",
        sample_rate=SAMPLE_RATE,
        layers=len(layers),
        dim=dim,
        layer_names=layers,
        min_seconds=_SHORTEST / SAMPLE_RATE,
        parameters=0,
        licence="Apache-2.0",
        trained_on=(),
        weights_sha256=hashlib.sha256(definition.encode()).hexdigest(),
        code_version=version,
        preprocessing=preprocessing,
        description=description,
    )


ENCODERS: dict[str, EncoderEntry] = {
    "mfcc": EncoderEntry(
        name="mfcc",
        summary="Mean and deviation of 20 MFCC and their deltas: timbre, and nothing of modes.",
        licence="Apache-2.0",
        source="built in",
        load=load_mfcc,
    ),
    "chroma": EncoderEntry(
        name="chroma",
        summary="Tuning-aware pitch-class distributions in four frames of reference: modes, keys, drones.",
        licence="Apache-2.0",
        source="built in",
        load=load_chroma,
    ),
}
