"""Models that heard test tracks: found by any mark that they carry, shown with it, and never ranked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cmbench.baselines.cards import heard
from cmbench.errors import CmbenchError
from cmbench.leaderboards.contamination import marks, marks_beside
from cmbench.leaderboards.entry import ENTRIES
from cmbench.leaderboards.listing import Site, read_site
from cmbench.leaderboards.pages.site import pages
from cmbench.leaderboards.ranking import Entrant, boards
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.submission import Statements, build_entry, choose_run
from cmbench.leaderboards.verification.verify import verify

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry

MARKED = b"---\nlicense: MIT\npretraining:\n  contaminated: true\n---\n# A model\n"
HEARD_LYRA = heard("lyra")


def errors(path: Path) -> list[str]:
    return [f.message for one in verify(path) for f in one.findings if f.severity == "error"]


@pytest.mark.parametrize(
    ("card", "corpora", "found"),
    [
        ({}, [], 0),
        ({"pretraining": {"contaminated": False}, "contaminated": "true"}, ["a corpus"], 0),
        ({"pretraining": {"contaminated": True}}, [], 1),
        ({"contaminated": True}, [], 1),
        ({"trained_on": [HEARD_LYRA]}, [HEARD_LYRA], 1),
        ({"trained_on": HEARD_LYRA.title()}, [], 1),
        ({"trained_on": None, "pretraining": ["contaminated"]}, [], 0),
    ],
)
def test_marks(card: dict[str, object], corpora: list[str], found: int) -> None:
    assert len(list(marks(card, corpora))) == found


def test_the_facts_beside_a_card(tmp_path: Path) -> None:
    card, facts = tmp_path / "README.md", tmp_path / "pretraining.json"
    assert list(marks_beside(card)) == []
    facts.write_text('{"contaminated": false}')
    assert list(marks_beside(card)) == []
    facts.write_text('{"contaminated": true}')
    assert len(list(marks_beside(card))) == 1
    facts.write_text("[]")
    with pytest.raises(CmbenchError, match="no JSON object"):
        list(marks_beside(card))


@pytest.mark.parametrize("where", ["card", "record", "submission"])
def test_a_mark_that_is_denied_is_refused(make_entry: MakeEntry, where: str) -> None:
    forged = make_entry()
    forged.submission |= {"schema_version": "1.1", "contaminated": False}
    if where == "card":
        forged.card = MARKED
    elif where == "record":
        forged.record["model"]["trained_on"] = [HEARD_LYRA]
    else:
        forged.submission["training_corpora"] = [HEARD_LYRA]
    assert any("it must say `true`" in error for error in errors(forged.save()))
    forged.submission["contaminated"] = True
    found = verify(forged.save())[0]
    assert found.sound
    assert any("contaminated: it" in f.message for f in found.findings)


def test_a_submission_from_before_the_mark_is_read_and_judged(make_entry: MakeEntry) -> None:
    forged = make_entry()
    assert forged.submission["schema_version"] == "1.0"
    forged.card = MARKED
    assert errors(forged.save()) == []
    assert read_entry(forged.path).contaminated


@pytest.mark.parametrize("where", ["folder", "statement", "option", "nowhere"])
def test_submit_sets_the_mark(make_entry: MakeEntry, tmp_path: Path, where: str) -> None:
    evidence = choose_run([make_entry().run(tmp_path / "run")], None, None, None)
    card = tmp_path / "README.md"
    card.write_text("# Mine")
    said = Statements("me", "MIT", 0, (), "Some were heard.", contaminated=where == "option")
    if where == "folder":
        (tmp_path / "pretraining.json").write_text('{"contaminated": true}')
    elif where == "statement":
        said = replace(said, training_corpora=(HEARD_LYRA,))
    submission, _ = build_entry(evidence, said, card, None, "1")
    assert submission.contaminated == (where != "nowhere")


def test_it_stands_apart_with_its_mark_and_shifts_nobody() -> None:
    found = {name: read_entry(ENTRIES / name / "1").evidence for name in ("mfcc", "constant")}
    known = Entrant("heard/1", found["mfcc"], contaminated="its card says so")
    plain = [Entrant(f"{name}/1", found[name]) for name in found]
    (alone,), (board,) = boards(plain, 20), boards([*plain, known], 20)
    assert board.places == alone.places
    assert [(one.name, one.contaminated, one.reasons) for one in board.incomplete] == [
        ("heard/1", True, ("contaminated: its card says so",))
    ]


def test_the_pages_show_the_mark(make_entry: MakeEntry, entries: Path) -> None:
    forged = make_entry("heard")
    forged.card = MARKED
    forged.save()
    site: Site = read_site(entries, 20)
    made = dict(pages(site))
    page = next(text for name, text in made.items() if name.startswith("boards/") and name.endswith("index.html"))
    for text in (page, made["entries/heard/1/index.html"]):
        assert 'class="badge contaminated"' in text
    said = json.loads(made["board.json"])
    assert said["entries"]["heard/1"]["contaminated"] is True
    assert said["boards"][0]["incomplete"][0]["contaminated"] is True
