"""History: entries are added, never changed and never removed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cmbench.errors import UsageError
from cmbench.leaderboards.verification.history import check_history
from cmbench.leaderboards.verification.reproduce import reproduce, signing_commands, withdraw
from cmbench.leaderboards.verification.verify import verify

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def base(make_entry: MakeEntry, entries: Path) -> Path:
    """One entry, committed; returns its folder."""
    path = make_entry().save()
    git(entries.parent, "init")
    git(entries.parent, "add", "-A")
    git(entries.parent, "commit", "-m", "one")
    return path


def problems(place: Path) -> list[str]:
    return [f"{f.severity}: {f.where} {f.message}" for f in check_history(place, "HEAD")]


def test_nothing_changed_and_something_added(base: Path, make_entry: MakeEntry, entries: Path) -> None:
    assert problems(entries) == []
    make_entry("further", seed=1).save()
    make_entry("honest", "2", seed=2).save()
    assert problems(entries) == []
    assert problems(base) == []


def test_a_changed_file_is_refused(base: Path, make_entry: MakeEntry, entries: Path) -> None:
    forged = make_entry(seed=5)
    forged.save()
    found = problems(entries)
    assert len(found) == 1
    assert found[0].startswith("error: honest/1 manifest.json was changed and 2 more files")
    assert not verify(entries, base="HEAD")[0].sound
    assert verify(entries)[0].sound


def test_a_removed_entry_is_refused(base: Path, entries: Path) -> None:
    shutil.rmtree(base)
    assert [f.split(" since")[0] for f in problems(entries)] == [
        "error: honest/1 card.md was removed and 4 more files changed or removed"
    ]
    found = verify(entries, base="HEAD")
    assert [one.sound for one in found] == [False]


def test_a_link_in_the_place_of_a_file_is_refused(base: Path, entries: Path, tmp_path: Path) -> None:
    moved = tmp_path / "card.md"
    shutil.move(base / "card.md", moved)
    (base / "card.md").symlink_to(moved)
    assert any("card.md was removed" in f for f in problems(entries))


def test_a_link_in_the_place_of_all_entries_is_refused(base: Path, entries: Path) -> None:
    shutil.move(entries, entries.parent / "moved")
    entries.symlink_to(entries.parent / "moved")
    with pytest.raises(UsageError, match="is a link"):
        problems(entries)


def test_a_withdrawal_may_be_added_and_not_taken_back(base: Path, entries: Path) -> None:
    withdraw(base, "Test tracks in the mix.")
    assert [f.split(" since")[0] for f in problems(entries)] == ["flag: honest/1 a withdrawal was added"]
    assert verify(entries, base="HEAD")[0].sound
    git(entries.parent, "add", "-A")
    git(entries.parent, "commit", "-m", "two")
    (base / "withdrawal.json").unlink()
    assert any("withdrawal.json was removed" in f for f in problems(entries))


def test_a_reproduction_asks_for_a_maintainer(base: Path, make_entry: MakeEntry, entries: Path, tmp_path: Path) -> None:
    own = make_entry()
    own.record["environment"]["created"] = "2025-02-02T03:04:05+00:00"
    reproduce(base, [own.run(tmp_path / "own")], "A. Maintainer")
    assert [f.split()[0] for f in problems(entries)] == ["flag:"]
    assert signing_commands(base, "A. Maintainer")[1] == "git commit -S -m 'Reproduce honest/1: A. Maintainer'"


@pytest.mark.parametrize("revision", ["nonsense", "--output=x", "HEAD:entries"])
def test_a_base_that_is_no_revision(base: Path, entries: Path, revision: str) -> None:
    with pytest.raises(UsageError, match="git rev-parse"):
        list(check_history(entries, revision))


def test_a_folder_without_git(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    with pytest.raises(UsageError, match="in no git checkout"):
        list(check_history(tmp_path / "alone", "HEAD"))
