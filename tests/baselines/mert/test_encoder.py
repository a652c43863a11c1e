"""MERT folders: every hidden state against transformers, strict weights, safe pickles."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cmbench.baselines import LoadOptions, load_encoder
from cmbench.baselines import device as device_module
from cmbench.baselines.hub.about import weights_sha256
from cmbench.baselines.mert import encoder as encoder_module
from cmbench.baselines.mert.checkpoint import NORMALISED
from cmbench.baselines.mert.encoder import HubertEncoder
from cmbench.baselines.mert.network import DIRECTION, GAIN, HubertShape, pooled_states, prepare, random_weights
from cmbench.baselines.registry import load_folder
from cmbench.errors import CmbenchError, UsageError

CPU = LoadOptions(device="cpu", offline=True)
TINY = HubertShape(
    conv_dim=(16,) * 7, hidden=32, layers=3, heads=4, intermediate=64, position_kernel=16, position_groups=4
)
BASE = HubertShape()
LARGE = HubertShape(hidden=1024, layers=24, heads=16, intermediate=4096, pre_norm=True)


# HuBERT base without its mask vector: 94,371,712 - 768.
PARAMETERS_95M = 94_370_944


def configuration(shape: HubertShape) -> dict[str, Any]:
    return {
        "model_type": "mert_model",
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "conv_dim": list(shape.conv_dim),
        "conv_kernel": list(shape.conv_kernel),
        "conv_stride": list(shape.conv_stride),
        "conv_bias": shape.conv_bias,
        "num_feat_extract_layers": len(shape.conv_dim),
        "feat_extract_norm": shape.conv_norm,
        "feat_proj_layer_norm": shape.feature_norm,
        "num_conv_pos_embeddings": shape.position_kernel,
        "num_conv_pos_embedding_groups": shape.position_groups,
        "do_stable_layer_norm": shape.pre_norm,
        "layer_norm_eps": shape.eps,
        "attention_relax": 32.0,
        "deepnorm": False,
        "feature_extractor_cqt": False,
        "sample_rate": 24000,
    }


def uneven_weights(shape: HubertShape, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights without the symmetries of an initialisation: no norm is one, no bias zero, attention far from uniform."""
    weights = random_weights(shape, seed, std=0.3)
    draw = torch.Generator().manual_seed(seed)
    return {n: t + 0.05 * torch.randn(t.shape, generator=draw) if t.dim() == 1 else t for n, t in weights.items()}


def old_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    old = {GAIN: "encoder.pos_conv_embed.conv.weight_g", DIRECTION: "encoder.pos_conv_embed.conv.weight_v"}
    return {old.get(name, name): tensor for name, tensor in weights.items()}


def save(
    folder: Path, shape: HubertShape, tensors: dict[str, torch.Tensor], *, pickle: bool = False, **config: Any
) -> Path:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(configuration(shape) | config))
    if pickle:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def tone(seconds: float, batch: int = 2, rate: int = 24000) -> NDArray[np.float32]:
    draw = np.random.default_rng(1)
    time = np.arange(round(seconds * rate)) / rate
    clips = [np.sin(2 * np.pi * 220 * (i + 1) * time) + 0.1 * draw.standard_normal(len(time)) for i in range(batch)]
    return np.stack(clips).astype(np.float32)


