"""Submissions: from a run's folder to an entry, with everything said that only the submitter can say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cmbench.cli import app
from cmbench.errors import UsageError
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.submission import (
    Statements,
    choose_run,
    complete,
    corpora,
    from_card_and_record,
    git_commands,
)
from cmbench.leaderboards.verification.verify import verify

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry

CARD = "---\nlicense: MIT\ncontact: me@example.org\ncontamination: No test track was heard.\n---\n# Mine\n"


@pytest.fixture
def run(make_entry: MakeEntry, tmp_path: Path) -> Path:
    """The folder of a run, with a model card in it."""
    folder = make_entry("mine", seed=1).run(tmp_path / "results" / "mine")
    (tmp_path / "card.md").write_text(CARD)
    return folder


def submit(run: Path, entries: Path, *words: str) -> tuple[int, str]:
    card = str(run.parents[1] / "card.md")
    done = CliRunner().invoke(app, ["submit", str(run), "--model-card", card, "--entries", str(entries), *words])
    return done.exit_code, done.output + (str(done.exception) if done.exception else "")


def test_a_run_becomes_an_entry(run: Path, entries: Path) -> None:
    code, said = submit(run, entries)
    assert code == 0, said
    entry = read_entry(entries / "mine" / "1")
    assert verify(entry.path)[0].sound
    assert entry.submission.licence == "MIT"
    assert entry.submission.contact == "me@example.org"
    assert entry.submission.training_corpora == ()
    assert entry.submission.board.edition == "mini"
    assert "This board is an example" in said
    assert "It would be listed apart, without a place: no record of" in said
    assert f"git add {entries / 'mine' / '1'}" in said
    record = entries / "mine" / "1" / "records"
    assert next(record.iterdir()).read_bytes() == next(run.glob("*.json")).read_bytes()


def test_a_dry_run_writes_nothing(run: Path, entries: Path) -> None:
    code, said = submit(run, entries, "--dry-run")
    assert code == 0, said
    assert "nothing was written" in said
    assert list(entries.iterdir()) == []


def test_an_entry_is_not_overwritten(run: Path, entries: Path) -> None:
    assert submit(run, entries)[0] == 0
    code, said = submit(run, entries)
    assert code != 0
    assert "Entries never change" in said
    assert submit(run, entries, "--version", "2")[0] == 0


def test_what_would_be_refused_is_not_written(run: Path, entries: Path) -> None:
    file = next(run.glob("*.json"))
    record = json.loads(file.read_text())
    record["metrics"]["f1_macro"]["value"] += 0.1
    file.write_text(json.dumps(record))
    code, said = submit(run, entries)
    assert code != 0
    assert "The board would refuse this entry" in said
    assert list(entries.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "a/b", "ＭＥＲＴ", "", "-x"])
def test_a_name_that_is_none(run: Path, entries: Path, name: str) -> None:
    code, said = submit(run, entries, f"--name={name}")
    assert code != 0
    assert "is not a name" in said
    assert list(entries.parent.glob("up*")) == []


def test_what_is_missing_is_listed_at_once(run: Path, entries: Path, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# Mine")
    done = subprocess.run(
        [sys.executable, "-m", "cmbench", "submit", run, "--model-card", tmp_path / "card.md", "--entries", entries],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 2
    assert "--contact: " in done.stderr
    assert "--contamination: " in done.stderr
    assert "Traceback" not in done.stderr


def test_somebody_there_is_asked() -> None:
    said = Statements(contact="me", licence="MIT", parameters=1)
    done = complete(said, {"what the model was trained on, once for each corpus, or 'none'": "a, b"}.get)  # type: ignore[arg-type]
    assert done.training_corpora == ("a", "b")


def test_what_was_said_goes_before_card_and_record(make_entry: MakeEntry, run: Path) -> None:
    record = choose_run([run], None, None, None)[0].record
    found = from_card_and_record(Statements(licence="mine"), {"license": "MIT", "datasets": ["a", "b"]}, record)
    assert found.licence == "mine"
    assert found.training_corpora == ("a", "b")
    assert found.contact is None
    assert found.contamination is None
    assert from_card_and_record(Statements(), {"license": 5}, record).licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("card", "licence", "heard"),
    [
        ({"license": "other", "trained_on": []}, None, ()),
        ({"license": "other", "license_name": "my-own"}, "my-own", None),
        ({"license": "not stated", "datasets": []}, None, None),
        ({"trained_on": ["not stated"], "datasets": ["a"]}, None, ("a",)),
    ],
)
def test_what_a_card_does_not_know_is_no_answer(
    run: Path, card: dict[str, object], licence: str | None, heard: tuple[str, ...] | None
) -> None:
    record = choose_run([run], None, None, None)[0].record
    model = record.model.model_copy(update={"licence": "not stated", "trained_on": ("not stated",), "parameters": 9})
    found = from_card_and_record(Statements(), card, record.model_copy(update={"model": model}))
    assert (found.licence, found.training_corpora) == (licence, heard)


def test_corpora() -> None:
    assert corpora(["a", " b ", "a", ""]) == ("a", "b")
    assert corpora(["None"]) == ()


def test_several_models_are_refused(make_entry: MakeEntry, run: Path) -> None:
    make_entry("other", seed=2).run(run.parent / "other")
    with pytest.raises(UsageError, match=r"several models: mine \(.*other \("):
        choose_run([run.parent], None, None, None)


def test_the_same_task_twice_is_refused(make_entry: MakeEntry, run: Path) -> None:
    make_entry("mine", seed=1).run(run.parent / "again")
    with pytest.raises(UsageError, match="two records of lyra"):
        choose_run([run.parent], None, None, None)


def test_a_run_with_other_seeds_has_no_board(make_entry: MakeEntry, tmp_path: Path) -> None:
    forged = make_entry()
    forged.record["protocol"]["name"] = "cmbench-1+seeds2"
    run = forged.run(tmp_path / "results")
    with pytest.raises(UsageError, match="has no board"):
        choose_run([run], None, None, None)


def test_git_commands_are_quoted(make_entry: MakeEntry) -> None:
    entry = read_entry(make_entry().save())
    assert git_commands(Path("my folder/honest/1"), entry.submission)[1] == "git add 'my folder/honest/1'"


def test_a_sample_is_never_ranked(run: Path, entries: Path) -> None:
    for path in run.glob("*.json"):
        record = json.loads(path.read_bytes())
        record["task"]["split"] += "-limit-60"
        path.write_text(json.dumps(record))
    code, said = submit(run, entries)
    assert code != 0
    assert "a sample of the tracks (--limit) is never ranked" in said
    assert list(entries.iterdir()) == []
