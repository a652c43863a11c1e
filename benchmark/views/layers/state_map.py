"""Scores by hidden state and family as a heat map, one panel for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ....errors import counted
from ...records.sections import ABSENT, METRIC_TITLES, Column
from ..figures import (
    FAINT,
    INK,
    TEXT_WIDTH,
    clipped,
    draw_bar,
    draw_cell,
    draw_title,
    empty_figure,
    head_inches,
    prepare_map,
    scale_ends,
)
from .layers import LayerLine, LayerPanel, LayerView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_INCHES, PANEL_INCHES, TALLEST = 0.24, 0.52, 9.0
"""Of one family, of a panel's title and axis, and of a whole figure."""


def panels_by_page(panels: Sequence[LayerPanel]) -> list[Sequence[LayerPanel]]:
    """Split the models into as many figures as a page is tall."""
    pages: list[list[LayerPanel]] = []
    used = TALLEST
    for panel in panels:
        inches = PANEL_INCHES + LINE_INCHES * len(panel.lines)
        if used + inches > TALLEST:
            pages.append([])
            used = 0.0
        pages[-1].append(panel)
        used += inches
    return list(pages)


def layer_figure(view: LayerView, column: Column, panels: Sequence[LayerPanel] | None = None) -> Figure:
    """Draw families by inputs for some models, coloured and annotated with the validation score (percent).

    The best hidden state of each family is outlined, a triangle marks the input that validation chose, and the weighted
    sum stands apart on the right. The colours are cividis, as in :func:`..scores.heat_map.heat_map`, on one scale.
    """
    shown = (value for panel in view.panels[column] for line in panel.lines for value in line.values)
    ends = scale_ends(shown, view.metric)
    panels = view.panels[column] if panels is None else panels
    left = 0.25 + 0.062 * max(len(_line_name(line)) for panel in panels for line in panel.lines)
    most = max(len(panel.inputs) for panel in panels)
    cell = min(0.55, (TEXT_WIDTH - left - 0.05) / (most + 0.3))
    head, foot = head_inches(view.section) + 0.05, 0.6
    tall = [PANEL_INCHES + LINE_INCHES * len(panel.lines) for panel in panels]
    width, height = max(left + cell * (most + 0.3) + 0.05, 5.4), head + sum(tall) + foot
    figure = empty_figure(width, height)
    top = head
    for panel, inches in zip(panels, tall, strict=True):
        lines = LINE_INCHES * len(panel.lines)
        across = cell * (len(panel.inputs) + 0.3)
        bottom = height - top - 0.24 - lines
        axes = figure.add_axes((left / width, bottom / height, across / width, lines / height))
        _draw_panel(axes, panel, ends, cell)
        top += inches
    draw_bar(figure, ends, "cividis", left, 0.24, 2.2, "≤ 50" if ends[0] == 50 else "")
    note = "n: validation tracks; outlined: best state; triangle: chosen. One seed, no intervals: a map, not a result."
    figure.text(0.005, 0.04 / height, note, va="bottom", size=6.5, color=FAINT)
    title = f"{column.name}: {METRIC_TITLES[view.metric]} on validation by hidden state and family, percent"
    draw_title(figure, view.section, title, height)
    return figure


def _line_name(line: LayerLine) -> str:
    return f"{clipped(line.family)} · {line.count}"


def _place(panel: LayerPanel, k: int) -> float:
    """Left edge of an input: the weighted sum a little apart."""
    return k + (0.3 if k == panel.fused else 0.0)


def _draw_panel(axes: Axes, panel: LayerPanel, ends: tuple[float, float], cell: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    low, high = ends
    prepare_map(axes, len(panel.inputs) + 0.3, len(panel.lines))
    digits = 1 if cell >= 0.36 else 0
    size = min(7.0, 18 * cell if digits else 24 * cell)
    for y, line in enumerate(panel.lines):
        known = [k for k in panel.states if line.values[k] is not None]
        for k, value in enumerate(line.values):
            x = _place(panel, k)
            share = None if value is None else min(1.0, max(0.0, (100 * value - low) / (high - low)))
            shade = None if share is None else colormaps["cividis"](share)
            text = ABSENT if value is None else f"{100 * value:.{digits}f}"
            draw_cell(axes, x, y, shade, text, size, linewidth=0.6)
            if k == panel.best(line) and len(known) > 1:
                frame = Rectangle((x + 0.04, y + 0.06), 0.92, 0.88, fill=False, edgecolor="white", lw=2.2, zorder=3)
                axes.add_patch(frame)
                axes.add_patch(Rectangle((x + 0.04, y + 0.06), 0.92, 0.88, fill=False, edgecolor="black", lw=1.0,
                                         zorder=4))  # fmt: skip
    names = [_line_name(line) for line in panel.lines]
    axes.set_yticks([y + 0.5 for y in range(len(names))], names, size=7)
    named = max(map(len, panel.inputs)) * 0.048 < cell
    ticks = [k for k in range(len(panel.inputs)) if k == panel.fused or cell >= 0.2 or k % 2 == 0]
    shown = [panel.inputs[k] if named or k == panel.fused else str(k) for k in ticks]
    axes.set_xticks([_place(panel, k) + 0.5 for k in ticks], shown, size=5.5 if named else 6.5)
    if panel.chosen is not None:
        axes.plot([_place(panel, panel.chosen) + 0.5], [-0.16], marker="v", color=INK, markersize=4, clip_on=False)
    title = f"{clipped(panel.row.name, 60)} ({counted(len(panel.states), 'hidden state')}, n={panel.valid_tracks})"
    axes.annotate(title, (0, 0), (0, 9), textcoords="offset points", size=7.5, weight="bold")
