"""The nano family as it ships: whole, small, described, and what plain transformers loads."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import cmbench
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.hub.about import read_trained_on
from cmbench.baselines.nano import NANO, NANO_BASE, SHIPPED, nano_folder
from cmbench.baselines.network import open_network
from cmbench.baselines.registry import load_encoder
from cmbench.pretraining.learner import network_shape
from cmbench.pretraining.recipes.reading import open_recipe

MERGED = "CultureMERT-TA-nano"
TRAINED = [name for name in NANO if name != MERGED]
OPTIONS = LoadOptions("cpu", offline=True)


def test_the_family_is_whole_and_small() -> None:
    assert sorted(path.name for path in SHIPPED.iterdir()) == sorted(NANO)
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 24 * 2**20
    assert not [path for path in SHIPPED.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


@pytest.mark.parametrize("name", NANO)
def test_every_model_loads_by_its_name(name: str) -> None:
    encoder = load_encoder(name, OPTIONS)
    assert encoder.card.name == name
    assert encoder.card.licence == "Apache-2.0"
    assert encoder.card.source == "built in"
    assert (encoder.card.layers, encoder.card.dim, encoder.card.sample_rate) == (2, 416, 24_000)
    noise = np.random.default_rng(0).standard_normal((2, 24_000)).astype(np.float32)
    features = encoder.encode(noise)
    assert np.isfinite(features).all()
    assert not np.array_equal(features[0], features[1])
    stored = load_file(nano_folder(name) / "model.safetensors")
    assert {str(tensor.dtype) for tensor in stored.values()} == {"torch.float16"}


def test_no_two_models_are_the_same() -> None:
    assert len({load_encoder(name, OPTIONS).card.weights_sha256 for name in NANO}) == len(NANO)


def test_transformers_loads_them_with_the_same_hidden_states() -> None:
    with warnings.catch_warnings():
        # Libraries that transformers imports warn of their own future.
        warnings.simplefilter("ignore")
        from transformers import AutoModel
    cmbench.register()
    audio = (0.1 * np.random.default_rng(1).standard_normal((1, 24_000))).astype(np.float32)
    for name in (NANO_BASE, MERGED):
        model = AutoModel.from_pretrained(nano_folder(name), dtype=torch.float32, attn_implementation="eager")
        assert not model.training
        with torch.no_grad():
            states = model(torch.from_numpy(audio), output_hidden_states=True).hidden_states
        theirs = torch.stack([state.mean(1) for state in states], 1).numpy()
        # Streams reach a hundred; where the sums of a spectrum are parted otherwise, its logarithm moves by some 1e-6.
        assert np.abs(load_encoder(name, OPTIONS).encode(audio) - theirs).max() < 5e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_model_says_how_it_came_about(name: str) -> None:
    folder = nano_folder(name)
    facts = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
    assert facts["name"] == name
    assert facts["weights_sha256"] == load_encoder(name, OPTIONS).card.weights_sha256
    assert facts["steps"] == facts["planned_steps"]
    assert facts["edition"] == "mini"
    assert facts["contaminated"] is False
    assert facts["excluded_tracks"] == 1200
    for key in ("recipe_sha256", "corpus_sha256", "exclusion_sha256"):
        assert len(facts[key]) == 64
    base = json.loads((nano_folder(NANO_BASE) / "pretraining.json").read_text(encoding="utf-8"))
    assert facts["start"]["weights_sha256"] == ("" if name == NANO_BASE else base["weights_sha256"])
    curve = (folder / "held_out.csv").read_text(encoding="utf-8").splitlines()
    assert len(curve) > 10
    for tradition, losses in facts["held_out_loss"].items():
        last = [line.split(",") for line in curve if f",{tradition}," in line][-1]
        assert float(last[3]) == pytest.approx(losses["after"], abs=1e-4)


def test_what_each_was_trained_on_follows_it() -> None:
    heard = {name: " ".join(read_trained_on(nano_folder(name))) for name in NANO}
    traditions = ("Greek", "Turkish", "Hindustani", "Carnatic")
    assert not any(t in heard[NANO_BASE] for t in traditions)
    for tradition in traditions:
        assert [t for t in traditions if t in heard[f"{tradition}MERT-nano"]] == [tradition]
    for name in ("CultureMERT-nano", MERGED):
        assert all(t in heard[name] for t in traditions)
    assert all("mini" in text for text in heard.values())


def test_the_base_has_all_that_training_needs_to_go_on() -> None:
    network = open_network(NANO_BASE, OPTIONS)
    assert network.folder == nano_folder(NANO_BASE)
    assert network.trained_on == read_trained_on(nano_folder(NANO_BASE))
    assert network.checkpoint.shape == network_shape(open_recipe("mert-nano").recipe)
    for name in ("heads.safetensors", "teacher.npz"):
        assert (nano_folder(NANO_BASE) / name).is_file()


@pytest.mark.parametrize("name", ["CultureMERT-nano", "MERT-nano-untrained"])
def test_the_shortest_clip_has_features(name: str) -> None:
    encoder = load_encoder(name, LoadOptions("cpu"))
    shortest = round(encoder.card.min_seconds * encoder.card.sample_rate)
    heard = np.random.default_rng(0).normal(0, 0.1, (1, shortest)).astype(np.float32)
    assert np.isfinite(encoder.encode(heard)).all()
