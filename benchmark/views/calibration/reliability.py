"""Reliability diagrams: what share of the forecasts came true, by what they said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...records.sections import Column, Row
from ..figures import (
    COLUMN_WIDTH,
    FAINT,
    LINE,
    TEXT_WIDTH,
    clipped,
    draw_legend,
    draw_title,
    empty_figure,
    head_inches,
    legend_columns,
    model_mark,
)
from ..words import percent
from .calibration import BINS, Calibration, CalibrationView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 20
"""Forecasts in a bin below which its mark is hollow."""

TOGETHER = 3
"""Models that share a diagram: more would hide one another."""


def calibration_figure(view: CalibrationView, column: Column, rows: Sequence[Row]) -> Figure:
    """Draw a reliability diagram for every family of a task, at most :data:`TOGETHER` models in each.

    On the diagonal, what is said comes true. Hollow marks rest on fewer than 20 forecasts and are neither joined
    nor given an interval. Below: the number of forecasts in each bin.
    """
    drawn = [(k, row, view.of(row, column)) for k, row in enumerate(rows)]
    families = list(dict.fromkeys(one.family for _, _, found in drawn for one in found))
    names = [_told(row, found) for _, row, found in drawn]
    columns = legend_columns(names, TEXT_WIDTH)
    across = min(4, max(2, len(families)))
    down = -(-len(families) // across)
    head, foot, gap, left = head_inches(view.section) + 0.05, 0.55 + 0.17 * -(-len(rows) // columns), 0.3, 0.52
    side = (TEXT_WIDTH - left - 0.1 - gap * (across - 1)) / across
    side = min(side, 2.2)
    block = side + 0.95
    width, height = TEXT_WIDTH, head + block * down + foot
    figure = empty_figure(width, height)
    for i, family in enumerate(families):
        x = left + (i % across) * (side + gap)
        top = head + (i // across) * block + 0.2
        box = (x / width, 1 - (top + side) / height, side / width, side / height)
        axes = figure.add_axes(box)
        counts = figure.add_axes((x / width, 1 - (top + side + 0.45) / height, side / width, 0.37 / height))
        first = i % across == 0
        _prepare(axes, counts, family, first)
        for k, _, found in drawn:
            for one in found:
                if one.family == family:
                    _draw(axes, one, k)
                    look = model_mark(k) | {"linestyle": "-", "markersize": 2.4, "linewidth": 0.7}
                    counts.plot([100 * b.probability for b in one.bins], [b.forecasts for b in one.bins], **look)
    draw_legend(figure, names, columns, 0.3, 6.5, markersize=4, linewidth=1.0, linestyle="-")
    note = f"{_MARKS} Below: how many, logarithmic.\nECE: expected calibration error over all labels, percent."
    figure.text(0.005, 0.03 / height, note, va="bottom", size=6, color=FAINT)
    draw_title(figure, view.section, _title(column), height)
    return figure


def overview_figure(view: CalibrationView, rows: Sequence[Row]) -> Figure:
    """Draw one diagram for each task, of all its labels, with every model in it: as wide as a column or a phone.

    Bins of fewer than :data:`FEW` forecasts are left out, and so are intervals, which would hide the other models.
    """
    names = [clipped(row.name) for row in rows]
    legend, left, top, gap, name = legend_columns(names, COLUMN_WIDTH), 0.4, 0.06, 0.14, 0.2
    side, down = (COLUMN_WIDTH - left - gap - 0.06) / 2, -(-len(view.section.columns) // 2)
    height = top + down * (side + name) + 0.42 + 0.17 * -(-len(rows) // legend)
    figure = empty_figure(COLUMN_WIDTH, height)
    for i, column in enumerate(view.section.columns):
        x, y = left + i % 2 * (side + gap), height - top - (i // 2 + 1) * (side + name)
        axes = figure.add_axes((x / COLUMN_WIDTH, y / height, side / COLUMN_WIDTH, side / height))
        _frame(axes, first=i % 2 == 0)
        axes.set_title(column.name, size=7, pad=2)
        last = i + 2 >= len(view.section.columns)
        axes.tick_params(labelbottom=last)
        if last:
            axes.set_xlabel("probability, percent", size=6.5, labelpad=1)
        look: dict[str, Any] = {"linestyle": "-", "linewidth": 0.8, "markersize": 2.6, "clip_on": False}
        for k, row in enumerate(rows):
            for one in view.of(row, column)[-1:]:
                axes.plot(*_firm(one), **model_mark(k) | look)
    draw_legend(figure, names, legend, 0.03, 6.5, markersize=4)
    return figure


_MARKS = f"{BINS} bins of equal width; whisker: 95 % cluster-bootstrap interval; hollow: fewer than {FEW} forecasts."


def _title(column: Column) -> str:
    return f"{column.name}: reliability by family (n={column.test_tracks} test tracks)"


def _told(row: Row, found: Sequence[Calibration]) -> str:
    return f"{clipped(row.name)} (ECE {percent(found[-1].ece)})" if found else f"{clipped(row.name)} (no record)"


def _prepare(axes: Axes, counts: Axes, family: str, first: bool) -> None:
    axes.set_title(clipped(family, 26), size=7.5, pad=3)
    counts.set_yscale("log")
    counts.set_ylim(0.7, 1e5)
    counts.set_yticks([1, 100, 10000], ["1", "100", "10⁴"])
    counts.minorticks_off()
    _frame(axes, first)
    axes.tick_params(labelbottom=False)
    _scale(counts, first)
    counts.set_xlabel("probability, percent", size=6.5, labelpad=1)
    if first:
        counts.set_ylabel("forecasts", size=6, labelpad=1)


def _frame(axes: Axes, first: bool) -> None:
    """Prepare a diagram; the first of a line has the scale and what it is of."""
    axes.plot([0, 100], [0, 100], color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 20))
    axes.grid(color=LINE, linewidth=0.5, clip_on=False)
    axes.set_axisbelow(True)
    _scale(axes, first)
    if first:
        axes.set_ylabel("came true, percent", size=6.5, labelpad=2)


def _scale(axes: Axes, first: bool) -> None:
    axes.set_xlim(-2, 102)
    axes.set_xticks(range(0, 101, 20))
    axes.tick_params(labelsize=6, length=2, width=0.5, labelleft=first)


def _firm(one: Calibration) -> tuple[list[float], list[float]]:
    """Probabilities and shares that came true, percent; a bin of few forecasts is not a number and breaks a line."""
    said = [100 * b.probability for b in one.bins]
    return said, [100 * b.observed if b.forecasts >= FEW else float("nan") for b in one.bins]


def _draw(axes: Axes, one: Calibration, k: int) -> None:
    colour, marker = model_mark(k)["color"], model_mark(k)["marker"]
    axes.plot(*_firm(one), color=colour, linewidth=0.9)
    for found in one.bins:
        x, y = 100 * found.probability, 100 * found.observed
        if found.low is not None and found.high is not None and found.forecasts >= FEW:
            axes.plot([x, x], [100 * found.low, 100 * found.high], color=colour, linewidth=0.7)
        face = colour if found.forecasts >= FEW else "white"
        axes.plot([x], [y], marker=marker, markersize=3.4, color=colour, markerfacecolor=face, markeredgewidth=0.7,
                  clip_on=False)  # fmt: skip
