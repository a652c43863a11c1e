"""The melody stream: a second way into the network that hears the intervals of a melody and not its key.

Our extension, absent from MERT and HuBERT; :class:`MelodyShape` in a network's shape asks for it. A mean over time of
whatever is local to a frame is a histogram of *absolute* pitch, which says nothing of a mode whose tonic is free. This
stream is equivariant to transposition up to its fourth step and invariant after it, since its weights are shared along
log-frequency: as Xu, Chen and Yang 2018, *Key-invariant convolutional neural network toward efficient cover song
identification*, have it, and, for salience, Bittner et al. 2017, *Deep salience representations for f0 estimation*.

1. log-frequency spectrum, fixed (:func:`log_spectrum`): a frozen front end, so that training computes it once;
2. salience z = softplus(4 (V * gelu(U * c)) - 2), with c the spectrum's contrast to its neighbourhood and U, V learned
   convolutions along log-frequency, U wide enough to tell a fundamental from its partials;
3. h = z summed over octaves, its mean over time, over its mean, less 1: a histogram of pitch classes of each kind;
4. patterns p = gelu(W * h), a learned circular convolution over the whole octave, then their mean and their maximum
   over the pitch classes: here the key is gone;
5. s = [4 mean p, 2 max p] are among the last dimensions of every frame that enters the Transformer.

Nothing here imports torch until a function that needs it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, device

NEIGHBOURS = 12
"""Bands on either side whose mean is taken off each (a third of an octave)."""

FLOOR = 1e-5
"""Added to the power of a band before its logarithm, of audio with a mean square of 1."""


@dataclass(frozen=True)
class MelodyShape:
    """The size of the stream.

    Attributes:
        patterns: learned patterns of pitch classes; a summary has two values of each.
        per_octave: bands of an octave.
        octaves: how many.
        lowest: centre of the first band, Hz.
        window: samples of the Fourier transform at 24 kHz.
        hop: samples between frames.
        channels: channels of the wide convolution.
        kernel: its width, bands.
        kinds: kinds of salience.
    """

    name: ClassVar[str] = "melody"
    """Beginning of the names of the stream's tensors."""

    patterns: int = 64
    per_octave: int = 36
    octaves: int = 6
    lowest: float = 82.4
    window: int = 8192
    hop: int = 1280
    channels: int = 8
    kernel: int = 109
    kinds: int = 4

    @property
    def bands(self) -> int:
        """Bands of the spectrum."""
        return self.octaves * self.per_octave

    @property
    def size(self) -> int:
        """Length of a summary."""
        return 2 * self.patterns

    @property
    def told(self) -> int:
        """How many of its first values are contrasted: all."""
        return self.size

    @property
    def front(self) -> tuple[object, ...]:
        """What the fixed front end follows from."""
        return self.name, self.per_octave, self.octaves, self.lowest, self.window, self.hop

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the stream."""
        sizes = {
            "salience.wide": (self.channels, 1, self.kernel),
            "salience.narrow": (self.kinds, self.channels, 9),
            "patterns": (self.patterns, self.kinds, self.per_octave),
        }
        found: dict[str, tuple[int, ...]] = {}
        for name, size in sizes.items():
            found |= {f"{self.name}.{name}.weight": size, f"{self.name}.{name}.bias": size[:1]}
        return found

    def spectrum(self, audio: Tensor) -> Tensor:
        """Return what the front end makes of audio, see :func:`log_spectrum`."""
        return log_spectrum(self, audio)

    def summary(self, ready: Mapping[str, Tensor], spectra: Tensor) -> Tensor:
        """Return what is heard of clips ``[batch, size]`` from ``[batch, frames, bands]``, see :func:`summary`."""
        return summary(ready, self, spectra)


@cache
def _bank(shape: MelodyShape, place: device) -> Tensor:
    """Return triangular bands over the bins of a power spectrum ``[bands, bins]``, each of sum 1."""
    import numpy as np
    import torch

    bins = np.fft.rfftfreq(shape.window, 1 / 24_000)
    centres = shape.lowest * 2 ** (np.arange(shape.bands) / shape.per_octave)
    # As wide as to the next band, but never narrower than the grid of the transform.
    halves = np.maximum(centres * (2 ** (1 / shape.per_octave) - 1), 24_000 / shape.window)
    weights = np.maximum(0.0, 1 - np.abs(bins - centres[:, None]) / halves[:, None])
    return torch.tensor(weights / weights.sum(1, keepdims=True), dtype=torch.float32, device=place)


def log_spectrum(shape: MelodyShape, audio: Tensor) -> Tensor:
    """Return log power in bands that are equally wide in log-frequency ``[batch, frames, bands]`` float32.

    Every clip is first brought to zero mean and a mean square of 1, so that its level does not count.

    Args:
        shape: of the stream.
        audio: ``[batch, samples]`` at 24 kHz, of any length.
    """
    import torch

    audio = audio.float()
    audio = audio - audio.mean(1, keepdim=True)
    audio = audio / (audio.square().mean(1, keepdim=True).sqrt() + FLOOR)
    window = torch.hann_window(shape.window, device=audio.device)
    waves = torch.stft(audio, shape.window, shape.hop, window=window, pad_mode="constant", return_complex=True)
    power = _bank(shape, audio.device) @ (waves.abs().square() / shape.window)
    return torch.log(power + FLOOR).transpose(1, 2)


def salience(ready: Mapping[str, Tensor], shape: MelodyShape, spectrum: Tensor) -> Tensor:
    """Return how much of each kind sounds in each band ``[frames, kinds, bands]`` of ``[frames, bands]``."""
    from torch.nn import functional

    framed = functional.pad(spectrum[:, None], (NEIGHBOURS, NEIGHBOURS), mode="replicate")
    contrast = (spectrum - functional.avg_pool1d(framed, 2 * NEIGHBOURS + 1, 1)[:, 0]) / 2
    wide = _along(contrast, ready[f"{shape.name}.salience.wide.weight"][:, 0])
    wide = functional.gelu(wide + ready[f"{shape.name}.salience.wide.bias"][:, None])
    name = f"{shape.name}.salience.narrow"
    return functional.softplus(
        4 * functional.conv1d(wide, ready[f"{name}.weight"], ready[f"{name}.bias"], padding=4) - 2
    )


def _along(signal: Tensor, kernels: Tensor) -> Tensor:
    """Convolve ``[frames, bands]`` with ``[channels, taps]``, centred: ``[frames, channels, bands]``.

    As one product with a banded matrix, which a processor does several times faster than convolutions of one channel.
    """
    import torch

    (channels, taps), bands = kernels.shape, signal.shape[1]
    at = torch.arange(bands, device=signal.device)
    tap = at[None, :] - at[:, None] + taps // 2
    matrix = kernels[:, tap.clamp(0, taps - 1)] * ((tap >= 0) & (tap < taps))
    return (signal @ matrix.reshape(channels * bands, bands).T).view(len(signal), channels, bands)


def summary(ready: Mapping[str, Tensor], shape: MelodyShape, spectra: Tensor) -> Tensor:
    """Return what is heard of the melody whatever its key ``[batch, 2 x patterns]`` float32: means, then maxima.

    Args:
        ready: the network's tensors.
        shape: of the stream.
        spectra: ``[batch, frames, bands]``, as :func:`log_spectrum` gives them, or some of their frames.
    """
    import torch
    from torch.nn import functional

    ready = {name: tensor.float() for name, tensor in ready.items() if name.startswith(f"{shape.name}.")}
    clips, frames, bands = spectra.shape
    heard = salience(ready, shape, spectra.float().reshape(clips * frames, bands))
    classes = heard.view(clips, frames, shape.kinds, shape.octaves, shape.per_octave).sum(3).mean(1)
    histogram = classes / (classes.mean(2, keepdim=True) + 1e-4) - 1
    around = torch.cat([histogram, histogram[..., :-1]], 2)
    name = f"{shape.name}.patterns"
    found = functional.gelu(functional.conv1d(around, ready[f"{name}.weight"], ready[f"{name}.bias"]))
    # About as loud as the other streams.
    return torch.cat([4 * found.mean(2), 2 * found.amax(2)], 1)
