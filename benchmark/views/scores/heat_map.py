"""Models by tasks as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ...records.record import Metric
from ...records.sections import ABSENT, METRIC_TITLES, Section
from ..figures import FLOORS, INK, TEXT_WIDTH, clipped, draw_scale, draw_title, empty_figure, head_inches, ink_on
from ..words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def heat_map(section: Section, metric: str) -> Figure:
    """Draw models by tasks, coloured and annotated with score and interval (percent).

    Columns are grouped by tradition. The colour map is cividis, perceptually uniform and made for colour-blind readers
    (Nunez, Anderton, Renslow, PLoS ONE 13(7), 2018); its lightness rises steadily, so it survives a greyscale print.

    Args:
        section: records of one edition, split and protocol.
        metric: ``roc_auc`` or ``average_precision``.
    """
    rows, columns = section.rows, section.columns
    shown = [clipped(row.name) for row in rows]
    left = 0.12 + 0.075 * max(map(len, shown))
    gaps, ends = _gaps(section), _ends(section, metric)
    span = len(columns) + gaps[-1]
    bar = 0.75
    cell = min(1.0, max(0.72, (TEXT_WIDTH - left - bar) / span))
    head, foot, line = head_inches(section) + 0.34, 0.44, 0.42
    width, height = max(left + cell * span + bar, 5.2), head + line * len(rows) + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, cell * span / width, line * len(rows) / height))
    axes.set_xlim(0, span)
    axes.set_ylim(len(rows), 0)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            _heat_cell(axes, x + gaps[x], y, section.metric(row, column, metric), ends)
    axes.set_yticks([y + 0.5 for y in range(len(rows))], shown, size=8)
    names = [f"{c.name}\nn={c.test_tracks}, {c.label_count}" for c in columns]
    axes.set_xticks([x + gaps[x] + 0.5 for x in range(len(columns))], ["" for _ in columns])
    for x, name in enumerate(names):
        first, second = name.split("\n")
        at = x + gaps[x] + 0.5
        axes.annotate(first, (at, len(rows)), (0, -4), textcoords="offset points", ha="center", va="top", size=7)
        axes.annotate(second, (at, len(rows)), (0, -14), textcoords="offset points", ha="center", va="top", size=5.5)
    _traditions(axes, section, gaps)
    draw_scale(figure, ends, (left + cell * span + 0.16) / width, foot / height, line * len(rows) / height, width)
    draw_title(figure, section, f"{METRIC_TITLES[metric]} by model and task, percent", height)
    return figure


def _ends(section: Section, metric: str) -> tuple[float, float]:
    """Return the ends of the colour scale, percent: from chance (ROC-AUC) or 0 to the next ten above the best score."""
    found = (section.metric(row, column, metric) for row in section.rows for column in section.columns)
    best = max((100 * m.value for m in found if m and m.value is not None), default=0.0)
    low = FLOORS[metric]
    return low, min(100.0, max(low + 20.0, 10.0 * (best // 10 + 1)))


def _gaps(section: Section) -> list[float]:
    """Return the shift of every column: a little more after each tradition."""
    shift, gaps = 0.0, []
    for i, column in enumerate(section.columns):
        if i and column.tradition != section.columns[i - 1].tradition:
            shift += 0.08
        gaps.append(shift)
    return gaps


def _heat_cell(axes: Axes, x: float, y: float, metric: Metric | None, ends: tuple[float, float]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    if metric is None or metric.value is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eceff1", hatch="////", linewidth=0.8, edgecolor="#c3c9cf"))
        axes.text(x + 0.5, y + 0.5, ABSENT, ha="center", va="center", size=8.5, color="#33393f")
        return
    low, high = ends
    shade = colormaps["cividis"](min(1.0, max(0.0, (100 * metric.value - low) / (high - low))))
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, linewidth=0.8, edgecolor="white"))
    ink = ink_on(shade)
    middle = 0.37 if metric.interval else 0.5
    axes.text(x + 0.5, y + middle, percent(metric.value), ha="center", va="center", size=8.5, color=ink)
    if metric.interval:
        span = f"{percent(metric.interval.low)}–{percent(metric.interval.high)}"
        axes.text(x + 0.5, y + 0.75, span, ha="center", va="center", size=6, color=ink)


def _traditions(axes: Axes, section: Section, gaps: Sequence[float]) -> None:
    """Draw a bracket above the columns of each tradition."""
    for tradition, found in groupby(range(len(section.columns)), key=lambda i: section.columns[i].tradition):
        members = list(found)
        start, end = members[0] + gaps[members[0]], members[-1] + gaps[members[-1]] + 1
        axes.plot([start + 0.04, end - 0.04], [-0.1, -0.1], color=INK, linewidth=1.0, clip_on=False)
        axes.text((start + end) / 2, -0.18, tradition.capitalize(), ha="center", va="bottom", size=7.5, weight="bold")
