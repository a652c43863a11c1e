"""Ours beside what was published: the right rows, the right verdict, and every difference that is known."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmbench.baselines.published import published
from cmbench.benchmark.records.record import FailedTrack, Interval, Record, write_record
from cmbench.benchmark.views.reported.against import ABOVE, BELOW, INSIDE, NO_INTERVAL, against_tables, set_beside
from cmbench.cli import app
from cmbench.tasks.choice import get_task

Build = Callable[..., Record]
ROW = next(row for row in published() if row.model == "CultureMERT-95M")


def scored(record: Record, value: float, low: float | None, high: float | None) -> Record:
    """Return a record of which every metric has one value and one interval."""
    interval = None if low is None or high is None else Interval(low=low, high=high)
    metrics = {n: m.model_copy(update={"value": value, "interval": interval}) for n, m in record.metrics.items()}
    return record.model_copy(update={"metrics": metrics})


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.85, 0.90, INSIDE),
        (0.8964, 0.95, INSIDE),
        (0.8966, 0.95, ABOVE),
        (0.80, 0.8956, INSIDE),
        (0.80, 0.8954, BELOW),
        (None, None, NO_INTERVAL),
    ],
)
def test_the_verdict_minds_the_last_printed_digit(
    build_record: Build, low: float | None, high: float | None, verdict: str
) -> None:
    assert ROW.scores["turkish_makam"]["roc_auc"] == 0.896
    ((one,), alone) = set_beside([scored(build_record("CultureMERT-95M", "turkish_makam"), 0.9, low, high)])
    assert one.row == ROW
    assert alone == ()
    cell = one.cells[0]
    assert (cell.metric, cell.published, cell.ours.value, cell.verdict) == ("roc_auc", 0.896, 0.9, verdict)


def test_figures_that_were_not_published_have_no_cell(build_record: Build) -> None:
    ((one,), _) = set_beside([build_record("CultureMERT-95M", "hindustani")])
    assert [cell.metric for cell in one.cells] == ["roc_auc", "average_precision"], "the card leaves F1 out"


def test_every_difference_is_declared(build_record: Build) -> None:
    lost = (FailedTrack(id="x", split="test", file="x.mp3", reason="absent"),)
    made = build_record("MERT-v1-95M@marble-norm", "lyra", split="group-safe", protocol="marble-1", failed=lost)
    made = made.model_copy(
        update={"task": made.task.model_copy(update={"tracks": {"train": 1, "valid": 2, "test": 3}})}
    )
    ((one,), _) = set_beside([made])
    words = "\n".join(one.differences)
    for part in (
        "split: ours is group-safe, the published one is official",
        "labels: ours are not the published list",
        "tracks: train 1 for 1116, valid 2 for 124, test 3 for 330 published",
        "coverage: test 329 of 330 tracks could be used",
        "protocol: ours is marble-1, theirs: frozen encoder, MARBLE with constraints (5 seed(s))",
        "model: ours is MERT-v1-95M@marble-norm, theirs MERT-v1-95M",
        "not stated by the source: layer or layer weighting",
    ):
        assert part in words


def test_what_is_the_same_is_not_declared_a_difference(build_record: Build) -> None:
    made = build_record("MERT-v1-95M", "lyra")
    labels = get_task("lyra").labels
    digest = hashlib.sha256("\n".join(labels).encode()).hexdigest()
    task = made.task.model_copy(update={"labels": labels, "label_sha256": digest})
    ((one,), _) = set_beside([made.model_copy(update={"task": task})])
    assert [d.split(":")[0] for d in one.differences] == ["protocol", "not stated by the source"]


def test_mini_and_own_records_and_unpublished_models_are_never_set_beside(build_record: Build) -> None:
    made = [
        build_record("CultureMERT-95M", "lyra", edition="mini", split="own"),
        build_record("CultureMERT-95M", "lyra", edition="custom", split="own"),
        build_record("mfcc", "lyra"),
    ]
    found, alone = set_beside(made)
    assert found == ()
    assert alone[0].startswith("2 record(s) of the mini edition or of own corpora")
    assert alone[1] == "mfcc on lyra: no published figure."


def test_the_command_prints_cells_differences_and_what_the_words_mean(build_record: Build, tmp_path: Path) -> None:
    write_record(scored(build_record("CultureMERT-95M", "turkish_makam"), 0.5, 0.4, 0.6), tmp_path)
    done = CliRunner().invoke(app, ["report", "reported", "--against", str(tmp_path)])
    assert done.exit_code == 0, done.output
    flat = " ".join(done.output.split())
    assert "not measured by cmbench" in flat
    assert "ROC-AUC 89.6 50.0 [40.0, 60.0] outside: ours is lower" in flat
    assert "AP 60.6 50.0 [40.0, 60.0] outside: ours is lower" in flat
    assert "docs/reach.md" in flat
    assert not list(tmp_path.glob("*.csv"))
    done = CliRunner().invoke(app, ["report", "reported", "--against", str(tmp_path), "--out", str(tmp_path / "v")])
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == [f"reported-against.{e}" for e in ("csv", "md", "tex")]
    rows = list(csv.DictReader((tmp_path / "v/reported-against.csv").read_text(encoding="utf-8").splitlines()))
    first = rows[0]
    assert [first[key] for key in ("task", "metric", "value", "low", "high", "published", "verdict")] == [
        *("turkish_makam", "roc_auc", "0.5", "0.4", "0.6", "0.896"),
        BELOW,
    ]
    assert "protocol: ours is cmbench-1" in first["differences"]
    assert "never ranked" in (tmp_path / "v/reported-against.md").read_text(encoding="utf-8")
    nothing = CliRunner().invoke(app, ["report", "reported", "--against", str(tmp_path / "absent")])
    assert nothing.exit_code == 1
    assert "does not exist" in str(nothing.exception)


def test_nothing_compared_explains_no_word_and_writes_nothing(build_record: Build, tmp_path: Path) -> None:
    write_record(build_record("mfcc", "lyra"), tmp_path)
    done = CliRunner().invoke(app, ["report", "reported", "--against", str(tmp_path), "--out", str(tmp_path / "v")])
    assert done.exit_code == 0, done.output
    assert "mfcc on lyra: no published figure" in done.output
    assert "Nothing was compared" in done.output
    assert "inside" not in done.output
    assert not (tmp_path / "v").exists()
    alone = CliRunner().invoke(app, ["report", "reported", "--out", str(tmp_path / "v")])
    assert alone.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == ["reported.md", "reported.tex"]


def test_rows_come_in_the_order_of_the_published_tables(build_record: Build) -> None:
    made = [build_record(name, task) for name in ("CultureMERT-95M", "MERT-v1-95M") for task in ("lyra", "carnatic")]
    titles = [table.title.split(" against ")[0] for table in against_tables(set_beside(made)[0])]
    assert titles == [
        f"{name} on {task}" for name in ("MERT-v1-95M", "CultureMERT-95M") for task in ("carnatic", "lyra")
    ]
