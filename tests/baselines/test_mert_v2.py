"""MERT-v2: random weights against modules of torch, the published shape, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from cmbench.baselines import mert_v2
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.registry import load_encoder, registry
from cmbench.errors import UsageError

SMALL = replace(
    mert_v2.ConformerShape(), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_mel_bins=8, n_fft=512, win_length=400, subsampling_channels=(8, 16, 32), subsampling_depths=(1, 2, 1),
    seconds=2.0,
)  # fmt: skip
CONFIG = {
    "model_type": "mert2", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_mel_bins": 8, "n_fft": 512, "win_length": 400,
    "subsampling_channels": [8, 16, 32], "subsampling_depths": [1, 2, 1], "context_seconds": 2.0,
}  # fmt: skip


class Turned(nn.Module):
    """Exchange time and channels."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.transpose(1, 2)


class ResponseNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        energy = hidden.pow(2).sum(1, keepdim=True).sqrt()
        return self.weight * hidden * (energy / (energy.mean(2, keepdim=True) + 1e-6)) + self.bias + hidden


class Residual(nn.Module):
    """What the published layer adds to its input, under the names of the checkpoint."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        over_time = nn.Conv1d(width, width, 7, padding="same", groups=width)
        self.depthwise_block = nn.Sequential(Turned(), over_time, Turned())
        self.pointwise_block = nn.Sequential(
            nn.LayerNorm(width, eps), nn.Linear(width, 4 * width), nn.GELU(), ResponseNorm(4 * width),
            nn.Linear(4 * width, width),
        )  # fmt: skip

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.pointwise_block(self.depthwise_block(hidden))  # type: ignore[no-any-return]


class Stage(nn.Module):
    def __init__(self, into: int, out: int, stride: int, depth: int, eps: float) -> None:
        super().__init__()
        parts = [nn.LayerNorm(into, eps), Turned(), nn.Conv1d(into, out, 2, stride), Turned()]
        self.resampling_layer = nn.Sequential(*(parts if into != out or stride > 1 else []))
        self.convnext_layers = nn.Sequential(*(Residual(out, eps) for _ in range(depth)))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.convnext_layers(self.resampling_layer(hidden))  # type: ignore[no-any-return]


class Feed(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.w_2(nn.functional.gelu(self.w_1(hidden)))  # type: ignore[no-any-return]


class Attention(nn.Module):
    def __init__(self, shape: mert_v2.ConformerShape) -> None:
        super().__init__()
        width = shape.hidden_size
        self.heads, self.base = shape.num_attention_heads, shape.rotary_embedding_base
        for name in ("query_proj", "key_proj", "value_proj", "out_proj"):
            self.add_module(name, nn.Linear(width, width))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            getattr(self, name)(hidden).unflatten(2, (self.heads, -1))
            for name in ("query_proj", "key_proj", "value_proj")
        )
        query, key = (self.rotated(part) for part in (query, key))
        weight = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
        return self.out_proj(torch.einsum("bhqk,bkhd->bqhd", weight.softmax(-1), value).flatten(2))  # type: ignore[no-any-return, operator]

    def rotated(self, part: torch.Tensor) -> torch.Tensor:
        """Turn number i and i + half of each head, as complex numbers, by time over base ** (2 i / size)."""
        size = part.shape[-1]
        pairs = torch.complex(part[..., : size // 2], part[..., size // 2 :])
        rates = self.base ** (-2.0 * torch.arange(size // 2) / size)
        angles = torch.arange(part.shape[1])[:, None] * rates
        turned = pairs * torch.polar(torch.ones_like(angles), angles)[:, None]
        return torch.cat([turned.real, turned.imag], -1)


class Convolution(nn.Module):
    def __init__(self, width: int, kernel: int, eps: float) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(width, eps)
        self.conv_block = nn.Sequential(
            Turned(), nn.Conv1d(width, 2 * width, 1, bias=False), nn.GLU(1),
            nn.Conv1d(width, width, kernel, padding="same", groups=width, bias=False),
            nn.Sequential(Turned(), nn.LayerNorm(width, eps), Turned()), nn.GELU(),
            nn.Conv1d(width, width, 1, bias=False), Turned(),
        )  # fmt: skip

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.conv_block(self.layer_norm(hidden))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, shape: mert_v2.ConformerShape) -> None:
        super().__init__()
        width, eps = shape.hidden_size, shape.layer_norm_eps
        for name in ("ffn1_layer_norm", "attn_layer_norm", "ffn2_layer_norm", "final_layer_norm"):
            self.add_module(name, nn.LayerNorm(width, eps))
        self.ffn1, self.ffn2 = Feed(width, shape.intermediate_size), Feed(width, shape.intermediate_size)
        self.attn = Attention(shape)
        self.conv_module = Convolution(width, shape.conv_depthwise_kernel_size, eps)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.ffn1(self.ffn1_layer_norm(hidden)) / 2  # type: ignore[operator]
        hidden = hidden + self.attn(self.attn_layer_norm(hidden))  # type: ignore[operator]
        hidden = hidden + self.conv_module(hidden)
        hidden = hidden + self.ffn2(self.ffn2_layer_norm(hidden)) / 2  # type: ignore[operator]
        return self.final_layer_norm(hidden)  # type: ignore[no-any-return, operator]


class Buffers(nn.Module):
    """Front end: buffers under the names of torchaudio's transforms; its arithmetic in numpy, frame by frame."""

    def __init__(self, shape: mert_v2.ConformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mel_mean", torch.randn(shape.num_mel_bins))
        self.register_buffer("mel_std", torch.rand(shape.num_mel_bins) + 0.5)
        self.spectrogram, self.mel_scale = nn.Module(), nn.Module()
        self.spectrogram.register_buffer("window", torch.hann_window(shape.win_length))
        self.mel_scale.register_buffer("fb", torch.rand(shape.n_fft // 2 + 1, shape.num_mel_bins))

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        size, hop = self.shape.n_fft, self.shape.hop_length
        padded = np.pad(audio.numpy().astype(np.float64), ((0, 0), (size // 2, size // 2)), mode="reflect")
        left = (size - self.shape.win_length) // 2
        window = np.zeros(size)
        window[left : left + self.shape.win_length] = self.spectrogram.window.numpy()  # type: ignore[operator]
        starts = range(0, padded.shape[1] - size + 1, hop)
        power = np.stack([np.abs(np.fft.rfft(padded[:, k : k + size] * window)) ** 2 for k in starts], axis=1)
        level = 10 * np.log10(np.maximum(power @ self.mel_scale.fb.numpy(), 1e-10))[:, :-1]  # type: ignore[operator]
        return (torch.from_numpy(level).float() - self.mel_mean) / self.mel_std  # type: ignore[operator]


class Modules(nn.Module):
    """The network as modules, from m-a-p/MERT-v2-FullSong's ``modeling_mert2.py`` at d8ba1c7 as read in public."""

    def __init__(self, shape: mert_v2.ConformerShape, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        eps = shape.subsampling_layer_norm_eps
        self.feature_extractor = Buffers(shape)
        self.subsampling_module = nn.Sequential(*(Stage(*stage, eps) for stage in shape.stages()))
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.num_hidden_layers))
        with torch.no_grad():
            for tensor in self.parameters():
                tensor.copy_(0.3 * torch.randn_like(tensor) + (tensor.ndim == 1))

    def forward(self, audio: torch.Tensor) -> list[torch.Tensor]:
        hidden, found = self.subsampling_module(self.feature_extractor(audio)), []
        for layer in self.layers:
            hidden = layer(hidden)
            found.append(hidden)
        return found


def sound(samples: int, batch: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(2).normal(0, 0.1, (batch, samples)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file(Modules(SMALL).state_dict(), tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize("samples", [24_000, 30_077])
def test_states_are_those_of_modules_written_from_the_published_code(samples: int) -> None:
    modules = Modules(SMALL).eval()
    audio = torch.from_numpy(sound(samples))
    with torch.no_grad():
        expected, got = modules(audio), mert_v2.MertV2(SMALL, modules.state_dict()).states(audio)
    assert len(got) == 2
    for one, other in zip(got, expected, strict=True):
        assert one.shape == (2, samples // 240 // 4, 32)
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


def test_the_published_shape_has_the_published_size() -> None:
    """A public converter pins 2,529,812,848 bytes of ``model.safetensors``: the tensors and a header of 95,600."""
    shapes = mert_v2.tensor_shapes(mert_v2.ConformerShape())
    assert len(shapes) == 876
    assert 4 * sum(map(math.prod, shapes.values())) == 2_529_812_848 - 95_600
    assert {name: tuple(t.shape) for name, t in Modules(SMALL).state_dict().items()} == mert_v2.tensor_shapes(SMALL)
    assert sum(name.startswith("layers.23.") for name in shapes) == 31


def test_a_folder_gives_means_over_time_and_long_windows_are_cut(folder: Path) -> None:
    encoder = load_encoder(str(folder), LoadOptions(device="cpu"))
    card = encoder.card
    assert (card.layers, card.dim, card.sample_rate, card.family) == (2, 32, 24_000, "mert_v2")
    audio = sound(40_000)
    features = encoder.encode(audio)
    with torch.no_grad():
        expected = [state.mean(1).numpy() for state in Modules(SMALL)(torch.from_numpy(audio))]
    np.testing.assert_allclose(features, np.stack(expected, 1), atol=2e-4)
    np.testing.assert_array_equal(features[1:], encoder.encode(audio[1:]))
    long = sound(72_000, 1)  # twice 1.5 s, as the model hears 2 s
    halves = [encoder.encode(long[:, :36_000]), encoder.encode(long[:, 36_000:])]
    np.testing.assert_allclose(encoder.encode(long), np.mean(halves, axis=0), atol=1e-6)
    shortest = round(card.min_seconds * 24_000)
    assert np.isfinite(encoder.encode(audio[:, :shortest])).all()
    with pytest.raises(UsageError, match=f"\\({shortest} samples\\); this one has {shortest - 1}"):
        encoder.encode(audio[:, : shortest - 1])


def test_weights_that_do_not_fit_are_named(folder: Path) -> None:
    weights = Modules(SMALL).state_dict()
    weights["layers.0.more"] = weights.pop("layers.1.attn.key_proj.bias")
    weights["feature_extractor.mel_mean"] = torch.zeros(9)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UsageError) as caught:
        load_encoder(str(folder), LoadOptions(device="cpu"))
    for told in (
        "missing tensors: 'layers.1.attn.key_proj.bias'",
        "unexpected tensors: 'layers.0.more'",
        "wrongly shaped tensors: 'feature_extractor.mel_mean'",
    ):
        assert told in str(caught.value)
    weights = Modules(SMALL).state_dict()
    weights["layers.1.ffn2.w_1.bias"][3] = torch.nan
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UsageError, match=r"layers\.1\.ffn2\.w_1\.bias' is not made of finite numbers"):
        load_encoder(str(folder), LoadOptions(device="cpu"))


@pytest.mark.parametrize(
    "change",
    [{"hidden_size": 33}, {"num_hidden_layers": 0}, {"subsampling_depths": [1, 1]},
     {"variant": "x", "context_seconds": 0}, {"n_fft": "512"}, {"conv_depthwise_kernel_size": 30}, {"win_length": 600}],
)  # fmt: skip
def test_a_configuration_that_cannot_be_is_refused(change: dict[str, object], folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(UsageError, match="this is not the configuration of a MERT-v2"):
        load_encoder(str(folder), LoadOptions(device="cpu"))


def test_the_published_models_say_what_is_not_known_of_them() -> None:
    full = registry()["MERT-v2-FullSong"]
    assert "weights were not at hand" in full.summary
    assert full.source.endswith("@d8ba1c745e733b3908ce6ad16ebeb17ac7600a42")
    assert mert_v2.read_shape({"variant": "fs"}, Path("config.json")).seconds == 360
    assert mert_v2.read_shape({}, Path("config.json")) == mert_v2.ConformerShape()
