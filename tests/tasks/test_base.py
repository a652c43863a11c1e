"""The registry, the selection of tasks, and the checks on loaded tracks."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import UsageError
from cmbench.tasks import base
from cmbench.tasks.base import (
    SPLITS,
    TRADITIONS,
    Edition,
    LoadContext,
    Task,
    TaskData,
    Track,
    checked,
    get_task,
    registry,
    select_tasks,
)

OFFICIAL = {"carnatic", "fma_medium", "hindustani", "lyra", "magnatagatune", "turkish_makam"}


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


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_the_registry_has_the_six_tasks_under_their_names() -> None:
    tasks = registry()
    assert set(tasks) >= OFFICIAL
    assert all(name == task.name for name, task in tasks.items())
    assert {tasks[name].tradition for name in OFFICIAL} == set(TRADITIONS)


def test_listing_the_tasks_imports_neither_torch_nor_pandas_nor_scipy() -> None:
    code = (
        "import sys; from cmbench.tasks import registry; registry(); "
        "print(sorted({'torch', 'pandas', 'scipy', 'sklearn', 'soundfile', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_name_is_answered_with_the_closest_names() -> None:
    with pytest.raises(UsageError, match=r"no task named 'turkishmakam'\. Did you mean turkish_makam") as caught:
        get_task("turkishmakam")
    assert "cmbench tasks" in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=r"Did you mean lyra\?"):
        select_tasks("Lyra2")


def test_a_name_like_nothing_has_no_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        get_task("zzzzzzzz")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("lyra", ["lyra"]),
        ("lyra,carnatic", ["lyra", "carnatic"]),
        (" carnatic , lyra ,", ["carnatic", "lyra"]),
        (["carnatic", "lyra"], ["carnatic", "lyra"]),
        ("turkish", ["turkish_makam"]),
        ("lyra,greek,lyra", ["lyra"]),
    ],
)
def test_a_specification_selects_each_task_once_in_its_order(spec: str | list[str], names: list[str]) -> None:
    assert [task.name for task in select_tasks(spec)] == names


def test_all_and_a_tradition_select_every_task_of_theirs() -> None:
    assert {task.name for task in select_tasks("all")} >= OFFICIAL
    assert {task.name for task in select_tasks("western")} == {"fma_medium", "magnatagatune"}


def test_an_empty_specification_is_refused() -> None:
    with pytest.raises(UsageError, match="No task was named"):
        select_tasks(" , ")


def test_two_different_tasks_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"one": toy_task("one"), "two": toy_task("two")}
    monkeypatch.setattr(base, "get_task", lambda name: replace(tasks[name], name="same"))
    with pytest.raises(UsageError, match="Two different tasks are named 'same'"):
        select_tasks("one,two")


def distribution(folder: Path, value: str, source: str) -> None:
    """Install a distribution that consists of one module and one entry point."""
    (folder / "cmbench_guest.py").write_text(source, encoding="utf-8")
    info = folder / "cmbench_guest-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cmbench-guest\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[cmbench.tasks]\nguest = {value}\n", encoding="utf-8")


@pytest.fixture
def guest_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("cmbench_guest", None)


GUEST = (
    "from dataclasses import replace\n"
    "from cmbench.tasks import lyra\n"
    "GUEST = replace(lyra.TASK, name='guest', tradition='turkish')\n"
    "CLASH = lyra.TASK\n"
    "NOTHING = 3\n"
)


def test_a_task_of_another_distribution_is_found_by_its_entry_point(guest_folder: Path) -> None:
    distribution(guest_folder, "cmbench_guest:GUEST", GUEST)
    assert get_task("guest").name == "guest"
    assert [task.name for task in select_tasks("turkish")] == ["turkish_makam", "guest"]


@pytest.mark.parametrize(
    ("value", "message"),
    [("cmbench_guest:NOTHING", "gives int, not a Task"), ("cmbench_guest:CLASH", "names a task 'lyra', which exists")],
)
def test_a_wrong_entry_point_is_named(guest_folder: Path, value: str, message: str) -> None:
    distribution(guest_folder, value, GUEST)
    with pytest.raises(UsageError, match=message) as caught:
        registry()
    assert value in str(caught.value)


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
