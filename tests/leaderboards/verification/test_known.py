"""Known models: the table is what the code makes."""

from __future__ import annotations

import json

import pytest

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.musicnn.encoder import TRAINED
from cmbench.baselines.nano import NANO
from cmbench.baselines.registry import load_encoder
from cmbench.leaderboards.entry import ENTRIES
from cmbench.leaderboards.verification.known import WEIGHTS, name_of, released


@pytest.mark.parametrize("name", ["constant", "mfcc", "chroma", "MERT-nano", "CultureMERT-TA-nano"])
def test_weights_are_those_of_the_code(name: str) -> None:
    assert load_encoder(name, LoadOptions(device="cpu", offline=True)).card.weights_sha256 == WEIGHTS[name][-1]


def test_weights_are_those_of_our_entries() -> None:
    for record in ENTRIES.glob("*/*/records/lyra*.json"):
        model = json.loads(record.read_text(encoding="utf-8"))["model"]
        assert name_of(model["weights_sha256"]) == model["name"]
    assert set(NANO) <= set(WEIGHTS)
    assert all(WEIGHTS[one.name] == (one.weights_sha256,) for one in TRAINED)


@pytest.mark.parametrize(("name", "known"), [("mert-V1 95m", "MERT-v1-95M"), ("CULTUREMERT-nano", "CultureMERT-nano")])
def test_names_of_released_models(name: str, known: str) -> None:
    assert released(name) == known
    assert released("my-own-model") is None
