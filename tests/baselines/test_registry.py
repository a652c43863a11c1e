"""Encoders by name: the registry, and what other distributions offer."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import DistributionFinder, PathDistribution
from pathlib import Path

import numpy as np
import pytest

from cmbench.baselines import Encoder, EncoderEntry, load_encoder, registry
from cmbench.baselines.registry import get_encoder_entry
from cmbench.errors import CmbenchError, UsageError

PLUGIN = """
import numpy as np
from cmbench.baselines import EncoderCard, EncoderEntry

class Loud:
    card = EncoderCard("loud", "other", 8000, 1, 1, ("rms",), 0.1, 0, "MIT", (), "0", "1", "none")
    def encode(self, audio):
        return np.sqrt((audio ** 2).mean(1))[:, None, None]

def entry(name):
    return EncoderEntry(name, "Loudness.", "MIT", "other-models", lambda options: Loud())

one = entry("loud")
several = {"loud": entry("loud"), "louder": entry("louder")}
taken = entry("constant")
wrong = "loud"
lost = EncoderEntry("lost", "Broken.", "MIT", "other-models", lambda options: 1 / 0)
bare = EncoderEntry("bare", "No encoder.", "MIT", "other-models", lambda options: 7)
"""


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    registry.cache_clear()
    yield
    registry.cache_clear()


def distribution(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str) -> None:
    """Put a distribution with one module and one entry point on the path, as pip would leave it."""
    (folder / "other_models.py").write_text(source)
    info = folder / "other_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cmbench.baselines]\nother = other_models:{target}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(__import__("sys").modules, "other_models", raising=False)
    assert list(PathDistribution.discover(context=DistributionFinder.Context(name="other-models", path=[str(folder)])))


@pytest.mark.parametrize(("target", "names"), [("one", {"loud"}), ("several", {"loud", "louder"})])
def test_entry_points_of_another_distribution(
    target: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None
) -> None:
    before = set(registry())
    registry.cache_clear()
    distribution(tmp_path, monkeypatch, PLUGIN, target)
    assert set(registry()) - before == names
    encoder = load_encoder("loud")
    assert isinstance(encoder, Encoder)
    assert encoder.encode(np.full((2, 800), 3, np.float32)).ravel().tolist() == [3, 3]


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (PLUGIN, "taken", "there is a 'constant' already"),
        (PLUGIN, "wrong", "it gives str, not EncoderEntry"),
        ("import a_module_that_is_not_here", "one", "ModuleNotFoundError"),
        ("x = 1", "one", "AttributeError"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_named_and_left_out(
    source: str, target: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    before = set(registry())
    registry.cache_clear()
    distribution(tmp_path, monkeypatch, source, target)
    assert set(registry()) == before
    assert f"'other_models:{target}' of group cmbench.baselines of distribution other-models is left out" in caplog.text
    assert words in caplog.text


@pytest.mark.parametrize(("name", "words"), [("lost", "ZeroDivisionError"), ("bare", "gives int, which lacks encode")])
def test_a_foreign_encoder_that_fails_is_named(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None
) -> None:
    distribution(tmp_path, monkeypatch, PLUGIN, name)
    with pytest.raises(CmbenchError, match=f"Model {name} of distribution other-models.*{words}"):
        load_encoder(name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("MERT-v1-95", "MERT-v1-95M"), ("culturemert-95m", "CultureMERT-95M"), ("random-mert", "random-mert-nano")],
)
def test_wrong_names_get_a_suggestion(typed: str, meant: str) -> None:
    with pytest.raises(UsageError, match="Did you mean") as caught:
        load_encoder(typed)
    assert meant in str(caught.value)
    assert "cmbench models" in str(caught.value)


def test_entries_can_be_listed() -> None:
    entries = registry()
    released = {"MERT-v1-95M", "MERT-v1-330M", "MERT-v0-public", "CultureMERT-95M", "CultureMERT-TA-95M"}
    assert released <= set(entries)
    for name, entry in entries.items():
        assert isinstance(entry, EncoderEntry)
        assert entry.name == name
        assert entry.summary.endswith(".")
        assert entry.licence
        assert entry.source
        assert get_encoder_entry(name) is entry
