"""Where families live, as curves over hidden states; labels across traditions, as matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...views.figures import (
    FAINT,
    LINE,
    TEXT_WIDTH,
    clipped,
    describe,
    draw_bar,
    draw_legend,
    draw_title,
    empty_figure,
    head_inches,
    ink_on,
    legend_columns,
    model_mark,
)
from ...views.words import percent
from .measuring import Home, Where
from .probes import PROBES
from .shared import Across, Carried
from .tables import MARKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL, _GAP, _LEFT = 0.68, 0.1, 0.95
"""Inches."""

_FAMILIES = "Hollow: shown to be worse than another state. Intervals are of test groups and trainings."

_MATRIX = (
    "Row: learnt on; column: scored on. Outlined: the task's own probe. * worse than it, + better, = within a point."
)


def homes_figure(found: Where) -> Figure:
    """Draw a row of three panels, one a probe, for each family: score on test by hidden state."""
    columns = legend_columns(found.models, TEXT_WIDTH)
    head, foot = head_inches(found) + 0.22, 0.4 + 0.16 * -(-len(found.models) // columns)
    height = head + len(found.families) * (_PANEL + _GAP) + foot
    each = (TEXT_WIDTH - _LEFT) / len(PROBES) - 0.1
    figure = empty_figure(TEXT_WIDTH, height)
    for y, family in enumerate(found.families):
        homes = [home for home in found.homes if home.family == family]
        for x, probe in enumerate(PROBES):
            bottom = height - head - (y + 1) * (_PANEL + _GAP) + _GAP
            left = (_LEFT + x * (each + 0.1)) / TEXT_WIDTH
            axes = figure.add_axes((left, bottom / height, each / TEXT_WIDTH, _PANEL / height))
            for home in homes:
                if home.probe == probe:
                    _draw_home(axes, home, found.models)
            _finish(axes, homes, probe if y == 0 else "", x == 0, y == len(found.families) - 1)
        middle = height - head - (y + 1) * (_PANEL + _GAP) + _GAP + _PANEL / 2
        tasks = len(homes[0].tasks)
        figure.text(0.005, (middle + 0.05) / height, family, size=8, weight="bold", va="center")
        figure.text(0.005, (middle - 0.1) / height, f"{tasks} task{'' if tasks == 1 else 's'}", size=6, va="center")
    draw_title(figure, found, "Score on test by hidden state and family: 0 at chance, 100 perfect", height)
    figure.text(0.005, 0.04 / height, _FAMILIES, va="bottom", size=6, style="italic")
    draw_legend(figure, found.models, columns, 0.17)
    describe(
        figure, "Where families live", f"Scores of three probes on every hidden state of {', '.join(found.models)}."
    )
    return figure


def _draw_home(axes: Axes, home: Home, models: tuple[str, ...]) -> None:
    k = models.index(home.model)
    shift = 0.12 * (k - (len(models) - 1) / 2)
    look = model_mark(k) | {"markersize": 3.4}
    known = [(i, one) for i, one in enumerate(home.levels) if one.value is not None]
    axes.plot([i + shift for i, _ in known], [100 * (one.value or 0) for _, one in known], color=look["color"], lw=0.9)
    for i, one in known:
        face = {} if i in home.possible else {"markerfacecolor": "white"}
        axes.plot([i + shift], [100 * (one.value or 0)], **(look | face))
        if one.low is not None and one.high is not None:
            axes.plot([i + shift] * 2, [100 * one.low, 100 * one.high], color=look["color"], lw=0.7, alpha=0.7)


def _finish(axes: Axes, homes: list[Home], title: str, first: bool, last: bool) -> None:
    """Give a panel the scale of its family's row."""
    known = [100 * v for h in homes for one in h.levels for v in (one.value, one.low, one.high) if v is not None]
    low, high = min([0.0, *known]), max([10.0, *known])
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    longest = max((home.states for home in homes), key=len)
    axes.set_xlim(-0.5, len(longest) - 0.5)
    step = -(-len(longest) // 7)
    shown = range(0, len(longest), step)
    names = [longest[i].removeprefix("layer_").removeprefix("hidden_") for i in shown]
    axes.set_xticks(list(shown), names if last else [""] * len(names))
    axes.set_xlabel("hidden state" if last else "", size=7, labelpad=1)
    axes.set_title(title, size=7.5, weight="bold", pad=3)
    axes.tick_params(labelsize=6, length=2, pad=1.5, labelleft=first)
    axes.grid(axis="y", color=LINE, lw=0.5)
    axes.axhline(0, color=FAINT, lw=0.6)
    axes.locator_params(axis="y", nbins=4)


def across_figure(found: Where) -> Figure:
    """Draw a matrix for each shared label (column) and model (row): ROC-AUC, from chance to perfect."""
    labels = list(dict.fromkeys(one.label for one in found.across))
    models = list(dict.fromkeys(one.model for one in found.across))
    most = max((len(one.traditions) for one in found.across), default=1)
    left, gap, names = 0.75, 0.62, 0.5
    cell = (TEXT_WIDTH - 0.1 - left - gap * (len(labels) - 1)) / len(labels) / most
    head, foot, row = head_inches(found) + 0.1, 0.55, 0.26 * most + names + 0.2
    height = head + len(models) * row + foot
    figure = empty_figure(TEXT_WIDTH, height)
    for one in found.across:
        x, y, size = labels.index(one.label), models.index(one.model), len(one.traditions)
        x0, top = left + x * (cell * most + gap), height - head - y * row - names
        place = (x0 / TEXT_WIDTH, (top - 0.26 * size) / height, cell * size / TEXT_WIDTH, 0.26 * size / height)
        _draw_matrix(figure.add_axes(place), one)
        figure.text(x0 / TEXT_WIDTH, (top + 0.3) / height, f"{one.label}: {clipped(one.model, 26)}", size=7)
    draw_bar(figure, (50.0, 100.0), "cividis", left, 0.24, 1.6, "≤ 50")
    draw_title(figure, found, "Labels across traditions: ROC-AUC of linear probes, percent", height)
    figure.text(0.005, 0.04 / height, _MATRIX, va="bottom", size=6, style="italic")
    describe(
        figure, "Labels across traditions", f"Probes for {', '.join(labels)} learnt on one task, scored on others."
    )
    return figure


def _draw_matrix(axes: Axes, one: Across) -> None:
    traditions = list(one.traditions.values())
    axes.set(xlim=(0, len(traditions)), ylim=(len(traditions), 0))
    axes.set_xticks(
        [i + 0.5 for i in range(len(traditions))], [name[:10] for name in traditions], size=5.5, rotation=25
    )
    axes.set_yticks([i + 0.5 for i in range(len(traditions))], traditions, size=6)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    for y, source in enumerate(one.traditions):
        for x, target in enumerate(one.traditions):
            _draw_cell(axes, x, y, one.cell(source, target))


def _draw_cell(axes: Axes, x: int, y: int, carried: Carried) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    value = carried.score.value
    shade = "#eceff1" if value is None else colormaps["cividis"](min(1.0, max(0.0, 2 * value - 1)))
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="white", lw=0.8))
    if carried.change is None:
        axes.add_patch(Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, fill=False, edgecolor=ink_on(shade), lw=0.7))
    mark = MARKS[carried.change.verdict] if carried.change else ""
    axes.text(x + 0.5, y + 0.5, f"{percent(value, 0)}{mark}", size=6.2, ha="center", va="center", color=ink_on(shade))
