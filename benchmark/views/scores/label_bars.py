"""The scores of every label of a record, as bars."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from ...records.record import LabelScore, Record
from ...records.sections import ABSENT, HEADLINE, METRIC_TITLES, Section
from ..dots import prepare_panel
from ..figures import (
    COLOURS,
    FAINT,
    FLOORS,
    INK,
    TEXT_WIDTH,
    clipped,
    draw_title,
    empty_figure,
    head_inches,
    short_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def label_bars(section: Section, record: Record) -> Figure:
    """Draw the scores of every label of one record, by family, with interval, support and the level of chance.

    ROC-AUC bars start at 50, AP bars at 0; the tick in an AP bar is the label's prevalence, which is the AP of chance.
    Labels without a score are listed with the reason.
    """
    scored = [s for s in record.labels if s.roc_auc is not None]
    missing = [s for s in record.labels if s.roc_auc is None]
    families = sorted({s.family for s in scored}, key=lambda f: [s.family for s in scored].index(f))
    left = 0.15 + 0.068 * max([len(short_label(s.label)) for s in scored] + [8])
    line, head, foot = 0.165, head_inches(section) + 0.2, 0.5 + 0.14 * len(missing)
    count = len(scored) + 1.3 * len(families)
    width, height = TEXT_WIDTH, head + line * max(count, 3) + foot
    figure = empty_figure(width, height)
    panel = (width - left - 0.85) / 2
    panels = {}
    for i, metric in enumerate(HEADLINE):
        at = left + i * (panel + 0.3)
        axes = figure.add_axes((at / width, foot / height, panel / width, line * max(count, 3) / height))
        lows = [100 * s.roc_auc_interval.low for s in scored if s.roc_auc_interval]
        prepare_panel(axes, metric, METRIC_TITLES[metric], lows, max(count, 3))
        panels[metric] = axes
    y = 0.0
    for colour, family in zip(cycle(COLOURS), families, strict=False):
        panels["roc_auc"].text(-0.02, y + 0.65, family, transform=panels["roc_auc"].get_yaxis_transform(), ha="right",
                               va="center", size=7, weight="bold")  # fmt: skip
        y += 1.3
        for score in (s for s in scored if s.family == family):
            for metric, axes in panels.items():
                _bar(axes, y + 0.5, score, metric, colour)
            panels["roc_auc"].text(-0.02, y + 0.5, short_label(score.label), ha="right", va="center", size=6.5,
                                   transform=panels["roc_auc"].get_yaxis_transform())  # fmt: skip
            panels["average_precision"].text(1.03, y + 0.5, f"n={score.support}", va="center", size=6,
                                             transform=panels["average_precision"].get_yaxis_transform())  # fmt: skip
            y += 1
    note = "whisker: interval; dotted tick: prevalence, the AP of chance; n: positives in the test split"
    figure.text(0.01, (0.05 + 0.14 * len(missing)) / height, note, va="bottom", size=6.5, color=FAINT)
    for i, score in enumerate(missing):
        text = f"No score: {score.label} (n={score.support}): {score.reason or 'no reason given'}"
        figure.text(0.01, (0.04 + 0.14 * (len(missing) - 1 - i)) / height, text, va="bottom", size=6.5)
    title = f"{clipped(record.model.name)} on {clipped(record.task.name)}: scores by label, percent"
    draw_title(figure, section, title, height)
    return figure


def _bar(axes: Axes, y: float, score: LabelScore, metric: str, colour: str) -> None:
    value, span = score.ranked(metric)
    if value is None:
        axes.text(1, y, ABSENT, va="center", size=6.5)
        return
    base = FLOORS[metric]
    axes.barh(y, 100 * value - base, left=base, height=0.7, color=colour)
    if span:
        axes.plot([100 * span.low, 100 * span.high], [y, y], color=INK, linewidth=0.9, solid_capstyle="butt")
        axes.plot([100 * span.low] * 2, [y - 0.2, y + 0.2], color=INK, linewidth=0.9)
        axes.plot([100 * span.high] * 2, [y - 0.2, y + 0.2], color=INK, linewidth=0.9)
    if metric == "average_precision":
        axes.plot([100 * score.prevalence] * 2, [y - 0.38, y + 0.38], color="white", linewidth=2.0)
        axes.plot([100 * score.prevalence] * 2, [y - 0.38, y + 0.38], color=INK, linewidth=0.8, linestyle=(0, (1, 0.8)))
