"""Scores by family: every number of the records, models side by side, absent ones with a reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.text import Text
from rich.console import Console

from cmbench.benchmark.records.record import LabelScore, Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.families import VIEW, family_figure, family_rows
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.tables import csv_text
from cmbench.benchmark.views.words import percent
from cmbench.errors import UsageError
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Record]


def printed(records: list[Record], width: int = 160) -> str:
    out = io.StringIO()
    for view in sections(records):
        VIEW.print(view, Console(file=out, width=width))
    return out.getvalue()


def test_every_family_score_is_printed_and_written(board: list[Record]) -> None:
    (view,) = sections(board)
    text, rows = printed(board), list(csv.DictReader(io.StringIO(csv_text(family_rows(view)))))
    for record in board:
        for family in record.families:
            assert percent(family.roc_auc) in text
            own = [r for r in rows if (r["model"], r["task"], r["family"], r["metric"])
                   == (record.model.name, record.task.name, family.family, "average_precision")]  # fmt: skip
            assert len(own) == 1
            assert float(own[0]["value"]) == family.average_precision
            assert family.average_precision_interval is not None
            assert float(own[0]["low"]) == family.average_precision_interval.low
    assert len(rows) == 2 * sum(len(record.families) for record in board)
    assert "labels without a score: instrument--Bansuri (no positive in the test split)" in text
    assert "n=240 test tracks" in text


def test_a_model_that_was_not_run_is_named(build_record: Build) -> None:
    text = printed([build_record("mfcc", "lyra"), build_record("chroma", "carnatic")])
    assert "No record on lyra: chroma." in text
    assert "No record on carnatic: mfcc." in text


def test_families_scored_on_other_labels_say_so(build_record: Build, build_label: Callable[..., LabelScore]) -> None:
    one = [build_label("a", "raga", 0.7), build_label("b", "raga", 0.8)]
    other = [build_label("a", "raga", 0.7), build_label("b", "raga", None)]
    text = printed([build_record("mfcc", "lyra", labels=one), build_record("chroma", "lyra", labels=other)])
    assert "labels scored differ" in text
    assert "(2 labels)" in text
    assert "(1/2 labels)" in text


def test_editions_and_protocols_stay_apart(build_record: Build, tmp_path: Path) -> None:
    records = [
        build_record("mfcc", "lyra"),
        build_record("mfcc", "lyra", edition="mini"),
        build_record("chroma", "lyra", protocol="marble-1"),
    ]
    views = sections(records)
    assert [len(view.rows) for view in views] == [1, 1, 1]
    for view in views:
        paths = write_view(VIEW, view, tmp_path)
        warned = [MINI_LABEL in p.read_text(encoding="utf-8") for p in paths if p.suffix in (".tex", ".md", ".csv")]
        assert warned == [view.edition == "mini"] * 3
        with style("path"):
            shown = [t.get_text() for t in family_figure(view, view.columns[0]).findobj(Text)]
        assert (MINI_LABEL in shown) == (view.edition == "mini")
    with pytest.raises(UsageError, match="no records"):
        sections([])


def test_many_models_are_drawn_in_parts(build_record: Build) -> None:
    records = [build_record(f"model {k}", "carnatic") for k in range(9)]
    (view,) = sections(records)
    figures = VIEW.figures(view)
    assert list(figures) == ["carnatic-1", "carnatic-2"]
    with style("none"):
        shown = [{t.get_text() for t in draw().findobj(Text)} for draw in figures.values()]
    assert "model 6" in shown[0] - shown[1]
    assert "model 7" in shown[1] - shown[0]
