"""Scores as dots with their intervals, models side by side: the figure of the family and the label view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..records.record import FamilyScore, Interval, LabelScore
from ..records.sections import HEADLINE, METRIC_TITLES, Section
from .figures import (
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TALLEST = 9.0
"""Inches: where the models of a line would need more than this one below the other, they share the line."""


Dot = tuple[float | None, Interval | None]
"""A score, as a fraction, with its interval; without a value it is not drawn."""


@dataclass(frozen=True)
class DotLine:
    """One line of the figure."""

    name: str  # left of it
    note: str = ""  # right of it, for example how many tracks carry the label
    # metric -> one dot for each model; without it the line is a heading
    dots: Mapping[str, Sequence[Dot]] | None = None
    chance: Mapping[str, float] | None = None  # metric -> score of chance, where it is known, as a fraction

    @property
    def head(self) -> bool:
        """Whether the line is a heading, without dots."""
        return self.dots is None


def dots_of(scores: Sequence[LabelScore | FamilyScore | None]) -> dict[str, list[Dot]]:
    """Return the dots of a line: the scores of each model on a label or a family, ``None`` where it has none."""
    return {metric: [one.ranked(metric) if one else (None, None) for one in scores] for metric in HEADLINE}


def dots_figure(section: Section, title: str, lines: Sequence[DotLine], models: Sequence[str], key: str) -> Figure:
    """Draw ROC-AUC and AP, a panel each, one line for each family or label.

    With few models and lines, the models of a line stand one below the other with their intervals; else they share the
    line, without intervals. Models differ by colour and by marker. ``key`` says below the figure what notes and marks
    mean; there are at most as many models as markers.
    """
    spread = sum(not line.head for line in lines) * (0.1 * len(models) + 0.08) <= TALLEST
    step = max(0.17, 0.1 * len(models) + 0.08) if spread else 0.17
    tall = [0.2 if line.head else step for line in lines]
    missing = "" if spread else " Intervals: in the table."
    models = [clipped(name) for name in models]
    lines = [replace(line, name=clipped(line.name)) for line in lines]
    across = legend_columns(models, TEXT_WIDTH)
    legend = 0.17 * -(-len(models) // across)
    head, foot = head_inches(section) + 0.2, 0.42 + legend
    left = 0.2 + 0.062 * max([len(line.name) for line in lines] + [10])
    right = 0.2 + 0.05 * max(len(line.note) for line in lines)
    width, height = TEXT_WIDTH, head + sum(tall) + foot
    figure = empty_figure(width, height)
    panel = (width - left - right - 0.25) / 2
    for i, metric in enumerate(HEADLINE):
        at = left + i * (panel + 0.25)
        axes = figure.add_axes((at / width, foot / height, panel / width, sum(tall) / height))
        dots = [dot for line in lines for dot in (line.dots or {}).get(metric, ())]
        lows = [100 * (span.low if spread and span else value) for value, span in dots if value is not None]
        prepare_panel(axes, metric, f"{METRIC_TITLES[metric]}, percent", lows, sum(tall), beyond=1)
        top = 0.0
        for line, inches in zip(lines, tall, strict=True):
            _draw_line(axes, line, metric, top, inches, spread)
            if i == 0:
                weight = "bold" if line.head else "normal"
                axes.text(-0.02, top + inches / 2, line.name, transform=axes.get_yaxis_transform(), ha="right",
                          va="center", size=7, weight=weight)  # fmt: skip
            else:
                axes.text(1.03, top + inches / 2, line.note, transform=axes.get_yaxis_transform(), va="center", size=6)
            top += inches
    if len(models) > 1 or spread:
        draw_legend(figure, models, across, 0.17)
    figure.text(0.005, 0.04 / height, key + missing, va="bottom", size=6.5, color=FAINT)
    draw_title(figure, section, title, height)
    return figure


def prepare_panel(axes: Axes, metric: str, title: str, lows: Sequence[float], tall: float, beyond: float = 0.0) -> None:
    """Prepare a panel of scores (percent) with room for the lowest, from top to bottom; ``beyond`` its ends, marks."""
    start = 0.0 if metric == "average_precision" else min(40.0, 10.0 * (min(lows, default=40.0) // 10))
    axes.set_ylim(tall, 0)
    axes.set_xlim(start - beyond, 100 + beyond)
    axes.set_yticks([])
    axes.set_xticks([t for t in range(0, 101, 10 if start >= 30 else 20) if t >= start])
    axes.tick_params(labelsize=6.5, length=2, width=0.5)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_title(title, size=7.5, pad=3)
    if metric == "roc_auc":
        axes.axvline(50, color=FAINT, linewidth=0.9)


def _draw_line(axes: Axes, line: DotLine, metric: str, top: float, inches: float, spread: bool) -> None:
    if line.dots is None:
        return
    axes.axhline(top, color=LINE, linewidth=0.4)
    chance = (line.chance or {}).get(metric)
    if chance is not None:
        ends = [top + 0.06 * inches, top + 0.94 * inches]
        axes.plot([100 * chance] * 2, ends, color=INK, linewidth=0.8, linestyle=(0, (1, 0.8)))
    dots = line.dots[metric]
    for k, (value, span) in enumerate(dots):
        if value is None:
            continue
        y = top + inches * ((k + 0.9) / (len(dots) + 0.8) if spread else 0.5)
        if spread and span:
            low, high, colour = 100 * span.low, 100 * span.high, COLOURS[k % len(COLOURS)]
            axes.plot([low, high], [y, y], color=colour, linewidth=0.9, solid_capstyle="butt")
        axes.plot([100 * value], [y], **model_mark(k), markersize=3.6, markeredgecolor="white", markeredgewidth=0.4)
