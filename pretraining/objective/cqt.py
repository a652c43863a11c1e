"""Constant-Q magnitudes as MERT's second target, computed while training.

C_k[t] = sqrt(N_k) |sum_n w_k[n] x[320 t + n] exp(-2 pi i n f_k / rate)| / sum_n w_k[n], with a Hann window w_k of
N_k = Q rate / f_k samples (J. C. Brown 1991, *Calculation of a constant Q spectral transform*), zeros beyond the ends.
MERT takes it from nnAudio 0.3.4 (``CQT1992v2``: filter_scale 1, norm 1, Hann, centred, zero padding, magnitudes;
https://github.com/yizhilll/MERT, mert_fairseq/models/mert/mert_model.py ``model_cqt_pred``) without logarithm and
without normalisation; the factor sqrt(N_k) is nnAudio's and librosa's scale.

Here the signal is halved in rate octave by octave (Schörkhuber and Klapuri 2010, *Constant-Q transform toolbox*), which
makes the long kernels of the low octaves short: 80 times fewer operations than kernels at the full rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ...errors import UsageError


@dataclass(frozen=True)
class CqtShape:
    """Which bins. Defaults: MERT's.

    Attributes:
        sample_rate: Hz.
        hop: samples between frames.
        lowest: frequency of the first bin, Hz.
        bins: number of them.
        per_octave: bins in an octave.
    """

    sample_rate: int = 24_000
    hop: int = 320
    lowest: float = 32.7
    bins: int = 336
    per_octave: int = 48

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: they are not positive, or the highest bin is beyond what the halving of rates leaves.
        """
        if min(self.sample_rate, self.hop, self.lowest, self.bins, self.per_octave) <= 0:
            raise UsageError(f"All values of a CQT must be positive: {self}.")
        if self.frequency(self.bins - 1) > _PASSBAND * self.sample_rate / 2:
            raise UsageError(
                f"The highest bin of the CQT, {self.frequency(self.bins - 1):.0f} Hz, is above "
                f"{_PASSBAND * self.sample_rate / 2:.0f} Hz ({_PASSBAND:.0%} of half the sample rate)."
            )

    @property
    def quality(self) -> float:
        """Q: frequency over bandwidth, as nnAudio has it; librosa's is 0.7 % larger."""
        return float(1 / (2 ** (1 / self.per_octave) - 1))

    def frequency(self, number: int) -> float:
        """Return the centre of a bin, Hz."""
        return float(self.lowest * 2 ** (number / self.per_octave))


_PASSBAND = 0.75
"""Share of a band that halving leaves untouched; above it the spectrum falls to zero at the band's end (our choice)."""


@dataclass(frozen=True)
class _Octave:
    """Bins at one rate: kernels ``[width, 2 * bins]``, real before imaginary, and how often the rate is halved."""

    kernels: Tensor
    halvings: int


@cache
def _octaves(shape: CqtShape, device: torch.device) -> tuple[_Octave, ...]:
    """Return the kernels from the lowest bins to the highest, each octave at the lowest rate that holds it."""
    found = []
    for first in range(0, shape.bins, shape.per_octave):
        bins = range(first, min(first + shape.per_octave, shape.bins))
        halvings = 0
        # Not below a hop of an odd number of samples: frames must begin at samples.
        while shape.hop % 2 ** (halvings + 1) == 0 and shape.frequency(
            bins[-1]
        ) <= _PASSBAND * shape.sample_rate / 2 ** (halvings + 2):
            halvings += 1
        rate = shape.sample_rate / 2**halvings
        frequencies = torch.tensor([shape.frequency(k) for k in bins], dtype=torch.float64)[:, None]
        lengths = shape.quality * rate / frequencies
        reach = int(lengths.max() / 2) + 1
        time = torch.arange(-reach, reach + 1, dtype=torch.float64)
        inside = time.abs() < lengths / 2
        window = inside * (0.5 + 0.5 * torch.cos(2 * torch.pi * time / lengths))
        # The square root is of the length at the full rate, whatever the rate here.
        window *= (lengths * 2**halvings).sqrt() / window.sum(1, keepdim=True)
        phase = 2 * torch.pi * frequencies * time / rate
        kernels = torch.cat([window * torch.cos(phase), -window * torch.sin(phase)]).T
        found.append(_Octave(kernels.float().to(device).contiguous(), halvings))
    return tuple(found)


