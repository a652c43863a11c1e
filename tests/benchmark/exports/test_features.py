from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.baselines.base import LoadOptions
from cmbench.benchmark.exports.features import FeatureTable, features_bytes, file_name, stored_features
from cmbench.benchmark.models import Encoders
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.protocol import get_protocol
from cmbench.errors import UsageError
from cmbench.tasks.base import LoadContext, Task, Track

MakeTask = Callable[..., Task]


@pytest.fixture
def make(make_task: MakeTask, encoder: Any, tmp_path: Path) -> Callable[..., FeatureTable]:
    """Features of tones of 2.5 s and more in windows of 1 s; one of the tracks is not there."""

    def table(by_track: bool) -> FeatureTable:
        gone = Track("gone", tmp_path / "gone.wav", ())
        task = make_task(sizes=(4, 2, 2), seconds=2.5, extra=[gone])
        data = task.load("custom", LoadContext(None, tmp_path))
        encoders = Encoders(LoadOptions("cpu"))
        windowing = replace(get_protocol("cmbench-1").windowing, seconds=1.0, hop_seconds=1.0, min_tail_seconds=0.1)
        return stored_features(encoders, encoders.add(encoder), data, windowing, 1, Observer(), by_track=by_track)

    return table


def test_a_row_for_each_window_and_its_seconds(make: Callable[..., FeatureTable]) -> None:
    found = make(by_track=False)
    ids = found.columns["id"].tolist()
    assert "gone" not in ids
    assert len(ids) == len(found.features) == 3 * 8
    first = [i for i, name in enumerate(ids) if name == "train-00"]
    assert found.columns["window"][first].tolist() == [0, 1, 2]
    assert found.columns["start"][first].tolist() == [0.0, 1.0, 1.5]
    assert found.columns["end"][first].tolist() == [1.0, 2.0, 2.5]
    assert found.columns["labels"][0].count("|") == 1


def test_a_track_is_the_mean_of_its_windows(make: Callable[..., FeatureTable]) -> None:
    windows, tracks = make(by_track=False), make(by_track=True)
    assert tracks.columns["window"].tolist() == [-1] * 8
    for row, name in enumerate(tracks.columns["id"]):
        mine = windows.features[windows.columns["id"] == name].astype(np.float64)
        np.testing.assert_array_equal(tracks.features[row], mine.mean(axis=0).astype(np.float16))


def test_npz_comes_back_without_pickle(make: Callable[..., FeatureTable]) -> None:
    found = make(by_track=True)
    with np.load(io.BytesIO(features_bytes(found, "npz")), allow_pickle=False) as read:
        np.testing.assert_array_equal(read["features"], found.features)
        assert read["id"].tolist() == found.columns["id"].tolist()
        assert str(read["about_task"]) == "tones"
        assert read["layer_names"].tolist() == list(found.layer_names)


def test_parquet_comes_back(make: Callable[..., FeatureTable]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    found = make(by_track=False)
    read = parquet.read_table(io.BytesIO(features_bytes(found, "parquet")))
    assert read.column("id").to_pylist() == found.columns["id"].tolist()
    for layer, name in enumerate(found.layer_names):
        np.testing.assert_array_equal(np.array(read.column(name).to_pylist()), found.features[:, layer])
    assert read.schema.metadata[b"task"] == b"tones"


def test_a_format_that_there_is_not(make: Callable[..., FeatureTable]) -> None:
    with pytest.raises(UsageError, match="npz or parquet"):
        features_bytes(make(by_track=True), "csv")


def test_without_pyarrow_the_remedy_is_named(
    make: Callable[..., FeatureTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make(by_track=True)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install \"cmbench\[parquet\]\""):
        features_bytes(found, "parquet")


def test_files_are_called_what_they_are(make: Callable[..., FeatureTable]) -> None:
    assert file_name(make(by_track=True), "npz", "track") == "counting.tones.custom.own.tracks.npz"
