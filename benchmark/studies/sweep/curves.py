"""A sweep of scales as a figure: score against scale, task by task, with the levels of the base and of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.record import Record
from ...records.sections import HEADLINE
from ...views.figures import COLOURS, FAINT, INK, LINE, TEXT_WIDTH, draw_title, empty_figure, head_inches
from .sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = ("validation score", "test ROC-AUC", "test AP")

LEGEND_COLUMNS = 3

_NOTE = "Dotted: the scale that validation chose (upper row). Choosing by the test rows would be selection on the test."


def sweep_figure(sweep: Sweep) -> Figure:
    """Draw three rows of panels, one column for each task; percent.

    The upper row is what the scale is chosen by; below it the test scores with their intervals. The chosen scale is
    marked by a vertical line in every panel.
    """
    columns = len(sweep.tasks)
    legend_rows = -(-(len(sweep.added) + 2) // LEGEND_COLUMNS)
    head, foot, left, panel, gap = head_inches(sweep) + 0.16, 0.3 + 0.16 * legend_rows, 0.55, 1.15, 0.3
    each = max(0.85, min(2.2, (TEXT_WIDTH - left) / columns - gap))
    width = max(5.5, left + columns * (each + gap))
    height = head + len(ROWS) * (panel + gap) + foot
    figure = empty_figure(width, height)
    for y, name in enumerate(ROWS):
        for x, task in enumerate(sweep.tasks):
            bottom = foot + (len(ROWS) - 1 - y) * (panel + gap) + gap
            axes = figure.add_axes(((left + x * (each + gap)) / width, bottom / height, each / width, panel / height))
            _draw_panel(axes, sweep, task, y)
            axes.set_title(task.replace("_", " ") if y == 0 else "", size=7.5, weight="bold")
            axes.set_ylabel(name if x == 0 else "", size=7)
            axes.set_xlabel("scale" if y == len(ROWS) - 1 else "", size=7)
    draw_title(figure, sweep, "Score against the scale of the merge, percent", height)
    figure.text(0.005, 0.04 / height, _NOTE, va="bottom", size=6.5, style="italic")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    place = (0.0, 0.14 / height)
    figure.legend(
        handles, labels, loc="lower left", ncols=LEGEND_COLUMNS, fontsize=6.5, frameon=False, bbox_to_anchor=place
    )
    return figure


def _draw_panel(axes: Axes, sweep: Sweep, task: str, row: int) -> None:
    merged = [(level.scale or 0.0, *_percents(level.records[task], row)) for level in sweep.merged]
    known = [(scale, value) for scale, value, _ in merged if value is not None]
    axes.plot(*zip(*known, strict=True), color=COLOURS[0], marker="o", markersize=3, lw=1.2, label="merge")
    for scale, _, span in merged:
        axes.plot([scale] * len(span), span, color=COLOURS[0], lw=0.7, alpha=0.6)
    for i, level in enumerate((sweep.base, *sweep.added)):
        value, _ = _percents(level.records[task], row)
        if value is not None:
            turn, k = divmod(i - 1, len(COLOURS) - 1)
            colour, dashes = (COLOURS[1 + k], (0, (4, 1 + turn))) if i else (INK, "-")
            axes.axhline(value, color=colour, lw=0.9, linestyle=dashes, label=level.name + " (base)" * (i == 0))
    axes.axvline(sweep.chosen.scale or 0.0, color=FAINT, lw=0.9, linestyle=":")
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.grid(axis="y", color=LINE, lw=0.5)
    axes.locator_params(nbins=4)


def _percents(record: Record, row: int) -> tuple[float | None, tuple[float, ...]]:
    """Value and ends of the interval in one row of panels, percent."""
    if row == 0:
        return 100 * record.selection.valid_score, ()
    metric = record.metrics[HEADLINE[row - 1]]
    span = metric.interval
    ends = (100 * span.low, 100 * span.high) if span else ()
    return None if metric.value is None else 100 * metric.value, ends