def reference_states(
    shape: HubertShape, weights: dict[str, torch.Tensor], audio: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What transformers' HubertModel gives in its eager form: the mean over time of every hidden state."""
    from transformers import HubertConfig, HubertModel

    known = {k: v for k, v in configuration(shape).items() if k not in ("model_type", "auto_map")}
    config: Any = HubertConfig
    model: Any = HubertModel(config(**known, attn_implementation="eager", mask_time_prob=0.0))
    model.train(False)
    model.load_state_dict(weights, strict=True)
    # In double precision, so that only the encoder's own rounding is left in a comparison.
    with torch.no_grad():
        states = model.double()(torch.from_numpy(audio).double(), output_hidden_states=True).hidden_states
    return torch.stack([state.mean(1) for state in states], 1).float().numpy()


VARIANTS = {
    "group, post-norm": TINY,
    "group, pre-norm": HubertShape(**{**TINY.__dict__, "pre_norm": True, "eps": 1e-3}),
    "layer, pre-norm, bias": HubertShape(
        **{**TINY.__dict__, "pre_norm": True, "conv_norm": "layer", "conv_bias": True}
    ),
    "layer, post-norm, odd": HubertShape(**{**TINY.__dict__, "conv_norm": "layer", "position_kernel": 15}),
    "no projection norm": HubertShape(**{**TINY.__dict__, "feature_norm": False, "conv_bias": True}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_hidden_state_equals_transformers(variant: str, tmp_path: Path) -> None:
    shape = VARIANTS[variant]
    weights, audio = uneven_weights(shape), tone(0.5)
    encoder = load_folder(save(tmp_path / "m", shape, weights), CPU)
    expected = reference_states(shape, weights, audio)
    assert expected.shape == (2, shape.layers + 1, shape.hidden)
    np.testing.assert_allclose(encoder.encode(audio), expected, atol=1e-5, rtol=1e-5)


def test_parity_notices_any_perturbed_tensor() -> None:
    for pre_norm in (False, True):
        shape = HubertShape(**{**TINY.__dict__, "pre_norm": pre_norm})
        weights, audio = uneven_weights(shape), tone(0.3, batch=1)
        expected = reference_states(shape, weights, audio)
        unnoticed = []
        for name, tensor in weights.items():
            changed = tensor.clone()
            changed.view(-1)[0] += 0.5
            ready = prepare(weights | {name: changed}, shape, torch.device("cpu"))
            got = pooled_states(ready, shape, torch.from_numpy(audio)).numpy()
            if np.allclose(got, expected, atol=1e-5, rtol=1e-5):
                unnoticed.append(name)
        # Softmax cancels what all keys share; with norms before each block the final norm feeds no hidden state.
        blind = {f"encoder.layers.{i}.attention.k_proj.bias" for i in range(shape.layers)}
        assert set(unnoticed) == blind | (
            {"encoder.layer_norm.weight", "encoder.layer_norm.bias"} if pre_norm else set()
        )


def test_95m_shape_equals_transformers() -> None:
    _check_full_size(BASE, seconds=1.0)


@pytest.mark.slow
def test_330m_shape_equals_transformers() -> None:
    _check_full_size(LARGE, seconds=1.0)


def _check_full_size(shape: HubertShape, seconds: float) -> None:
    weights, audio = random_weights(shape, 0), tone(seconds, batch=1)
    expected = reference_states(shape, weights, audio)
    ready = prepare(weights, shape, torch.device("cpu"))
    np.testing.assert_allclose(
        pooled_states(ready, shape, torch.from_numpy(audio)).numpy(), expected, atol=1e-5, rtol=0
    )
    name = f"encoder.layers.{shape.layers - 1}.feed_forward.output_dense.weight"
    ready[name] = ready[name].clone()
    ready[name][0, 0] += 1.0
    changed = pooled_states(ready, shape, torch.from_numpy(audio)).numpy()
    assert np.abs(changed - expected)[:, :-1].max() <= 1e-5
    assert np.abs(changed - expected)[:, -1].max() > 1e-5


def test_sizes_are_those_of_the_models() -> None:
    count = {s: sum(int(np.prod(size)) for size in s.tensors().values()) for s in (BASE, LARGE)}
    assert count[BASE] == PARAMETERS_95M
    assert (BASE.hop, BASE.receptive_field) == (320, 400)
    assert [BASE.frames(n) for n in (399, 400, 120_000, 122_880, 720_000, 24_000)] == [0, 1, 374, 383, 2249, 74]


def test_files_and_key_styles_give_the_same_model(tmp_path: Path) -> None:
    weights = uneven_weights(TINY)
    wrapped = {f"hubert.{n}": t for n, t in old_names(weights).items()} | {"lm_head.weight": torch.zeros(3, 32)}
    masked = weights | {"masked_spec_embed": torch.ones(32)}
    folders = {
        "new": save(tmp_path / "new", TINY, masked),
        "old": save(tmp_path / "old", TINY, old_names(weights)),
        "new-bin": save(tmp_path / "new-bin", TINY, weights, pickle=True),
        "old-bin": save(tmp_path / "old-bin", TINY, old_names(masked), pickle=True),
        "wrapped": save(tmp_path / "wrapped", TINY, wrapped),
        "batch-norm-key": save(tmp_path / "key", TINY, weights, conv_pos_batch_norm=False),
    }
    encoders = [load_folder(folder, CPU) for folder in folders.values()]
    assert len({e.card.fingerprint for e in encoders}) == 1
    audio = tone(0.2)
    first = encoders[0].encode(audio)
    assert all(np.array_equal(first, e.encode(audio)) for e in encoders)
    changed = {n: t + (1e-6 if n == "encoder.layer_norm.bias" else 0) for n, t in weights.items()}
    assert load_folder(save(tmp_path / "changed", TINY, changed), CPU).card.fingerprint != encoders[0].card.fingerprint


def test_weights_hash_covers_name_shape_and_value() -> None:
    def digest(name: str, *size: int, value: float = 0.0) -> str:
        return weights_sha256({name: torch.full(size, value)})

    hashes = {digest("a", 2, 3), digest("b", 2, 3), digest("a", 3, 2), digest("a", 2, 3, value=1.0)}
    assert len(hashes) == 4
    both = {"a": torch.zeros(1), "b": torch.ones(1)}
    assert weights_sha256(both) == weights_sha256(dict(reversed(both.items())))


def test_shards_are_joined(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = uneven_weights(TINY)
    folder = save(tmp_path / "m", TINY, weights)
    whole = load_folder(folder, CPU).card.weights_sha256
    names = sorted(weights)
    (folder / "model.safetensors").unlink()
    for i, part in enumerate((names[:20], names[20:])):
        save_file({n: weights[n] for n in part}, folder / f"model-0000{i + 1}-of-00002.safetensors")
    assert load_folder(folder, CPU).card.weights_sha256 == whole
    save_file({names[0]: weights[names[0]]}, folder / "model-again.safetensors")
    with pytest.raises(UsageError, match=names[0]):
        load_folder(folder, CPU)


@pytest.mark.parametrize("pickle", [False, True])
@pytest.mark.parametrize("style", ["old", "new"])
def test_a_tensor_that_does_not_fit_is_named(style: str, pickle: bool, tmp_path: Path) -> None:
    weights = uneven_weights(TINY)
    tensors = old_names(weights) if style == "old" else weights
    victim = "encoder.layers.1.attention.q_proj.weight"
    without = {n: t for n, t in tensors.items() if n != victim}

    def message(changed: dict[str, torch.Tensor]) -> str:
        with pytest.raises(UsageError) as caught:
            load_folder(save(tmp_path / "m", TINY, changed, pickle=pickle), CPU)
        return str(caught.value)

    assert f"missing tensors: '{victim}'" in message(without)
    text = message(without | {"encoder.layers.1.attention.q_prj.weight": tensors[victim]})
    assert f"missing tensors: '{victim}'" in text
    assert "unexpected tensors: 'encoder.layers.1.attention.q_prj.weight'" in text
    assert "unexpected tensors: 'extra.weight'" in message(tensors | {"extra.weight": torch.zeros(2)})
    text = message(tensors | {victim: torch.zeros(32, 31)})
    assert victim in text
    assert "[32, 31]" in text
    assert "[32, 32]" in text
    for wrong in (torch.zeros(32, 32, dtype=torch.int32), torch.full((32, 32), torch.nan)):
        assert victim in message(tensors | {victim: wrong})


@pytest.mark.parametrize("half", [GAIN, DIRECTION])
def test_a_missing_half_of_the_weight_norm_is_named(half: str, tmp_path: Path) -> None:
    weights = uneven_weights(TINY)
    with pytest.raises(UsageError, match=half.rsplit(".", 1)[1]):
        load_folder(save(tmp_path / "m", TINY, {n: t for n, t in weights.items() if n != half}), CPU)


def test_both_spellings_of_one_tensor_are_refused(tmp_path: Path) -> None:
    weights = uneven_weights(TINY)
    with pytest.raises(UsageError, match="twice"):
        load_folder(
            save(tmp_path / "m", TINY, weights | {"encoder.pos_conv_embed.conv.weight_g": weights[GAIN].clone()}), CPU
        )


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.target}",)


def test_a_malicious_pickle_does_not_run(tmp_path: Path) -> None:
    sign = tmp_path / "it-ran"
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    (folder / "model.safetensors").unlink()
    torch.save({"encoder.layer_norm.weight": Payload(sign)}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"pytorch_model\.bin.*code was not run"):
        load_folder(folder, CPU)
    assert not sign.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert sign.exists(), "the payload is harmless by itself: the test proves nothing"


def test_remote_code_in_the_folder_does_not_run(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    (folder / "modeling_MERT.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')")
    load_folder(folder, CPU)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", None])
def test_damaged_files_are_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY), pickle=name.endswith("bin"))
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(UsageError, match=name):
        load_folder(folder, CPU)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "bert"}, "model_type is 'bert'"),
        ({"conv_pos_batch_norm": True}, "conv_pos_batch_norm"),
        ({"deepnorm": True}, "deepnorm"),
        ({"feature_extractor_cqt": True}, "feature_extractor_cqt"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm"),
        ({"num_attention_heads": 5}, "num_attention_heads = 5"),
        ({"conv_stride": [5, 2]}, "differ in length"),
        ({"hidden_size": "32"}, "hidden_size = '32'"),
        ({"layer_norm_eps": 0}, "layer_norm_eps"),
        ({"layer_norm_eps": float("inf")}, "layer_norm_eps"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"sample_rate": 0}, "sample rate 0"),
        ({"sample_rate": 10**12}, "sample rate 1000000000000"),
    ],
)
def test_configurations_that_cannot_be_honoured_are_refused(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY), **change)
    with pytest.raises(UsageError, match=words):
        load_folder(folder, CPU)


