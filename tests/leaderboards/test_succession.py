"""Succession: a new version stands beside the one before until a maintainer says otherwise."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cmbench.benchmark.records.record import Record
from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.leaderboards.entry import ENTRIES, name_key
from cmbench.leaderboards.listing import read_site
from cmbench.leaderboards.pages.board_json import board_json
from cmbench.leaderboards.pages.site import pages
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.submission import refuse_taken
from cmbench.leaderboards.succession import FILE, confirm, read_successors, standing, versions
from cmbench.leaderboards.verification.crosschecks import fingerprint
from cmbench.leaderboards.verification.verify import verify

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry


@pytest.fixture
def two(make_entry: MakeEntry, entries: Path) -> Path:
    """An entry, and a version 2 of other weights that says that it is by the same people."""
    make_entry("mert", "1", seed=1).save()
    forged = make_entry("mert", "2", seed=2)
    forged.record["model"]["weights_sha256"] = "0" * 64
    typed = fingerprint(Record.model_validate_json(json.dumps(forged.record)))
    forged.record["model"]["fingerprint"] = forged.submission["model_fingerprint"] = typed
    forged.save()
    return entries


def flags(place: Path) -> list[str]:
    return [f"{one.entry} {f.message}" for one in verify(place) for f in one.findings if f.check == "successor"]


@pytest.mark.parametrize("other", ["MERT-NANO", "mert nano", "mert_nano", "mertnano", "ｍｅｒｔ-nano", " MERT  nano "])
def test_names_that_are_one(other: str) -> None:
    assert name_key(other) == name_key("MERT-nano")


@pytest.mark.parametrize("other", ["MERT-nano2", "MERT.nano", "MERT-nan", "MERT+nano"])
def test_names_that_are_not(other: str) -> None:
    assert name_key(other) != name_key("MERT-nano")
    assert name_key("m-1-1") != name_key("m-11")


def test_a_new_version_stands_beside_and_is_marked(two: Path) -> None:
    site = read_site(two, resamples=20)
    (board,) = site.boards
    assert {one.name for one in board.incomplete} == {"mert/1", "mert/2"}
    said = board_json(site)["entries"]
    assert isinstance(said, dict)
    assert (said["mert/1"]["superseded_by"], said["mert/1"]["claimed_successor_of"]) == (None, None)
    assert (said["mert/2"]["superseded_by"], said["mert/2"]["claimed_successor_of"]) == (None, "mert/1")
    drawn = dict(pages(site))
    assert "claimed successor of mert 1" in drawn["entries/mert/2/index.html"]
    assert "claimed" not in drawn["entries/mert/1/index.html"].split("</style>")[1]
    assert "claimed successor of mert 1" in drawn[f"boards/{board.slug}/index.html"]
    (found,) = flags(two)
    assert "mert/2 it claims to succeed mert/1, and its weights are others" in found
    assert all(one.sound for one in verify(two))


def test_a_version_that_copies_the_hash_of_the_weights_displaces_no_more(make_entry: MakeEntry, entries: Path) -> None:
    make_entry("mert", "1", seed=1).save()
    make_entry("mert", "2", seed=2).save()
    (found,) = flags(entries)
    assert "says that its weights are the same" in found
    assert standing(versions(entries)).superseded == {}


def test_a_confirmed_successor_takes_the_place(two: Path) -> None:
    done = CliRunner().invoke(app, ["leaderboard", "confirm", str(two / "mert" / "2")])
    assert done.exit_code == 0, done.output
    assert "mert/2 takes the place of mert/1" in done.output
    found = standing(versions(two), read_successors(two))
    assert found.superseded == {"mert/1": "mert/2"}
    assert found.claims == {}
    assert flags(two) == []
    assert list(found.heads.values()) == ["mert/2"]
    with pytest.raises(UsageError, match="claims no succession"):
        confirm(two / "mert" / "2")


def test_what_was_confirmed_is_one_content(two: Path, make_entry: MakeEntry) -> None:
    confirm(two / "mert" / "2")
    make_entry("mert", "2", seed=7).save()
    with pytest.raises(CmbenchError, match="its manifest differs"):
        read_site(two, resamples=20)
    assert not verify(two)[-1].sound


@pytest.mark.parametrize("edge", [("mert/1", "mert/2"), ("mert/2", "gone/1"), ("other/1", "mert/1")])
def test_confirmations_that_cannot_be(two: Path, make_entry: MakeEntry, edge: tuple[str, str]) -> None:
    make_entry("other", seed=3).save()
    entry = two / edge[0]
    listed = {"entry": edge[0], "after": edge[1], "manifest_sha256": read_entry(entry).manifest_sha256}
    (two.parent / FILE).write_text(json.dumps({"schema_version": "1.0", "successors": [listed]}))
    with pytest.raises(CmbenchError, match=FILE):
        standing(versions(two), read_successors(two))
    assert [f.check for one in verify(two) for f in one.findings if f.severity == "error"] == ["successor"]


def test_a_withdrawn_successor_gives_the_place_back(two: Path) -> None:
    confirm(two / "mert" / "2")
    (two / "mert" / "2" / "withdrawal.json").write_text('{"withdrawn": "2026-01-01", "reason": "gone"}')
    found = standing(versions(two), read_successors(two))
    assert found.superseded == {}
    assert list(found.heads.values()) == ["mert/1"]


def test_names_and_versions_that_are_taken_are_not_submitted(two: Path, make_entry: MakeEntry) -> None:
    others = [read_entry(two / "mert" / version) for version in ("1", "2")]
    for name, version, said in (
        ("MERT", "9", "called the same"),
        ("mert", "0", "above it"),
        ("mert", "02", "above it"),
    ):
        with pytest.raises(UsageError, match=said):
            refuse_taken(others[0].submission.model_copy(update={"name": name, "version": version}), others)
    refuse_taken(others[0].submission.model_copy(update={"version": "3"}), others)


def test_a_pull_request_cannot_confirm_itself_nor_come_first(two: Path, make_entry: MakeEntry) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(["git", "-C", str(two.parent), *identity, *words], check=True, capture_output=True)

    git("init")
    git("add", "entries/mert/1")
    git("commit", "-m", "one")
    confirm(two / "mert" / "2")
    make_entry("mert", "0", seed=4).save()
    found = {
        f"{f.where}: {f.message}" for one in verify(two, base="HEAD") for f in one.findings if f.severity == "error"
    }
    assert any("mert/2: the entry and its confirmation came together" in one for one in found)
    assert any("mert/0: version 1 was there before" in one for one in found)
    (two.parent / FILE).unlink()
    git("add", "entries/mert/2")
    git("commit", "-m", "two")
    confirm(two / "mert" / "2")
    said = [f for one in verify(two, base="HEAD") for f in one.findings if "to be merged only" in f.message]
    assert [(f.severity, f.where) for f in said] == [("flag", "mert/2")]


def test_ours_are_confirmed() -> None:
    found = standing(versions(ENTRIES), read_successors(ENTRIES))
    assert found.claims == {}
    # A version under another protocol stands on another board, and displaces nothing.
    boards = {path: read_entry(path).submission.board.protocol for path in ENTRIES.glob("*/*")}
    before = {path: path.with_name(str(int(path.name) - 1)) for path in boards}
    displaced = {old for new, old in before.items() if boards.get(old) == boards[new]}
    assert set(found.superseded) == {f"{path.parent.name}/{path.name}" for path in displaced}
    assert len(displaced) == 17
