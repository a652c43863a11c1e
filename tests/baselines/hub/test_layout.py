"""Model folders in the layouts that programs leave: opened, or called what they are."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from cmbench.baselines import LoadOptions, load_encoder
from cmbench.baselines.base import EncoderCard
from cmbench.baselines.hub.layout import front_end, weight_files
from cmbench.baselines.mert.checkpoint import NORMALISED, PREFIXES, TRANSPARENT, match_names, read_tensors
from cmbench.baselines.mert.network import random_weights
from cmbench.baselines.mert.shape import read_shape
from cmbench.errors import UsageError

CPU = LoadOptions(device="cpu", offline=True)
CONFIG = {
    "model_type": "hubert",
    "conv_dim": [8] * 7,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
SHAPE = read_shape(CONFIG, Path("config.json"))
FRONT = {"sampling_rate": 24000, "do_normalize": True, "feature_extractor_type": "Wav2Vec2FeatureExtractor"}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def save(folder: Path, front: dict[str, Any] | None = FRONT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(random_weights(SHAPE, 0), folder / "model.safetensors")
    if front is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(front))
    return folder


def card(path: Path | str) -> EncoderCard:
    return load_encoder(str(path), CPU).card


def refused(path: Path | str) -> str:
    with pytest.raises(UsageError) as caught:
        load_encoder(str(path), CPU)
    return str(caught.value)


# the front end


def test_either_file_of_the_front_end_is_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = card(save(tmp_path / "a" / "m"))
    assert (old.sample_rate, old.preprocessing) == (24000, NORMALISED)
    for key in ("feature_extractor", "audio_processor"):
        folder = save(tmp_path / key / "m", None)
        (folder / "processor_config.json").write_text(json.dumps({key: FRONT, "processor_class": "X"}))
        assert card(folder) == old
    # Both files are written by hand, too: each in the layout of the other.
    for file, content in (("processor_config.json", FRONT), ("preprocessor_config.json", {"feature_extractor": FRONT})):
        folder = save(tmp_path / file / "m", None)
        (folder / file).write_text(json.dumps(content))
        assert card(folder) == old
    # Before transformers 5 a processor's file said nothing of audio.
    folder = save(tmp_path / "both" / "m", None)
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "X"}))
    (folder / "preprocessor_config.json").write_text(json.dumps(FRONT))
    assert card(folder) == old
    assert not caplog.records


@pytest.mark.parametrize("stated", [{"do_normalize": False}, {"sampling_rate": 8000}, {"feature_size": 1}])
def test_a_front_end_at_the_top_of_a_processors_file_is_read(tmp_path: Path, stated: dict[str, Any]) -> None:
    folder = save(tmp_path / "m", None)
    (folder / "processor_config.json").write_text(json.dumps(stated | {"processor_class": "Wav2Vec2Processor"}))
    found = card(folder)
    assert found.sample_rate == stated.get("sampling_rate", 16000)
    assert found.preprocessing == ("none" if "do_normalize" in stated else NORMALISED)


def test_the_table_of_a_processor_comes_before_the_other_file_and_that_before_loose_settings(tmp_path: Path) -> None:
    processor, other = tmp_path / "processor_config.json", tmp_path / "preprocessor_config.json"
    loose = {"feature_size": 1, "from": "loose settings"}
    processor.write_text(json.dumps(loose))
    assert front_end(tmp_path) == (loose, processor)
    other.write_text('{"from": "the other file"}')
    assert front_end(tmp_path) == ({"from": "the other file"}, other)
    processor.write_text(json.dumps(loose | {"feature_extractor": {"from": "a table"}}))
    assert front_end(tmp_path) == ({"from": "a table"}, processor)
    processor.write_text(json.dumps(loose | {"feature_extractor": None}))  # as in transformers
    assert front_end(tmp_path) == ({"from": "the other file"}, other)


def test_a_front_end_that_is_absent_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bare = card(save(tmp_path / "m", None))
    assert bare.preprocessing == "none (the model has no preprocessor_config.json)"
    (record,) = caplog.records
    assert (
        "has neither preprocessor_config.json nor processor_config.json: audio is taken at 16000 Hz" in record.message
    )


@pytest.mark.parametrize("key", ["sampling_rate", "do_normalize"])
def test_two_front_ends_that_contradict_each_other_are_refused(tmp_path: Path, key: str) -> None:
    folder = save(tmp_path / "m")
    other = FRONT | {"sampling_rate": 16000} if key == "sampling_rate" else FRONT | {"do_normalize": False}
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": other}))
    assert f"processor_config.json: {key} is" in refused(folder)
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": 3}))
    assert "should be a table of settings" in refused(folder)


# names of tensors


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(PREFIXES), max_size=4),
    st.lists(st.tuples(st.sampled_from(TRANSPARENT), st.integers(0, 9)), max_size=3),
)
def test_wrappers_are_stripped_however_often_they_wrap(outer: list[str], inner: list[tuple[str, int]]) -> None:
    def wrapped(name: str) -> str:
        parts = (*"".join(outer).split(".")[:-1], *name.split("."))
        for wrapper, at in inner:
            place = at % len(parts)
            parts = (*parts[:place], wrapper.rstrip("."), *parts[place:])
        return ".".join(parts)

    stored = {wrapped(name): name for name in SHAPE.tensors()}
    found, rest = match_names([*stored, "lm_head.weight", "module.model.masked_spec_embed"], SHAPE, Path("m"))
    assert {name: stored[one] for name, one in found.items()} == {name: name for name in SHAPE.tensors()}
    assert rest == {"lm_head.weight": "lm_head.weight", "masked_spec_embed": "module.model.masked_spec_embed"}


def test_tensors_of_two_networks_are_not_mixed() -> None:
    names = list(SHAPE.tensors())
    with pytest.raises(UsageError, match="of more than one network"):
        match_names(
            [*(f"hubert.{name}" for name in names[:5]), *(f"model.{name}" for name in names[5:])], SHAPE, Path("m")
        )
    with pytest.raises(UsageError, match="there twice, as 'feature"):
        match_names([*names, f"module.{names[0]}"], SHAPE, Path("m"))


def test_the_same_model_from_torch_compile(tmp_path: Path) -> None:
    plain = card(save(tmp_path / "a" / "m"))
    folder = save(tmp_path / "b" / "m")
    tensors = load_file(folder / "model.safetensors")
    save_file({f"module._orig_mod.hubert.{name}": t for name, t in tensors.items()}, folder / "model.safetensors")
    assert card(folder) == plain


# files of weights


def test_the_usual_name_comes_before_variants(tmp_path: Path) -> None:
    folder = save(tmp_path / "m")
    expected = card(folder)
    half = {name: tensor.half() for name, tensor in random_weights(SHAPE, 0).items()}
    save_file(half, folder / "model.fp16.safetensors")
    save_file(random_weights(SHAPE, 1), folder / "model-00001-of-00001.safetensors")
    torch.save(random_weights(SHAPE, 2), folder / "pytorch_model.bin")
    (folder / "._model.safetensors").write_bytes(b"\0")
    assert card(folder) == expected
    save_file({"final_proj.bias": torch.zeros(2)}, folder / "heads.safetensors")
    assert [file.name for file in weight_files(folder)] == ["model.safetensors", "heads.safetensors"]
    assert card(folder) == expected
    (folder / "model.safetensors").unlink()
    (folder / "model-00001-of-00001.safetensors").unlink()
    assert card(folder).weights_sha256 != expected.weights_sha256
    save_file(half, folder / "model.bf16.safetensors")
    assert "Leave the files of one copy there" in refused(folder)


def test_an_index_says_which_shards_there_are(tmp_path: Path) -> None:
    folder = save(tmp_path / "m")
    expected = card(folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[:9], "model-00002-of-00002.safetensors": names[9:]}
    for file, some in shards.items():
        save_file({name: tensors[name] for name in some}, folder / file)
    index = {"weight_map": {name: file for file, some in shards.items() for name in some}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    # What an earlier save left is not of this model.
    save_file(random_weights(SHAPE, 1), folder / "model-00001-of-00003.safetensors")
    assert card(folder) == expected
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors: an index names this file, but it is not there" in refused(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../m.safetensors"}}')
    assert "should name a file of this folder" in refused(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_pointers_of_git_lfs_are_called_that(tmp_path: Path, file: str) -> None:
    folder = save(tmp_path / "m")
    (folder / file).write_bytes(POINTER)
    told = refused(folder)
    assert file in told
    assert "pointer of Git LFS" in told
    assert "git lfs pull" in told


@pytest.mark.parametrize("key", ["state_dict", "model", "module"])
def test_a_table_that_a_trainer_put_among_its_notes_is_found(tmp_path: Path, key: str) -> None:
    tensors = random_weights(SHAPE, 2)
    torch.save({"epoch": 3, key: tensors, "optimizer": {"lr": 1e-3}}, tmp_path / "pytorch_model.bin")
    found, _ = read_tensors(tmp_path)
    assert found.keys() == tensors.keys()
    torch.save({"epoch": 3, "weights": tensors}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="no table of tensors, nor does it hold one under state_dict, model"):
        read_tensors(tmp_path)


def test_a_pickle_that_is_a_pointer(tmp_path: Path) -> None:
    folder = save(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(POINTER)
    assert "pytorch_model.bin: this is a pointer of Git LFS" in refused(folder)
    (tmp_path / "MERT.pt").write_bytes(POINTER)
    assert "MERT.pt: this is a pointer of Git LFS" in refused(tmp_path / "MERT.pt")


# what a folder is


def test_the_hubs_cache_is_opened(tmp_path: Path) -> None:
    one, two = "a" * 40, "b" * 40
    cache = tmp_path / "models--some--one"
    save(cache / "snapshots" / one)
    for place in (cache, cache / "snapshots", cache / "snapshots" / one):
        found = card(place)
        assert (found.name, found.source) == ("some/one", f"hf:some/one@{one}")
    save(cache / "snapshots" / two)
    told = refused(cache)
    assert "several snapshots of this model; name one: --model" in told
    assert str(cache / "snapshots" / two) in told
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(two)
    assert card(cache).source == f"hf:some/one@{two}"
    (tmp_path / "models--no--thing" / "snapshots").mkdir(parents=True)
    assert "has no snapshot" in refused(tmp_path / "models--no--thing")


def test_a_copy_of_the_hubs_cache_under_another_name_is_opened(tmp_path: Path) -> None:
    save(tmp_path / "my model" / "snapshots" / ("a" * 40))
    (tmp_path / "my model" / "blobs").mkdir()
    found = card(tmp_path / "my model")
    assert (found.name, found.source) == ("my model", "a local folder")


def test_the_whole_cache_stands_for_its_model_or_names_them(tmp_path: Path) -> None:
    hub, commit = tmp_path / "my home" / "hub", "a" * 40
    save(hub / "models--some--one" / "snapshots" / commit)
    (hub / ".locks" / "models--some--one").mkdir(parents=True)
    (hub / "datasets--some--one" / "snapshots").mkdir(parents=True)
    for place in (hub, hub.parent):
        assert card(place).source == f"hf:some/one@{commit}"
    save(hub / "models--some--two" / "snapshots" / commit)
    told = refused(hub)
    assert "the hub's cache, with 2 models: some/one, some/two" in told
    (named,) = shlex.split(told.rpartition("--model ")[2])
    assert card(named).name == "some/one"


@pytest.mark.parametrize(("gone", "word"), [("model.safetensors", "weights"), ("config.json", r"config\.json")])
def test_a_model_that_the_cache_holds_in_part_is_called_that(tmp_path: Path, gone: str, word: str) -> None:
    snapshot = save(tmp_path / "models--some--one" / "snapshots" / ("a" * 40))
    (snapshot / gone).unlink()
    for place in (tmp_path, snapshot.parent.parent, snapshot):
        assert re.search(rf"in part, without {word}\. .*--model hf:some/one@{'a' * 40}$", refused(place))


def test_a_trainers_output_names_its_checkpoints(tmp_path: Path) -> None:
    for step in (500, 1000, 9):
        save(tmp_path / "out" / f"checkpoint-{step}")
    told = refused(tmp_path / "out")
    assert "the output of a Trainer, with checkpoint-9, checkpoint-500, checkpoint-1000" in told
    assert card(told.rpartition("--model ")[2]).layers == 2
    # With the trained model beside them, it is that.
    save(tmp_path / "out")
    assert card(tmp_path / "out").name == "out"


def test_an_unfinished_pre_training_is_called_that(tmp_path: Path) -> None:
    step = tmp_path / "run" / "training" / "checkpoints" / "step-00000300"
    step.mkdir(parents=True)
    (tmp_path / "run" / "training" / "start.json").write_text("{}")
    for place in (tmp_path / "run", tmp_path / "run" / "training", step):
        told = refused(place)
        assert "is not finished, now at step-00000300" in told
        assert f"--out {tmp_path / 'run'} --resume" in told
    save(tmp_path / "run")
    assert card(tmp_path / "run").name == "run"


def test_other_folders_and_files_are_called_what_they_are(tmp_path: Path) -> None:
    inner = save(tmp_path / "a" / "inner")
    told = refused(tmp_path / "a")
    assert "there is no config.json, but in inner" in told
    assert card(told.rpartition("--model ")[2]).layers == 2
    assert "Name the folder that it is in" in refused(inner / "model.safetensors")
    (inner / "config.json").unlink()
    assert "there are weights, but no config.json" in refused(inner)
    (inner / "adapter_config.json").write_text("{}")
    assert "this is an adapter" in refused(inner)
    assert "There is no model folder" in refused(tmp_path / "none")


def test_folders_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = save(tmp_path / "Müzik, yeni")
    expected = card(folder)
    for name in ("Müzik, yeni", "Mu\u0308zik, yeni", "./Müzik, yeni/", "~/Müzik, yeni", folder.as_uri()):
        assert card(name) == expected
    if os.name == "posix":
        assert card(".\\Müzik, yeni") == expected
