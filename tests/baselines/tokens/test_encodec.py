"""EnCodec's tokens from a tiny model with random weights, against transformers itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cmbench.baselines import LoadOptions
from cmbench.baselines.tokens import encodec
from cmbench.baselines.tokens.encodec import load_encodec
from cmbench.errors import MissingError, UsageError

transformers: Any = pytest.importorskip("transformers")
CPU = LoadOptions(device="cpu", offline=True)


def save_encodec(folder: Path, **settings: Any) -> Path:
    """Save a model of three codebooks of eight tokens at 6 kbit/s, one at the lowest bandwidth."""
    torch.manual_seed(0)
    tiny = {
        "num_filters": 2, "hidden_size": 12, "codebook_dim": 12, "upsampling_ratios": [4, 4], "codebook_size": 8,
        "num_lstm_layers": 1, "target_bandwidths": [4.5, 6.0, 13.5], "sampling_rate": 8000,
    } | settings  # fmt: skip
    model = transformers.EncodecModel(transformers.EncodecConfig(**tiny))
    with torch.no_grad():
        for layer in model.quantizer.layers:
            layer.codebook.embed.copy_(torch.randn(layer.codebook.embed.shape))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encodec(tmp_path_factory.mktemp("models") / "tiny-encodec")


def test_tokens_are_those_of_transformers_at_the_bandwidth_of_mert(folder: Path) -> None:
    tokeniser = load_encodec(str(folder), CPU)
    audio = np.random.default_rng(0).standard_normal(4001).astype(np.float32) * np.float32(0.1)
    tokens = tokeniser.tokens(audio)
    model = transformers.EncodecModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model.encode(torch.from_numpy(audio)[None, None], bandwidth=6.0).audio_codes[0, 0]
    assert (tokeniser.codebook_size, tokeniser.sample_rate, tokeniser.levels, tokeniser.bandwidth) == (8, 8000, 4, 6.0)
    assert (tokeniser.hop, tokeniser.fingerprint[64:]) == (16, "@6")
    assert tokens.shape == (4, 251)
    np.testing.assert_array_equal(tokens, expected.numpy())
    assert len(np.unique(tokens)) > 2
    assert "tiny-encodec" in tokeniser.name
    assert "6 kbit/s" in tokeniser.name


@pytest.mark.parametrize("frames", [5, 7, 100, 250])
@pytest.mark.parametrize(
    "settings", [{}, {"use_causal_conv": False}, {"dilation_growth_rate": 3, "num_residual_layers": 2}]
)
def test_long_audio_has_the_tokens_of_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int, settings: dict[str, Any]
) -> None:
    folder = save_encodec(tmp_path / "long", **settings)
    tokeniser = load_encodec(str(folder), CPU)
    audio = np.random.default_rng(1).standard_normal(4001).astype(np.float32) * np.float32(0.1)
    whole = tokeniser.tokens(audio)
    assert whole.shape == (4, 251)
    calls, embedded = [], encodec._embedded

    def counted(*given: Any) -> Any:
        calls.append(given)
        return embedded(*given)

    monkeypatch.setattr(encodec, "_embedded", counted)
    monkeypatch.setattr(encodec, "PIECE_FRAMES", frames)
    np.testing.assert_array_equal(tokeniser.tokens(audio), whole)
    # A network that looks ahead is not cut.
    assert len(calls) == settings.get("use_causal_conv", True)


def test_chunks_follow_one_another(tmp_path: Path) -> None:
    chunked = load_encodec(str(save_encodec(tmp_path / "chunked", chunk_length_s=0.25, overlap=0.0)), CPU)
    audio = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    halves = [chunked.tokens(audio[:2000]), chunked.tokens(audio[2000:])]
    np.testing.assert_array_equal(chunked.tokens(audio), np.concatenate(halves, axis=1))


def test_a_model_without_the_usual_bandwidth_gives_its_nearest(tmp_path: Path) -> None:
    found = load_encodec(str(save_encodec(tmp_path / "other", target_bandwidths=[1.5, 3.0, 24.0])), CPU)
    assert found.bandwidth == 3.0


def test_what_is_not_whole_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "broken"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    gone = "quantizer.layers.1.codebook.embed"
    save_file({k: v for k, v in weights.items() if k != gone}, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=gone):
        load_encodec(str(copy), CPU)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"audio_channels": 2}))
    with pytest.raises(UsageError, match="only mono"):
        load_encodec(str(copy), CPU)
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "wavlm"}))
    with pytest.raises(UsageError, match=r"'wavlm'.*stand-in"):
        load_encodec(str(copy), CPU)
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="neither"):
        load_encodec(str(copy), CPU)
    with pytest.raises(UsageError, match="no model folder"):
        load_encodec(str(tmp_path / "nowhere"), CPU)
    with pytest.raises(MissingError):
        load_encodec("encodec-24khz", CPU)
