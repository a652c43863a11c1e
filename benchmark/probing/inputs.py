"""What a probe sees: the windows of one split, scaled, batch by batch.

Features come from a memory map or from memory, whichever fits; the numbers are the same. Standardisation is a float64
pass over the training windows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CmbenchError

_CHUNK = 256
"""Windows per read while a split is passed over once."""

HOST_BUDGET = 1 << 30
"""Bytes of features of one run that are held in main memory; larger splits stay on the memory map."""

_DEVICE_SHARE = 0.6
"""Share of a GPU's free memory that features may fill; the rest is for the probes."""


class WindowFeatures(Protocol):
    """The features of one split: ``[windows, layers, dim]``, read as they are asked for; float16 as they are stored."""

    @property
    def layers(self) -> int:
        """Hidden states per window."""

    @property
    def dim(self) -> int:
        """Length of each."""

    @property
    def track_of_window(self) -> NDArray[np.int64]:
        """Row of each window's track in the split's label matrix ``[windows]``."""

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        """Return the features of some windows ``[len(rows), layers, dim]``, float16 or float32."""


@dataclass(frozen=True)
class Scaling:
    """Makes every feature of the training windows zero mean, unit deviation.

    Attributes:
        mean: float32 ``[layers, dim]``.
        factor: one over the deviation, float32 ``[layers, dim]``; 0 where the training windows do not differ.
    """

    mean: Tensor
    factor: Tensor


def fit_scaling(features: WindowFeatures, layer_names: Sequence[str]) -> Scaling:
    """Measure mean and deviation of every feature over all windows, in float64.

    A feature whose values all lie within one step of their type of one another is constant up to the rounding of the
    store: its factor is 0, so that no probe learns from rounding.

    Args:
        features: the training windows.
        layer_names: for the message.

    Raises:
        CmbenchError: a feature is not a finite number.
    """
    count = 0
    shape = (features.layers, features.dim)
    mean, squares = np.zeros(shape), np.zeros(shape)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for rows in _chunks(len(features.track_of_window)):
        stored = features.take(rows)
        block = stored.astype(np.float64)
        if not np.isfinite(block).all():
            layer = int(np.flatnonzero(~np.isfinite(block).all(axis=(0, 2)))[0])
            raise CmbenchError(
                f"Hidden state {layer_names[layer]} of a training window holds NaN or infinity: the encoder's output "
                "overflows float16 or is broken. Check the encoder on this audio."
            )
        # Chan, Golub & LeVeque 1983: merge the sums of squares of two samples without cancellation.
        block_mean = block.mean(axis=0)
        shift, total = block_mean - mean, count + len(rows)
        squares += ((block - block_mean) ** 2).sum(axis=0) + shift**2 * (count * len(rows) / total)
        mean += shift * (len(rows) / total)
        count = total
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    step = np.spacing(np.maximum(abs(low), abs(high)).astype(stored.dtype)).astype(np.float64)
    deviation = np.sqrt(squares / count)
    factor = np.divide(1.0, deviation, out=np.zeros(shape), where=high - low > step)
    return Scaling(torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(factor.astype(np.float32)))


class Windows:
    """The windows of one split as the probes see them, for some of the hidden states.

    Attributes:
        layers: the hidden states that can be asked for.
        count: windows.
        dim: length of a hidden state.
        held: whether the features are in memory (on a GPU: in its memory).
    """

    def __init__(
        self, features: WindowFeatures, layers: Sequence[int], scaling: Scaling | None, device: str, budget: int
    ) -> None:
        """Open a split; it is held in memory if its features take at most ``budget`` bytes."""
        self.layers = tuple(layers)
        self.dim = features.dim
        self.count = len(features.track_of_window)
        self._features = features
        self._device = device
        if scaling is None:
            scaling = Scaling(torch.zeros(features.layers, self.dim), torch.ones(features.layers, self.dim))
        self._mean, self._factor = (part[list(layers)].to(device) for part in (scaling.mean, scaling.factor))
        kind = self._read(np.arange(min(1, self.count))).dtype
        self.bytes = self.count * len(layers) * self.dim * kind.itemsize
        self.held = self.bytes <= budget
        if self.held:
            self._store = torch.empty((self.count, len(layers), self.dim), dtype=kind, device=device)
            for rows in _chunks(self.count):
                self._store[int(rows[0]) : int(rows[-1]) + 1] = self._read(rows).to(device)

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._features.take(rows)[:, list(self.layers)]))

    def batch(self, rows: Tensor, layers: Sequence[int]) -> Tensor:
        """Return some windows, scaled: float32 ``[len(layers), len(rows), dim]`` on the device.

        Args:
            rows: int64 on the CPU.
            layers: out of ``self.layers``.
        """
        if self.held:
            found = self._store.index_select(0, rows.to(self._device))
        else:
            found = self._read(rows.numpy()).to(self._device)
        mean, factor = self._mean, self._factor
        if tuple(layers) != self.layers:
            slots = torch.tensor([self.layers.index(layer) for layer in layers], device=self._device)
            found, mean, factor = found.index_select(1, slots), mean[slots], factor[slots]
        return found.to(torch.float32).sub_(mean).mul_(factor).transpose(0, 1).contiguous()

    def first_twins(self, together: Sequence[int]) -> NDArray[np.int64]:
        """For every hidden state and window, the first window that looks the same to a probe.

        Matrix products may round equal rows differently by their place in the batch; with this, equal windows can be
        given equal scores, so that ties stay ties.

        Args:
            together: hidden states that a weighted sum looks at.

        Returns:
            ``[len(self.layers) + 1, windows]``; the last row is about the hidden states in ``together``.
        """
        joined = [self.layers.index(layer) for layer in together]
        twins = np.empty((len(self.layers) + 1, self.count), dtype=np.int64)
        seen: list[dict[bytes, int]] = [{} for _ in range(len(twins))]
        ignored = (self._factor == 0).cpu().numpy()
        for rows in _chunks(self.count):
            block = self._store[int(rows[0]) : int(rows[-1]) + 1].cpu() if self.held else self._read(rows)
            values = block.numpy().copy()
            values[:, ignored] = 0.0
            for row, window in zip(rows.tolist(), values, strict=True):
                digests = [hashlib.blake2b(state.tobytes(), digest_size=16).digest() for state in window]
                for slot, digest in enumerate([*digests, b"".join(digests[i] for i in joined)]):
                    twins[slot, row] = seen[slot].setdefault(digest, row)
        return twins


def memory_budget(device: str) -> int:
    """Bytes of features that may be held: a share of a CUDA GPU's free memory, else :data:`HOST_BUDGET`."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * _DEVICE_SHARE)
    return HOST_BUDGET


def _chunks(windows: int) -> list[NDArray[np.int64]]:
    return [np.arange(low, min(low + _CHUNK, windows), dtype=np.int64) for low in range(0, windows, _CHUNK)]
