"""A sweep of scales as a figure: score against scale, task by task, with the levels of the base and of each source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...records.record import Record
from ...views.figures import COLOURS, FAINT, INK, LINE, TEXT_WIDTH, empty_figure
from .sweep import Sweep, SweptModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = ("validation score", "test ROC-AUC", "test AP")

LEGEND_COLUMNS = 3

Span = tuple[float, float] | None


def sweep_figure(sweep: Sweep, title: str, warning: str = "") -> Figure:
    """Draw three rows of panels, one column for each task; percent.

    The upper row is what the scale is chosen by; below it the test scores with their intervals. The chosen scale is
    marked by a vertical line in every panel.

    Args:
        sweep: what to draw.
        title: edition and protocol.
        warning: what must stand beside every number.
    """
    columns = len(sweep.tasks)
    legend_rows = -(-(len(sweep.added) + 2) // LEGEND_COLUMNS)
    head, foot, left, panel, gap = 0.72 + 0.14 * bool(warning), 0.16 + 0.16 * legend_rows, 0.55, 1.15, 0.3
    each = max(0.85, min(2.2, (TEXT_WIDTH - left) / columns - gap))
    width = max(5.5, left + columns * (each + gap))
    height = head + len(ROWS) * (panel + gap) + foot
    figure = empty_figure(width, height)
    for y in range(len(ROWS)):
        for x, task in enumerate(sweep.tasks):
            bottom = foot + (len(ROWS) - 1 - y) * (panel + gap) + gap
            axes = figure.add_axes(((left + x * (each + gap)) / width, bottom / height, each / width, panel / height))
            _draw_panel(axes, sweep, task, y)
            if y == 0:
                axes.set_title(task.replace("_", " "), size=7.5, weight="bold")
            if x == 0:
                axes.set_ylabel(ROWS[y], size=7)
            if y == len(ROWS) - 1:
                axes.set_xlabel("scale", size=7)
    figure.text(
        0.01, 1 - 0.06 / height, "Score against the scale of the merge, percent", va="top", size=9, weight="bold"
    )
    figure.text(0.01, 1 - 0.23 / height, title, va="top", size=7)
    note = (
        "Dotted: the scale that validation chose (upper row). Choosing by the test rows would be selection on the test."
    )
    for i, text in enumerate(text for text in (note, warning) if text):
        figure.text(0.01, 1 - (0.37 + 0.14 * i) / height, text, va="top", size=6.5, style="italic")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower left", ncols=LEGEND_COLUMNS, fontsize=6.5, frameon=False, bbox_to_anchor=(0.0, 0.0)
    )
    return figure


def _draw_panel(axes: Axes, sweep: Sweep, task: str, row: int) -> None:
    scales = [level.scale or 0.0 for level in sweep.merged]
    values, spans = _row_of(sweep.merged, task, row)
    known = [(x, value) for x, value in zip(scales, values, strict=True) if value is not None]
    axes.plot(
        [x for x, _ in known], [v for _, v in known], color=COLOURS[0], marker="o", markersize=3, lw=1.2, label="merge"
    )
    for x, span in zip(scales, spans, strict=True):
        if span is not None:
            axes.plot([x, x], span, color=COLOURS[0], lw=0.7, alpha=0.6)
    levels, _ = _row_of((sweep.base, *sweep.added), task, row)
    for i, (level, value) in enumerate(zip((sweep.base, *sweep.added), levels, strict=True)):
        if value is not None:
            colour = INK if i == 0 else COLOURS[1 + (i - 1) % (len(COLOURS) - 1)]
            dashes = "-" if i == 0 else (0, (4, 1 + (i - 1) // (len(COLOURS) - 1)))
            name = f"{level.name} (base)" if i == 0 else level.name
            axes.axhline(value, color=colour, lw=0.9, linestyle=dashes, label=name)
    axes.axvline(sweep.chosen.scale or 0.0, color=FAINT, lw=0.9, linestyle=":")
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.grid(axis="y", color=LINE, lw=0.5)
    axes.locator_params(nbins=4)


def _row_of(levels: Sequence[SweptModel], task: str, row: int) -> tuple[list[float | None], list[Span]]:
    """Values and intervals of one row of panels, percent."""
    found = [_value(level.records[task], row) for level in levels]
    return [value for value, _ in found], [span for _, span in found]


def _value(record: Record, row: int) -> tuple[float | None, Span]:
    if row == 0:
        return 100 * record.selection.valid_score, None
    metric = record.metrics[("roc_auc", "average_precision")[row - 1]]
    span = metric.interval
    return (
        None if metric.value is None else 100 * metric.value,
        (100 * span.low, 100 * span.high) if span else None,
    )
