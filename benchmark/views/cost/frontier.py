"""Cost against score as a scatter, with the models that no other beats in both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ...comparing.lineage import is_control
from ...records.sections import Row
from ..figures import (
    COLOURS,
    FAINT,
    INK,
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
from .cost import MEASURES, CostPanel, CostView, several_devices

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def cost_figure(view: CostView, device: str, measure: str = "encode_seconds_per_hour") -> Figure:
    """Draw ROC-AUC against cost on one device, a panel for the mean over tasks and for each task.

    The line joins the models that no other beats: the Pareto front. The cost axis is logarithmic.
    """
    panels = [_of_learners(panel) for panel in view.panels if panel.device == device]
    models = list(dict.fromkeys(point.row for panel in panels for point in panel.points))
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    names = [clipped(row.name) for row in models]
    columns = legend_columns(names, TEXT_WIDTH if across > 2 else 5.2)
    legend = 0.17 * -(-len(models) // columns)
    note = several_devices(view)
    lower = 0.13 if note else 0.0
    head, foot, tall = head_inches(view.section) + 0.2, 0.62 + legend + lower, 1.75
    width, height = TEXT_WIDTH if across > 2 else 2.6 * across + 0.6, head + tall * down + foot - 0.25
    width = max(width, 5.2)
    figure = empty_figure(width, height)
    grid = figure.subplots(down, across, squeeze=False)
    figure.subplots_adjust(left=0.45 / width, right=1 - 0.08 / width, top=1 - (head + 0.1) / height,
                           bottom=(foot - 0.05) / height, hspace=0.42, wspace=0.2)  # fmt: skip
    for i, axes in enumerate(grid.flat):
        if i >= len(panels):
            axes.set_visible(False)
            continue
        _draw_panel(axes, panels[i], measure, {row: k for k, row in enumerate(models)})
    figure.supylabel("ROC-AUC, percent", size=7, x=0.004)
    draw_legend(figure, names, columns, 0.17 + lower)
    told = "line: no model is cheaper and better; whisker: interval of the score; controls left out."
    figure.text(0.005, 0.03 / height, f"{told}\n{note}" if note else told, va="bottom", size=6.5, color=FAINT)
    figure.text(0.5, (0.22 + legend + lower) / height, MEASURES[measure], ha="center", size=7)
    draw_title(figure, view.section, f"Score against cost on {device}", height)
    return figure


def _of_learners(panel: CostPanel) -> CostPanel:
    """Leave out controls, where there is anything else: nobody chooses between them and a model by their cost."""
    learners = tuple(point for point in panel.points if not is_control(point.records[0].model))
    return replace(panel, points=learners or panel.points)


def _draw_panel(axes: Axes, panel: CostPanel, measure: str, place: Mapping[Row, int]) -> None:
    tracks = max(point.test_tracks for point in panel.points)
    axes.set_title(f"{panel.name} (n={tracks})", size=7.5, pad=3)
    axes.grid(color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xscale("log")
    axes.tick_params(labelsize=6.5, length=2, width=0.5)
    known = [(p, x) for p in panel.points if (x := p.measure(measure)) is not None and p.score is not None]
    if not known:
        axes.text(0.5, 0.5, "no cost recorded", transform=axes.transAxes, ha="center", size=7)
        return
    front = [panel.points[k] for k in panel.front(measure)]
    axes.plot([p.measure(measure) or 0 for p in front], [100 * (p.score or 0) for p in front], color=INK, linewidth=0.9,
              linestyle=(0, (4, 2)), drawstyle="steps-post")  # fmt: skip
    for point, x in known:
        k = place[point.row]
        if point.interval:
            ends = [100 * point.interval.low, 100 * point.interval.high]
            axes.plot([x, x], ends, color=COLOURS[k % len(COLOURS)], linewidth=0.8)
        axes.plot([x], [100 * (point.score or 0)], **model_mark(k), markersize=5)
    costs = [x for _, x in known]
    axes.set_xlim(min(costs) / 1.8, max(costs) * 1.8)
    _ticks(axes)


def _ticks(axes: Axes) -> None:
    """Whole numbers of percent; of the costs as many of every power of ten as there is room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = axes.get_xlim()
    spans = ((100.0, (1.0,)), (20.0, (1.0, 3.0)), (6.0, (1.0, 2.0, 5.0)))
    subs = next((marks for least, marks in spans if high / low > least), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
