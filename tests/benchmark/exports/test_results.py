"""Exports of results: every number once, mini labelled, sections apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from cmbench.benchmark.exports.results import result_files, write_results
from cmbench.benchmark.frames import scores
from cmbench.benchmark.records.record import Metric, Record
from cmbench.benchmark.views.words import percent
from cmbench.errors import UsageError
from cmbench.tasks.base import MINI_LABEL
from cmbench.tasks.splits.names import LIMIT

Build = Callable[..., Record]


def export(records: list[Record], form: str, dataset: str | None = None) -> dict[str, bytes]:
    return result_files(records, form, dataset=dataset, organisation="Our lab", relationship="other")


def test_csv_holds_every_metric_of_every_record(board: list[Record]) -> None:
    (content,) = export(board, "csv").values()
    # Numbers read by Python: pandas before 3 may miss their last digit.
    numbers = ["value", "low", "high"]
    read = pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=dict.fromkeys(numbers, str))
    read = read.astype(dict.fromkeys(numbers, float))
    assert len(read) == 4 * len(board)
    kept = ["model", "task", "metric", "value", "low", "high"]
    expected = sorted(scores(board)[kept].itertuples(index=False, name=None))
    assert sorted(read[kept].itertuples(index=False, name=None)) == expected
    assert set(read["warning"]) == {""}


def test_csv_leaves_what_is_not_defined_empty_with_a_reason(build_record: Build) -> None:
    record = build_record("mfcc", "lyra", edition="mini")
    nothing = Metric(value=None, interval=None, per_seed=(None,), reason="no label is defined")
    records = [record.model_copy(update={"metrics": dict.fromkeys(record.metrics, nothing)})]
    (content,) = export(records, "csv").values()
    read = pd.read_csv(io.BytesIO(content), keep_default_na=False)
    assert set(read["value"]) == {""}
    assert set(read["reason"]) == {"no label is defined"}
    assert set(read["warning"]) == {MINI_LABEL}
    assert b"nan" not in content.lower()


@pytest.mark.parametrize(("form", "start"), [("latex", "\\begin{adjustbox}"), ("markdown", "### ")])
def test_tables_hold_every_score_section_by_section(build_record: Build, form: str, start: str) -> None:
    records = [build_record(m, t) for m in ("mfcc", "chroma") for t in ("lyra", "carnatic")]
    mini = [build_record("mfcc", "lyra", edition="mini"), build_record("mfcc", "lyra", protocol="marble-1")]
    (content,) = export(records + mini, form).values()
    text = content.decode()
    tables = text.split(start)[1:]
    assert len(tables) == 9
    for record in records:
        for metric in ("roc_auc", "average_precision"):
            interval = record.metrics[metric].interval
            assert interval is not None
            shown = f"{percent(record.metrics[metric].value)} [{percent(interval.low)}, {percent(interval.high)}]"
            assert shown in text
    assert [MINI_LABEL in table for table in tables] == [False] * 6 + [True] * 3
    assert "n=330" in text


def test_the_best_of_each_column_is_bold_in_latex(build_record: Build) -> None:
    skills = {"mfcc": 0.2, "chroma": 0.4, "constant": 0.49}
    records = [build_record(m, t, skill=skill) for m, skill in skills.items() for t in ("lyra", "carnatic")]
    rows = [
        line for line in export(records, "latex")["results.tex"].decode().splitlines() if line.startswith(tuple(skills))
    ]
    bold = {name: [row.count("\\textbf") for row in rows if row.startswith(name)] for name in skills}
    # Controls are never the best; the last column of the first table has the means.
    assert bold == {"mfcc": [0, 0, 0], "chroma": [3, 2, 2], "constant": [0, 0, 0]}
    sample = [build_record(m, "lyra", split=f"official{LIMIT}9") for m in ("mfcc", "chroma")]
    assert "\\textbf" not in export(sample, "latex")["results.tex"].decode()


def test_a_mean_is_not_taken_over_missing_cells(build_record: Build) -> None:
    records = [build_record("mfcc", "lyra"), build_record("mfcc", "carnatic"), build_record("chroma", "lyra")]
    text = next(iter(export(records, "markdown").values())).decode()
    row = next(line for line in text.splitlines() if line.startswith("| chroma"))
    assert row.endswith("| – (2/4) |")
    assert "No record on carnatic: chroma." in text


def test_eval_results_are_a_file_for_each_model_and_section(build_record: Build) -> None:
    records = [build_record("owner/model", "lyra"), build_record("owner/model", "lyra", edition="mini"),
               build_record("mfcc", "lyra")]  # fmt: skip
    files = export(records, "eval-results", "owner/bench")
    assert len(files) == 3
    assert all("/.eval_results/cmbench-" in name and ".." not in name for name in files)
    for name, content in files.items():
        entries = yaml.safe_load(content)
        assert len(entries) == 4
        assert {("mini, synthetic" in entry["notes"]) for entry in entries} == {"cmbench-mini-" in name}
        assert {entry["dataset"]["id"] for entry in entries} == {"owner/bench"}
    with pytest.raises(UsageError, match="--dataset owner/name"):
        export(records, "eval-results")


def test_nothing_to_export_and_contradictions_are_refused(build_record: Build) -> None:
    with pytest.raises(UsageError, match="no records"):
        export([], "csv")
    with pytest.raises(UsageError, match="Two different records"):
        export([build_record("mfcc", "lyra"), build_record("mfcc", "lyra", skill=0.4)], "csv")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a file"):
        write_results({"a": b"1"}, tmp_path, folder=False)
    (path,) = write_results({"a": b"1"}, tmp_path / "b.csv", folder=False)
    assert path.read_bytes() == b"1"
    with pytest.raises(UsageError, match="name a folder"):
        write_results({"a": b"1"}, path, folder=True)
    assert write_results({"x/y": b"2"}, tmp_path / "new", folder=True) == [tmp_path / "new" / "x/y"]


@pytest.mark.parametrize("form", ["eee", "eval-results"])
def test_an_export_of_nothing_says_so(build_record: Build, form: str) -> None:
    record = build_record("mfcc", "lyra", edition="mini")
    nothing = Metric(value=None, interval=None, per_seed=(None,), reason="no label is defined")
    empty = record.model_copy(update={"metrics": dict.fromkeys(record.metrics, nothing)})
    with pytest.raises(UsageError, match=r"Nothing to export: .* none of the 1 records has one that is defined"):
        export([empty], form, "owner/bench")
    assert export([record], form, "owner/bench")
