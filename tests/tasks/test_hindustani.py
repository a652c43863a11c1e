"""What is particular to Hindustani."""

from __future__ import annotations

from collections.abc import Callable

from cmbench.tasks.hindustani import TASK

Rows = Callable[[str], list[dict[str, str]]]


def test_mean_labels_per_test_item_is_the_published_one() -> None:
    assert round(sum(TASK.test_support.values()) / TASK.counts["test"], 2) == 3.54


def test_the_open_part_is_as_stated(published_rows: Rows) -> None:
    rows = [row for row in published_rows("hindustani/saraga_labels.tsv") if row["ccml_split"]]
    by_split = [sum(row["ccml_split"] == name for row in rows) for name in ("train", "valid", "test")]
    assert by_split == [75, 7, 26]
    found = {tag for row in rows for tag in row["benchmark_tags"].split("|")}
    never = set(TASK.labels) - found
    assert never == {
        "instrument--Sitar",
        "form--Dhrupad",
        "instrument--Tambura",
        "instrument--Pakhavaj",
        "instrument--Bansuri",
    }


def test_the_rare_labels_are_counted_in_the_notes() -> None:
    rare = [label for label, support in TASK.test_support.items() if support < 9]
    assert len(rare) == 6
    assert TASK.test_support["instrument--Bansuri"] == 2
    assert any(note.startswith("Six labels have fewer than 9") for note in TASK.notes)
