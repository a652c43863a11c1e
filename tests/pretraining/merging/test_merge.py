"""Identities of task arithmetic, the methods beside a computation on whole state dictionaries, and refusals."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from cmbench.baselines import LoadOptions
from cmbench.baselines.mert.checkpoint import MASK_VECTOR, Preprocessor
from cmbench.baselines.mert.network import DIRECTION, GAIN, HubertShape
from cmbench.errors import UsageError
from cmbench.pretraining.merging import merge as merge_module
from cmbench.pretraining.merging.merge import FOLDED, METHODS, Merged, merge, merge_settings
from cmbench.pretraining.merging.parameters import Parameters, open_parameters
from cmbench.tests.pretraining.conftest import TINY, WriteModel, moved_weights

OFFLINE = LoadOptions(device="cpu", offline=True)


@pytest.fixture
def open_models(write_model: WriteModel, tmp_path: Path) -> list[Parameters]:
    """A base and three models."""
    names = [write_model("base"), *(write_model(f"m{i}", i) for i in (1, 2, 3))]
    return [open_parameters(name, OFFLINE, tmp_path / "spool") for name in names]


def state(model: Parameters) -> dict[str, torch.Tensor]:
    return {name: model.read(name) for name in model.places}


def result(merged: Merged) -> dict[str, torch.Tensor]:
    assert merged.mask_vector is not None
    return merged.weights | {MASK_VECTOR: merged.mask_vector}


def bits(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("weight_norm", ["raw", "folded"])
@pytest.mark.parametrize("method", METHODS)
def test_scale_zero_is_the_base_to_the_bit(open_models: list[Parameters], method: str, weight_norm: str) -> None:
    base, *added = open_models
    merged = merge(base, added, merge_settings(3, method, 0.0, weight_norm=weight_norm))
    assert bits(result(merged)) == bits(state(base))


def test_negative_zeros_of_the_base_stay(write_model: WriteModel, tmp_path: Path) -> None:
    weights = {
        name: torch.full_like(t, -0.0) if name.endswith("bias") else t
        for name, t in moved_weights(TINY, 0, 0.0).items()
    }
    base = open_parameters(write_model("b", weights=weights), OFFLINE, tmp_path)
    other = open_parameters(write_model("m", 1), OFFLINE, tmp_path)
    assert bits(result(merge(base, [other], merge_settings(1, scale=0.0)))) == bits(state(base))


@pytest.mark.parametrize("method", ["sum", "mean"])
def test_one_model_at_scale_one_is_the_model(open_models: list[Parameters], method: str) -> None:
    base, model, *_ = open_models
    merged = result(merge(base, [model], merge_settings(1, method, 1.0)))
    for name, tensor in state(model).items():
        np.testing.assert_allclose(merged[name], tensor, rtol=2**-23, atol=0, err_msg=name)


@pytest.mark.parametrize(("method", "density"), [("ties", 1.0), ("dare", 1.0)])
def test_keeping_everything_of_one_model_is_the_model(
    open_models: list[Parameters], method: str, density: float
) -> None:
    base, model, *_ = open_models
    merged = result(merge(base, [model], merge_settings(1, method, 1.0, density=density)))
    for name, tensor in state(model).items():
        np.testing.assert_allclose(merged[name], tensor, rtol=2**-23, atol=0, err_msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_models_changes_no_bit(open_models: list[Parameters], method: str) -> None:
    base, *added = open_models
    added.append(added[0])
    expected = None
    for order in list(permutations(range(4)))[::5]:
        how = merge_settings(4, method)
        if method != "ties":
            how = replace(how, scales=tuple((0.1, 0.3, -0.2, 0.7)[i] for i in order))
        found = bits(result(merge(base, [added[i] for i in order], how)))
        expected = expected or found
        assert found == expected


def test_sum_and_mean_beside_state_dictionaries(open_models: list[Parameters]) -> None:
    base, *added = (state(model) for model in open_models)
    for method, divisor in (("sum", 1), ("mean", 3)):
        scales = (0.2, -0.5, 1.5)
        merged = result(merge(open_models[0], open_models[1:], merge_settings(3, method, scale_each=scales)))
        for name, ours in base.items():
            exact = (
                ours.double()
                + sum(s * (m[name].double() - ours.double()) for s, m in zip(scales, added, strict=True)) / divisor
            )
            np.testing.assert_allclose(merged[name], exact.float(), rtol=1e-6, atol=1e-9, err_msg=name)


def test_ties_beside_one_long_vector(open_models: list[Parameters]) -> None:
    base, *added = (state(model) for model in open_models)
    whole, *others = (torch.cat([m[name].flatten().double() for name in base]) for m in (base, *added))
    vectors = [other - whole for other in others]
    keep = int(0.2 * len(whole))
    kept = []
    for vector in vectors:
        limit = vector.abs().float().topk(keep).values[-1]
        kept.append(torch.where(vector.abs().float() >= limit, vector, 0.0))
    elected = torch.sign(sum(kept, torch.zeros_like(kept[0])))
    agreeing = [torch.where(torch.sign(v) == elected, v, 0.0) for v in kept]
    counts = sum(((a != 0).double() for a in agreeing), torch.zeros_like(kept[0])).clamp(min=1)
    exact = whole + sum(agreeing, torch.zeros_like(kept[0])) / counts
    merged = result(merge(open_models[0], open_models[1:], merge_settings(3, "ties")))
    found = torch.cat([merged[name].flatten() for name in base])
    np.testing.assert_allclose(found, exact.float(), rtol=1e-6, atol=1e-9)
    assert int((found != whole.float()).sum()) < len(found) // 2


def test_dare_adds_a_tenth_of_each_vector_tenfold(open_models: list[Parameters]) -> None:
    base, model, *_ = open_models
    merged, ours, theirs = result(merge(base, [model], merge_settings(1, "dare", 1.0))), state(base), state(model)
    drawn = torch.cat([(merged[n].double() - ours[n].double()).flatten() for n in ours])
    whole = torch.cat([(theirs[n].double() - ours[n].double()).flatten() for n in ours])
    kept = drawn != 0
    assert 0.08 < float(kept.double().mean()) < 0.12
    np.testing.assert_allclose(drawn[kept], 10 * whole[kept], rtol=1e-3, atol=1e-6)
    other = result(merge(base, [model], merge_settings(1, "dare", 1.0, seed=1)))
    assert bits(other) != bits(merged)


def test_parts_of_tensors_are_the_tensors(open_models: list[Parameters], monkeypatch: pytest.MonkeyPatch) -> None:
    base, *added = open_models
    whole = {method: bits(result(merge(base, added, merge_settings(3, method)))) for method in ("sum", "mean", "ties")}
    monkeypatch.setattr(merge_module, "PART", 50)
    assert whole == {m: bits(result(merge(base, added, merge_settings(3, m)))) for m in ("sum", "mean", "ties")}


def fold(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    direction = weights[DIRECTION].double()
    folded: torch.Tensor = direction * weights[GAIN].double() / direction.norm(dim=(0, 1), keepdim=True)
    return folded


def test_folded_does_not_depend_on_the_length_of_the_direction(write_model: WriteModel, tmp_path: Path) -> None:
    """A weight norm that was folded and split anew is the same function with another v."""
    plain = moved_weights(TINY, 1)
    longer = plain | {DIRECTION: plain[DIRECTION] * 8.0}
    base = open_parameters(write_model("base"), OFFLINE, tmp_path)
    one, other = (
        open_parameters(write_model(name, weights=weights), OFFLINE, tmp_path)
        for name, weights in (("one", plain), ("other", longer))
    )
    merged = {
        (norm, model.name): merge(base, [model], merge_settings(1, scale=0.5, weight_norm=norm))
        for norm in ("raw", "folded")
        for model in (one, other)
    }
    expected = 0.5 * fold(state(base)) + 0.5 * fold(plain)
    for model in ("one", "other"):
        np.testing.assert_allclose(fold(merged["folded", model].weights), expected, rtol=1e-5, atol=1e-7)
        assert set(merged["folded", model].weights) == set(TINY.tensors())
        assert FOLDED not in merged["folded", model].weights
    assert not np.allclose(fold(merged["raw", "other"].weights), expected, rtol=1e-2)
    assert any("split anew" in text for text in merged["raw", "other"].warnings)
    assert not any("split anew" in t for m in (merged["raw", "one"], merged["folded", "other"]) for t in m.warnings)


def test_raw_merges_gain_and_direction_as_they_are(open_models: list[Parameters]) -> None:
    base, model, *_ = open_models
    merged = merge(base, [model], merge_settings(1, scale=0.5)).weights
    for name in (GAIN, DIRECTION):
        np.testing.assert_allclose(merged[name], (base.read(name) + model.read(name)) / 2, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden": 32}, "hidden_size is 32, not 16"),
        ({"layers": 3}, "num_hidden_layers is 3, not 2"),
        ({"pre_norm": True}, "do_stable_layer_norm is True, not False"),
        ({"eps": 1e-3}, "layer_norm_eps is 0.001, not 1e-05"),
        ({"conv_bias": True}, "conv_bias is True"),
    ],
)
def test_another_network_is_refused_by_the_key(
    change: dict[str, object], words: str, write_model: WriteModel, tmp_path: Path
) -> None:
    base = open_parameters(write_model("base"), OFFLINE, tmp_path)
    other = open_parameters(write_model("other", shape=replace(TINY, **change)), OFFLINE, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"other .* is not the same network as base .*{words}"):
        merge(base, [other], merge_settings(1))


def test_another_rate_is_refused_and_other_normalisation_told(write_model: WriteModel, tmp_path: Path) -> None:
    base = open_parameters(write_model("base"), OFFLINE, tmp_path)
    slow = open_parameters(write_model("slow", 1, preprocessor=Preprocessor(16_000, False, "")), OFFLINE, tmp_path)
    with pytest.raises(UsageError, match=r"sample_rate is 16000, not 24000.*sampling_rate"):
        merge(base, [slow], merge_settings(1))
    loud = open_parameters(write_model("loud", 1, preprocessor=Preprocessor(24_000, True, "")), OFFLINE, tmp_path)
    assert any(
        "loud was given windows with do_normalize True" in t for t in merge(base, [loud], merge_settings(1)).warnings
    )


def test_what_a_user_should_know_is_said(write_model: WriteModel, tmp_path: Path) -> None:
    base, same, twin, twice, far, bare = (
        open_parameters(write_model(name, seed, step=step, masks=masks), OFFLINE, tmp_path)
        for name, seed, step, masks in (
            ("base", 0, 0.0, True),
            ("same", 0, 0.0, True),
            ("twin", 1, 0.01, True),
            ("twice", 1, 0.01, True),
            ("far", 2, 9.0, True),
            ("bare", 3, 0.01, False),
        )
    )
    told = merge(base, [same, twin, twice, far, bare], merge_settings(5))
    assert told.mask_vector is None
    for words in (
        "masked_spec_embed is left out: bare has none",
        "same has the weights of the base",
        "twice has the weights of twin",
        "far is as far from base as an unrelated model",
    ):
        assert sum(words in warning for warning in told.warnings) == 1, words
    assert told.lengths[0] == 0
    assert told.lengths[1] == told.lengths[2] < 0.2 < 1 < told.lengths[3]
    quiet = merge(base, [twin], merge_settings(1))
    assert quiet.warnings == ()


def test_a_result_beyond_float32_is_refused_by_name(open_models: list[Parameters]) -> None:
    with pytest.raises(UsageError, match=r"Tensor '.*' of the merged model is not finite"):
        merge(open_models[0], open_models[1:2], merge_settings(1, scale=1e300))


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("no method 'median'", {"method": "median"}),
        ("not both", {"scale": 0.1, "scale_each": (0.1, 0.2)}),
        ("3 numbers for 2 models", {"scale_each": (0.1, 0.2, 0.3)}),
        ("TIES counts every model alike", {"method": "ties", "scale_each": (0.1, 0.2)}),
        ("goes with ties and dare", {"density": 0.5}),
        ("above 0 and at most 1", {"method": "ties", "density": 0.0}),
        ("above 0 and at most 1", {"method": "dare", "density": float("nan")}),
        ("finite number", {"scale": float("nan")}),
        ("must not be negative", {"method": "dare", "seed": -1}),
        ("no weight norm 'both'", {"weight_norm": "both"}),
    ],
)
def test_settings_that_mean_nothing(words: str, arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=words):
        merge_settings(2, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least one model"):
        merge_settings(0)


def test_settings_that_are_not_given_are_the_methods_own() -> None:
    assert [merge_settings(1, method).scales for method in METHODS] == [(0.2,), (1.0,), (1.0,), (0.2,)]
    assert [merge_settings(1, method).density for method in METHODS] == [None, None, 0.2, 0.1]
    assert [merge_settings(1, method).seed for method in METHODS] == [None, None, None, 0]


MEASURE = """
import resource, sys
from pathlib import Path
import torch, safetensors.torch
from cmbench.baselines import LoadOptions
from cmbench.pretraining.merging.merge import merge_settings
from cmbench.pretraining.merging.folder import merge_models
torch.zeros(9).double().norm()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, (base, *added) = peak(), sys.argv[2:]
how = merge_settings(len(added), sys.argv[1])
merge_models(base, added, how, Path(base).parent / sys.argv[1], LoadOptions(offline=True))
print(1024 * (peak() - before))
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux counts it, in KiB")
def test_five_models_of_95m_need_about_two_in_memory_and_keep_the_identities(
    write_model: WriteModel, tmp_path: Path
) -> None:
    shape = HubertShape()
    names = [write_model("base", shape=shape), *(write_model(f"m{i}", i, shape=shape, step=0.002) for i in range(1, 6))]
    size = (tmp_path / "base" / "model.safetensors").stat().st_size
    for method in ("sum", "ties", "dare"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, method, *names], capture_output=True, text=True, check=True, timeout=600
        )
        assert int(done.stdout) < 2.1 * size, method
    base, one, two = (open_parameters(name, OFFLINE, tmp_path / "spool") for name in names[:3])
    assert bits(result(merge(base, [one, two], merge_settings(2, scale=0.0)))) == bits(state(base))
    alone = result(merge(base, [one], merge_settings(1, scale=1.0)))
    for name, tensor in state(one).items():
        np.testing.assert_allclose(alone[name], tensor, rtol=2**-23, atol=0, err_msg=name)
    there, back = (merge(base, order, merge_settings(2)) for order in ([one, two], [two, one]))
    assert bits(result(there)) == bits(result(back))
