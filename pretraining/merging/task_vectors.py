"""What the merging methods do to task vectors, tensor by tensor: sums, TIES and DARE. Task vectors: :mod:`.merge`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def weighted_sum(vectors: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """Return the sum of the vectors, each times its scale, from first to last."""
    total = vectors[0] * scales[0]
    for vector, scale in zip(vectors[1:], scales[1:], strict=True):
        total += vector * scale
    return total


Magnitudes = Callable[[], Iterator[NDArray[np.float32]]]
"""The magnitudes of a whole task vector, part by part; can be gone through again."""


def magnitude(vector: Tensor) -> Tensor:
    """Return the magnitudes in float32, the precision in which TIES ranks them."""
    return vector.abs().float()


def trim_limit(magnitudes: Magnitudes, density: float) -> float:
    """Return the smallest magnitude that TIES keeps: the k-th largest of the whole task vector.

    k = density * n, at least 1; equal magnitudes are all kept (prateeky2806/ties-merging: src/utils/merge_utils.py,
    ``topk_values_mask``, whose k is larger by one). Found exactly without holding the vector: the bits of non-negative
    floats are ordered as the floats are, so two histograms, of the upper and the lower 16 bits, tell the k-th largest.

    Args:
        magnitudes: non-negative float32, part by part; gone through twice.
        density: share to keep, in (0, 1].
    """
    upper = np.zeros(1 << 16, np.int64)
    for part in magnitudes():
        upper += np.bincount((part.view(np.uint32) >> 16).ravel(), minlength=1 << 16)
    keep = max(1, int(density * upper.sum()))
    high, above = _bin_of(upper, keep)
    lower = np.zeros(1 << 16, np.int64)
    for part in magnitudes():
        bits = part.view(np.uint32)
        lower += np.bincount((bits[bits >> 16 == high] & 0xFFFF).ravel(), minlength=1 << 16)
    low, _ = _bin_of(lower, keep - above)
    return float(np.uint32(high << 16 | low).view(np.float32))


def _bin_of(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """Return the bin that holds the ``rank``-th largest value, and how many values lie in bins above it."""
    from_top = counts[::-1].cumsum()
    place = int(np.searchsorted(from_top, rank))
    return len(counts) - 1 - place, int(from_top[place] - counts[::-1][place])


def trim(vector: Tensor, limit: float) -> Tensor:
    """Set what is smaller than the limit to zero (TIES, step 1)."""
    return vector * (magnitude(vector) >= limit)


def elected_mean(vectors: Sequence[Tensor]) -> Tensor:
    """Elect a sign for every parameter, and average the values that have it (TIES, steps 2 and 3).

    The sign is that of the sum, so of the larger mass; values of the other sign and zeros are left out of the mean.
    Where the sum is exactly zero no sign is elected, and nothing is added: sgn(0) = 0 in the paper's formula (its code
    takes the sign of the majority of all parameters there).

    Args:
        vectors: trimmed task vectors at one tensor, all of the same shape.
    """
    import torch

    stacked = torch.stack(list(vectors))
    elected = torch.sign(stacked.sum(dim=0))
    agree = (torch.sign(stacked) == elected) & (elected != 0)
    return (stacked * agree).sum(dim=0) / agree.sum(dim=0).clamp(min=1)


def drop_and_rescale(vector: Tensor, density: float, seed: tuple[int | str, ...]) -> Tensor:
    """Keep each value with probability ``density`` and divide it by that, else set it to zero (DARE).

    The expectation is the vector itself. The draws are numpy's PCG64, the same on every machine.

    Args:
        vector: a task vector at one tensor.
        density: one minus the paper's drop rate.
        seed: names the model and the tensor, so that neither order nor presence of others matters.
    """
    import torch

    words = np.frombuffer(hashlib.sha256(repr(seed).encode()).digest(), np.uint32)
    draws = np.random.default_rng(words).random(tuple(vector.shape), np.float32)
    return torch.where(torch.from_numpy(draws < density).to(vector.device), vector / density, 0.0)
