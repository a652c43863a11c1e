"""The table and the figure of a sweep: what they say, and that mini is labelled."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cmbench.benchmark.records.record import LabelScore, Record
from cmbench.benchmark.studies.sweep import STUDY
from cmbench.benchmark.studies.sweep.curves import ROWS, sweep_figure
from cmbench.benchmark.studies.sweep.sweep import Sweep, SweptModel
from cmbench.benchmark.studies.sweep.tables import HONESTY, sentences, sweep_rows, sweep_table
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.words import percent
from cmbench.tasks.base import MINI_LABEL

TASKS = ("lyra", "turkish_makam")


@pytest.fixture
def make_sweep(build_record: Callable[..., Record]) -> Callable[..., Sweep]:
    def make(edition: str = "full") -> Sweep:
        def level(name: str, scale: float | None, valid: float) -> SweptModel:
            records = {}
            for task in TASKS:
                record = build_record(name, task, edition=edition, skill=0.3 + (scale or 0.0))
                chosen = record.selection.model_copy(update={"valid_score": valid})
                records[task] = record.model_copy(update={"selection": chosen})
            return SweptModel(name, scale, records)

        added = (level("gree|k", None, 0.6), level("türk", None, 0.62))
        merged = tuple(level(f"s-{s}", s, 0.7 - abs(s - 0.2)) for s in (0.1, 0.2, 0.3))
        return Sweep(level("base", None, 0.55), added, merged)

    return make


def test_the_terminal_says_what_was_chosen_and_how(make_sweep: Callable[..., Sweep]) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    STUDY.print(make_sweep("mini"), console)
    text = " ".join(console.export_text().split())
    for words in (MINI_LABEL, HONESTY, "Chosen on validation: scale 0.2", "türk", "mini edition"):
        assert words in text
    assert not sweep_table(make_sweep()).warning


def test_the_verdict_tells_where_the_choice_ends(make_sweep: Callable[..., Sweep]) -> None:
    sweep = make_sweep()
    assert sentences(sweep)[0] == (
        "Chosen on validation: scale 0.2 (mean validation score 70.0); the base, base, has 55.0."
    )
    assert "edge of the range" in sentences(replace(sweep, merged=sweep.merged[:2]))[0]
    assert "No scale is better than the base" in sentences(replace(sweep, base=sweep.merged[1]))[0]


def test_table_and_rows_hold_every_model_and_task(make_sweep: Callable[..., Sweep]) -> None:
    sweep = make_sweep()
    table = sweep_table(sweep)
    assert [row[:2] for row in table.rows if "(chosen)" in row[0]] == [("scale 0.2 (chosen)", "70.0")]
    assert ("gree|k", "60.0") in [row[:2] for row in table.rows]
    rows = sweep_rows(sweep)
    assert len(rows) == 6 * len(TASKS)
    assert [row["model"] for row in rows if row["chosen"]] == ["s-0.2"] * len(TASKS)
    (row,) = (r for r in rows if r["model"] == "türk" and r["task"] == "lyra")
    metric = sweep.added[1].records["lyra"].metrics["roc_auc"]
    assert metric.interval is not None
    assert (row["test_roc_auc"], row["test_roc_auc_low"]) == (metric.value, metric.interval.low)


def test_the_figure_has_every_panel_and_level(make_sweep: Callable[..., Sweep]) -> None:
    sweep = make_sweep("mini")
    figure = sweep_figure(sweep)
    assert len(figure.axes) == len(ROWS) * len(TASKS)
    assert {text.get_text() for text in figure.texts} >= {MINI_LABEL, sweep.title}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["merge", "base (base)", "gree|k", "türk"]
    # The first column's second panel: test ROC-AUC on lyra.
    line = figure.axes[len(TASKS)].lines[0]
    shown = [percent(float(y) / 100) for y in np.asarray(line.get_ydata(), dtype=float)]
    assert shown == [percent(level.records["lyra"].metrics["roc_auc"].value) for level in sweep.merged]


def test_a_score_that_is_not_defined_leaves_a_gap(
    make_sweep: Callable[..., Sweep],
    build_record: Callable[..., Record],
    build_label: Callable[..., LabelScore],
    tmp_path: Path,
) -> None:
    sweep = make_sweep()
    empty = build_record("s-0.4", "lyra", labels=[build_label("a", "form", None)])
    last = SweptModel("s-0.4", 0.4, {**sweep.merged[0].records, "lyra": empty})
    sweep = replace(sweep, merged=(*sweep.merged, last))
    assert any("–" in cell for row in sweep_table(sweep).rows for cell in row)
    paths = write_view(STUDY, sweep, tmp_path)
    assert [path.name for path in paths] == [f"sweep.{ending}" for ending in ("tex", "md", "csv", "svg", "png")]
    before = [path.read_bytes() for path in paths]
    assert before == [path.read_bytes() for path in write_view(STUDY, sweep, tmp_path)]
    assert "nan" not in (tmp_path / "sweep.csv").read_text().lower()
    with style("path"):
        assert len(np.asarray(sweep_figure(sweep).axes[len(TASKS)].lines[0].get_xdata())) == 3
