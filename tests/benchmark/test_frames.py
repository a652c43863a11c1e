"""Results as frames: every row is a fact of a record, every column has its type, what is missing stays so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cmbench
from cmbench import frames
from cmbench.benchmark.records.evidence import read_evidence
from cmbench.benchmark.records.folder import iter_records, record_files
from cmbench.benchmark.records.record import Record
from cmbench.errors import UsageError

RESULTS = Path(__file__).resolve().parents[1] / "upgrade" / "v0.1.0" / "results"
ALL: Sequence[Callable[..., pd.DataFrame]] = (
    frames.scores,
    frames.labels,
    frames.layers,
    frames.predictions,
    frames.costs,
)
KINDS = {"string", "category", "int64", "float64", "float32", "bool", "datetime64[ns, UTC]"}

Build = Callable[..., Record]


@pytest.mark.parametrize("of", ALL, ids=lambda of: of.__name__)
def test_columns_and_types_are_the_same_with_rows_and_without(of: Callable[..., pd.DataFrame]) -> None:
    full, empty = of(RESULTS), of()
    assert len(full)
    assert not len(empty)
    assert list(full.columns) == list(empty.columns)
    assert tuple(full.columns[:6]) == ("model", "task", "tradition", "edition", "split", "protocol")
    kinds = {name: str(kind) for name, kind in full.dtypes.items()}
    assert set(kinds.values()) <= KINDS
    if of is not frames.predictions:
        assert kinds == {name: str(kind) for name, kind in empty.dtypes.items()}
    assert f"``{full.columns[-1]}``" in str(of.__doc__)


def test_a_frame_has_a_row_for_each_record_and_metric(build_record: Build) -> None:
    record = build_record("mfcc", "lyra")
    metric = record.metrics["roc_auc"]
    assert metric.interval is not None
    without = record.model_copy(update={"metrics": {"roc_auc": metric.model_copy(update={"interval": None})}})
    frame = frames.scores([record, without])
    assert len(frame) == len(record.metrics) + 1
    first, last = frame.iloc[0].to_dict(), frame.iloc[-1].to_dict()
    assert first == {
        "model": "mfcc", "task": "lyra", "tradition": "greek", "edition": "full", "split": "official",
        "protocol": "cmbench-1", "metric": "roc_auc", "value": metric.value, "low": metric.interval.low,
        "high": metric.interval.high, "layer": record.selection.layer, "test_tracks": 330,
        "defined_labels": record.defined_labels, "total_labels": 30,
    }  # fmt: skip
    assert np.isnan([last["low"], last["high"]]).all()


def test_sources_may_be_records_files_and_folders(build_record: Build) -> None:
    files = list(record_files(RESULTS))
    whole = frames.scores(RESULTS)
    assert len(whole) == sum(len(frames.scores(file)) for file in files) == len(frames.scores(*files))
    pd.testing.assert_frame_equal(cmbench.load_records(RESULTS), whole)
    assert len(frames.scores(build_record(), RESULTS, [build_record()])) == len(whole) + 8


def test_labels_say_why_there_is_no_score(build_record: Build) -> None:
    record = build_record("mfcc", "hindustani")
    frame = frames.labels(record)
    assert len(frame) == 3 * len(record.labels)
    lacking = frame[frame["value"].isna()]
    assert set(lacking["label"]) == set(record.undefined_labels)
    assert set(lacking["reason"]) == {"no positive in the test split"}
    assert frame[frame["value"].notna()]["reason"].isna().all()
    one = record.labels[0]
    row = frame[(frame["label"] == one.label) & (frame["metric"] == "average_precision")].iloc[0]
    assert one.average_precision_interval is not None
    assert (row["value"], row["support"]) == (one.average_precision, one.support)
    assert row["low"] == one.average_precision_interval.low


def test_layers_are_by_family_where_the_record_says_so() -> None:
    frame = frames.layers(RESULTS)
    record = next(iter(iter_records(RESULTS)))
    mine = frame.query("model == @record.model.name")
    overall = mine[mine["family"].isna() & (mine["metric"] == "roc_auc")]
    assert list(overall["value"]) == [one.roc_auc for one in record.layers]
    assert list(overall[overall["chosen"]]["layer"]) == [record.selection.layer]
    families = {family.family for one in record.layers for family in one.families or ()}
    assert set(mine["family"].dropna()) == families


@pytest.mark.parametrize("each_seed", [False, True])
def test_predictions_are_those_that_were_scored(each_seed: bool) -> None:
    file = next(iter(record_files(RESULTS)))
    evidence = read_evidence(file)
    frame = frames.predictions(file, each_seed=each_seed)
    seeds, tracks, labels = evidence.probabilities.shape
    assert len(frame) == (seeds if each_seed else 1) * tracks * labels
    asked = (frame["track"] == evidence.track_ids[3]) & (frame["label"] == evidence.record.task.labels[1])
    rows = frame[asked]
    expected = evidence.probabilities[:, 3, 1]
    if each_seed:
        assert rows.sort_values("seed")["probability"].tolist() == expected.tolist()
    else:
        assert rows["probability"].tolist() == [np.float32(expected.mean(dtype=np.float64))]
    assert set(rows["target"]) == {bool(evidence.targets[3, 1])}
    assert set(rows["group"].dropna()) <= set(evidence.groups)


def test_a_label_that_nobody_knows_has_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = read_evidence(next(iter(record_files(RESULTS))))
    known = np.random.default_rng(1).random(evidence.targets.shape) < 0.7
    masked = [replace(evidence, known=known, targets=evidence.targets & known)]
    monkeypatch.setattr("cmbench.benchmark.records.evidence.iter_evidence", lambda *places: iter(masked))
    frame = frames.predictions("anywhere", each_seed=True)
    assert len(frame) == len(evidence.probabilities) * known.sum()
    last = frame[(frame["seed"] == 1) & (frame["label"] == evidence.record.task.labels[2])]
    assert last["target"].tolist() == (evidence.targets & known)[known[:, 2], 2].tolist()
    assert last["probability"].tolist() == evidence.probabilities[1, known[:, 2], 2].tolist()


def test_costs_have_the_machine_and_the_moment() -> None:
    frame = frames.costs(RESULTS)
    assert len(frame) == len(list(record_files(RESULTS)))
    assert (frame["encode_seconds"] >= 0).all()
    assert frame["created"].dt.tz is not None


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read(ending: str, tmp_path: Path) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    frame = frames.scores(RESULTS)
    path = frames.write(frame, tmp_path / f"scores.{ending}")
    read = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    pd.testing.assert_frame_equal(read.astype(frame.dtypes.to_dict()), frame)
    if ending == "parquet":
        assert read.dtypes["value"] == "float64"


def test_other_forms_and_a_missing_library_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frames.scores(RESULTS)
    with pytest.raises(UsageError, match=r"written as \.csv or \.parquet"):
        frames.write(frame, tmp_path / "scores.xlsx")

    def lacking(*words: Any, **settings: Any) -> None:
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", lacking)
    with pytest.raises(UsageError, match=r"pip install \"cmbench\[parquet\]\""):
        frames.write(frame, tmp_path / "scores.parquet")
    assert list(tmp_path.glob("*")) == []
