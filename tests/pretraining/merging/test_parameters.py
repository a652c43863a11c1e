"""Models on disk, whatever their files are like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cmbench.baselines import LoadOptions
from cmbench.baselines.hub.about import weights_sha256
from cmbench.baselines.mert.checkpoint import MASK_VECTOR, SPELLINGS
from cmbench.baselines.mert.network import DIRECTION, GAIN
from cmbench.errors import CmbenchError, MissingError, UsageError
from cmbench.pretraining.merging.parameters import open_parameters
from cmbench.tests.pretraining.conftest import TINY, WriteModel, moved_weights

OFFLINE = LoadOptions(device="cpu", offline=True)


def rewrite(folder: Path, style: str) -> None:
    """Store the folder's weights again: with current weight-norm keys, under a wrapper, in shards or as a pickle."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file)
    file.unlink()
    if style == "current keys":
        tensors = {SPELLINGS.get(name, name): t for name, t in tensors.items()}
    if style == "wrapped, with heads":
        tensors = {f"hubert.{name}": t for name, t in tensors.items()} | {"lm_head.weight": torch.zeros(3, 3)}
        tensors[MASK_VECTOR] = tensors.pop(f"hubert.{MASK_VECTOR}")
    if style == "pickle":
        torch.save(tensors, folder / "pytorch_model.bin")
    elif style == "shards":
        names = sorted(tensors)
        for i in range(2):
            save_file({name: tensors[name] for name in names[i::2]}, folder / f"model-{i}.safetensors")
    else:
        save_file(tensors, file)


@pytest.mark.parametrize("style", ["as written", "current keys", "wrapped, with heads", "pickle", "shards"])
def test_every_style_of_file_gives_the_same_tensors(style: str, write_model: WriteModel, tmp_path: Path) -> None:
    name, weights = write_model("m", 1), moved_weights(TINY, 1)
    if style != "as written":
        rewrite(Path(name), style)
    model = open_parameters(name, OFFLINE, tmp_path / "spool")
    assert model.weights_sha256 == weights_sha256(weights)
    assert set(model.places) == {*TINY.tensors(), MASK_VECTOR}
    for tensor in (GAIN, DIRECTION, "encoder.layer_norm.weight"):
        assert torch.equal(model.read(tensor), weights[tensor])
    assert torch.equal(model.read(DIRECTION, slice(3, 5)), weights[DIRECTION][3:5])
    assert (tmp_path / "spool").exists() == (style == "pickle")


def test_half_precision_is_read_as_float32(write_model: WriteModel, tmp_path: Path) -> None:
    weights = {name: t.half() for name, t in moved_weights(TINY, 1).items()}
    model = open_parameters(write_model("m", weights=weights, masks=False), OFFLINE, tmp_path)
    assert MASK_VECTOR not in model.places
    assert model.read(DIRECTION).dtype == torch.float32
    assert torch.equal(model.read(DIRECTION), weights[DIRECTION].float())


def test_a_drawn_model_is_written_once(tmp_path: Path) -> None:
    first, second = (open_parameters("random-mert-nano", OFFLINE, tmp_path) for _ in range(2))
    assert first == second
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_not_there_or_does_not_fit_is_named(
    write_model: WriteModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(MissingError):
        open_parameters("MERT-v1-95M", OFFLINE, tmp_path)
    with pytest.raises(UsageError, match="no model folder"):
        open_parameters("./nowhere", OFFLINE, tmp_path)
    short = moved_weights(TINY, 1)
    del short["encoder.layer_norm.bias"]
    with pytest.raises(UsageError, match=r"missing tensors: 'encoder\.layer_norm\.bias'"):
        open_parameters(write_model("short", weights=short), OFFLINE, tmp_path)
    wide = Path(write_model("wide"))
    config = json.loads((wide / "config.json").read_text())
    (wide / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    with pytest.raises(UsageError, match=r"intermediate_dense\.weight' has the shape \[32, 16\]"):
        open_parameters(str(wide), OFFLINE, tmp_path)


@pytest.mark.parametrize("vector", [torch.zeros(3), torch.full((TINY.hidden,), torch.nan)])
def test_a_mask_vector_that_cannot_be_merged_is_named(
    vector: torch.Tensor, write_model: WriteModel, tmp_path: Path
) -> None:
    name = write_model("m", masks=False, weights=moved_weights(TINY, 1) | {MASK_VECTOR: vector})
    with pytest.raises(CmbenchError, match="tensor 'masked_spec_embed'"):
        open_parameters(name, OFFLINE, tmp_path)
