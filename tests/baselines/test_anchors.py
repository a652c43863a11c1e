"""Anchors: constant features, and random weights that are the same everywhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from packaging.version import Version

from cmbench.baselines import Encoder, LoadOptions, load_encoder, registry
from cmbench.baselines.anchors import ENCODERS, NANO, NANO_OWN, random_checkpoint
from cmbench.baselines.mert.heads import HeadShape
from cmbench.baselines.mert.network import DIRECTION, GAIN, HubertShape, random_weights
from cmbench.baselines.mert.shape import read_shape
from cmbench.baselines.nano import NANO_BASE, nano_folder
from cmbench.files import read_json
from cmbench.pretraining.learner import network_shape
from cmbench.pretraining.objective.model import from_shape
from cmbench.pretraining.recipes.reading import open_recipe

DRAWN_SHA256 = "bfffea50b33cd749555bbd98a67d828713cd5e3cb30e78ec04c5590432f3077c"
NANO_SHA256 = "77bbc0d8bffe7b00051db91e01a5609dfb8ceecd12c7dde43ea6aefd3a3eaad6"
CPU = LoadOptions(device="cpu")


def noise(batch: int, seconds: float, rate: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((batch, round(seconds * rate)), dtype=np.float32)


def test_constant_declares_itself_and_is_constant() -> None:
    encoder = load_encoder("constant", CPU)
    assert isinstance(encoder, Encoder)
    assert encoder.card.constant
    features = encoder.encode(noise(3, 0.1, encoder.card.sample_rate))
    assert features.shape == (3, encoder.card.layers, encoder.card.dim)
    assert features.dtype == np.float32
    assert np.ptp(features) == 0
    assert np.isfinite(features).all()


def test_random_nano_is_reproducible_and_not_constant() -> None:
    first, second = load_encoder("random-mert-nano", CPU), load_encoder("random-mert-nano", CPU)
    card = first.card
    assert isinstance(first, Encoder)
    assert not card.constant
    assert card == second.card
    assert (card.sample_rate, card.layers, card.dim) == (24000, NANO.layers + 1, NANO.hidden)
    assert len(card.layer_names) == card.layers
    audio = noise(2, 1, card.sample_rate)
    audio[1] *= np.sin(np.linspace(0, 400, audio.shape[1], dtype=np.float32))
    features = first.encode(audio)
    np.testing.assert_array_equal(features, second.encode(audio))
    assert (features[0].std(1) > 0.1).all(), "features of an untrained network should still have spread"
    assert (np.abs(features[0] - features[1]).max(1) > 1e-3).all()


def test_random_weights_are_pinned() -> None:
    # A new numpy stream or initialisation must be noticed: the anchor's results would change under the same name.
    weights = random_weights(NANO, 0)
    drawn = hashlib.sha256(b"".join(t.numpy().tobytes() for n, t in sorted(weights.items()) if n != GAIN))
    assert drawn.hexdigest() == DRAWN_SHA256
    if Version(torch.__version__) >= Version("2.13"):
        # The last bit of one norm is torch's: before, the same weights have another fingerprint.
        assert load_encoder("random-mert-nano", CPU).card.weights_sha256 == NANO_SHA256


def test_random_weights_are_initialised_as_transformers_does() -> None:
    weights = random_weights(NANO, 3)
    assert {n: tuple(t.shape) for n, t in weights.items()} == NANO.tensors()
    assert float(weights["encoder.layers.0.feed_forward.intermediate_dense.weight"].std()) == pytest.approx(
        0.02, rel=0.05
    )
    conv = weights["feature_extractor.conv_layers.3.conv.weight"]
    assert float(conv.std()) == pytest.approx((2 / (conv.shape[1] * conv.shape[2])) ** 0.5, rel=0.05)
    assert all(bool((t == 0).all()) for n, t in weights.items() if n.endswith("bias"))
    np.testing.assert_allclose(weights[GAIN], weights[DIRECTION].norm(dim=(0, 1), keepdim=True))
    other = random_weights(NANO, 4)
    assert not np.array_equal(weights[DIRECTION], other[DIRECTION])


def test_shapes_of_the_random_models() -> None:
    assert (NANO.hop, NANO.receptive_field) == (320, 400)
    assert set(ENCODERS) == {"constant", "random-mert-nano", "random-mert-95m", "MERT-nano-untrained"}
    assert set(ENCODERS) <= set(registry())
    assert HubertShape().layers == 12


def test_the_untrained_twin_has_the_very_network_of_mert_nano() -> None:
    """What training is worth shows only beside the same network without it."""
    folder = nano_folder(NANO_BASE)
    assert read_shape(read_json(folder / "config.json"), folder) == NANO_OWN
    twin, trained = (load_encoder(name, CPU).card for name in ("MERT-nano-untrained", NANO_BASE))
    for fact in ("sample_rate", "layers", "dim", "layer_names", "parameters", "preprocessing", "code_version"):
        assert getattr(twin, fact) == getattr(trained, fact), fact
    assert twin.trained_on == ()


def test_the_untrained_twin_is_what_training_begins_with() -> None:
    recipe = open_recipe("mert-nano").recipe
    begun = from_shape(network_shape(recipe), HeadShape(128), recipe.seed, recipe.front_end == "filter_bank")
    tensors = dict(begun.named_parameters())
    for name, tensor in random_checkpoint("MERT-nano-untrained").weights.items():
        assert torch.equal(tensor, tensors[name]), name


def test_listing_and_loading_nano_needs_no_transformers() -> None:
    code = (
        "import sys; from cmbench.baselines import load_encoder, registry, LoadOptions; registry(); "
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules and 'pooch' not in sys.modules; "
        "load_encoder('constant', LoadOptions()); assert 'torch' not in sys.modules; "
        "load_encoder('random-mert-nano', LoadOptions(device='cpu')); "
        "assert 'torch' in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