WEIGHT = "encoder.layers.1.attention.q_proj.weight"
ODD: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "eight bits": lambda w: w.to(torch.float8_e4m3fn),
    "integers": lambda w: w.to(torch.int32),
    "beyond float32": lambda w: w.double() * 1e300,
    "sparse": lambda w: w.to_sparse(),
    "no data": lambda w: w.to("meta"),
}


@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_finite_floats_are_named(kind: str, tmp_path: Path) -> None:
    weights = uneven_weights(TINY)
    folder = save(tmp_path / "m", TINY, weights | {WEIGHT: ODD[kind](weights[WEIGHT])}, pickle=True)
    with pytest.raises(UsageError, match=rf"{WEIGHT}.*finite real numbers"):
        load_folder(folder, CPU)


def test_saved_parameters_are_read_as_tensors(tmp_path: Path) -> None:
    weights = uneven_weights(TINY)
    parameters: dict[str, torch.Tensor] = {name: torch.nn.Parameter(tensor) for name, tensor in weights.items()}
    plain = load_folder(save(tmp_path / "plain", TINY, weights, pickle=True), CPU).card
    asking = load_folder(save(tmp_path / "asking", TINY, parameters, pickle=True), CPU).card
    assert asking.weights_sha256 == plain.weights_sha256


