"""The model in training: nothing masks by itself, parts freeze, folders give back what was written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.hub.layout import HEADS
from cmbench.baselines.mert.checkpoint import MASK_VECTOR, Preprocessor, read_checkpoint
from cmbench.baselines.mert.envelope import EnvelopeShape
from cmbench.baselines.mert.heads import CODEWORDS, HeadShape
from cmbench.baselines.mert.melody import MelodyShape
from cmbench.baselines.mert.network import NO_DROPOUT, Dropout, HubertShape, pooled_states, prepare
from cmbench.baselines.mert.streams import STREAMS
from cmbench.errors import UsageError
from cmbench.pretraining.objective.model import (
    PARTS,
    PretrainingModel,
    from_folder,
    from_shape,
    part_of,
    random_heads,
    save_folder,
)

SHAPE = HubertShape(
    conv_dim=(16,) * 7, hidden=24, layers=2, heads=2, intermediate=48, position_kernel=8, position_groups=4
)
PRE_NORM = replace(SHAPE, pre_norm=True, conv_norm="layer")
MELODIC = replace(
    SHAPE,
    melody=MelodyShape(2, channels=2, kernel=9, kinds=2),
    envelope=EnvelopeShape(2, bands=8, groups=4, kinds=2),
)
SMALL = HeadShape(codebook_size=11, dim=6, cqt_bins=9)
CONTRASTED = replace(SMALL, contrast=4, summaries=(("melody", 4), ("envelope", 4)))
OFFLINE = LoadOptions(device="cpu", offline=True)
SAMPLES = 8000
FRAMES = SHAPE.frames(SAMPLES)

Write = Callable[..., str]


def a_batch(frames: int = FRAMES) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(0)
    audio = torch.from_numpy(0.1 * draw.standard_normal((2, SAMPLES), dtype=np.float32))
    mask = torch.zeros(2, frames, dtype=torch.bool)
    mask[0, 2:7] = mask[1, 10:15] = True
    return audio, mask


def quiet(model: PretrainingModel) -> PretrainingModel:
    model.dropout = NO_DROPOUT
    return model


@pytest.mark.parametrize("shape", [SHAPE, PRE_NORM])
def test_it_is_the_network_that_evaluation_runs(shape: HubertShape) -> None:
    """Without masked frames, what leaves the Transformer is what transformers' HubertModel gives."""
    transformers = pytest.importorskip("transformers")
    model = from_shape(shape, SMALL, 3).eval()
    audio, mask = a_batch()
    seen: list[torch.Tensor] = []
    predict = model._predict

    def watch(weights: dict[str, torch.Tensor], states: torch.Tensor, features: torch.Tensor) -> object:
        seen.append(states)
        return predict(weights, states, features)

    model._predict = watch  # type: ignore[method-assign, assignment]
    with torch.no_grad():
        model(audio, mask)
    config = transformers.HubertConfig(
        hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate, conv_dim=list(shape.conv_dim), feat_extract_norm=shape.conv_norm,
        num_conv_pos_embeddings=shape.position_kernel, num_conv_pos_embedding_groups=shape.position_groups,
        do_stable_layer_norm=shape.pre_norm,
    )  # fmt: skip
    oracle = transformers.HubertModel(config).eval()
    names = {*shape.tensors(), MASK_VECTOR}
    oracle.load_state_dict({name: p.detach() for name, p in model.named_parameters() if name in names})
    oracle.train()
    oracle.config.layerdrop = 0.0
    for module in oracle.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    with torch.no_grad():
        expected = oracle(audio, mask_time_indices=mask).last_hidden_state[mask]
    torch.testing.assert_close(seen[0], expected, atol=2e-5, rtol=1e-4)


def test_training_mode_masks_nothing_by_itself() -> None:
    model = quiet(from_shape(SHAPE, SMALL, 0))
    audio, mask = a_batch()
    with torch.no_grad():
        evaluated, first, second = model.eval()(audio, mask), model.train()(audio, mask), model(audio, mask)
    assert torch.equal(first.logits, evaluated.logits)
    assert torch.equal(first.logits, second.logits)
    # A frame outside the mask keeps its own features: were it masked, its sound would not matter.
    louder = audio.clone()
    louder[0, 5000:] *= -1
    with torch.no_grad():
        assert not torch.equal(model(louder, mask).logits, first.logits)


def test_masked_frames_are_the_mask_vector() -> None:
    model = quiet(from_shape(SHAPE, SMALL, 0)).eval()
    audio, _ = a_batch()
    with torch.no_grad():
        everything = torch.ones(2, FRAMES, dtype=torch.bool)
        one, other = model(audio, everything), model(audio + 0.1 * torch.randn_like(audio), everything)
        assert torch.equal(one.logits, other.logits)
        assert not torch.equal(one.features, other.features)
        dict(model.named_parameters())[MASK_VECTOR].mul_(torch.linspace(0, 2, SHAPE.hidden))
        assert not torch.equal(model(audio, everything).logits, one.logits)


