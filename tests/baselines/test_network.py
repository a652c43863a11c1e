"""Networks by name: who they are, and what their cards say they were trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmbench import load_model
from cmbench.baselines import LoadOptions
from cmbench.baselines.anchors import NANO, random_checkpoint
from cmbench.baselines.hub.about import NOT_STATED, read_trained_on
from cmbench.baselines.mert.checkpoint import Preprocessor
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.network import open_network
from cmbench.errors import UsageError

CPU = LoadOptions(device="cpu", offline=True)


def write(folder: Path, card: str | None) -> Path:
    files = {} if card is None else {"README.md": card}
    write_folder(
        folder, NANO, random_checkpoint("random-mert-nano").weights, Preprocessor(24_000, False, ""), None, files
    )
    return folder


def test_a_drawn_network_has_no_folder_and_no_corpora() -> None:
    network = open_network("random-mert-nano", CPU)
    assert (network.folder, network.trained_on, network.licence) == (None, (), "Apache-2.0")
    with pytest.raises(UsageError, match="mfcc is not a MERT-shaped network"):
        open_network("mfcc", CPU)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("---\nbase_model_relation: merge\n---\n# m\n", "A merge of HuBERT networks read from a folder."),
        ("---\nbase_model_relation: finetune\n---\n# m\n", "A HuBERT network read from a folder."),
        ("# m\n\nbase_model_relation: merge\n", "A HuBERT network read from a folder."),
        (None, "A HuBERT network read from a folder."),
    ],
)
def test_a_merge_is_known_by_its_card(tmp_path: Path, card: str | None, says: str) -> None:
    assert load_model(str(write(tmp_path / "m", card))).card.description == says


def test_corpora_on_the_card_reach_the_encoder(tmp_path: Path) -> None:
    card = "---\nlicense: mit\ntrained_on:\n- Lyra 50 h\n- 'Turkish-makam: 200 h'\n---\n# m\n"
    folder = write(tmp_path / "m", card)
    assert open_network(str(folder), CPU).trained_on == ("Lyra 50 h", "Turkish-makam: 200 h")
    assert load_model(str(folder)).card.trained_on == ("Lyra 50 h", "Turkish-makam: 200 h")
    assert open_network(str(folder), CPU).folder == folder


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\ntrained_on: []\n---\n", ()),
        ("---\ntrained_on: [1, 2]\n---\n", NOT_STATED),
        ("---\ntrained_on: Lyra\n---\n", NOT_STATED),
        ("---\ntrained_on: [\n---\n", NOT_STATED),
        ("---\n- trained_on: []\n---\n", NOT_STATED),
        ("---\nnot_trained_on: [Lyra]\n---\n", NOT_STATED),
        ("trained_on: [Lyra]\n", NOT_STATED),
        (None, NOT_STATED),
    ],
)
def test_what_is_not_listed_is_not_stated(card: str | None, expected: tuple[str, ...], tmp_path: Path) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert read_trained_on(tmp_path) == expected
