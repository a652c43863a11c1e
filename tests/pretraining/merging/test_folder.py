"""Merged folders: loaded by cmbench and transformers, written wholly or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmbench import load_model
from cmbench.baselines import LoadOptions
from cmbench.baselines.mert.checkpoint import MASK_VECTOR, read_checkpoint
from cmbench.errors import UsageError
from cmbench.pretraining.merging import folder as folder_module
from cmbench.pretraining.merging.folder import merge_models
from cmbench.pretraining.merging.merge import merge_settings
from cmbench.tests.pretraining.conftest import TINY, WriteModel, moved_weights

OFFLINE = LoadOptions(device="cpu", offline=True)


@pytest.fixture
def models(write_model: WriteModel) -> list[str]:
    card = "---\nlicense: mit\ntrained_on: [{}]\n---\n"
    return [
        write_model("base", card=card.format("Music4All 900 h")),
        write_model("greek", 1, card=card.format("Lyra 50 h")),
        write_model("turkish", 2, card=card.format("Turkish-makam 200 h")),
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_cmbench_and_transformers_load_the_result_alike(models: list[str], tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers")
    merged = merge_models(models[0], models[1:], merge_settings(2), tmp_path / "out", OFFLINE)
    encoder = load_model(str(tmp_path / "out"))
    assert encoder.card.weights_sha256 == merged.weights_sha256
    assert encoder.card.trained_on == ("Music4All 900 h", "Lyra 50 h", "Turkish-makam 200 h")
    assert encoder.card.licence == "mit"
    model, report = transformers.HubertModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    audio = np.random.default_rng(0).standard_normal((1, 12_000)).astype(np.float32) * 0.1
    with torch.no_grad():
        states = model.eval()(torch.from_numpy(audio), output_hidden_states=True).hidden_states
    expected = torch.stack([s.mean(1) for s in states], 1).numpy()
    np.testing.assert_allclose(encoder.encode(audio), expected, atol=1e-5)
    assert json.loads((tmp_path / "out" / "merge.json").read_text())["weights_sha256"] == merged.weights_sha256


def test_the_order_of_the_models_changes_no_byte(models: list[str], tmp_path: Path) -> None:
    base, one, two = models
    for place, order, scales in (("a", [one, two], (0.2, 0.4)), ("b", [two, one], (0.4, 0.2))):
        merge_models(base, order, merge_settings(2, scale_each=scales), tmp_path / place / "out", OFFLINE)
    assert contents(tmp_path / "a" / "out") == contents(tmp_path / "b" / "out")


def test_float16_is_half_as_large_and_says_so(models: list[str], tmp_path: Path) -> None:
    full = merge_models(models[0], models[1:], merge_settings(2), tmp_path / "full", OFFLINE)
    half = merge_models(models[0], models[1:], merge_settings(2), tmp_path / "half", OFFLINE, "float16")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.7 * sizes[0]
    assert (half.dtype, full.dtype) == ("float16", "float32")
    assert load_model(str(tmp_path / "half")).card.weights_sha256 == half.weights_sha256 != full.weights_sha256
    read = [read_checkpoint(tmp_path / name) for name in ("full", "half")]
    for name in TINY.tensors():
        np.testing.assert_allclose(read[1].weights[name], read[0].weights[name], rtol=1e-3, atol=1e-7)
    assert read[1].training_only[MASK_VECTOR].dtype == torch.float16


def test_values_beyond_float16_are_refused_by_name(write_model: WriteModel, models: list[str], tmp_path: Path) -> None:
    weights = moved_weights(TINY, 1)
    weights["encoder.layer_norm.bias"] += 1e6
    with pytest.raises(UsageError, match=r"'encoder\.layer_norm\.bias' is beyond float16"):
        merge_models(
            models[0], [write_model("big", weights=weights)], merge_settings(1), tmp_path / "o", OFFLINE, "float16"
        )
    with pytest.raises(UsageError, match="no dtype 'int8'"):
        merge_models(models[0], models[1:], merge_settings(2), tmp_path / "o", OFFLINE, "int8")


def test_what_is_there_is_replaced_only_if_asked(models: list[str], tmp_path: Path) -> None:
    base, *added = models
    out = tmp_path / "out"
    out.mkdir()
    merge_models(base, added, merge_settings(2), out, OFFLINE)
    before = contents(out)
    with pytest.raises(UsageError, match=r"is not empty; .*--force"):
        merge_models(base, added, merge_settings(2, scale=0.3), out, OFFLINE)
    assert contents(out) == before
    merge_models(base, added, merge_settings(2, scale=0.3), out, OFFLINE, force=True)
    assert contents(out).keys() == before.keys()
    assert contents(out) != before
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        merge_models(base, added, merge_settings(2), tmp_path / "file", OFFLINE, force=True)
    (tmp_path / "home" / "photos").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds folders \(photos\)"):
        merge_models(base, added, merge_settings(2), tmp_path / "home", OFFLINE, force=True)
    for model in models:
        with pytest.raises(UsageError, match="is one of the models to merge"):
            merge_models(base, added, merge_settings(2), Path(model), OFFLINE, force=True)


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("broken", ["merge", "write_folder"])
def test_a_merge_that_fails_leaves_no_trace(
    broken: str, existing: bool, models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "place" / "out"
    out.parent.mkdir()
    if existing:
        out.mkdir()
        (out / "old.txt").write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, broken, fail)
    with pytest.raises(KeyboardInterrupt):
        merge_models(models[0], models[1:], merge_settings(2), out, OFFLINE, force=True)
    assert [file.name for file in out.parent.iterdir()] == ["out"] * existing
    assert not existing or contents(out) == {"old.txt": b"old"}


def test_what_was_there_comes_back_if_the_last_rename_fails(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "place" / "out"
    out.mkdir(parents=True)
    (out / "old.txt").write_text("old")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no space")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no space"):
        merge_models(models[0], models[1:], merge_settings(2), out, OFFLINE, force=True)
    assert contents(out) == {"old.txt": b"old"}
    assert list(out.parent.iterdir()) == [out]


def test_a_flipped_byte_of_the_weights_is_named(models: list[str], tmp_path: Path) -> None:
    """By whoever evaluates, merges or exports the model."""
    out = tmp_path / "out"
    merge_models(models[0], models[1:], merge_settings(2), out, OFFLINE)
    file = out / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for use in (
        lambda: load_model(str(out)),
        lambda: merge_models(models[0], [str(out)], merge_settings(1), tmp_path / "again", OFFLINE),
    ):
        with pytest.raises(UsageError, match=r"out: the weights are not those that were written there \(merge\.json"):
            use()
    assert not (tmp_path / "again").exists()
