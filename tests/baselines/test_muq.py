"""MuQ: random weights against numbers of the published code, the published size, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from cmbench.baselines import muq
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.registry import load_encoder, registry
from cmbench.errors import UsageError

BLOCKS = {
    "num_attention_heads": 4, "intermediate_size": 48, "hidden_act": "swish", "position_embeddings_type": "rotary",
    "rotary_embedding_base": 10000, "layer_norm_eps": 1e-5, "conv_depthwise_kernel_size": 31, "hidden_size": 1024,
    "num_hidden_layers": 24, "conv_dim": [512, 512], "attention_dropout": 0.1,
}  # fmt: skip
CONFIG = {
    "encoder_dim": 32, "encoder_depth": 2, "conv_dim": 8, "label_rate": 25, "n_mels": 128, "hop_length": 240,
    "is_flash": False, "codebook_size": 8192, "w2v2_config": BLOCKS,
    "stat": {"melspec_2048_mean": 6.768444971712967, "melspec_2048_std": 18.417922652295623},
}  # fmt: skip
SMALL = muq.read_shape(CONFIG, Path("config.json"))
# What muq 0.1.0 gives on transformers 4.48.3 and torchaudio's transforms for ``weights`` and ``sound(24_000)``: of each
# hidden state the first four numbers of the mean over time of the first clip, and the mean square of the second.
PUBLISHED = (
    ((-0.247945, -0.110143, 0.154908, 0.108077), 0.058211),
    ((0.126296, -1.385599, -0.944369, 0.953315), 1.19765),
    ((0.021557, -0.908543, -1.559386, -0.071129), 0.944969),
)


def weights() -> dict[str, torch.Tensor]:
    """Draw each tensor from a generator that its name seeds, as they were drawn for the published code."""
    found = {}
    for name, size in ((muq.stored_name(name), size) for name, size in muq.tensor_shapes(SMALL).items()):
        drawn: NDArray[Any] = np.random.default_rng(list(name.encode())).standard_normal(size).astype(np.float32)
        if name.endswith("running_var"):
            drawn = 1 + 0.5 * np.tanh(drawn)
        elif len(size) == 1:
            drawn = 0.1 * drawn + name.endswith("weight")
        else:
            drawn = drawn / np.sqrt(math.prod(size[1:]))
        found[name] = torch.from_numpy(np.asarray(drawn, np.float32))
    return found


def sound(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(0, 0.1, (2, samples)).astype(np.float32)


def stored() -> dict[str, torch.Tensor]:
    """Everything that the published file holds, in its kinds: also what is not used."""
    more = {f"model.{name}": tensor for name, tensor in weights().items()}
    more |= {"model.cls_token": torch.zeros(3), "model.linear.bias": torch.zeros(3)}
    more["model.rvq.quantizers.0.codebook.weight"] = torch.zeros(2, 2)
    more["model.conformer.embed_positions.inv_freq"] = torch.ones(4)
    more["model.conformer.pos_conv_embed.conv.parametrizations.weight.original0"] = torch.ones(1)
    more["model.conv.conv.0.bn1.num_batches_tracked"] = torch.tensor(7)
    return more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(stored(), tmp_path / "model.safetensors")
    return tmp_path


def test_states_are_those_of_the_published_code() -> None:
    states = muq.build(SMALL, weights(), torch.device("cpu")).states(torch.from_numpy(sound(24_000)))
    assert [tuple(state.shape) for state in states] == [(2, 25, 32)] * 3
    for state, (first, square) in zip(states, PUBLISHED, strict=True):
        np.testing.assert_allclose(state[0].mean(0)[:4], first, atol=2e-5)
        assert state[1].square().mean().item() == pytest.approx(square, rel=1e-5)


def test_the_filters_are_those_of_torchaudio() -> None:
    """Numbers of ``torchaudio.functional.melscale_fbanks(1025, 0, 12000, 128, 24000)`` of 2.11.1."""
    filters = muq.build(SMALL, weights(), torch.device("cpu")).filters
    assert filters.shape == (1025, 128)
    assert (filters > 0).sum() == 2022
    for place, value in {(3, 1): 0.82059, (40, 21): 0.18584, (200, 65): 0.41535, (700, 112): 0.81138}.items():
        assert filters[place].item() == pytest.approx(value, abs=2e-5)
    assert filters[1010, 127].item() == pytest.approx(0.58146, abs=2e-5)


def test_the_published_shape_has_the_published_size() -> None:
    shapes = muq.tensor_shapes(muq.MuqShape())
    learned = sum(math.prod(size) for name, size in shapes.items() if "running" not in name)
    assert learned == 324_733_056 - (128 * 64 * 1024 + 128 + 1024)  # without the convolution of positions
    assert sum(name.startswith("layers.11.") for name in shapes) == 33


def test_a_folder_without_a_model_type_gives_means_over_time(folder: Path) -> None:
    encoder = load_encoder(str(folder), LoadOptions(device="cpu"))
    card = encoder.card
    assert (card.layers, card.dim, card.sample_rate, card.family) == (3, 32, 24_000, "muq")
    audio = sound(30_077)
    expected = [
        state.mean(1) for state in muq.build(SMALL, weights(), torch.device("cpu")).states(torch.from_numpy(audio))
    ]
    np.testing.assert_allclose(encoder.encode(audio), torch.stack(expected, 1), atol=1e-5)
    shortest = round(card.min_seconds * 24_000)
    assert np.isfinite(encoder.encode(audio[:, :shortest])).all()
    with pytest.raises(UsageError, match=f"\\({shortest} samples\\); this one has {shortest - 1}"):
        encoder.encode(audio[:, : shortest - 1])


def test_weights_that_do_not_fit_are_named(folder: Path) -> None:
    tensors = stored()
    tensors["model.conformer.layers.0.more"] = tensors.pop("model.conformer.layers.1.ffn1.output_dense.bias")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UsageError) as caught:
        load_encoder(str(folder), LoadOptions(device="cpu"))
    assert "missing tensors: 'conformer.layers.1.ffn1.output_dense.bias'" in str(caught.value)
    assert "unexpected tensors: 'conformer.layers.0.more'" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"encoder_dim": 36}, {"encoder_depth": 0}, {"label_rate": 50}, {"conv_dim": "8"}, {"n_mels": 126},
     {"w2v2_config": None}, {"w2v2_config": BLOCKS | {"hidden_act": "gelu"}}, {"stat": {"melspec_2048_mean": 1.0}},
     {"stat": {"melspec_2048_mean": 1.0, "melspec_2048_std": 0}},
     {"w2v2_config": BLOCKS | {"conv_depthwise_kernel_size": 30}},
     {"w2v2_config": BLOCKS | {"position_embeddings_type": "relative"}}],
)  # fmt: skip
def test_a_configuration_that_is_not_computed_is_refused(change: dict[str, object], folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, "w2v2_config": BLOCKS, **change}))
    with pytest.raises(UsageError, match="not the configuration of a MuQ"):
        load_encoder(str(folder), LoadOptions(device="cpu"))


def test_the_published_model_says_what_is_not_known_of_it() -> None:
    named = registry()["MuQ-large-msd-iter"]
    assert "weights were not at hand" in named.summary
    assert (named.licence, named.source) == ("CC BY-NC 4.0", f"hf:OpenMuQ/MuQ-large-msd-iter@{muq.HUB.revision}")
    assert muq.read_shape({"w2v2_config": BLOCKS, "stat": CONFIG["stat"]}, Path("c")).encoder_depth == 12


@pytest.mark.parametrize("key", ["num_attention_heads", "hidden_act", "position_embeddings_type", "layer_norm_eps"])
def test_what_no_tensor_tells_must_be_stated(key: str) -> None:
    blocks = {name: value for name, value in BLOCKS.items() if name != key}
    with pytest.raises(UsageError, match=f"not the configuration of a MuQ.*{key}"):
        muq.read_shape({**CONFIG, "w2v2_config": blocks}, Path("config.json"))
