"""The tables of the terminal, rendered to a fixed width."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console

from cmbench.benchmark.records.record import FailedTrack, LabelScore, Metric, Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.scores.table import print_table
from cmbench.benchmark.views.words import percent
from cmbench.tasks.base import MINI_LABEL


def rendered(records: Sequence[Record], width: int) -> list[str]:
    buffer = io.StringIO()
    print_table(sections(records), Console(file=buffer, width=width, color_system=None))
    return [line.rstrip() for line in buffer.getvalue().splitlines()]


@pytest.mark.parametrize("width", [100, 120])
def test_four_models_on_six_tasks_fit_in_one_block_for_each_metric(board: list[Record], width: int) -> None:
    lines = rendered(board, width)
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("model ") for line in lines) == 2
    text = "\n".join(lines)
    for record in board:
        for name in ("roc_auc", "average_precision"):
            metric = record.metrics[name]
            assert metric.interval is not None
            assert percent(metric.value) in text
            assert f"[{percent(metric.interval.low)}, {percent(metric.interval.high)}]" in text
        assert f"n={record.coverage.used['test']}" in text
    assert "19/20 labels" in text
    assert "99.9 % used" in text


@pytest.mark.parametrize("width", [40, 60, 80])
def test_narrow_consoles_get_more_blocks_and_lose_nothing(board: list[Record], width: int) -> None:
    lines = rendered(board, width)
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("model ") for line in lines) > 2
    text = "\n".join(lines)
    for record in board:
        metric = record.metrics["roc_auc"]
        assert metric.interval is not None
        assert f"[{percent(metric.interval.low)}, {percent(metric.interval.high)}]" in text


def test_editions_are_apart_and_mini_is_labelled(build_record: Callable[..., Record]) -> None:
    real = [build_record(m, "lyra", skill=0.3) for m in ("mfcc", "chroma")]
    mini = [build_record(m, "lyra", edition="mini", skill=0.1) for m in ("mfcc", "chroma")]
    lines = rendered([mini[0], real[0], mini[1], real[1]], 120)
    start = next(i for i, line in enumerate(lines) if line.startswith("mini edition"))
    assert lines[start + 1] == MINI_LABEL
    above, below = "\n".join(lines[:start]), "\n".join(lines[start:])
    assert MINI_LABEL not in above
    for records, here, there in ((real, above, below), (mini, below, above)):
        for record in records:
            shown = percent(record.metrics["roc_auc"].value)
            assert shown in here
            assert shown not in there


def test_no_mean_over_missing_cells(board: list[Record]) -> None:
    text = "\n".join(rendered([r for r in board if (r.model.name, r.task.name) != ("chroma", "lyra")], 120))
    assert text.count("5/6") == 2
    assert "chroma 10/12 cells" in text
    values = [
        r.metrics[n].value or 0 for r in board if r.model.name == "mfcc" for n in ("roc_auc", "average_precision")
    ]
    assert re.search(rf"paper's average.*mfcc {percent(sum(values) / 12)}", text)


def test_one_model_has_its_tasks_as_rows(board: list[Record]) -> None:
    records = [r for r in board if r.model.name == "mfcc"]
    for width in (90, 120):
        lines = rendered(records, width)
        assert max(map(len, lines)) <= width
        for record in records:
            assert sum(line.startswith(record.task.name) for line in lines) == 1
        mean = next(line for line in lines if line.startswith("mean"))
        assert percent(sum(r.metrics["roc_auc"].value or 0 for r in records) / 6) in mean
    wide = next(line for line in rendered(records, 120) if line.startswith("hindustani"))
    roc = records[2].metrics["roc_auc"]
    assert roc.interval is not None
    assert f"{percent(roc.value)} [{percent(roc.interval.low)}, {percent(roc.interval.high)}]" in wide
    assert re.search(r"hidden_0\s+240\s+19/20\s+100\.0 %", wide)


def test_undefined_labels_and_failed_tracks_are_named_once(board: list[Record]) -> None:
    text = " ".join(rendered(board, 200))
    assert text.count("instrument--Bansuri (no positive in the test split)") == 1
    assert text.count("Tracks left out of turkish_makam: 1; the page and the records name them.") == 1
    assert "makam-17" not in text, "the run has named it"


def test_many_failures_are_counted(build_record: Callable[..., Record]) -> None:
    failed = tuple(FailedTrack(id=f"t{i}", split="test", file=f"t{i}.wav", reason="truncated") for i in range(8))
    text = " ".join(rendered([build_record(failed=failed)], 200))
    assert ": 8; the page and the records name them." in text
    assert "truncated" not in text


def test_names_are_printed_as_they_are(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore]
) -> None:
    labels = [build_label("[red]makam[/red]", "makam", None), build_label("Uşşak", "makam", 0.7)]
    text = " ".join(rendered([build_record("[bold]m", labels=labels), build_record("b", labels=labels)], 120))
    assert "[red]makam[/red] (no positive" in text
    assert "[bold]m" in text


def test_a_missing_score_is_a_dash_with_its_reason(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore]
) -> None:
    records = [build_record(m, labels=[build_label("Rast", "makam", None)]) for m in ("a", "b")]
    text = " ".join(rendered(records, 120))
    assert "No ROC-AUC of a on turkish_makam: no label is defined" in text
    assert "nan" not in text.lower()
    assert "None" not in text


def test_a_long_task_list_with_a_long_name_still_prints(build_record: Callable[..., Record]) -> None:
    name = "a_task_with_a_rather_long_name_that_someone_chose"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lines = rendered([build_record(m, "lyra") for m in ("a" * 40, "b")] + [build_record("b", "carnatic")], 80)
    assert max(map(len, lines)) <= 80
    record = build_record("mfcc", "lyra")
    renamed = record.model_copy(update={"task": record.task.model_copy(update={"name": name})})
    assert any("a_task_with" in line for line in rendered([renamed], 80))


def test_a_metric_that_no_record_has_is_a_dash(build_record: Callable[..., Record]) -> None:
    record = build_record()
    bare: dict[str, Metric] = {k: v for k, v in record.metrics.items() if k != "f1_macro"}
    lines = rendered([record.model_copy(update={"metrics": bare})], 120)
    assert "–" in next(line for line in lines if line.startswith("turkish_makam"))
