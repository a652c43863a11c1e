"""What encoders of hidden states share: parts of a window, what fits a network, layers by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cmbench.baselines import states
from cmbench.baselines.base import EncoderCard
from cmbench.errors import UsageError

CARD = EncoderCard("m", "f", 100, 2, 3, ("a", "b"), 0.1, 0, "MIT", (), "", "1", "none")


def test_equal_parts_cover_a_window() -> None:
    window = np.arange(100, dtype=np.float32)
    parts = states.equal_parts(window, 30)
    assert {len(part) for part in parts} == {25}
    assert set(np.concatenate(parts)) == set(window)
    assert [len(part) for part in states.equal_parts(window, 33)] == [25] * 4
    assert [len(part) for part in states.equal_parts(window, 100)] == [100]
    assert states.equal_parts(window, None)[0] is window
    odd = states.equal_parts(window[:31], 30)
    assert [len(part) for part in odd] == [16, 16]
    assert (odd[0][0], odd[-1][-1]) == (0, 30)


def test_states_are_averaged_over_time_and_parts_and_filled_up() -> None:
    heard = []

    def two(audio: torch.Tensor) -> list[torch.Tensor]:
        heard.append(audio.shape)
        return [audio[..., None].expand(1, -1, 3), audio[..., None] * 2]

    encoder = states.StatesEncoder(CARD, two, torch.device("cpu"), 0.5)
    window = np.linspace(0, 1, 80, dtype=np.float32)[None]
    features = encoder.encode(window)
    assert heard == [(1, 40)] * 2
    np.testing.assert_allclose(features, [[[0.5] * 3, [1.0, 0.0, 0.0]]], atol=1e-6)
    whole = replace(encoder, seconds=None)
    np.testing.assert_allclose(whole.encode(window), features, atol=1e-6)
    assert heard[2:] == [(1, 80)]


def test_every_tensor_is_accounted_for() -> None:
    wanted = states.layer_shapes("a", 3, 2) | states.layer_shapes("n", 4, statistics=True)
    wanted |= states.layer_shapes("k", 2, 2, bias=False)
    assert set(wanted) == {"a.weight", "a.bias", "n.weight", "n.bias", "n.running_mean", "n.running_var", "k.weight"}
    assert (wanted["a.bias"], wanted["n.running_var"]) == ((3,), (4,))
    tensors = {name: torch.ones(size, dtype=torch.float16) for name, size in wanted.items()}
    found = states.whole_tensors(tensors | {"head.x": torch.ones(1)}, wanted, Path("f"), ("head.",))
    assert found.keys() == wanted.keys()
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    spoilt = tensors | {"more": torch.ones(1), "a.bias": torch.ones(2)}
    del spoilt["k.weight"]
    with pytest.raises(UsageError, match=r"f: missing.*'k\.weight'; unexpected.*'more'; wrongly shaped.*'a\.bias'"):
        states.whole_tensors(spoilt, wanted, Path("f"))
    tensors["a.bias"][1] = torch.inf
    with pytest.raises(UsageError, match=r"'a\.bias' is not made of finite numbers"):
        states.whole_tensors(tensors, wanted, Path("f"))


def test_layers_are_those_of_torch() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(2, 5, 4)
    parts = nn.ModuleDict({"l": nn.Linear(4, 3), "n": nn.LayerNorm(4, eps=0.1), "b": nn.BatchNorm1d(5, eps=0.2)}).eval()
    for tensor in parts.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    weights = parts.state_dict()
    torch.testing.assert_close(states.linear(weights, "l", hidden), parts["l"](hidden))
    torch.testing.assert_close(states.layer_norm(weights, "n", hidden, 0.1), parts["n"](hidden))
    torch.testing.assert_close(states.batch_norm(weights, "b", hidden, 0.2), parts["b"](hidden))