def test_every_rate_of_dropout_is_heard_and_only_in_training() -> None:
    audio, mask = a_batch()
    model = from_shape(SHAPE, SMALL, 0)
    with torch.no_grad():
        still = model.eval()(audio, mask).logits
        for name in ("input", "hidden", "attention", "activation", "layer"):
            model.dropout = Dropout(**{name: 0.5})
            torch.manual_seed(1)
            assert not torch.allclose(model.train()(audio, mask).logits, still), name
            assert torch.equal(model.eval()(audio, mask).logits, still), name


def loss_of(model: PretrainingModel) -> torch.Tensor:
    predictions = model(*a_batch())
    total: torch.Tensor = predictions.logits.square().sum() + predictions.cqt.square().sum()
    total += predictions.features.square().sum()
    return total


@pytest.mark.parametrize("frozen", [(), ("transformer",), ("front_end", "codewords", "heads"), tuple(PARTS)[1:6]])
def test_the_frozen_set_by_gradient(frozen: tuple[str, ...]) -> None:
    model = quiet(from_shape(SHAPE, SMALL, 0)).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) not in frozen)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    loss_of(model).backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-3).step()
    for name, parameter in model.named_parameters():
        if part_of(name) in frozen:
            assert parameter.grad is None, name
            assert torch.equal(parameter, before[name]), name
        else:
            assert parameter.grad is not None, name
            # Nothing depends on the key's bias: softmax takes a constant of all keys away.
            if not name.endswith("k_proj.bias"):
                assert not torch.equal(parameter, before[name]), name


def test_parts_have_names() -> None:
    model = from_shape(MELODIC, CONTRASTED, 0)
    assert {part_of(name) for name, _ in model.named_parameters()} == set(PARTS) == set(model.drawn)


def test_the_convolutions_learn_slower_by_the_factor() -> None:
    gradients = {}
    for factor in (1.0, 0.1):
        model = quiet(from_shape(SHAPE, SMALL, 0)).train()
        model.feature_gradient = factor
        loss_of(model).backward()  # type: ignore[no-untyped-call]
        gradients[factor] = {name: p.grad for name, p in model.named_parameters()}
    for name, gradient in gradients[1.0].items():
        assert gradient is not None
        scale = 0.1 if part_of(name) == "front_end" else 1.0
        other = gradients[0.1][name]
        assert other is not None
        torch.testing.assert_close(other, scale * gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))


def test_the_contrast_alone_teaches_the_stream_where_the_factor_is_nought() -> None:
    """Mutation: a hook that is left out, or one that the contrast's gradient also goes through, fails here."""
    for factor in (0.0, 1.0):
        model = quiet(from_shape(MELODIC, CONTRASTED, 0)).train()
        model.stream_gradient = factor
        loss_of(model).backward()  # type: ignore[no-untyped-call]
        taught = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        for name in STREAMS:
            assert (f"{name}.patterns.weight" in taught) == (factor > 0)
        model.zero_grad()
        draw = torch.Generator().manual_seed(0)
        views = [torch.randn(4, 3, 216, generator=draw), torch.randn(4, 90, 8, generator=draw)]
        compared = model(*a_batch(), views).compared
        assert [one.shape for one in compared] == [(4, 4), (4, 4)]
        sum((one * torch.arange(16.0).view(4, 4)).sum() for one in compared).backward()
        learned = {n for n in MELODIC.tensors() if n.split(".")[0] in STREAMS}
        assert {n for n in learned if n.endswith(".weight")} <= {
            name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()
        }


def test_dropped_layers_have_zero_gradients_and_recomputing_changes_nothing() -> None:
    model = quiet(from_shape(SHAPE, SMALL, 0)).train()
    loss_of(model).backward()  # type: ignore[no-untyped-call]
    kept = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.recompute = True
    loss_of(model).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, kept[name])
    model.zero_grad()
    model.dropout = Dropout(layer=1.0)
    loss_of(model).backward()  # type: ignore[no-untyped-call]
    layers = [p.grad for name, p in model.named_parameters() if name.startswith("encoder.layers.")]
    assert layers
    assert all(gradient is not None and not gradient.any() for gradient in layers)


def test_a_folder_gives_back_the_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = from_shape(SHAPE, SMALL, 5)
    save_folder(model, tmp_path / "m", {"README.md": "---\nlicense: cc0-1.0\n---\n"})
    assert (tmp_path / "m" / HEADS).is_file()
    with caplog.at_level(logging.WARNING):
        again = from_folder(str(tmp_path / "m"), SMALL, 99, OFFLINE)
    assert again.drawn == ()
    assert not caplog.records
    for (name, one), (other, two) in zip(model.named_parameters(), again.named_parameters(), strict=False):
        assert dict(again.named_parameters())[name].equal(one), (name, other, two.shape)
    # What evaluation loads is the encoder that was trained.
    read = read_checkpoint(tmp_path / "m")
    audio = a_batch()[0]
    states = pooled_states(prepare(read.weights, read.shape, torch.device("cpu")), read.shape, audio)
    own = {name: p for name, p in model.named_parameters() if name in SHAPE.tensors()}
    assert torch.equal(states, pooled_states(prepare(own, SHAPE, torch.device("cpu")), SHAPE, audio))


