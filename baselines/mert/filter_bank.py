"""A front end that hears a spectrum before it has learnt anything: where a small model starts from scratch.

Random convolutions tell next to nothing of the spectrum, and a few thousand updates are too few to learn it from the
objective alone (measured in docs/culturemert.md). Here the first convolution is a bank of windowed waves, evenly spaced
in pitch, and the second one averages what GELU has rectified: the envelope of each band, and its contrast with the
band below (of the lowest, with the highest). Both are followed by a norm over channels, so that only the proportions of
the weights matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UsageError
from .network import HubertShape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Doubles = NDArray[np.float64]

RATE = 24_000
"""Hz, of the waveform."""

LOWEST, HIGHEST = 50.0, 11_000.0
"""Hz, centres of the outermost bands."""

PERIODS, SHORTEST = 8, 16
"""Length of a band's window: periods of its wave, and samples at least."""

CENTRE = 64
"""Sample that the windows are centred on, as far as they are not longer: what a frame hears should lie where its
tokens do, which begin with its first sample."""


def filter_bank(shape: HubertShape) -> dict[str, Tensor]:
    """Return the weights of the convolutions, float32 by name.

    Half of the first one's channels are bands, each with cosine and sine, louder in proportion to the frequency, about
    as much as music is softer.

    Args:
        shape: of the network: two convolutions of the same even number of channels, with norms over channels.

    Raises:
        UsageError: the network has another kind of front end.
    """
    import numpy as np
    import torch

    alike = len(shape.conv_dim) == 2 and len(set(shape.conv_dim)) == 1 and shape.conv_dim[0] % 2 == 0
    if not alike or shape.conv_kernel[0] < 2 * CENTRE or shape.conv_norm != "layer":
        raise UsageError(
            "front_end=filter_bank needs two convolutions with the same even number of channels and norms over them, "
            f"the first of {2 * CENTRE} taps or more, as shape=nano has; use front_end=random."
        )
    width, (first, second) = shape.conv_dim[0], shape.conv_kernel
    waves, averages = np.zeros((width, 1, first)), np.zeros((width, width, second))
    frequencies = np.geomspace(LOWEST, HIGHEST, width // 2)
    for band, frequency in enumerate(frequencies):
        pair, above = [2 * band, 2 * band + 1], 2 * (band + 1) % width
        waves[pair, 0] = _wave(float(frequency), first)
        averages[2 * band, pair] = averages[2 * band + 1, pair] = 1 / second
        averages[above + 1, pair] = -1 / second
    weights = {0: waves, 1: averages}
    return {
        f"feature_extractor.conv_layers.{i}.conv.weight": torch.from_numpy(taps.astype(np.float32))
        for i, taps in weights.items()
    }


def _wave(frequency: float, kernel: int) -> Doubles:
    """Return cosine and sine of a frequency under Hann's window ``[2, kernel]``."""
    import numpy as np

    length = min(kernel, max(SHORTEST, round(PERIODS * RATE / frequency)))
    time = np.arange(kernel) - max(length / 2, CENTRE)
    window = np.where(np.abs(time) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / length), 0.0)
    phase = 2 * np.pi * frequency / RATE * time
    pair = np.stack([np.cos(phase), np.sin(phase)]) * window
    found: Doubles = frequency * pair / np.linalg.norm(pair, axis=1, keepdims=True)
    return found
