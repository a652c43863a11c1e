"""The network of musicnn, and its weights from the tensors of a TensorFlow checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

POOLED = 753
PENULTIMATE = 200
_EPS = 1e-3
"""Of every batch normalisation: the default of TensorFlow's layer."""


def run_network(weights: Mapping[str, Tensor], spectrograms: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Run the network.

    ``weights`` are as :func:`convert` returns them, ``spectrograms`` ``[patches, 187, 96]``.

    Returns:
        ``tags`` (probabilities) ``[patches, 50]``, ``penultimate`` ``[patches, 200]``, ``mean pool`` and ``max pool``
        ``[patches, 753]``.
    """
    import numpy as np
    import torch
    from torch.nn import functional

    with torch.inference_mode():
        given = torch.tensor(spectrograms, device=weights["dense.bias"].device)
        image = _norm(weights, 0, given[:, None])
        front = [
            # Every filter of the front is one feature over time: its largest answer over frequency.
            _norm(weights, i + 1, _convolve(weights, i, image)).amax(3)
            for i in range(5)
        ]
        states = [torch.cat(front, 1)]
        for i in range(3):
            answer = _norm(weights, i + 6, _convolve(weights, i + 5, states[-1]))
            states.append(answer if i == 0 else answer + states[-1])
        features = torch.cat(states, 1)
        largest, mean = features.amax(2), features.mean(2)
        flat = _norm(weights, 9, torch.stack([largest, mean], 2).flatten(1))
        dense = functional.relu(functional.linear(flat, weights["dense.weight"], weights["dense.bias"]))
        penultimate = _norm(weights, 10, dense)
        logits = functional.linear(penultimate, weights["dense_1.weight"], weights["dense_1.bias"])
        found = {"tags": logits.sigmoid(), "penultimate": penultimate, "mean pool": mean, "max pool": largest}
        return {name: np.asarray(tensor.cpu(), np.float32) for name, tensor in found.items()}


def _numbered(layer: str, number: int) -> str:
    """TensorFlow's name of a layer: ``conv2d``, ``conv2d_1`` and so on."""
    return f"{layer}_{number}" if number else layer


def _convolve(weights: Mapping[str, Tensor], number: int, states: Tensor) -> Tensor:
    """Convolve over time (all of frequency where the filter is as high) with "same" padding, then rectify.

    Of an even filter the missing half sample is on the left, as in TensorFlow.
    """
    from torch.nn import functional

    name = _numbered("conv2d", number)
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    before, after = (kernel.shape[2] - 1) // 2, kernel.shape[2] // 2
    if kernel.ndim == 3:
        return functional.relu(functional.conv1d(functional.pad(states, (before, after)), kernel, bias))
    return functional.relu(functional.conv2d(functional.pad(states, (0, 0, before, after)), kernel, bias))


def _norm(weights: Mapping[str, Tensor], number: int, states: Tensor) -> Tensor:
    """Batch normalisation with the stored moments, over axis 1."""
    from torch.nn import functional

    name = _numbered("batch_normalization", number)
    mean, variance, scale, shift = (weights[f"{name}.{part}"] for part in ("mean", "variance", "weight", "bias"))
    return functional.batch_norm(states, mean, variance, scale, shift, eps=_EPS)


_NORM_PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "mean", "moving_variance": "variance"}
_FRONT_FILTERS = ((7, 38), (7, 67), (128, 1), (64, 1), (32, 1))


def convert(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """Turn a checkpoint's tensors into those of :func:`run_network`; the optimiser's are left out.

    Raises:
        UsageError: a tensor is missing or has another shape.
    """
    import numpy as np
    import torch

    found: dict[str, NDArray[np.float32]] = {}
    for name, size in _expected().items():
        if name not in tensors or tensors[name].shape != size:
            has = list(tensors[name].shape) if name in tensors else "absent"
            raise UsageError(f"The checkpoint's tensor {name!r} is {has}; musicnn has {list(size)}.")
        layer, part = name.split("/")
        values = tensors[name]
        if part == "kernel" and values.ndim == 4:
            # [time, frequency, in, out] -> [out, in, time, frequency]; the middle ones see all features at once.
            values = values.transpose(3, 2, 0, 1) if layer in _front_names() else values[:, :, 0].transpose(2, 1, 0)
        elif part == "kernel":
            values = values.T
        found[f"{layer}.{_NORM_PARTS.get(part, 'weight' if part == 'kernel' else part)}"] = values
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in found.items()}


def _front_names() -> set[str]:
    return {_numbered("conv2d", i) for i in range(len(_FRONT_FILTERS))}


def _expected() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of the network in the checkpoint."""
    channels = (204, 204, 51, 51, 51)
    shapes: dict[str, tuple[int, ...]] = {}
    for i, ((time, frequency), out) in enumerate(zip(_FRONT_FILTERS, channels, strict=True)):
        shapes[f"{_numbered('conv2d', i)}/kernel"] = (time, frequency, 1, out)
        shapes[f"{_numbered('conv2d', i)}/bias"] = (out,)
    for i, into in zip((5, 6, 7), (sum(channels), 64, 64), strict=True):
        shapes[f"conv2d_{i}/kernel"], shapes[f"conv2d_{i}/bias"] = (7, into, 1, 64), (64,)
    for i, size in enumerate((1, *channels, 64, 64, 64, 2 * POOLED, PENULTIMATE)):
        shapes |= {f"{_numbered('batch_normalization', i)}/{part}": (size,) for part in _NORM_PARTS}
    shapes |= {"dense/kernel": (2 * POOLED, PENULTIMATE), "dense/bias": (PENULTIMATE,)}
    return shapes | {"dense_1/kernel": (PENULTIMATE, 50), "dense_1/bias": (50,)}