def test_transformers_loads_what_is_saved(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = from_shape(SHAPE, SMALL, 5)
    save_folder(model, tmp_path / "m")
    loaded, report = transformers.HubertModel.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    torch.testing.assert_close(loaded.masked_spec_embed, dict(model.named_parameters())[MASK_VECTOR])


def test_half_precision_and_what_cannot_be_written(tmp_path: Path) -> None:
    model = from_shape(SHAPE, SMALL, 5)
    save_folder(model, tmp_path / "half", dtype="float16")
    again = from_folder(str(tmp_path / "half"), SMALL, 0, OFFLINE)
    for name, parameter in model.named_parameters():
        assert torch.equal(dict(again.named_parameters())[name], parameter.half().float())
    with pytest.raises(UsageError, match="not as int8"):
        save_folder(model, tmp_path / "x", dtype="int8")
    with torch.no_grad():
        dict(model.named_parameters())[CODEWORDS][0, 0] = 1e6
        with pytest.raises(UsageError, match="'label_embs_concat' is beyond float16"):
            save_folder(model, tmp_path / "x", dtype="float16")
        dict(model.named_parameters())[CODEWORDS][0, 0] = torch.nan
        with pytest.raises(UsageError, match="'label_embs_concat' of the trained model is not finite"):
            save_folder(model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_published_folder_has_no_heads_and_that_is_said(write_model: Write, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = from_folder(write_model("mert", masks=False), SMALL, 4, OFFLINE)
    assert model.drawn == ("token heads and codeword embeddings", "CQT head", "mask vector")
    assert "has no token heads and codeword embeddings, no CQT head, no mask vector: drawn at random with seed 4" in (
        caplog.text
    )
    drawn = random_heads(SMALL, model.shape.hidden, 4)
    assert all(torch.equal(dict(model.named_parameters())[name], tensor) for name, tensor in drawn.items())
    read = from_folder(write_model("masked"), SMALL, 4, OFFLINE)
    assert read.drawn == ("token heads and codeword embeddings", "CQT head")
    assert torch.equal(dict(read.named_parameters())[MASK_VECTOR], torch.ones(model.shape.hidden))


def test_what_cannot_go_on_is_refused(write_model: Write, tmp_path: Path) -> None:
    save_folder(from_shape(SHAPE, SMALL, 5), tmp_path / "m")
    with pytest.raises(UsageError, match=r"'label_embs_concat' should be finite, of the shape \[96, 6\]; it has \[88"):
        from_folder(str(tmp_path / "m"), replace(SMALL, codebook_size=12), 0, OFFLINE)
    with pytest.raises(UsageError, match="audio at 16000 Hz; pre-training is at 24000"):
        from_folder(write_model("v0", preprocessor=Preprocessor(16_000, False, "none")), SMALL, 0, OFFLINE)
    with pytest.raises(UsageError, match="8000 samples has 24 frames; the mask has 25"):
        from_shape(SHAPE, SMALL, 0)(*a_batch(FRAMES + 1))


def test_a_normalising_model_is_trained_as_it_is_evaluated(write_model: Write) -> None:
    model = from_folder(write_model("norm", preprocessor=Preprocessor(24_000, True, "z")), SMALL, 0, OFFLINE).eval()
    audio, mask = a_batch()
    mask = mask[:, : model.shape.frames(SAMPLES)]
    with torch.no_grad():
        one, other = model(audio, mask).features, model(5 * audio + 2, mask).features
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_the_draws_of_the_heads() -> None:
    drawn = random_heads(HeadShape(), 768, 0)
    assert {name: tuple(t.shape) for name, t in drawn.items()} == {
        "final_proj.weight": (512, 768), "final_proj.bias": (512,), CODEWORDS: (8192, 64),
        "encoder_cqt_model.fc.weight": (336, 768), "encoder_cqt_model.fc.bias": (336,), MASK_VECTOR: (768,),
    }  # fmt: skip
    assert float(drawn[CODEWORDS].min()) >= 0
    assert float(drawn[CODEWORDS].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(drawn["final_proj.weight"].abs().max()) == pytest.approx(768**-0.5, rel=1e-3)
    assert float(drawn["final_proj.weight"].mean()) == pytest.approx(0, abs=1e-3)
    assert torch.equal(drawn[CODEWORDS], random_heads(HeadShape(), 768, 0)[CODEWORDS])


def test_bfloat16_leaves_the_heads_in_float32() -> None:
    model = quiet(from_shape(SHAPE, SMALL, 0)).train()
    audio, mask = a_batch()
    exact = model(audio, mask)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(audio, mask)
    assert rough.logits.dtype == rough.cqt.dtype == torch.float32
    assert float((rough.logits - exact.logits).detach().abs().max()) < 0.5
