"""Records in folders: what does not exist is named, and models stand as they were evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmbench.benchmark.frames import load_records
from cmbench.benchmark.records.folder import by_evaluation, iter_records
from cmbench.benchmark.records.record import Record, write_record
from cmbench.errors import UsageError

Build = Callable[..., Record]


def at(record: Record, minute: int) -> Record:
    moment = record.environment.model_copy(update={"created": f"2026-11-23T10:{minute:02}:00+00:00"})
    return record.model_copy(update={"environment": moment})


def written(folder: Path, build: Build, minutes: dict[str, list[int]]) -> Path:
    """Write records of some models on lyra, carnatic … that were made at the given minutes."""
    for model, moments in minutes.items():
        for task, minute in zip(("lyra", "carnatic"), moments, strict=False):
            write_record(at(build(model, task), minute), folder)
    return folder


def names(*places: Path) -> list[str]:
    return list(dict.fromkeys(record.model.name for record in iter_records(*places)))


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        list(iter_records(tmp_path / "nowhere"))


def test_models_of_a_folder_stand_in_the_order_of_their_evaluation(tmp_path: Path, build_record: Build) -> None:
    folder = written(tmp_path, build_record, {"a": [5, 6], "b": [3, 9], "c": [4, 4]})
    assert names(folder) == ["b", "c", "a"]
    assert [r.task.name for r in iter_records(folder)] == ["carnatic", "lyra"] * 3
    assert list(load_records(folder)["model"].drop_duplicates()) == ["b", "c", "a"]


def test_places_that_are_named_stand_as_they_are_named(tmp_path: Path, build_record: Build) -> None:
    folder = written(tmp_path, build_record, {"a": [1], "b": [2], "c": [3]})
    assert names(folder / "c", folder / "a", folder / "b") == ["c", "a", "b"]


def test_a_cell_that_is_computed_again_moves_no_model(tmp_path: Path, build_record: Build) -> None:
    folder = written(tmp_path, build_record, {"a": [1, 30], "b": [2, 2]})
    assert names(folder) == ["a", "b"]


def test_models_of_the_same_second_stay_as_they_are(build_record: Build) -> None:
    found: list[Any] = [at(build_record(model, "lyra"), 0) for model in ("z", "y", "x")]
    assert by_evaluation(found, lambda record: record) == found
