"""In-batch noise: pieces of other clips added to a clip, while its targets stay those of the clean clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class NoiseMixture:
    """How noise is mixed in. Defaults: MERT-95M's (https://github.com/yizhilll/MERT, MERT_RVQ-VAE_CQT_95M.yaml).

    Attributes:
        probability: that a clip gets noise. MERT's ``mixture_prob`` is **one minus this**: its code mixes where a
            uniform draw lies above it (mert_fairseq/models/mert/mert_model.py, ``forward``). At its 0.5 the two agree.
        pieces: fewest and most pieces that a clip gets.
        samples: shortest and longest piece; 0.5 to 1 s at 24 kHz.
        volume: factor on a piece.
    """

    probability: float = 0.5
    pieces: tuple[int, int] = (1, 3)
    samples: tuple[int, int] = (12_000, 24_000)
    volume: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: a range is empty, or the probability is none.
        """
        if not 0 <= self.probability <= 1:
            raise UsageError(f"The probability of noise is {self.probability}; it lies in [0, 1].")
        for what, (low, high) in (("pieces", self.pieces), ("samples", self.samples)):
            if not 1 <= low <= high:
                raise UsageError(f"The noise's range of {what}, {low} to {high}, is empty or begins below 1.")


def mix_noise(audio: NDArray[np.float32], mixture: NoiseMixture, draw: np.random.Generator) -> NDArray[np.float32]:
    """Add pieces of the other clips of a batch to some clips.

    A piece is cut from the other clips laid end to end, so that it may cross from one into the next, and is added at a
    random place, scaled but not windowed (MERT: ``inbatch_noise_augment``). A batch of one has no other clip and is
    returned as it is, as in MERT. Codes and CQT are taken from ``audio``, not from the result.

    Args:
        audio: clean clips ``[clips, samples]``.
        mixture: how.
        draw: source of randomness.

    Returns:
        A new array ``[clips, samples]``.

    Raises:
        UsageError: a piece may be longer than a clip. (MERT's code then silently mixes nothing.)
    """
    clips, length = audio.shape
    shortest, longest = mixture.samples
    if longest > length:
        raise UsageError(f"Noise of up to {longest} samples does not fit into clips of {length} samples.")
    mixed = audio.copy()
    if clips == 1:
        return mixed
    for i in range(clips):
        if draw.random() >= mixture.probability:
            continue
        for _ in range(draw.integers(*mixture.pieces, endpoint=True)):
            begin = int(draw.integers((clips - 1) * length - longest, endpoint=True))
            size = int(draw.integers(shortest, longest, endpoint=True))
            place = int(draw.integers(length - size, endpoint=True))
            mixed[i, place : place + size] += mixture.volume * _from_others(audio, i, begin, size)
    return mixed


def _from_others(audio: NDArray[np.float32], own: int, begin: int, size: int) -> NDArray[np.float32]:
    """Cut ``size`` samples from all clips but one, laid end to end."""
    import numpy as np

    length = audio.shape[1]
    flat = audio.reshape(-1)
    # Clips before the left-out one keep their place; later ones move up by one clip.
    gap = own * length
    before = flat[min(begin, gap) : min(begin + size, gap)]
    after = flat[max(begin, gap) + length : max(begin + size, gap) + length]
    return np.concatenate([before, after])
