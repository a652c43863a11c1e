"""The six label lists and counts against the published ones, and what the real editions share."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks.base import TRADITIONS, LoadContext, Task, Track
from cmbench.tasks.choice import get_task
from cmbench.tasks.fetching.published import (
    absent_lists,
    families_by_prefix,
    labels_among,
    read_lists,
    require_published_support,
    task_folder,
    unlabelled,
)
from cmbench.tasks.splits.names import SPLITS

Rows = Callable[[str], list[dict[str, str]]]
SIZES = {
    "turkish_makam": (30, {"instrument": 14, "usul": 8, "makam": 8}, (3709, 529, 1059), 150.0),
    "carnatic": (20, {"instrument": 6, "form": 6, "tala": 4, "raga": 4}, (1829, 261, 522), 330.0),
    "hindustani": (20, {"instrument": 8, "form": 5, "tala": 4, "raga": 3}, (844, 120, 240), 780.0),
    "lyra": (30, {"instrument": 15, "genre": 9, "place": 6}, (1116, 124, 330), None),
    "fma_medium": (20, {"genre": 20}, (17486, 2498, 4996), None),
    "magnatagatune": (50, {"tag": 50}, (15244, 1529, 4332), None),
}
NAMES = sorted(SIZES)
SAME_LABELS_LATER = ("turkish_makam", "carnatic", "lyra", "fma_medium", "magnatagatune")


@pytest.mark.parametrize("name", NAMES)
def test_a_task_has_the_published_labels_in_order_with_their_supports(name: str, published_rows: Rows) -> None:
    rows = published_rows(f"{name}/labels.tsv")
    task = get_task(name)
    assert [int(row["index"]) for row in rows] == list(range(len(rows)))
    assert list(task.labels) == [row["label"] for row in rows]
    assert dict(task.test_support) == {row["label"]: int(row["test_support_ccml"]) for row in rows}


@pytest.mark.parametrize("name", NAMES)
def test_a_task_has_the_published_sizes_and_families(name: str) -> None:
    labels, families, counts, cap = SIZES[name]
    task = get_task(name)
    assert len(task.labels) == labels
    assert len(set(task.labels)) == labels
    assert list(task.families) == list(task.labels)
    found = list(task.families.values())
    assert {family: found.count(family) for family in set(found)} == families
    assert tuple(task.counts[split] for split in SPLITS) == counts
    assert task.max_track_seconds == cap
    assert task.editions["full"].labels == task.labels


@pytest.mark.parametrize("name", NAMES)
def test_a_task_says_what_a_reader_must_know(name: str) -> None:
    task = get_task(name)
    assert task.tradition in TRADITIONS
    assert all(unicodedata.is_normalized("NFC", label) for label in task.labels)
    assert "ISMIR 2023" in task.citation
    assert task.access.count(". ") == 1
    assert task.licence
    assert task.description
    assert task.title
    assert all(note.endswith(".") for note in task.notes)


@pytest.mark.parametrize("name", NAMES)
def test_the_mini_edition_has_some_of_the_labels_in_the_same_order(name: str) -> None:
    task = get_task(name)
    mini = task.editions["mini"].labels
    assert mini
    assert [label for label in task.labels if label in mini] == list(mini)


@pytest.mark.parametrize("name", SAME_LABELS_LATER)
def test_the_later_label_lists_of_the_same_authors_agree(name: str, published: Path) -> None:
    later = json.loads((published / name / "lc_protonets_labels.json").read_text(encoding="utf-8"))
    assert later["train"] == list(get_task(name).labels)


def test_hindustani_keeps_bansuri_where_the_later_list_has_sarod(published: Path) -> None:
    later = json.loads((published / "hindustani" / "lc_protonets_labels.json").read_text(encoding="utf-8"))["train"]
    task = get_task("hindustani")
    assert task.labels[16] == "instrument--Bansuri"
    assert set(later) - set(task.labels) == {"instrument--Sarod"}
    assert set(task.labels) - set(later) == {"instrument--Bansuri"}
    assert any("Bansuri" in note and "Sarod" in note for note in task.notes)


@pytest.mark.parametrize("name", ["turkish_makam", "carnatic", "hindustani"])
def test_the_published_id_lists_have_the_counts_and_read_alike_as_arrays_and_text(
    name: str, published: Path, tmp_path: Path
) -> None:
    split = tmp_path / "split"
    split.mkdir()
    for part in SPLITS:
        (split / f"{part}.npy").write_bytes((published / name / f"ccml_{part}.npy").read_bytes())
    lists = read_lists(tmp_path)
    for part in SPLITS:
        (split / f"{part}.npy").unlink()
        (split / f"{part}.txt").write_bytes((published / name / f"{part}.txt").read_bytes())
    assert read_lists(tmp_path) == lists
    assert {part: len(ids) for part, ids in lists.items()} == dict(get_task(name).counts)
    assert len({i for ids in lists.values() for i in ids}) == sum(get_task(name).counts.values())


@pytest.mark.parametrize("name", NAMES)
def test_without_a_data_root_one_thing_is_missing_and_how_to_name_one_is_said(name: str, tmp_path: Path) -> None:
    context = LoadContext(data_root=None, cache_root=tmp_path)
    with pytest.raises(MissingError) as caught:
        get_task(name).load("full", context)
    (missing,) = caught.value.missing
    assert missing.where == "no data root: give --data-root DIR or set CMBENCH_DATA"
    assert name in missing.what
    assert str(sum(get_task(name).counts.values())) in missing.what
    assert missing.source.startswith("https://")
    assert missing.licence == get_task(name).licence
    assert f"DIR/{name}" in missing.command


MISSING_AT_FIRST = {
    "turkish_makam": ("split lists", "labels", "audio"),
    "carnatic": ("split lists", "labels", "audio"),
    "hindustani": ("split lists", "labels", "audio"),
    "lyra": ("training.tsv", "test.tsv", "audio"),
    "fma_medium": ("split lists", "labels", "audio"),
    "magnatagatune": ("annotations_final.csv", "audio"),
}


@pytest.mark.parametrize("name", NAMES)
def test_in_an_empty_data_root_everything_missing_is_named_at_once(name: str, context: LoadContext) -> None:
    with pytest.raises(MissingError) as caught:
        get_task(name).load("full", context)
    missing = caught.value.missing
    assert len(missing) == len(MISSING_AT_FIRST[name])
    for expected, found in zip(MISSING_AT_FIRST[name], missing, strict=True):
        assert expected in found.what
        assert str(context.data_root) in found.where
        assert found.source
        assert found.licence
        assert found.command


def toy() -> Task:
    return replace(
        get_task("lyra"),
        labels=("b", "a"),
        families={},
        test_support={"b": 2, "a": 0},
        counts={"test": 2},
        access="A. B.",
    )


def test_the_task_folder_is_named_after_the_task(context: LoadContext) -> None:
    assert context.data_root is not None
    assert task_folder(get_task("lyra"), context, "x") == context.data_root / "lyra"


def test_the_absent_lists_are_named(tmp_path: Path) -> None:
    (tmp_path / "split").mkdir()
    np.save(tmp_path / "split" / "valid.npy", np.array(["a"]))
    (missing,) = absent_lists(get_task("carnatic"), tmp_path, "there")
    assert missing.what == "split lists of carnatic (train, test)"
    assert "train.npy, test.npy" in missing.command
    with pytest.raises(MissingError, match="split list train"):
        read_lists(tmp_path)
    for name in ("train", "test"):
        (tmp_path / "split" / f"{name}.txt").write_text(f"{name}\n", encoding="utf-8")
    assert absent_lists(get_task("carnatic"), tmp_path, "there") == []
    assert read_lists(tmp_path) == {"train": ("train",), "valid": ("a",), "test": ("test",)}


def test_listed_tracks_without_labels_are_counted_and_sampled(tmp_path: Path) -> None:
    lists = {"train": ("a", "b", "c"), "valid": ("d",), "test": ("e", "f")}
    (missing,) = unlabelled(toy(), lists, {"b"}, tmp_path / "m.tsv")
    assert missing.what == "labels of lyra (5 of 6 listed tracks have no row: a, c, d, …)"
    (missing,) = unlabelled(toy(), lists, {"a", "b", "c", "d", "e"}, tmp_path / "m.tsv")
    assert missing.what == "labels of lyra (1 of 6 listed tracks have no row: f)"
    assert unlabelled(toy(), lists, set("abcdef"), tmp_path / "m.tsv") == []


def test_labels_are_put_into_the_published_order_and_other_tags_left_out() -> None:
    assert labels_among(toy(), {"a", "zz", "b"}) == ("b", "a")
    assert families_by_prefix(("genres--x", "place--y--z"), {"genres": "genre"}) == {
        "genres--x": "genre",
        "place--y--z": "place",
    }


def test_labels_that_contradict_the_published_counts_are_refused() -> None:
    def splits(*labels: tuple[str, ...]) -> dict[str, list[Track]]:
        return {"test": [Track(str(i), Path("x"), names) for i, names in enumerate(labels)]}

    right = splits(("b",), ("b",))
    assert require_published_support(toy(), right) is right
    with pytest.raises(
        UsageError, match=r"2 labels occur a different number of times \(b: 1, published 2; a: 1, publi"
    ):
        require_published_support(toy(), splits(("b",), ("a",)))
    partial = splits(("a",))
    assert require_published_support(toy(), partial) is partial
