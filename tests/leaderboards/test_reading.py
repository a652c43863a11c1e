"""Entries: read back whole, from every schema that was ever shipped; refused where parts contradict one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cmbench.benchmark.records.record import READ_VERSIONS
from cmbench.errors import CmbenchError
from cmbench.leaderboards.reading import entry_folders, iter_entries, read_entry
from cmbench.leaderboards.verification.rescoring import check_identities, check_scores, rankable_protocol

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry

SHIPPED = Path(__file__).with_name("shipped")


@pytest.mark.parametrize("schema", READ_VERSIONS)
def test_every_schema_that_was_shipped_is_read_and_scored(schema: str) -> None:
    entry = read_entry(SHIPPED / f"constant-schema-{schema}" / "1")
    (evidence,) = entry.evidence
    record = evidence.record
    assert record.schema_version == schema
    assert {layer.families is None for layer in record.layers} == {schema == "1.0"}
    assert [*check_identities(record), *check_scores(evidence, rankable_protocol(record))] == []


@pytest.mark.parametrize(("folder", "schema"), [("constant-schema-1.0", "1.0"), ("constant-submission-1.1", "1.1")])
def test_every_submission_that_was_shipped_is_read(folder: str, schema: str) -> None:
    entry = read_entry(SHIPPED / folder / "1")
    assert (entry.submission.schema_version, entry.submission.contaminated, entry.marks) == (schema, False, ())


def test_an_entry_is_read_whole(make_entry: MakeEntry) -> None:
    forged = make_entry()
    entry = read_entry(forged.save())
    assert (entry.key, entry.badge, entry.ranked) == ("honest/1", "rescored", True)
    assert entry.card_facts == {"license": "Apache-2.0"}
    assert entry.card == "# A model\n"
    assert [e.record.task.name for e in entry.evidence] == ["lyra"]
    assert entry.evidence[0].track_ids == tuple(forged.arrays["track_ids"])


def test_entries_are_found_two_levels_down(make_entry: MakeEntry, entries: Path) -> None:
    for name, version in (("b", "2"), ("b", "1"), ("a", "1")):
        make_entry(name, version).save()
    (entries / "README.md").write_text("What this folder is.")
    assert [entry.key for entry in iter_entries(entries)] == ["a/1", "b/1", "b/2"]


def test_an_odd_folder_is_named(make_entry: MakeEntry, entries: Path) -> None:
    (entries / "a b").mkdir()
    with pytest.raises(CmbenchError, match="'a b' is not the folder of an entry"):
        list(entry_folders(entries))
    with pytest.raises(CmbenchError, match="no such folder"):
        list(entry_folders(entries / "nowhere"))


@pytest.mark.parametrize(
    ("part", "value", "word"),
    [
        ("name", "other", "folders must say the same"),
        ("version", "2", "folders must say the same"),
        ("schema_version", "9.9", "schema_version"),
        ("tasks", ["lyra", "carnatic"], "the records are of"),
        ("tasks", [], "tasks"),
        ("model_fingerprint", "0" * 16, "fingerprint"),
        ("parameters", 95, "parameter count"),
        ("parameters", "0", "valid integer"),
        ("parameters", True, "valid integer"),
        ("contact", "  ", "contact"),
        ("contamination", "", "contamination"),
        ("submitted", "yesterday", "submitted"),
        ("further", 1, "not permitted"),
        ("board", {"edition": "custom"}, "board.edition"),
    ],
)
def test_a_submission_that_is_none(make_entry: MakeEntry, part: str, value: Any, word: str) -> None:
    forged = make_entry()
    forged.submission[part] = value
    with pytest.raises(CmbenchError, match=word):
        read_entry(forged.save())


@pytest.mark.parametrize("part", ["contact", "licence", "training_corpora", "contamination", "board"])
def test_nothing_may_be_missing(make_entry: MakeEntry, part: str) -> None:
    forged = make_entry()
    del forged.submission[part]
    with pytest.raises(CmbenchError, match=rf"required at '{part}'"):
        read_entry(forged.save())


def test_a_mini_record_on_the_board_of_real_data_is_refused(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.submission["board"]["edition"] = "full"
    with pytest.raises(CmbenchError, match="not those of the submission's board"):
        read_entry(forged.save())


def test_a_file_that_belongs_to_nothing(make_entry: MakeEntry) -> None:
    forged = make_entry()
    (forged.save() / "records" / "setup.py").write_text("raise SystemExit")
    with pytest.raises(CmbenchError, match="is not listed in its manifest"):
        read_entry(forged.path)
    forged.seal()
    with pytest.raises(CmbenchError, match="belongs to no record"):
        read_entry(forged.path)


@pytest.mark.parametrize("name", ["submission.json", "card.md", "manifest.json"])
def test_a_file_that_is_missing(make_entry: MakeEntry, name: str) -> None:
    forged = make_entry()
    (forged.save() / name).unlink()
    with pytest.raises(CmbenchError, match=name.split(".")[0]):
        read_entry(forged.path)


def test_too_large_an_entry(make_entry: MakeEntry) -> None:
    forged = make_entry()
    manifest = forged.save() / "manifest.json"
    content = json.loads(manifest.read_text())
    for facts in content["files"].values():
        facts["bytes"] = 31 * 2**20
    manifest.write_text(json.dumps(content))
    with pytest.raises(CmbenchError, match="32 MiB"):
        read_entry(forged.path)
