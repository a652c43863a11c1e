"""A fairseq checkpoint: read without fairseq and without running its pickle, codes in their own rows."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.hub.about import weights_sha256
from cmbench.baselines.mert.checkpoint import MASK_VECTOR, NORMALISED
from cmbench.baselines.mert.fairseq import read_fairseq
from cmbench.baselines.mert.heads import CODEWORDS, HeadShape
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.baselines.registry import load_encoder
from cmbench.errors import UsageError
from cmbench.pretraining.objective.model import from_fairseq, random_heads

SHAPE = HubertShape(
    conv_dim=(16,) * 7, hidden=24, layers=2, heads=3, intermediate=48, position_kernel=8, position_groups=4
)
HEADS = HeadShape(codebook_size=7, dim=6, cqt_bins=9)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]

# From the names of transformers to those of fairseq.
NAMES = (
    ("feature_projection.projection", "post_extract_proj"),
    ("feature_projection.layer_norm", "layer_norm"),
    ("conv_layers.0.layer_norm", "conv_layers.0.2"),
    *((f"conv_layers.{i}.conv", f"conv_layers.{i}.0") for i in range(7)),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original0", "encoder.pos_conv.0.weight_g"),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original1", "encoder.pos_conv.0.weight_v"),
    ("encoder.pos_conv_embed.conv", "encoder.pos_conv.0"),
    *((f"layers.{i}.layer_norm", f"layers.{i}.self_attn_layer_norm") for i in range(2)),
    (".attention.", ".self_attn."),
    ("feed_forward.intermediate_dense", "fc1"),
    ("feed_forward.output_dense", "fc2"),
    (MASK_VECTOR, "mask_emb"),
)


def old_name(name: str) -> str:
    for new, old in NAMES:
        name = name.replace(new, old)
    return name


class Dictionary:
    """As fairseq pickles it: symbols and what row each has."""

    def __init__(self, symbols: list[str]) -> None:
        self.symbols = symbols
        self.indices = {symbol: row for row, symbol in enumerate(symbols)}


class Bomb:
    """Runs something when it is unpickled, if one lets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Save:
    """Return a function that writes a checkpoint whose dictionaries have their codes in an order of their own."""

    def write(change: Callable[[dict[str, Any]], object] = lambda content: None, **settings: Any) -> Path:
        module = ModuleType("fairseq.data.dictionary")
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "fairseq", ModuleType("fairseq"))
            patch.setitem(sys.modules, "fairseq.data", ModuleType("fairseq.data"))
            patch.setitem(sys.modules, "fairseq.data.dictionary", module)
            patch.setattr(Dictionary, "__module__", "fairseq.data.dictionary")
            module.Dictionary = Dictionary  # type: ignore[attr-defined]
            heads = random_heads(HEADS, SHAPE.hidden, 1)
            shuffled = random.Random(0)
            dictionaries, rows = [], []
            for level in heads[CODEWORDS].view(8, 7, 6):
                codes = list(range(7))
                shuffled.shuffle(codes)
                dictionaries.append(Dictionary([*SPECIAL, *map(str, codes)]))
                rows += [torch.full((4, 6), -1.0), level[codes]]
            heads[CODEWORDS] = torch.cat(rows)
            model = {old_name(n): t for n, t in (random_weights(SHAPE, 0) | heads).items()}
            model["encoder_cqt_model.spec_layer.cqt_kernels_real"] = torch.zeros(2, 3)
            content = {
                "model": model,
                "cfg": {"model": {"encoder_attention_heads": 3, "layer_norm_first": False} | settings},
                "task_state": {"dictionaries": dictionaries},
                "optimizer_history": [{"num_updates": 5}],
            }
            change(content)
            torch.save(content, tmp_path / "m.pt")
        return tmp_path / "m.pt"

    return write


def test_encoder_heads_and_the_row_of_every_code(save: Save) -> None:
    file = save()
    assert "fairseq" not in sys.modules
    read = read_fairseq(file)
    assert read.shape == SHAPE
    assert read.heads == HEADS
    for name, tensor in random_weights(SHAPE, 0).items():
        assert torch.equal(read.weights[name], tensor), name
    for name, tensor in random_heads(HEADS, SHAPE.hidden, 1).items():
        assert torch.equal(read.training_only[name], tensor), name
    model = from_fairseq(file, HEADS, 9)
    assert model.drawn == ()
    assert torch.equal(dict(model.named_parameters())[CODEWORDS], random_heads(HEADS, SHAPE.hidden, 1)[CODEWORDS])
    with pytest.raises(UsageError, match=r"'final_proj\.weight' should be finite, of the shape \[80, 24\]"):
        from_fairseq(file, HeadShape(7, dim=10, cqt_bins=9), 0)


def test_nothing_in_the_pickle_is_run(save: Save, tmp_path: Path) -> None:
    file = save(lambda content: content.update(extra_state=Bomb(tmp_path / "ran")))
    assert read_fairseq(file).heads == HEADS
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_is_a_model_by_itself(save: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without heads and dictionaries too; rate and normalisation are those of its training."""

    def bare(content: dict[str, Any]) -> None:
        del content["task_state"], content["model"]["label_embs_concat"]
        content["cfg"]["task"] = {"sample_rate": 16_000, "normalize": True}
        content["extra_state"] = Bomb(tmp_path / "ran")

    options = LoadOptions(device="cpu", offline=True)
    encoder = load_encoder(str(save(bare)), options)
    assert not (tmp_path / "ran").exists()
    assert (encoder.card.name, encoder.card.sample_rate, encoder.card.preprocessing) == ("m", 16_000, NORMALISED)
    assert encoder.card.weights_sha256 == weights_sha256(random_weights(SHAPE, 0))
    assert not caplog.records
    plain = load_encoder(str(save()), options).card
    assert (plain.sample_rate, plain.preprocessing, plain.layers) == (24_000, "none", 3)
    assert "does not state its sample rate" in caplog.text
    for wrong in ({"sample_rate": 0}, {"sample_rate": 24_000, "normalize": 3}):
        with pytest.raises(UsageError, match="of its task should be"):
            load_encoder(str(save(lambda content, task=wrong: content["cfg"].update(task=task))), options)


def drop(*path: str) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("model"), "no table of tensors named 'model'"),
        (drop("cfg"), "no configuration of the model"),
        (drop("task_state"), "no dictionaries"),
        (drop("model", "label_embs_concat"), "'label_embs_concat' is missing"),
        (drop("model", "mask_emb"), "'masked_spec_embed' is missing"),
        (drop("model", "encoder.layers.1.fc1.bias"), "missing tensors"),
        (drop("model", "encoder.pos_conv.0.weight_v"), "not a HuBERT network"),
        (lambda content: content["task_state"]["dictionaries"].pop(), "has 88 rows; the dictionaries have 77"),
        (lambda content: content["task_state"]["dictionaries"][3].symbols.pop(), "dictionary 3 has 6 codes"),
        (lambda content: content["task_state"]["dictionaries"].__setitem__(0, 3), "dictionary 0 has no list"),
        (lambda content: content["model"].update(surprise=torch.zeros(1)), "surprise"),
    ],
)
def test_what_does_not_fit_is_named(save: Save, change: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_fairseq(save(change))


def test_damaged_files(save: Save, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_fairseq(tmp_path / "none.pt")
    whole = save().read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(UsageError, match="not a complete fairseq checkpoint"):
            read_fairseq(tmp_path / "x.pt")
