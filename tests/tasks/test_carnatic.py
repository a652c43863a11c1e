"""What is particular to Carnatic."""

from __future__ import annotations

from collections.abc import Callable

from cmbench.tasks.carnatic import TASK

Rows = Callable[[str], list[dict[str, str]]]


def test_mean_labels_per_test_item_is_the_published_one() -> None:
    assert round(sum(TASK.test_support.values()) / TASK.counts["test"], 2) == 4.69


def test_the_open_part_is_as_stated(published_rows: Rows) -> None:
    rows = [row for row in published_rows("carnatic/saraga_labels.tsv") if row["ccml_split"]]
    by_split = [sum(row["ccml_split"] == name for row in rows) for name in ("train", "valid", "test")]
    assert by_split == [176, 27, 46]
    (note,) = [note for note in TASK.notes if "Saraga" in note]
    assert "(176 train, 27 valid, 46 test)" in note
    found = {tag for row in rows for tag in row["benchmark_tags"].split("|")}
    assert set(TASK.labels) - found == {"form--Alapana", "instrument--Morsing"}


def test_the_leak_is_stated() -> None:
    assert any("leaks concerts: all 46" in note for note in TASK.notes)
