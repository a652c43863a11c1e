"""Data efficiency as a figure: score against the size of the training split, tradition by tradition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...views.figures import (
    FAINT,
    LINE,
    TEXT_WIDTH,
    describe,
    draw_legend,
    draw_title,
    empty_figure,
    head_inches,
    legend_columns,
    model_mark,
)
from .measuring import Efficiency
from .subsets import AXES, GROUPS, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NOTE = "Bar below: the model that is shown to be ahead of every other there. Shaded: two models are shown to cross."

_PANEL, _GAP, _LEFT = 1.25, 0.42, 0.45
"""Inches."""


def efficiency_figure(found: Efficiency) -> Figure:
    """Draw a column of two panels for each tradition: by share of the groups, and by positives of every label."""
    columns = legend_columns(found.models, TEXT_WIDTH)
    legend = -(-len(found.models) // columns)
    head, foot = head_inches(found) + 0.2, 0.1 + 0.16 * legend
    each = min(2.4, (TEXT_WIDTH - _LEFT) / len(found.curves) - 0.12)
    width = max(5.2, _LEFT + len(found.curves) * (each + 0.12))
    height = head + 2 * (_PANEL + _GAP) + foot
    figure = empty_figure(width, height)
    low, top = _ends(found)
    for y, (unit, sizes) in enumerate(AXES.items()):
        for x, tradition in enumerate(found.curves):
            bottom = foot + (1 - y) * (_PANEL + _GAP) + _GAP
            place = ((_LEFT + x * (each + 0.12)) / width, bottom / height, each / width, _PANEL / height)
            axes = figure.add_axes(place)
            _draw_panel(axes, found, tradition, sizes)
            axes.set_ylim(low, top)
            axes.set_title(tradition.capitalize() if y == 0 else "", size=7.5, weight="bold")
            axes.set_xlabel(
                "% of training groups" if unit == GROUPS else "positives of every label", size=6.5, labelpad=1
            )
            axes.set_ylabel("score, percent" if x == 0 else "", size=7)
            if x:
                axes.tick_params(labelleft=False)
    draw_title(figure, found, "Score against how much is learnt from: 0 at chance, 100 perfect", height)
    figure.text(0.005, 0.04 / height, _NOTE, va="bottom", size=6, style="italic")
    draw_legend(figure, found.models, columns, 0.17)
    describe(figure, "Data efficiency", f"Scores of {', '.join(found.models)} by the size of the training split.")
    return figure


def _ends(found: Efficiency) -> tuple[float, float]:
    """Return the ends of the scores, percent, the same in every panel; room below for the bars."""
    points = [one for there in found.curves.values() for curve in there.values() for one in curve.values()]
    ends = [100 * end for one in points for end in (one.value, one.low, one.high) if end is not None]
    low, top = min([0.0, *ends]), max([10.0, *ends])
    return low - 0.08 * (top - low), top + 0.03 * (top - low)


def _draw_panel(axes: Axes, found: Efficiency, tradition: str, sizes: tuple[Size, ...]) -> None:
    for k, model in enumerate(found.models):
        points = found.curves[tradition][model]
        # Beside one another, so that no interval hides another's.
        shift = 0.14 * (k - (len(found.models) - 1) / 2)
        known = [(i + shift, points[size]) for i, size in enumerate(sizes) if points[size].value is not None]
        look = {**model_mark(k), "markersize": 3.2, "linestyle": "-", "lw": 1.0}
        axes.plot([x for x, _ in known], [100 * (point.value or 0.0) for _, point in known], **look)
        for x, point in known:
            if point.low is not None and point.high is not None:
                axes.plot([x, x], [100 * point.low, 100 * point.high], color=look["color"], lw=0.8, alpha=0.7)
        for i, size in enumerate(sizes):
            if _leader(found, tradition, size) == model:
                axes.axvspan(i - 0.4, i + 0.4, 0, 0.035, color=look["color"], lw=0)
    for pair in found.pairs:
        for ends in pair.crossings if pair.tradition == tradition else ():
            if set(ends) <= set(sizes):
                axes.axvspan(*(sizes.index(size) for size in ends), color=FAINT, alpha=0.15, lw=0)
    axes.axhline(0, color=FAINT, lw=0.6)
    axes.set_xticks(range(len(sizes)), [size.short.removesuffix(" %") for size in sizes])
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.grid(axis="y", color=LINE, lw=0.5)
    axes.locator_params(axis="y", nbins=5)


def _leader(found: Efficiency, tradition: str, size: Size) -> str | None:
    """Return the model that is shown to be ahead of every other; ``None`` where there is none."""
    pairs = [pair for pair in found.pairs if pair.tradition == tradition]
    wins = [pair.ahead(size) for pair in pairs]
    return next((m for m in found.models if len(found.models) > 1 and wins.count(m) == len(found.models) - 1), None)
