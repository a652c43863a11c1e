"""The models of a run: a card that was noted spares loading, and what was loaded is what the card says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.nano import NANO_BASE
from cmbench.baselines.noted import note_path, write_note
from cmbench.baselines.registry import load_encoder
from cmbench.benchmark import models
from cmbench.benchmark.models import Encoders
from cmbench.errors import CmbenchError

OPTIONS = LoadOptions("cpu", offline=True)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that are loaded from here on."""
    names: list[str] = []
    load = load_encoder

    def count(name: str, options: LoadOptions) -> Any:
        names.append(name)
        return load(name, options)

    monkeypatch.setattr(models, "load_encoder", count)
    return names


def test_a_noted_card_spares_loading(loaded: list[str]) -> None:
    cards = [Encoders(OPTIONS, noted=True).card(NANO_BASE) for _ in range(3)]
    assert loaded == [NANO_BASE]
    assert cards == [Encoders(OPTIONS).card(NANO_BASE)] * 3
    assert loaded == [NANO_BASE] * 2, "notes are read where that was asked for"


def test_nothing_is_noted_unless_asked_for(loaded: list[str]) -> None:
    Encoders(OPTIONS).card(NANO_BASE)
    path = note_path(NANO_BASE, OPTIONS)
    assert path is not None
    assert not path.exists()


def test_a_model_that_is_not_the_one_of_its_card_does_not_encode() -> None:
    path, card = note_path(NANO_BASE, OPTIONS), Encoders(OPTIONS).card(NANO_BASE)
    assert path is not None
    write_note(path, replace(card, weights_sha256="0" * 64))
    encoders = Encoders(OPTIONS, noted=True)
    assert encoders.card(NANO_BASE).weights_sha256 == "0" * 64
    with pytest.raises(CmbenchError, match="MERT-nano has changed since this began"):
        encoders.encoder(NANO_BASE)
