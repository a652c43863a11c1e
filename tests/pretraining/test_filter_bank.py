"""The front end of the nano family before it has learnt anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmbench.baselines.anchors import NANO
from cmbench.baselines.hubert import HubertShape, convolve, random_weights
from cmbench.errors import UsageError
from cmbench.pretraining import filter_bank as module
from cmbench.pretraining.filter_bank import filter_bank
from cmbench.pretraining.model import HeadShape, from_shape

SECONDS = 1.0


def tone(hertz: float) -> torch.Tensor:
    time = np.arange(int(24_000 * SECONDS)) / 24_000
    return torch.from_numpy(np.sin(2 * np.pi * hertz * time).astype(np.float32))


def heard(weights: dict[str, torch.Tensor], audio: torch.Tensor) -> torch.Tensor:
    return convolve(weights, NANO, audio[None])[0]


def test_the_weights_fit_the_network_and_are_the_same_every_time() -> None:
    weights = filter_bank(NANO, 3)
    shapes = NANO.tensors()
    assert set(weights) == {f"feature_extractor.conv_layers.{i}.conv.weight" for i in range(7)}
    for name, tensor in weights.items():
        assert tuple(tensor.shape) == shapes[name]
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, filter_bank(NANO, 3)[name])
    assert not torch.equal(
        weights["feature_extractor.conv_layers.0.conv.weight"], filter_bank(NANO, 4)[next(iter(weights))]
    )


def test_a_low_tone_runs_through_all_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOISE", 0.0)
    weights = random_weights(NANO, 0) | filter_bank(NANO, 0)
    features = heard(weights, tone(10.0))
    through = (features[0] - features[1]).numpy()
    spectrum = np.abs(np.fft.rfft(through - through.mean()))
    assert np.argmax(spectrum) == round(10.0 * len(through) / 75)
    assert spectrum.max() > 0.9 * spectrum.sum() / 2


@pytest.mark.parametrize("hertz", [2900.0, 5300.0, 8900.0])
def test_a_high_tone_is_heard_in_its_band(monkeypatch: pytest.MonkeyPatch, hertz: float) -> None:
    monkeypatch.setattr(module, "NOISE", 0.0)
    bands = filter_bank(NANO, 0)["feature_extractor.conv_layers.0.conv.weight"][2:18, 0].numpy()
    time = np.arange(10) / 24_000
    response = np.hypot(*(bands @ wave(2 * np.pi * hertz * time) for wave in (np.cos, np.sin)))
    best = int(np.argmax(response)) // 2
    assert abs(2400 + 9600 * (best + 0.5) / 8 - hertz) <= 1200


def test_tones_differ_more_than_after_random_convolutions() -> None:
    def apart(weights: dict[str, torch.Tensor]) -> float:
        means = [
            torch.nn.functional.layer_norm(heard(weights, tone(f)).T, (48,)).mean(0) for f in (150, 400, 1000, 3000)
        ]
        cosines = [float(torch.cosine_similarity(a, b, dim=0)) for i, a in enumerate(means) for b in means[:i]]
        return 1 - float(np.mean(cosines))

    plain = random_weights(NANO, 0)
    assert apart(plain | filter_bank(NANO, 0)) > 1.5 * apart(plain)


def test_a_model_from_scratch_begins_with_it_where_it_is_asked_for() -> None:
    name = "feature_extractor.conv_layers.3.conv.weight"
    heads = HeadShape(codebook_size=4, dim=4)
    plain, spectral = (dict(from_shape(NANO, heads, 7, how).named_parameters()) for how in (False, True))
    assert not torch.equal(plain[name], spectral[name])
    assert torch.equal(spectral[name], filter_bank(NANO, 9)[name])
    assert torch.equal(
        plain["encoder.layers.0.attention.q_proj.weight"], spectral["encoder.layers.0.attention.q_proj.weight"]
    )


def test_linear_layers_have_the_same_gain_at_every_width() -> None:
    heads = HeadShape(codebook_size=4, dim=4)
    narrow = from_shape(NANO, heads, 7).get_parameter("encoder.layers.0.feed_forward.output_dense.weight")
    assert float(narrow.detach().std()) == pytest.approx(0.02 * np.sqrt(768 / 96), rel=0.02)


def test_other_front_ends_are_refused() -> None:
    for shape in (replace(NANO, conv_dim=(48,) * 6 + (64,)), replace(NANO, conv_dim=(8,) * 7)):
        with pytest.raises(UsageError, match="filter_bank needs convolutions of one width"):
            filter_bank(shape, 0)
    assert len(filter_bank(HubertShape(), 0)) == 7