@pytest.mark.parametrize("vector", [torch.zeros(3), torch.full((TINY.hidden,), torch.nan)])
def test_a_mask_vector_that_does_not_fit_is_named(vector: torch.Tensor, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY) | {"masked_spec_embed": vector})
    with pytest.raises(UsageError, match="masked_spec_embed"):
        load_folder(folder, CPU)


def test_notes_of_other_systems_are_no_weights(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    (folder / "._model.safetensors").write_bytes(b"\x00\x05\x16\x07")
    load_folder(folder, CPU)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"model_type": ["hubert"]}'])
def test_odd_json_is_refused_in_words(content: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    (folder / "config.json").write_text(content)
    with pytest.raises(UsageError, match=r"config\.json"):
        load_folder(folder, CPU)


@pytest.mark.parametrize("name", ["~nobody-of-that-name/m", "a/" + "b" * 5000, "a/\0b", "b" * 5000])
def test_names_that_no_folder_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="There is no model"):
        load_encoder(name, CPU)


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model folder"):
        load_encoder(str(tmp_path / "absent"), CPU)
    with pytest.raises(UsageError, match=r"no config\.json"):
        load_folder(tmp_path, CPU)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match="not readable JSON"):
        load_folder(tmp_path, CPU)
    (tmp_path / "config.json").write_text(json.dumps(configuration(TINY)))
    with pytest.raises(UsageError, match=r"neither a \.safetensors"):
        load_folder(tmp_path, CPU)


def test_preprocessor_decides_rate_and_normalisation(tmp_path: Path) -> None:
    def load(content: dict[str, Any] | None) -> HubertEncoder:
        folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
        file = folder / "preprocessor_config.json"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(json.dumps(content))
        read = load_folder(folder, CPU)
        assert isinstance(read, HubertEncoder)
        return read

    bare, plain = load(None), load({"do_normalize": False, "sampling_rate": 16000})
    normalised, default = load({"do_normalize": True, "sampling_rate": 24000}), load({"sampling_rate": 24000})
    assert "no preprocessor_config.json" in bare.card.preprocessing
    assert (plain.card.preprocessing, plain.card.sample_rate) == ("none", 16000)
    assert normalised.card.preprocessing == default.card.preprocessing == NORMALISED
    audio = tone(0.2) * 0.01 + 0.3
    expected = _by_transformers(audio)
    np.testing.assert_allclose(normalised.encode(audio), bare.encode(expected), atol=1e-5)
    assert np.abs(normalised.encode(audio) - bare.encode(audio)).max() > 1e-3
    silent = normalised.encode(np.zeros((1, 4800), np.float32))
    assert np.isfinite(silent).all()


