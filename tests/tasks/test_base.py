"""The checks on loaded tracks, the label matrix and the hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import UsageError
from cmbench.tasks.base import Edition, LoadContext, Task, TaskData, Track, checked
from cmbench.tasks.splits.names import SPLITS


def toy_splits() -> dict[str, Sequence[Track]]:
    return {
        "train": (Track("a", Path("a.wav"), ("x",), group="g"), Track("b", Path("b.wav"), ())),
        "valid": (Track("c", Path("c.wav"), ("y", "x")),),
        "test": (Track("d", Path("d.wav"), ("y",), start=1.0, end=2.5),),
    }


def toy_task(name: str = "toy", splits: Mapping[str, Sequence[Track]] | None = None) -> Task:
    tracks = toy_splits() if splits is None else splits
    return Task(
        name=name,
        title="Toy",
        tradition="greek",
        description="A toy.",
        labels=("x", "y"),
        families={"x": "tag", "y": "tag"},
        licence="CC0",
        citation="none",
        access="Nothing. To get.",
        editions={"full": Edition("full", ("x", "y"), lambda task, context: tracks)},
    )


def toy_data(**changed: Sequence[Track]) -> TaskData:
    splits = {name: tuple(tracks) for name, tracks in {**toy_splits(), **changed}.items()}
    return TaskData(task=toy_task(), edition="full", labels=("x", "y"), splits=splits, split_name="official")


def test_a_task_of_single_labels_has_one_at_each_track(context: LoadContext) -> None:
    splits = {s: [replace(t, labels=("x",)) for t in tracks] for s, tracks in toy_splits().items()}
    single = replace(toy_task(splits=splits), single_label=True)
    assert single.load("full", context).task.single_label
    for labels, count in ((("x", "y"), 2), ((), 0)):
        wrong = {**splits, "valid": [replace(splits["valid"][0], labels=labels), *splits["valid"][1:]]}
        with pytest.raises(UsageError, match=f"has {count} labels; each track of this task has exactly one"):
            replace(toy_task(splits=wrong), single_label=True).load("full", context)


def test_a_split_that_we_drew_is_not_called_official() -> None:
    edition = toy_task().editions["full"]
    assert edition.split_names == ("official", "group-safe", "work-safe", "performer-safe")
    assert replace(edition, drawn=True).split_name == "own"


def test_an_edition_that_a_task_lacks_is_refused(context: LoadContext) -> None:
    with pytest.raises(UsageError, match=r"no edition 'tiny'; it has full"):
        toy_task().load("tiny", context)


def test_loading_checks_the_tracks(context: LoadContext) -> None:
    data = toy_task().load("full", context)
    assert {name: len(data.splits[name]) for name in SPLITS} == {"train": 2, "valid": 1, "test": 1}
    with pytest.raises(UsageError, match="split 'valid' has no tracks"):
        toy_task(splits={**toy_splits(), "valid": ()}).load("full", context)


@pytest.mark.parametrize("name", SPLITS)
def test_an_absent_or_empty_split_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"split '{name}' has no tracks"):
        checked(toy_data(**{name: ()}))
    data = toy_data()
    without = {key: tracks for key, tracks in data.splits.items() if key != name}
    with pytest.raises(UsageError, match=f"split '{name}' has no tracks"):
        checked(replace(data, splits=without))


def test_an_id_may_occur_once_only_whatever_the_split() -> None:
    with pytest.raises(UsageError, match=r"'a' occurs twice \(in train and in test\)"):
        checked(toy_data(test=[Track("a", Path("a.wav"), ())]))
    with pytest.raises(UsageError, match=r"'z' occurs twice \(in valid and in valid\)"):
        checked(toy_data(valid=[Track("z", Path("a.wav"), ()), Track("z", Path("b.wav"), ())]))


def test_a_label_that_the_edition_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="track 'q' has the label 'zz'"):
        checked(toy_data(test=[Track("q", Path("q.wav"), ("x", "zz"))]))


def test_the_label_matrix_has_a_column_per_label_and_a_row_per_track() -> None:
    data = toy_data()
    assert data.label_matrix("train").tolist() == [[True, False], [False, False]]
    assert data.label_matrix("valid").tolist() == [[True, True]]
    assert data.label_matrix("test").dtype == np.bool_


def test_the_label_hash_is_of_the_ordered_labels() -> None:
    data = toy_data()
    assert data.label_sha256 == hashlib.sha256(b"x\ny").hexdigest()
    assert replace(data, labels=("y", "x")).label_sha256 != data.label_sha256


CHANGES: dict[str, Track] = {
    "id": Track("e", Path("d.wav"), ("y",), start=1.0, end=2.5),
    "labels": Track("d", Path("d.wav"), ("x",), start=1.0, end=2.5),
    "group": Track("d", Path("d.wav"), ("y",), group="g", start=1.0, end=2.5),
    "start": Track("d", Path("d.wav"), ("y",), start=1.5, end=2.5),
    "end": Track("d", Path("d.wav"), ("y",), start=1.0),
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_split_hash_changes_with_what_decides_a_score(what: str) -> None:
    assert toy_data(test=[CHANGES[what]]).split_sha256 != toy_data().split_sha256


def test_the_split_hash_knows_order_and_split_but_neither_place_nor_spelling_of_the_audio() -> None:
    data = toy_data()
    train = data.splits["train"]
    assert toy_data(train=train[::-1]).split_sha256 != data.split_sha256
    swapped = toy_data(valid=data.splits["test"], test=data.splits["valid"])
    assert swapped.split_sha256 != data.split_sha256
    elsewhere = [replace(track, path=Path("/else") / track.path) for track in train]
    assert toy_data(train=elsewhere).split_sha256 == data.split_sha256
    reordered = [replace(data.splits["valid"][0], labels=("x", "y"))]
    assert toy_data(valid=reordered).split_sha256 == data.split_sha256


def test_what_is_not_known_has_a_matrix_and_a_hash_of_its_own() -> None:
    data = toy_data()
    assert data.known_matrix("train") is None
    assert data.unknown_sha256 == ""
    label = data.labels[-1]
    asked = next(t for t in data.splits["train"] if label not in t.labels)
    some = tuple(replace(t, unknown=(label,)) if t.id == asked.id else t for t in data.splits["train"])
    marked = checked(replace(data, splits={**data.splits, "train": some}))
    known = marked.known_matrix("train")
    assert known is not None
    assert np.argwhere(~known).tolist() == [[[t.id for t in some].index(asked.id), len(data.labels) - 1]]
    assert marked.known_matrix("test") is None
    assert not marked.label_matrix("train")[~known].any()
    assert marked.split_sha256 == data.split_sha256, "entries under older protocols verify as they did"
    assert len(marked.unknown_sha256) == 64
    assert marked.read_as("masked") is marked
    assert marked.read_as("negative") == data
    with pytest.raises(UsageError, match="'negative' or 'masked', not 'positive'"):
        data.read_as("positive")


@pytest.mark.parametrize(
    ("labels", "unknown", "words"),
    [
        (("x",), ("x",), "has the label .x., and not known"),
        ((), ("nobody",), "has the label .nobody., which is not among"),
    ],
)
def test_a_label_is_known_or_not(labels: tuple[str, ...], unknown: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        checked(toy_data(test=(Track("q", Path("q.wav"), labels, unknown=unknown),)))
