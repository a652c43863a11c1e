from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.benchmark.records.answers import answers_csv, answers_path, write_answers
from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.tasks.base import LoadContext, Task, TaskData

MakeTask = Callable[..., Task]


@pytest.fixture
def data(make_task: MakeTask, tmp_path: Path) -> TaskData:
    """Two test tracks of three labels in two families."""
    task = make_task(sizes=(2, 2, 2), seconds=0.1)
    labels = ("raga--a", "raga--b", "tala--x")
    loaded = task.load("custom", LoadContext(None, tmp_path))
    test = tuple(
        replace(
            t,
            labels=("raga--b", "tala--x") if i else (),
            start=float(i),
            end=2.5 if i else None,
            group="album" if i else None,
        )
        for i, t in enumerate(loaded.splits["test"])
    )
    families = {label: label.split("--")[0] for label in labels}
    return replace(
        loaded,
        task=replace(task, labels=labels, families=families),
        labels=labels,
        splits={**loaded.splits, "test": test},
    )


def arrays(data: TaskData) -> dict[str, Any]:
    return {
        "track_ids": np.array([t.id for t in data.splits["test"]]),
        "groups": np.array(["", ""]),
        "labels": np.array(data.labels),
        "targets": data.label_matrix("test"),
        "probabilities": np.array(
            [[[0.1, 0.2, 0.3], [0.9, 0.3, 0.5]], [[0.1, 0.4, 0.3], [0.7, 0.5, 0.7]]], dtype=np.float32
        ),
    }


def test_a_row_for_each_recording(data: TaskData) -> None:
    rows = list(csv.DictReader(io.StringIO(answers_csv("mfcc", data, arrays(data)))))
    assert [row["file"] for row in rows] == [str(t.path) for t in data.splits["test"]]
    nothing, both = rows
    assert (nothing["truth"], nothing["probability"], nothing["rank"]) == ("", "", "")
    # Means over seeds are 0.8, 0.4 and 0.6: raga--b is third of all labels, and second of the ragas.
    assert both["truth"] == "raga--b|tala--x"
    assert both["probability"] == "0.4000|0.6000"
    assert both["rank"] == "3|2"
    assert both["rank_in_family"] == "2|1"
    assert both["likeliest"] == "raga--a|tala--x"
    assert (both["raga--a"], both["start"], both["edition"], both["model"]) == ("0.8000", "1", "custom", "mfcc")
    assert [(row["end"], row["group"]) for row in rows] == [("", ""), ("2.5", "album")]


def test_they_lie_beside_the_record_and_are_not_written_twice(data: TaskData, tmp_path: Path) -> None:
    record = tmp_path / "t.custom.own.cmbench-1.json"
    record.with_suffix(".npz").write_bytes(predictions_bytes(**arrays(data)))
    write_answers(record, "mfcc", data)
    path = tmp_path / "t.custom.own.cmbench-1.predictions.csv"
    assert answers_path(record) == path
    assert path.read_bytes() == b"\xef\xbb\xbf" + answers_csv("mfcc", data, arrays(data)).encode()
    assert b"\r" not in path.read_bytes()
    path.write_text("mine")
    write_answers(record, "mfcc", data, again=False)
    assert path.read_text() == "mine"
    (tmp_path / "a.wav").touch()
    path.write_text(f"file\n{tmp_path / 'a.wav'}\n")
    write_answers(record, "mfcc", data, again=False)
    assert path.read_text() == f"file\n{tmp_path / 'a.wav'}\n"
    (tmp_path / "a.wav").unlink()
    write_answers(record, "mfcc", data, again=False)
    assert path.read_bytes() == b"\xef\xbb\xbf" + answers_csv("mfcc", data, arrays(data)).encode()
    assert b"\r" not in path.read_bytes()
    path.write_text("mine")
    write_answers(record, "mfcc", data)
    assert path.read_text() != "mine"


def test_equal_labels_share_the_better_place(data: TaskData) -> None:
    same = arrays(data) | {"probabilities": np.full((1, 2, 3), 0.5, dtype=np.float32)}
    row = list(csv.DictReader(io.StringIO(answers_csv("mfcc", data, same))))[1]
    assert (row["rank"], row["rank_in_family"], row["likeliest"]) == ("1|1", "1|1", "raga--a|tala--x")
