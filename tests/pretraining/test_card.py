"""What a pre-trained model says of validation and test tracks among its music, and of its start's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cmbench.baselines.cards import contaminated_tasks, heard
from cmbench.pretraining.card import Origin, Pretrained, pretraining_card, pretraining_facts
from cmbench.pretraining.corpus.corpus import Corpus
from cmbench.pretraining.corpus.exclusion import Exclusion, Found, Recording
from cmbench.pretraining.recipes.reading import open_recipe
from cmbench.tasks.base import Track


def model(own: bool, start: tuple[str, ...]) -> Pretrained:
    recording = Recording("folder/greek/a.wav", "greek", Path(__file__), 0.0, None, 36.0)
    corpus = Corpus(
        stages={"only": {"greek": (recording,)}},
        held_out={},
        found=(Found(recording, "lyra test a", "bytes"),),
        exclusions=(Exclusion("full", {("lyra", "test"): (Track("a", Path("a.wav"), ()),)}, ("carnatic",)),),
        contaminated=own,
    )
    origin = Origin("start", "a local folder", "MIT", start, "0" * 64)
    opened = open_recipe("mert-nano", ["start=./start"])
    return Pretrained("mine", opened, corpus, origin, "teacher", (), 3, {}, "1" * 64, 1)


def test_the_card_says_what_a_teacher_was_fitted_on() -> None:
    made = model(False, ())
    assert pretraining_facts(made)["teacher_hours"] == {}
    assert "Targets: teacher. `" in pretraining_card(made)
    fitted = Recording("folder/turkish/b.wav", "turkish", Path(__file__), 0.0, None, 900.0)
    made = replace(made, corpus=replace(made.corpus, teacher={"turkish": (fitted,)}))
    assert pretraining_facts(made)["teacher_hours"] == {"turkish": 0.25}
    assert "Targets: teacher, fitted on frames of 0.25 h of turkish music. `" in pretraining_card(made)


def test_the_card_says_whether_the_start_may_have_heard_what_is_held_out() -> None:
    made = model(False, ())
    assert "not trained on here; start may have been trained on it; `" in pretraining_card(made)
    same = replace(made, origin=replace(made.origin, held_out_sha256=made.corpus.held_out_sha256))
    assert "not trained on here; `" in pretraining_card(same)


@pytest.mark.parametrize(
    ("own", "start", "tasks"),
    [
        (False, ("Western 1 h",), []),
        (True, ("Western 1 h",), ["lyra"]),
        (False, ("Western 1 h", heard("hindustani")), ["hindustani"]),
        (True, (heard("hindustani"), heard("lyra")), ["hindustani", "lyra"]),
    ],
    ids=["clean", "here", "in its start", "both"],
)
def test_contamination_is_told_and_handed_on(own: bool, start: tuple[str, ...], tasks: list[str]) -> None:
    made = model(own, start)
    facts, card = pretraining_facts(made), pretraining_card(made)
    front = yaml.safe_load(card.split("---\n")[1])
    assert facts["contaminated"] is front["pretraining"]["contaminated"] is bool(tasks)
    assert facts["contaminated_tasks"] == tasks
    assert list(contaminated_tasks(front["trained_on"])) == tasks
    assert len(set(front["trained_on"])) == len(front["trained_on"])
    assert ("**Contaminated:" in card) == bool(tasks)
    if tasks:
        assert front["contamination"] == f"Contaminated: trained on validation or test tracks of {', '.join(tasks)}."
    else:
        assert front["contamination"].startswith("1 validation and test tracks were kept out")
        assert "Not checked: carnatic. Of what start had heard nothing is known here." in front["contamination"]