def cqt_frames(samples: int, shape: CqtShape) -> int:
    """Return the frames of an input: one at its beginning, one every hop."""
    return 1 + samples // shape.hop


def cqt_magnitudes(audio: Tensor, shape: CqtShape) -> Tensor:
    """Return constant-Q magnitudes; no gradients.

    On music within 1e-5 of the largest magnitude of the formula above, on white noise within 5e-5; librosa 0.11 with
    the same Q is within 1 % (its own resampling and, unless turned off, pruning of kernels). All of it is held in
    tests/pretraining/objective/test_cqt.py.

    Args:
        audio: ``[clips, samples]``, on any device.
        shape: which bins.

    Returns:
        float32 ``[clips, 1 + samples // hop, bins]``, linear, at the scale of :mod:`.cqt`.

    Raises:
        UsageError: the audio is not two-dimensional, or empty.
    """
    if audio.ndim != 2 or not audio.numel():
        raise UsageError(f"Audio must be [clips, samples], not {list(audio.shape)}.")
    with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
        octaves = _octaves(shape, audio.device)
        frames = cqt_frames(audio.shape[1], shape)
        margin = max((len(octave.kernels) // 2) << octave.halvings for octave in octaves)
        deepest = 1 << max(octave.halvings for octave in octaves)
        margin = -(-margin // deepest) * deepest
        # The last frame reaches as far beyond the end as the first one before the beginning.
        needed = margin + max(audio.shape[1], (frames - 1) * shape.hop) + margin
        length = _smooth_multiple(needed, deepest)
        padded = torch.nn.functional.pad(audio.float(), (margin, length - margin - audio.shape[1]))
        spectrum = torch.fft.rfft(padded)
        parts = [_one_octave(spectrum, octave, length, margin, frames, shape.hop) for octave in octaves]
        return torch.cat(parts, dim=2)


def _one_octave(spectrum: Tensor, octave: _Octave, length: int, margin: int, frames: int, hop: int) -> Tensor:
    """Return the magnitudes of one octave ``[clips, frames, bins]``."""
    signal = torch.fft.irfft(_halved(spectrum, octave.halvings), length >> octave.halvings)
    width, step = len(octave.kernels), hop >> octave.halvings
    begin = (margin >> octave.halvings) - width // 2
    windows = signal[:, begin:].unfold(1, width, step)[:, :frames]
    real, imaginary = (windows @ octave.kernels).chunk(2, dim=2)
    return torch.sqrt(real.square() + imaginary.square())


def _halved(spectrum: Tensor, halvings: int) -> Tensor:
    """Cut a spectrum down to that of the signal at a lower rate, without aliases."""
    if not halvings:
        return spectrum
    kept = (spectrum.shape[1] - 1 >> halvings) + 1
    place = torch.linspace(0, 1, kept, device=spectrum.device)
    fall = ((1 - place) / (1 - _PASSBAND)).clamp(0, 1)
    # Samples are fewer, so each must weigh as much as before: irfft divides by the new length.
    weights = torch.sin(0.5 * torch.pi * fall).square() / 2**halvings
    halved: Tensor = spectrum[:, :kept] * weights
    return halved


def _smooth_multiple(least: int, factor: int) -> int:
    """Return the smallest even multiple of ``factor`` from ``least`` on without prime factors above five."""
    number = -(-least // (2 * factor))
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number * 2 * factor
        number += 1
