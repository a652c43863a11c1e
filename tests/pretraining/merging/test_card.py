"""What a merged model says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmbench.baselines.cards import contaminated_tasks, heard
from cmbench.baselines.hub.about import read_licence, read_trained_on
from cmbench.baselines.mert.checkpoint import Preprocessor
from cmbench.pretraining.merging.card import MergedModel, by_name, merge_card, merge_facts
from cmbench.pretraining.merging.merge import MergeSettings, merge_settings
from cmbench.pretraining.merging.parameters import Parameters
from cmbench.tests.pretraining.conftest import TINY


def model(
    name: str, licence: str = "mit", trained_on: tuple[str, ...] = (), source: str = "a local folder"
) -> Parameters:
    return Parameters(name, source, licence, trained_on, f"{name:0<64}", TINY, Preprocessor(24_000, False, "none"), {})


def merged(base: Parameters, added: list[Parameters], how: MergeSettings | None = None, **facts: Any) -> MergedModel:
    how = how or merge_settings(len(added))
    sources = by_name(added, how.scales, [0.1] * len(added))
    return MergedModel("m|erged", base, sources, how, "float32", "e" * 64, facts.get("warnings", ()))


def front_matter(card: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return content


def test_what_a_source_heard_is_said_of_the_merge(tmp_path: Path) -> None:
    clean = merged(model("base"), [model("greek", trained_on=("Lyra 50 h",))])
    assert merge_facts(clean)["contaminated"] is False
    assert "Contaminated" not in merge_card(clean)
    added = [model("greek", trained_on=("Lyra 50 h", heard("lyra"))), model("turkish", trained_on=("makam",))]
    one = merged(model("base"), added)
    assert merge_facts(one)["contaminated"] is True
    card = merge_card(one)
    assert "**Contaminated: a model among them was trained on validation or test tracks of lyra." in card
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert contaminated_tasks(read_trained_on(tmp_path)) == ("lyra",)


HUB = "hf:m-a-p/MERT-v1-95M@12af15fef9d0ac838c3f475bfbbf26d2060dd4f5"


def test_the_card_names_every_source_with_revision_hash_and_scale(tmp_path: Path) -> None:
    base = model("MERT-v1-95M", "CC BY-NC 4.0", ("20,000 h of music",), HUB)
    added = [model("türk", "mit", ("Turkish-makam 200 h",)), model("ελλάδα", "mit", ("Lyra 50 h", "20,000 h of music"))]
    one = merged(base, added, merge_settings(2, scale_each=(0.2, 0.3)))
    card = merge_card(one)
    front = front_matter(card)
    assert front["base_model"] == ["m-a-p/MERT-v1-95M", "türk", "ελλάδα"]
    assert front["license"] == "cc-by-nc-4.0"
    assert front["merge"]["base"]["source"] == HUB
    assert [(a["name"], a["scale"], a["weights_sha256"]) for a in front["merge"]["added"]] == [
        (m.name, s, m.weights_sha256) for m, s in zip(added, (0.2, 0.3), strict=True)
    ]
    for text in (HUB, "`türk0", "| 0.3 | ελλάδα |", "scaled one by one"):
        assert text in card
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert read_trained_on(tmp_path) == ("20,000 h of music", "Turkish-makam 200 h", "Lyra 50 h")
    assert read_licence(tmp_path) == "cc-by-nc-4.0"
    facts = json.loads(json.dumps(merge_facts(one), allow_nan=False))
    assert facts["licence"] == "CC BY-NC 4.0"
    assert facts["added"][0]["relative_length"] == 0.1


def test_the_order_of_the_models_changes_nothing() -> None:
    base, added = model("b", "mit", ("x",)), [model("c", "mit", ("z",)), model("a", "mit", ("y",))]
    there = merged(base, added, merge_settings(2, scale_each=(0.2, 0.3)))
    back = merged(base, added[::-1], merge_settings(2, scale_each=(0.3, 0.2)))
    assert merge_card(there) == merge_card(back)
    assert merge_facts(there) == merge_facts(back)
    assert there.trained_on == ("x", "y", "z")


@pytest.mark.parametrize(
    ("licence", "shown", "name"), [("not stated", "see sources", "see-sources"), ("GPL-3.0", "GPL-3.0", "gpl-3.0")]
)
def test_a_licence_that_the_hub_does_not_know_is_named(licence: str, shown: str, name: str) -> None:
    card = merge_card(merged(model("b", licence), [model("a", licence)]))
    assert (front_matter(card)["license"], front_matter(card)["license_name"]) == ("other", name)
    assert f"Licence: {shown}." in card


def test_methods_say_what_they_did() -> None:
    base, added = model("b"), [model("a")]
    for method, words in (
        ("sum", "base + 0.2 times the sum of the task vectors"),
        ("mean", "base + 1 times the mean"),
        ("ties", "elected sign, density 0.2"),
        ("dare", "rescaling, density 0.1"),
    ):
        one = merged(base, added, merge_settings(1, method))
        assert words in one.formula
        assert ("seed" in front_matter(merge_card(one))["merge"]) == (method == "dare")
    assert "Note: mind the gap." in merge_card(merged(base, added, warnings=("mind the gap.",)))
