"""What a model folder states of its files: compared before they are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.hub.about import require_stated_files
from cmbench.baselines.mert.checkpoint import Preprocessor
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.baselines.network import open_network
from cmbench.baselines.registry import load_encoder
from cmbench.errors import UsageError

TINY = HubertShape(
    conv_dim=(8,) * 7, hidden=16, layers=2, heads=2, intermediate=32, position_kernel=4, position_groups=4
)
OFFLINE = LoadOptions("cpu", offline=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as a pre-training writes it."""
    texts = {"README.md": "card", "pretraining.json": json.dumps({"name": "m", "steps": 3})}
    mask, heads = torch.ones(16).half(), {"label_embs_concat": torch.zeros(2)}
    write_folder(tmp_path / "m", TINY, random_weights(TINY, 1), Preprocessor(24_000, False, ""), mask, texts, heads)
    return tmp_path / "m"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", '"num_attention_heads": 2', '"num_attention_heads": 4'),
        ("preprocessor_config.json", '"do_normalize": false', '"do_normalize": true'),
        ("pretraining.json", '"steps": 3', '"steps": 4'),
        ("pretraining.json", "files_sha256", "filez_sha256"),
        ("pretraining.json", "content_sha256", "kontent_sha256"),
    ],
)
def test_a_changed_file_is_named_before_it_is_used(folder: Path, name: str, old: str, new: str) -> None:
    assert load_encoder(str(folder)).card.layers == 3
    change(folder / name, old, new)
    with pytest.raises(
        UsageError, match=rf"{name}: it is not .*if it was changed on purpose, remove pretraining\.json"
    ):
        load_encoder(str(folder))
    with pytest.raises(UsageError, match=rf"{name}: it is not"):
        open_network(str(folder), OFFLINE)
    (folder / "pretraining.json").unlink()
    load_encoder(str(folder))


def test_what_only_training_uses_is_compared_where_it_is_used(folder: Path) -> None:
    network = open_network(str(folder), OFFLINE)
    with pytest.raises(UsageError, match="the mask vector is not the one"):
        require_stated_files(folder, 2 * network.checkpoint.training_only["masked_spec_embed"])
    (folder / "preprocessor_config.json").rename(folder / "elsewhere")
    with pytest.raises(UsageError, match=r"preprocessor_config\.json: it is gone"):
        open_network(str(folder), OFFLINE)
    (folder / "elsewhere").rename(folder / "preprocessor_config.json")
    (folder / "heads.safetensors").write_bytes((folder / "heads.safetensors").read_bytes()[:-1] + b"?")
    with pytest.raises(UsageError, match=r"heads\.safetensors: it is not"):
        open_network(str(folder), OFFLINE)


def test_a_card_may_be_rewritten_and_older_facts_state_less(folder: Path) -> None:
    (folder / "README.md").write_text("better words", encoding="utf-8")
    require_stated_files(folder)
    with pytest.raises(UsageError, match=r"README\.md: it is not"):
        require_stated_files(folder, card=True)
    (folder / "pretraining.json").write_text(json.dumps({"name": "m"}), encoding="utf-8")
    require_stated_files(folder, torch.zeros(16), card=True)
