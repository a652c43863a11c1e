"""The network of musicnn: written anew from its description, and tensors that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from cmbench.baselines.musicnn.network import _expected, convert, run_network
from cmbench.errors import UsageError


def random_checkpoint(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    draw = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, size in _expected().items():
        values = draw.standard_normal(size) / np.sqrt(max(1.0, float(np.prod(size[:-1]))))
        tensors[name] = (np.abs(values) + 0.5 if name.endswith("variance") else values).astype(np.float32)
    return tensors | {"conv2d/kernel/Adam": np.zeros(3, np.float32)}


def reference(tensors: dict[str, NDArray[np.float32]], given: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The network in modules of torch, channels last as TensorFlow has them; nothing shared with the package."""

    def norm(number: int, x: torch.Tensor) -> torch.Tensor:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        part = {
            p: torch.from_numpy(tensors[f"{name}/{p}"]) for p in ("gamma", "beta", "moving_mean", "moving_variance")
        }
        return part["gamma"] * (x - part["moving_mean"]) / (part["moving_variance"] + 0.001).sqrt() + part["beta"]

    def conv(number: int, x: torch.Tensor, left: int, right: int) -> torch.Tensor:
        name = f"conv2d_{number}" if number else "conv2d"
        kernel = torch.from_numpy(tensors[f"{name}/kernel"])
        height, width, into, out = kernel.shape
        layer = nn.Conv2d(into, out, (height, width))
        layer.weight.data = kernel.permute(3, 2, 0, 1).contiguous()
        layer.bias.data = torch.from_numpy(tensors[f"{name}/bias"])  # type: ignore[union-attr]
        padded = nn.functional.pad(x.permute(0, 3, 1, 2), (0, 0, left, right))
        answer: torch.Tensor = torch.relu(layer(padded)).permute(0, 2, 3, 1)
        return answer

    with torch.no_grad():
        x = norm(0, torch.from_numpy(given)[..., None])
        pads = [(3, 3), (3, 3), (63, 64), (31, 32), (15, 16)]
        front = [norm(i + 1, conv(i, x, *pads[i])).max(2).values for i in range(5)]
        states = [torch.cat(front, 2)[..., None]]
        for i in range(3):
            answer = norm(i + 6, conv(i + 5, states[-1], 3, 3)).transpose(2, 3)
            states.append(answer + states[-1] if i else answer)
        features = torch.cat(states, 2)
        top, mean = features.max(1).values, features.mean(1)
        flat = norm(9, torch.cat([top, mean], 2).flatten(1))
        dense = torch.relu(flat @ torch.from_numpy(tensors["dense/kernel"]) + torch.from_numpy(tensors["dense/bias"]))
        last = norm(10, dense)
        logits = last @ torch.from_numpy(tensors["dense_1/kernel"]) + torch.from_numpy(tensors["dense_1/bias"])
        found = {"tags": torch.sigmoid(logits), "penultimate": last, "mean pool": mean[..., 0], "max pool": top[..., 0]}
        return {name: tensor.numpy() for name, tensor in found.items()}


def test_network_equals_one_written_from_its_description() -> None:
    tensors = random_checkpoint()
    given = np.random.default_rng(1).random((2, 187, 96), np.float32)
    expected, got = reference(tensors, given), run_network(convert(tensors), given)
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, atol=2e-5 * max(1.0, float(np.abs(values).max())), err_msg=name)


def test_a_checkpoint_that_does_not_fit_is_named() -> None:
    tensors = random_checkpoint()
    with pytest.raises(UsageError, match="'dense/bias' is absent"):
        convert({name: values for name, values in tensors.items() if name != "dense/bias"})
    with pytest.raises(UsageError, match=r"'conv2d_5/kernel' is \[7, 560, 1, 64\]"):
        convert(tensors | {"conv2d_5/kernel": np.zeros((7, 560, 1, 64), np.float32)})
