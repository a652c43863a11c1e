"""The rule of the published label lists: it gives the published lists where their tags are public."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.tasks.choice import get_task
from cmbench.tasks.dunya.label_rule import compare_labels, tag_counts, top_labels
from cmbench.tasks.fetching.tables import cell_values
from cmbench.tasks.splits.names import SPLITS

Rows = Callable[[str], list[dict[str, str]]]


def test_ties_are_alphabetical() -> None:
    assert top_labels({"b": 2, "ç": 2, "a": 2, "z": 5, "c": 1}, 4) == ("z", "a", "b", "ç")
    assert top_labels({"b": 2}, 3) == ("b",)
    assert top_labels({}, 3) == ()


@given(st.dictionaries(st.text("abç-", min_size=1, max_size=3), st.integers(1, 4), max_size=12), st.integers(0, 12))
def test_a_shorter_list_begins_a_longer_one(counts: dict[str, int], number: int) -> None:
    whole = top_labels(counts, len(counts))
    assert top_labels(counts, number) == whole[:number]
    assert list(whole) == sorted(counts, key=lambda tag: (-counts[tag], tag))


def test_a_tag_counts_once_in_a_track_and_not_at_all_where_it_is_unknown() -> None:
    assert tag_counts({"1": ["a", "a", "b"], "2": ["a"], "3": []}, ["1", "3", "unknown"]) == Counter(a=1, b=1)


def test_planted_differences_are_found() -> None:
    tags = {
        "t1": ("x", "y", "new"),
        "t2": ("x", "y", "new"),
        "t3": ("y", "last", "also"),
        "e1": ("x", "gone"),
        "e2": ("y",),
    }
    published = {"x": 1, "y": 1, "gone": 2, "last": 0}
    found = compare_labels(tags, ["t1", "t2", "t3", "t4"], ["e1", "e2"], published)
    assert found.found == ("y", "new", "x", "also")
    assert found.appear == ("new", "also")
    assert found.disappear == ("gone", "last")
    assert found.moved == ("x", "y")
    assert found.tied == ("last",)
    assert found.supports == {"gone": (1, 2)}
    assert (found.train, found.test, found.complete) == ((3, 4), (2, 2), False)
    assert found.sentences() == (
        "labels by the published rule from 3 of 4 training recordings: 2 of the 4 published ones",
        "  appear: new, also",
        "  disappear: gone, last",
        "  stand elsewhere: x, y",
        "  as frequent as the last of them: last",
        "  other numbers in 2 of 2 test recordings: gone 1 (published 2)",
    )
    assert found.sentences(most=1)[1] == "  appear: new and 1 more"
    assert found.as_json()["test_support"] == {"gone": {"found": 1, "published": 2}}


def test_the_same_list_has_nothing_to_tell() -> None:
    found = compare_labels({"1": ("a", "b"), "2": ("a",)}, ["1", "2"], ["1"], {"a": 1, "b": 1})
    assert found.complete
    assert found.sentences() == (
        "labels by the published rule from 2 of 2 training recordings: 2 of the 2 published ones",
    )


def test_no_known_tags_at_all() -> None:
    found = compare_labels({}, ["1"], ["2"], {"a": 0, "b": 3})
    assert (found.found, found.disappear, found.tied, found.supports) == ((), ("a", "b"), (), {"b": (0, 3)})


def in_splits(rows: list[dict[str, str]], tags: Mapping[str, Collection[str]], column: str) -> dict[str, list[str]]:
    """Ids of the rows by split."""
    return {name: [i for i, row in zip(tags, rows, strict=True) if row[column] == name] for name in SPLITS}


def test_the_genres_of_fma_give_the_published_list(published_rows: Rows) -> None:
    rows = published_rows("fma_medium/fma_ccml.tsv.gz")
    tags = {row["track_id"]: cell_values(row["genres"]) for row in rows}
    ids = in_splits(rows, tags, "split")
    found = compare_labels(tags, ids["train"], ids["test"], get_task("fma_medium").test_support)
    assert found.complete
    assert found.found == found.published
    assert found.supports == {}


def test_the_tags_of_lyra_give_the_published_list(published_rows: Rows) -> None:
    tags: dict[str, set[str]] = {}
    ids = {}
    for part in ("training", "test"):
        rows = published_rows(f"lyra/{part}.tsv")
        ids[part] = [row["id"] for row in rows]
        for row in rows:
            tags[row["id"]] = {
                f"{column}--{value}"
                for column in ("instruments", "genres", "place")
                for value in row[column].split("|")
            }
    found = compare_labels(tags, ids["training"], ids["test"], get_task("lyra").test_support)
    assert found.found == found.published
    assert found.supports == {}


@pytest.mark.parametrize(
    ("name", "known", "never"),
    [
        ("carnatic", (176, 46), {"form--Alapana", "instrument--Morsing"}),
        ("hindustani", (75, 26), {"instrument--Sitar", "form--Dhrupad", "instrument--Tambura"}),
    ],
)
def test_a_part_of_a_collection_gives_another_list_and_that_shows(
    published_rows: Rows, name: str, known: tuple[int, int], never: set[str]
) -> None:
    rows = published_rows(f"{name}/saraga_labels.tsv")
    tags = {row["mbid"]: cell_values(row["all_tags"]) for row in rows}
    ids = in_splits(rows, tags, "ccml_split")
    task = get_task(name)
    found = compare_labels(tags, ids["train"], ids["test"], task.test_support)
    assert (found.train[0], found.test[0]) == known
    assert never <= set(found.disappear)
    assert len(found.appear) == len(found.disappear)
    assert found.found[0] == task.labels[0]
