"""``cmbench models`` and ``export hf`` as a user types them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines import EncoderCard, EncoderEntry
from cmbench.baselines.registry import registry
from cmbench.tests.conftest import Cmbench


def test_models_are_listed(cmbench: Cmbench) -> None:
    listed = cmbench("models").out
    for name in ("constant", "mfcc", "chroma", "random-mert-nano", "MERT-v1-95M", "CultureMERT-95M"):
        assert re.search(rf"^\s*{name}\b", listed, re.MULTILINE)


def test_the_list_of_models_can_be_narrowed_and_read_by_a_program(cmbench: Cmbench) -> None:
    listed = json.loads(cmbench("models", "--only", "culturemert-", "--json").out)
    assert {"CultureMERT-95M", "CultureMERT-nano"} < {one["name"] for one in listed}
    assert all("CultureMERT" in one["name"] and one["licence"] for one in listed)
    assert "no model named 'zebra'" in cmbench("models", "--only", "zebra", code=2).err


def test_models_are_checked_exported_and_run_from_the_export(cmbench: Cmbench, tmp_path: Path) -> None:
    assert cmbench("models", "check", "random-mert-nano").out.count("kept") == 10
    cmbench("export", "hf", "random-mert-nano", "--out", tmp_path / "mine")
    assert "5 of 96" in cmbench("models", "show", tmp_path / "mine").out
    assert "exists already" in cmbench("export", "hf", "random-mert-nano", "--out", tmp_path / "mine", code=2).err


class Normalised:
    """Divides by the loudest sample of the batch, as no encoder may."""

    card = EncoderCard("broken", "x", 8000, 1, 1, ("a",), 0.1, 0, "MIT", (), "0", "1", "none")

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = audio / np.abs(audio).max()
        deviations: NDArray[np.float32] = scaled.std(1, keepdims=True)[:, None]
        return deviations


def test_a_broken_promise_ends_in_exit_code_1(cmbench: Cmbench, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EncoderEntry("broken", "Broken.", "MIT", "x", lambda options: Normalised())
    monkeypatch.setitem(registry(), "broken", entry)
    assert "BROKEN" in cmbench("models", "check", "broken", code=1).out


def test_what_a_model_needs_is_told(cmbench: Cmbench) -> None:
    assert "musicnn" in cmbench("models", "prepare").out
    assert "Did you mean musicnn" in cmbench("models", "prepare", "musicn", code=2).err
