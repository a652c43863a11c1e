"""What is particular to Turkish-makam."""

from __future__ import annotations

from cmbench.tasks.turkish_makam import TASK


def test_every_family_of_the_tradition_is_there_and_the_leak_is_stated() -> None:
    assert [label for label in TASK.labels if TASK.families[label] == "makam"] == [
        "makam--Hicaz",
        "makam--Nihavent",
        "makam--Hüzzam",
        "makam--Kürdilihicazkar",
        "makam--Uşşak",
        "makam--Rast",
        "makam--Segah",
        "makam--Hüseyni",
    ]
    assert any("326" in note and "318" in note for note in TASK.notes)


def test_mean_labels_per_test_item_is_the_published_one() -> None:
    assert round(sum(TASK.test_support.values()) / TASK.counts["test"], 2) == 3.79
