"""A front end that hears a coarse spectrum before it has learnt anything: where a model starts from scratch.

Random convolutions tell next to nothing of the spectrum, and a few thousand updates are too few to learn it from the
objective alone (measured in docs/culturemert.md). Here each convolution takes bands out of a low-pass signal that runs
through all of them, an octave lower at every halving of the rate, and averages the bands that are there already.

GELU lets a signal through unharmed if it comes with its negative: gelu(x) - gelu(-x) = x. So two channels carry the
low-pass signal; every other one is the rectified envelope of a band.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..baselines.hubert import HubertShape
from ..errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Doubles = NDArray[np.float64]

RATE = 24_000
"""Hz, of the audio that the bands of the first convolution are for."""

NOISE = 0.1
"""Of the deviation of He's random weights that is added, so that no two channels stay alike."""

LIFT = 2.5
"""Gain of a band when it is first averaged, into the part of GELU that is nearly straight."""

GAIN = 1.15
"""Gain of a band at every later averaging, against what GELU takes."""

BAND = 1.4
"""Gain of a band when it is taken out of the low-pass signal."""

_LOW, _FIRST = 2, 2400.0
"""Channels of the low-pass signal; the edge between it and the bands of the first convolution, Hz."""


def filter_bank(shape: HubertShape, seed: int) -> dict[str, Tensor]:
    """Return the weights of the convolutions, float32 by name.

    A third of the channels are bands of the first convolution, evenly spaced, each with sine and cosine; the others are
    taken out of the low-pass signal by the later convolutions, in pairs of opposite sign.

    Args:
        shape: of the network; all convolutions have the same number of channels, kernels of two taps or more.
        seed: of the noise.

    Raises:
        UsageError: the network has another kind of front end.
    """
    import numpy as np
    import torch

    if len(set(shape.conv_dim)) > 1 or shape.conv_dim[0] < 16 or min(shape.conv_kernel) < 2:
        raise UsageError("front_end=filter_bank needs convolutions of one width, at least 16, and of two taps or more.")
    width, draw = shape.conv_dim[0], np.random.default_rng(seed)
    new = _new_bands(shape)
    found: dict[str, Tensor] = {}
    used = _LOW
    for i, (kernel, count) in enumerate(zip(shape.conv_kernel, new, strict=True)):
        taps = np.zeros((width, width if i else 1, kernel))
        if i:
            _pass_on(taps, kernel, used, new[i - 1])
        else:
            taps[0, 0] = _window(kernel) / _window(kernel).sum()
            taps[1, 0] = -taps[0, 0]
        bands = _octave(kernel, count) if i else _first_bands(kernel, count)
        for row, band in enumerate(bands, used):
            taps[row, 0] = band
            if i:
                taps[row, 1] = -band
        used += count
        deviation = NOISE * np.sqrt(2 / (taps.shape[1] * kernel))
        taps += deviation * draw.standard_normal(taps.shape)
        found[f"feature_extractor.conv_layers.{i}.conv.weight"] = torch.from_numpy(taps.astype(np.float32))
    return found


def _new_bands(shape: HubertShape) -> list[int]:
    """Return how many bands each convolution adds: of three taps six, of two taps four, as long as channels last."""
    left = shape.conv_dim[0] - _LOW
    counts = []
    for i, kernel in enumerate(shape.conv_kernel):
        wanted = 6 if kernel > 2 else 4
        counts.append(min(left, wanted if i else 2 * (shape.conv_dim[0] // 6)))
        left -= counts[-1]
    return counts


def _window(kernel: int) -> Doubles:
    """Hann's window without its zeros."""
    import numpy as np

    return np.asarray(np.hanning(kernel + 2)[1:-1])


def _first_bands(kernel: int, count: int) -> list[Doubles]:
    import numpy as np

    time, window = np.arange(kernel) - (kernel - 1) / 2, _window(kernel)
    found = []
    for i in range(count):
        frequency = _FIRST + (RATE / 2 - _FIRST) * ((i // 2) + 0.5) / max(1, count // 2)
        wave = np.cos(2 * np.pi * frequency / RATE * time + (i % 2) * np.pi / 2) * window
        found.append(wave / np.linalg.norm(wave))
    return found


def _octave(kernel: int, count: int) -> list[Doubles]:
    """Return differences of neighbouring samples: bands of the octave below half the rate, with both signs."""
    import numpy as np

    shapes = ([-0.5, 1.0, -0.5], [1.0, 0.0, -1.0], [1.0, -1.0, 0.0]) if kernel > 2 else ([1.0, -1.0], [1.0, 0.0])
    found = []
    for i in range(count):
        taps = np.array(shapes[(i // 2) % len(shapes)])
        band = np.zeros(kernel)
        band[: len(taps)] = BAND * (-1) ** i * taps / (1.0 if i // 2 == 0 and kernel > 2 else np.sqrt(2))
        found.append(band)
    return found


def _pass_on(taps: Doubles, kernel: int, used: int, newest: int) -> None:
    """Let the low-pass signal through, a little lower, and average the bands that are there."""
    import numpy as np

    low = np.array([0.25, 0.5, 0.25]) if kernel == 3 else np.full(kernel, 1 / kernel)
    taps[0, 0], taps[0, 1], taps[1, 0], taps[1, 1] = low, -low, -low, low
    for band in range(_LOW, used):
        taps[band, band] = (LIFT if band >= used - newest else GAIN) / kernel
