"""The envelope stream: a third way into the network, for rhythm and for how the sound of a whole recording varies.

Our extension, beside :mod:`.melody`; :class:`EnvelopeShape` in a network's shape asks for it. A norm in every frame
takes the level away, and with it the rhythm; a mean over time takes the order of the frames away. What is left of a
rhythmic cycle under any mean is of second order: its autocorrelation. On logarithmic lags another tempo is a shift, by
which Holzapfel and Stylianou 2011, *Scale transform in rhythmic similarity of music*, tell usul and Greek dances apart;
a learned convolution along them stands here for their transform.

1. envelopes, fixed (:func:`envelopes`): log power in mel bands, of the whole clip at one level;
2. strokes n = gelu(2 V * e), with e the envelopes in groups of bands less their mean over time, V learned convolutions
   along time;
3. a = the autocorrelation of each kind of stroke over that at lag 0, at logarithmic lags;
4. patterns p = gelu(4 W * a), a learned convolution along them; s = [mean p, max p], of which the tempo is gone, is
   what is heard of the rhythm;
5. beside it, fixed, what a spectrum alone says of the timbre: of every band, two mel bands wide, the mean, the
   deviation, and the deviation of the difference between two frames.

Both are further dimensions of every frame that enters the Transformer.

Nothing here imports torch until a function that needs it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor, device

FLOOR = 1e-5
"""Added to the power of a band before its logarithm, of audio with a mean square of 1."""

SHORTEST_SHARE = 0.125
"""Of a clip that two copies of it share at least at a lag that counts fully: a shorter overlap is not scaled up."""


@dataclass(frozen=True)
class EnvelopeShape:
    """The size of the stream.

    Attributes:
        rhythms: learned patterns along logarithmic lags; a summary has two values of each.
        bands: of the mel spectrum.
        window: samples of the Fourier transform at 24 kHz.
        hop: samples between frames.
        groups: groups of bands in which strokes are sought.
        kinds: kinds of strokes.
        taps: frames that tell one.
        shortest: lag, milliseconds.
        per_octave: lags to a doubling.
        lags: how many.
        reach: lags that a pattern spans.
    """

    name: ClassVar[str] = "envelope"
    """Beginning of the names of the stream's tensors."""

    rhythms: int = 64
    bands: int = 64
    window: int = 1024
    hop: int = 640
    groups: int = 16
    kinds: int = 8
    taps: int = 9
    shortest: int = 100
    per_octave: int = 12
    lags: int = 60
    reach: int = 24

    @property
    def size(self) -> int:
        """Length of a summary."""
        return 2 * self.rhythms + 3 * (self.bands // 2)

    @property
    def told(self) -> int:
        """How many of its first values are contrasted: those of rhythm."""
        return 2 * self.rhythms

    @property
    def front(self) -> tuple[object, ...]:
        """What the fixed front end follows from."""
        return self.name, self.bands, self.window, self.hop

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the stream."""
        sizes = {
            "strokes": (self.kinds, self.groups, self.taps),
            "patterns": (self.rhythms, self.kinds, self.reach),
        }
        found: dict[str, tuple[int, ...]] = {}
        for name, size in sizes.items():
            found |= {f"{self.name}.{name}.weight": size, f"{self.name}.{name}.bias": size[:1]}
        return found

    def spectrum(self, audio: Tensor) -> Tensor:
        """Return what the front end makes of audio, see :func:`envelopes`."""
        return envelopes(self, audio)

    def summary(self, ready: Mapping[str, Tensor], spectra: Tensor) -> Tensor:
        """Return what is heard of clips ``[batch, size]`` from ``[batch, frames, bands]``, see :func:`summary`."""
        return summary(ready, self, spectra)


@cache
def _bank(shape: EnvelopeShape, place: device) -> Tensor:
    """Return mel bands over the bins of a power spectrum ``[bands, bins]``, each of sum 1."""
    import torch

    from ..spectral.encoder import mel_filters

    weights = mel_filters(24_000, shape.window, shape.bands).toarray()
    return torch.tensor(weights / weights.sum(1, keepdims=True), dtype=torch.float32, device=place)


@cache
def _lags(shape: EnvelopeShape, frames: int, place: device) -> Tensor:
    """Return what reads an autocorrelation at logarithmic lags ``[frames, lags]``, between whole frames linearly.

    Lags beyond the clip read nothing; the fewer frames two copies share, the more each counts.
    """
    import numpy as np
    import torch

    at = shape.shortest / 1000 * 24_000 / shape.hop * 2 ** (np.arange(shape.lags) / shape.per_octave)
    near = np.maximum(0.0, 1 - np.abs(np.arange(frames)[:, None] - at))
    shared = np.maximum(1 - np.arange(frames) / frames, SHORTEST_SHARE)
    return torch.tensor(near / shared[:, None], dtype=torch.float32, device=place)


def envelopes(shape: EnvelopeShape, audio: Tensor) -> Tensor:
    """Return log power in mel bands ``[batch, frames, bands]`` float32, of clips brought to a mean square of 1.

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


def rhythm(ready: Mapping[str, Tensor], shape: EnvelopeShape, spectra: Tensor) -> Tensor:
    """Return the autocorrelation of each kind of stroke at logarithmic lags ``[batch, kinds, lags]``."""
    import torch
    from torch.nn import functional

    clips, frames, _ = spectra.shape
    grouped = spectra.view(clips, frames, shape.groups, -1).logsumexp(3).transpose(1, 2)
    grouped = (grouped - grouped.mean(2, keepdim=True)) / 2
    name = f"{shape.name}.strokes"
    around = functional.pad(grouped, (shape.taps // 2, shape.taps // 2), mode="replicate")
    strokes = functional.gelu(2 * functional.conv1d(around, ready[f"{name}.weight"], ready[f"{name}.bias"]))
    strokes = strokes - strokes.mean(2, keepdim=True)
    power = torch.fft.rfft(strokes, n=2 * frames).abs().square()
    products = torch.fft.irfft(power, n=2 * frames)[..., :frames]
    agreement: Tensor = products / (products[..., :1] + 1e-2)
    return agreement @ _lags(shape, frames, spectra.device)


def summary(ready: Mapping[str, Tensor], shape: EnvelopeShape, spectra: Tensor) -> Tensor:
    """Return what is heard of rhythm, and then of timbre ``[batch, size]`` float32.

    Args:
        ready: the network's tensors.
        shape: of the stream.
        spectra: ``[batch, frames, bands]``, as :func:`envelopes` gives them, or successive frames of them.
    """
    import torch
    from torch.nn import functional

    ready = {name: tensor.float() for name, tensor in ready.items() if name.startswith(f"{shape.name}.")}
    spectra = spectra.float()
    name = f"{shape.name}.patterns"
    heard = rhythm(ready, shape, spectra)
    found = functional.gelu(4 * functional.conv1d(heard, ready[f"{name}.weight"], ready[f"{name}.bias"]))
    wide = functional.avg_pool1d(spectra, 2)
    means = wide.mean(1)
    # The constants bring the values of music to a mean near 0.
    timbre = [(means - means.mean(1, keepdim=True)) / 2, wide.std(1) - 2, 2 * wide.diff(dim=1).std(1) - 2]
    return torch.cat([found.mean(2), found.amax(2), *timbre], 1)
