"""Reliability diagrams: what share of the forecasts came true, by what they said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .calibration import BINS, Calibration, CalibrationTask, CalibrationView
from .figures import (
    COLOURS,
    FAINT,
    LINE,
    MARKERS,
    TEXT_WIDTH,
    clipped,
    draw_title,
    empty_figure,
    head_inches,
    legend_columns,
)
from .sections import Row, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 20
"""Forecasts in a bin below which its mark is hollow."""

WITH_INTERVALS = 3
"""Models up to which the marks have intervals: more would hide one another."""


def calibration_figure(view: CalibrationView, task: CalibrationTask, rows: Sequence[Row] | None = None) -> Figure:
    """Draw a reliability diagram for every family of a task, with the number of forecasts in each bin below.

    On the diagonal, what is said comes true. Hollow marks rest on fewer than 20 forecasts and are neither joined
    nor given an interval.

    Args:
        view: the section's.
        task: of the view.
        rows: the models to draw, as many as there are markers at most; all of them if not given.
    """
    from matplotlib.lines import Line2D

    rows = view.section.rows if rows is None else rows
    drawn = [(k, row, task.found.get(view.section.rows.index(row), ())) for k, row in enumerate(rows)]
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
                    _draw(axes, counts, one, k, len(rows) <= WITH_INTERVALS)
    handles = [
        Line2D(
            [], [], color=COLOURS[k % 7], marker=MARKERS[k % 7], markersize=4, linewidth=1.0, label=_told(row, found)
        )
        for k, row, found in drawn
    ]
    place = (0.5, 0.3 / height)
    figure.legend(handles=handles, loc="lower center", bbox_to_anchor=place, ncols=columns, frameon=False, fontsize=6.5,
                  borderaxespad=0)  # fmt: skip
    bars = "whisker: 95 % cluster-bootstrap interval; " if len(rows) <= WITH_INTERVALS else ""
    note = (
        f"{BINS} bins of equal width; {bars}hollow: fewer than {FEW} forecasts. Below: how many, "
        "logarithmic.\nECE: expected calibration error over all labels, percent."
    )
    figure.text(0.005, 0.03 / height, note, va="bottom", size=6, color=FAINT)
    title = f"{task.column.name}: reliability by family (n={task.column.test_tracks} test tracks)"
    draw_title(figure, view.section, title, height)
    return figure


def _told(row: Row, found: Sequence[Calibration]) -> str:
    return f"{clipped(row.name)} (ECE {percent(found[-1].error)})" if found else f"{clipped(row.name)} (no record)"


def _prepare(axes: Axes, counts: Axes, family: str, first: bool) -> None:
    axes.set_title(clipped(family, 26), size=7.5, pad=3)
    axes.plot([0, 100], [0, 100], color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 20))
    axes.grid(color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    counts.set_yscale("log")
    counts.set_ylim(0.7, 1e5)
    counts.set_yticks([1, 100, 10000], ["1", "100", "10⁴"])
    counts.minorticks_off()
    for one in (axes, counts):
        one.set_xlim(-2, 102)
        one.set_xticks(range(0, 101, 20))
        one.tick_params(labelsize=6, length=2, width=0.5, labelleft=first)
    axes.tick_params(labelbottom=False)
    counts.set_xlabel("probability, percent", size=6.5, labelpad=1)
    if first:
        axes.set_ylabel("came true, percent", size=6.5, labelpad=2)
        counts.set_ylabel("forecasts", size=6, labelpad=1)


def _draw(axes: Axes, counts: Axes, one: Calibration, k: int, intervals: bool) -> None:
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    said, came = [100 * b.probability for b in one.bins], [100 * b.observed for b in one.bins]
    # A bin that is not a number interrupts the line: nothing is drawn where little is known.
    firm = [y if b.forecasts >= FEW else float("nan") for b, y in zip(one.bins, came, strict=True)]
    axes.plot(said, firm, color=colour, linewidth=0.9)
    for found, x, y in zip(one.bins, said, came, strict=True):
        if intervals and found.interval and found.forecasts >= FEW:
            axes.plot([x, x], [100 * end for end in found.interval], color=colour, linewidth=0.7)
        face = colour if found.forecasts >= FEW else "white"
        axes.plot([x], [y], marker=marker, markersize=3.4, color=colour, markerfacecolor=face, markeredgewidth=0.7)
    counts.plot(said, [b.forecasts for b in one.bins], color=colour, marker=marker, markersize=2.4, linewidth=0.7)
