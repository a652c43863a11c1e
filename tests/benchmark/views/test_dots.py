"""Dots: every score where it belongs, intervals where there is room for them, nothing cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from cmbench.benchmark.records.record import Interval, Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.dots import Dot, DotLine, dots_figure
from cmbench.benchmark.views.figures import MARKERS, style


def draw(build_record: Callable[..., Record], lines: list[DotLine], models: list[str]) -> Figure:
    (section,) = sections([build_record("mfcc", "lyra")])
    with style("path"):
        figure = dots_figure(section, "title", lines, models, "key.")
        figure.draw_without_rendering()
    return figure


def line(name: str, *values: float | None, width: float = 0.05) -> DotLine:
    dots: list[Dot] = [(v, None if v is None else Interval(low=v - width, high=v + width)) for v in values]
    return DotLine(name, "n=3", {"roc_auc": dots, "average_precision": dots}, {"average_precision": 0.25})


def marks(figure: Figure, panel: int) -> list[float]:
    found = [one for one in figure.axes[panel].findobj(Line2D) if isinstance(one, Line2D)]
    return [float(np.asarray(one.get_xdata())[0]) for one in found if one.get_marker() in MARKERS]


def whiskers(figure: Figure, panel: int) -> list[tuple[float, ...]]:
    found = [one for one in figure.axes[panel].findobj(Line2D) if isinstance(one, Line2D)]
    return [tuple(np.round(np.asarray(one.get_xdata(), dtype=float), 3)) for one in found if one.get_linewidth() == 0.9]


def test_scores_and_intervals_are_drawn(build_record: Callable[..., Record]) -> None:
    figure = draw(build_record, [DotLine("family"), line("one", 0.6, 0.7), line("two", None, 0.9)], ["a", "b"])
    for panel in (0, 1):
        assert marks(figure, panel) == pytest.approx([60, 70, 90])
        assert {(55.0, 65.0), (65.0, 75.0), (85.0, 95.0)} <= set(whiskers(figure, panel))
    assert "Intervals: in the table" not in " ".join(t.get_text() for t in figure.findobj(Text))


def test_crowded_figures_leave_the_intervals_out_and_say_so(build_record: Callable[..., Record]) -> None:
    lines = [line(f"label {k}", *([0.6] * 7)) for k in range(50)]
    figure = draw(build_record, lines, [f"model {k}" for k in range(7)])
    assert len(marks(figure, 0)) == 350
    assert (55.0, 65.0) not in whiskers(figure, 0)
    assert any("Intervals: in the table" in t.get_text() for t in figure.findobj(Text))
    assert figure.get_size_inches()[1] < 11


def test_nothing_lies_outside_or_upon_another(build_record: Callable[..., Record]) -> None:
    lines = [DotLine("instrument"), *(line(f"Klasik {'kemençe ' * 9}{k}", 0.02, 0.98, width=0.01) for k in range(30))]
    figure = draw(build_record, lines, ["a model with a rather long name" * 3, "another one"])
    width, height = figure.canvas.get_width_height()
    boxes = [t.get_window_extent() for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
    assert all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)
    overlap = [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    assert overlap == []