def _by_transformers(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    from transformers import Wav2Vec2FeatureExtractor

    extractor: Any = Wav2Vec2FeatureExtractor
    rows = extractor.zero_mean_unit_var_norm(list(audio), None)
    return np.stack(rows).astype(np.float32)


@pytest.fixture
def encoder(tmp_path: Path) -> HubertEncoder:
    read = load_folder(save(tmp_path / "m", TINY, uneven_weights(TINY)), CPU)
    assert isinstance(read, HubertEncoder)
    return read


def test_a_row_does_not_depend_on_its_batch(encoder: HubertEncoder) -> None:
    audio = tone(0.7, batch=5)
    together = encoder.encode(audio)
    assert together.shape == (5, 4, 32)
    assert together.dtype == np.float32
    alone = np.concatenate([encoder.encode(clip[None]) for clip in audio])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(encoder.encode(audio[::-1])[::-1], together)
    assert np.abs(together[0] - together[1]).max() > 1e-3
    joined = pooled_states(encoder.weights, encoder.shape, torch.from_numpy(audio)).numpy()
    np.testing.assert_allclose(joined, together, atol=1e-5, rtol=0)


def test_the_same_batch_gives_the_same_bytes_and_input_is_left_alone(encoder: HubertEncoder) -> None:
    audio = tone(0.7)
    before = audio.copy()
    torch.manual_seed(1)
    first = encoder.encode(audio)
    torch.manual_seed(2)
    audio.flags.writeable = False
    assert encoder.encode(audio).tobytes() == first.tobytes()
    np.testing.assert_array_equal(audio, before)


def test_wrong_input_is_refused(encoder: HubertEncoder) -> None:
    assert encoder.card.min_seconds == 400 / 24000
    encoder.encode(np.zeros((1, 400), np.float32))
    with pytest.raises(UsageError, match=r"at least 0\.01667 s"):
        encoder.encode(np.zeros((1, 399), np.float32))
    for wrong in (np.zeros((1, 4000)), np.zeros(4000, np.float32), np.zeros((0, 4000), np.float32)):
        with pytest.raises(UsageError, match="float32"):
            encoder.encode(wrong)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="not finite"):
        encoder.encode(np.full((1, 4000), np.nan, np.float32))


def test_unknown_devices_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    for device in ("abacus", "cuda:99"):
        with pytest.raises(UsageError, match=device):
            load_folder(folder, LoadOptions(device=device))


def test_licence_is_read_from_the_model_card(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    assert load_folder(folder, CPU).card.licence == "not stated"
    (folder / "README.md").write_text("---\ntags:\n- music\nlicense: cc-by-4.0\n---\nlicense: mit\n")
    assert load_folder(folder, CPU).card.licence == "cc-by-4.0"


def test_bfloat16_is_refused_without_units(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", TINY, uneven_weights(TINY))
    with pytest.raises(UsageError, match="no bfloat16 units"):
        load_folder(folder, LoadOptions(device="cpu", precision="bfloat16"))


def test_bfloat16_is_another_model_within_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "gains_from_bfloat16", lambda device: True)
    exact = load_encoder("random-mert-nano", LoadOptions(device="cpu"))
    rough = load_encoder("random-mert-nano", LoadOptions(device="cpu", precision="bfloat16"))
    assert rough.card.name == "random-mert-nano@bfloat16"
    assert rough.card.fingerprint != exact.card.fingerprint
    audio = tone(1.0, batch=2)
    difference = np.abs(rough.encode(audio) - exact.encode(audio)).max()
    assert 0 < difference < 0.2
    assert rough.encode(audio).dtype == np.float32


def test_bfloat16_beyond_the_tolerance_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "gains_from_bfloat16", lambda device: True)
    monkeypatch.setattr(encoder_module, "BFLOAT16_TOLERANCE", 1e-6)
    with pytest.raises(CmbenchError, match=r"deviates from float32 by .* in L"):
        load_encoder("random-mert-nano", LoadOptions(device="cpu", precision="bfloat16"))


def test_a_precision_that_does_not_exist_or_that_a_model_lacks() -> None:
    with pytest.raises(UsageError, match="choose float32 or bfloat16"):
        load_encoder("mfcc", LoadOptions(precision="float8"))
    with pytest.raises(UsageError, match="mfcc computes in float32 only"):
        load_encoder("mfcc", LoadOptions(precision="bfloat16"))
