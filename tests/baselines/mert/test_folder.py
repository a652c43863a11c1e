"""Written folders: read back to the bit, and loaded by transformers without a missing or unexpected tensor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmbench.baselines import LoadOptions
from cmbench.baselines.anchors import NANO
from cmbench.baselines.mert.checkpoint import MASK_VECTOR, Preprocessor, read_checkpoint
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.mert.network import GAIN, HubertShape, random_weights
from cmbench.baselines.registry import load_folder
from cmbench.errors import UsageError

SHAPES = {
    "post-norm, group": NANO,
    "pre-norm, layer, bias": replace(NANO, pre_norm=True, conv_norm="layer", conv_bias=True, eps=1e-4),
}


def weights_of(shape: HubertShape) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    weights = random_weights(shape, 1)
    # Uneven gains, norms and biases, so that a swapped or forgotten one shows.
    return {n: t * (0.5 + torch.rand(t.shape, generator=draw)) + (t.ndim == 1) * 0.1 for n, t in weights.items()}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("normalise", [False, True])
def test_a_written_folder_reads_back(shape: HubertShape, normalise: bool, tmp_path: Path) -> None:
    weights, mask = weights_of(shape), torch.rand(shape.hidden)
    write_folder(tmp_path / "m", shape, weights, Preprocessor(22_050, normalise, ""), mask, {"README.md": "text"})
    read = read_checkpoint(tmp_path / "m")
    assert read.shape == shape
    assert (read.preprocessor.sample_rate, read.preprocessor.normalise) == (22_050, normalise)
    assert all(torch.equal(read.weights[name], weights[name]) for name in shape.tensors())
    assert torch.equal(read.training_only[MASK_VECTOR], mask)
    assert (tmp_path / "m" / "README.md").read_text() == "text"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("masks", [False, True])
def test_transformers_loads_it_whole(shape: HubertShape, masks: bool, tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    vector = torch.rand(shape.hidden) if masks else None
    write_folder(tmp_path / "m", shape, weights_of(shape), Preprocessor(24_000, False, ""), vector)
    model, report = transformers.HubertModel.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    model.eval()
    audio = np.random.default_rng(0).standard_normal((2, 12_000)).astype(np.float32) * 0.1
    with torch.no_grad():
        states = model(torch.from_numpy(audio), output_hidden_states=True).hidden_states
    expected = torch.stack([state.mean(1) for state in states], 1).numpy()
    got = load_folder(tmp_path / "m", LoadOptions(device="cpu")).encode(audio)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "m")
    assert extractor.sampling_rate == 24_000


def test_old_names_of_the_weight_norm_are_written(tmp_path: Path) -> None:
    from safetensors import safe_open

    write_folder(tmp_path, NANO, weights_of(NANO), Preprocessor(24_000, False, ""))
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert {"encoder.pos_conv_embed.conv.weight_g", "encoder.pos_conv_embed.conv.weight_v"} <= names
    assert GAIN not in names
    # MERT's published configuration class fails where this key is absent.
    assert json.loads((tmp_path / "config.json").read_text())["conv_pos_batch_norm"] is False


def test_weights_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    write_folder(tmp_path, NANO, weights_of(NANO), Preprocessor(24_000, False, ""))
    with pytest.raises(UsageError, match="exists already"):
        write_folder(tmp_path, NANO, weights_of(NANO), Preprocessor(24_000, False, ""))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="exists already"):
        write_folder(tmp_path / "file", NANO, weights_of(NANO), Preprocessor(24_000, False, ""))
