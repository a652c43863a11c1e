"""The front end of the nano family before it has learnt anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmbench.baselines.mert.filter_bank import HIGHEST, LOWEST, filter_bank
from cmbench.baselines.mert.heads import HeadShape
from cmbench.baselines.mert.network import HubertShape, convolve, random_weights
from cmbench.errors import UsageError
from cmbench.pretraining.learner import NANO
from cmbench.pretraining.objective.model import from_shape

FIRST, SECOND = (f"feature_extractor.conv_layers.{i}.conv.weight" for i in range(2))
CENTRES = np.geomspace(LOWEST, HIGHEST, 48)


def tone(hertz: float, seconds: float = 1.0) -> torch.Tensor:
    time = np.arange(int(24_000 * seconds)) / 24_000
    return torch.from_numpy(np.sin(2 * np.pi * hertz * time).astype(np.float32))


def heard(weights: dict[str, torch.Tensor], audio: torch.Tensor) -> torch.Tensor:
    return convolve(weights, NANO, audio[None])[0]


def test_the_weights_fit_the_network_and_are_the_same_every_time() -> None:
    weights, shapes = filter_bank(NANO), NANO.tensors()
    assert set(weights) == {FIRST, SECOND}
    for name, tensor in weights.items():
        assert tuple(tensor.shape) == shapes[name]
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, filter_bank(NANO)[name])


@pytest.mark.parametrize("hertz", [60.0, 440.0, 1000.0, 2900.0, 8900.0])
def test_a_tone_is_loudest_in_the_band_that_it_is_in(hertz: float) -> None:
    features = heard(random_weights(NANO, 0) | filter_bank(NANO), tone(hertz)).mean(1)[::2]
    best = CENTRES[int(features.argmax())]
    # Below some 300 Hz the window of 27 ms is wider than the spacing of the bands.
    assert abs(best - hertz) <= max(24_000 / 640, 0.15 * hertz)


@pytest.mark.parametrize("hertz", [100.0, 440.0, 3000.0])
def test_what_it_says_of_a_band_does_not_depend_on_the_phase(hertz: float) -> None:
    weights = random_weights(NANO, 0) | filter_bank(NANO)
    features = heard(weights, tone(hertz))
    change = (features.std(1) / features.mean(1).abs().max()).max()
    assert change < 0.25


def test_other_channels_have_the_contrast_with_the_band_below() -> None:
    weights = filter_bank(NANO)[SECOND]
    assert torch.equal(weights[11, [10, 11]], -weights[11, [8, 9]])
    assert torch.equal(weights[10, [10, 11]], weights[11, [10, 11]])
    assert int((weights != 0).any(2).sum()) == 48 * 2 + 48 * 4


def test_a_frame_hears_its_own_beginning() -> None:
    """High bands are centred where a frame begins, whose token it is, and not in the middle of the kernel."""
    waves = filter_bank(NANO)[FIRST][:, 0]
    centre = (waves.square() @ torch.arange(640.0)) / waves.square().sum(1)
    assert 63 < float(centre[-1]) < 65
    assert float(centre.max()) < 321


def test_a_model_from_scratch_begins_with_it_where_it_is_asked_for() -> None:
    heads = HeadShape(codebook_size=4, dim=4)
    plain, spectral = (dict(from_shape(NANO, heads, 7, how).named_parameters()) for how in (False, True))
    assert not torch.equal(plain[FIRST], spectral[FIRST])
    assert torch.equal(spectral[FIRST], filter_bank(NANO)[FIRST])
    assert torch.equal(
        plain["encoder.layers.0.attention.q_proj.weight"], spectral["encoder.layers.0.attention.q_proj.weight"]
    )


def test_linear_layers_have_the_same_gain_at_every_width() -> None:
    heads = HeadShape(codebook_size=4, dim=4)
    narrow = from_shape(NANO, heads, 7).get_parameter("encoder.layers.0.feed_forward.output_dense.weight")
    assert float(narrow.detach().std()) == pytest.approx(0.02 * np.sqrt(768 / 96), rel=0.02)


def test_other_front_ends_are_refused() -> None:
    for shape in (
        replace(NANO, conv_dim=(96, 64)),
        replace(NANO, conv_norm="group"),
        replace(NANO, conv_kernel=(10, 4)),
        HubertShape(),
    ):
        with pytest.raises(UsageError, match=r"filter_bank needs two convolutions.*front_end=random"):
            filter_bank(shape)
