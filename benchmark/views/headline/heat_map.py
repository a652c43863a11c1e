"""Models by tasks as one heat map: how far above chance, and what cannot be told from the base."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ...comparing.headline import Headline, separable
from ...comparing.summary import centred_score
from ...records.sections import ABSENT
from ..figures import (
    INK,
    TEXT_WIDTH,
    broken,
    clipped,
    describe,
    draw_bar,
    draw_cell,
    draw_title,
    empty_figure,
    head_inches,
    prepare_map,
)
from ..words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNTOLD = "≈"
"""Before a score that cannot be told from the base's."""

CONTROL = "°"
"""After the name of a model that has learnt nothing."""

FIXED = "\N{NO-BREAK SPACE}"
"""Between a mark and what it means."""

PHONE_WIDTH = 3.7
"""Inches of the transposed map."""

PHONE_MODELS = 7
"""Models side by side in the transposed map; further ones stand in a band below."""

GAP = 0.1
"""Between traditions, in cells."""


@dataclass(frozen=True)
class Mark:
    """One cell: a score above chance, as a fraction, and whether it cannot be told from the base's."""

    value: float | None
    untold: bool

    @property
    def text(self) -> str:
        """What stands in the cell."""
        return (
            ABSENT if self.value is None else f"{UNTOLD} {percent(self.value)}" if self.untold else percent(self.value)
        )


def marks(found: Headline) -> dict[tuple[str, str], Mark]:
    """Return the cells by model and task."""
    cells = {}
    for row in found.section.rows:
        for column, record in found.section.records_of(row):
            change = found.cells.get((row.name, column.name))
            untold = change is not None and not separable(change)
            cells[row.name, column.name] = Mark(centred_score(record), untold)
    return cells


def top_of_scale(found: Headline) -> float:
    """Return the upper end of the colours, percent: the next ten above the best score; controls do not count."""
    cells = {key: mark.value for key, mark in marks(found).items() if mark.value is not None}
    return next_ten(value for (model, _), value in cells.items() if model not in found.controls)


def next_ten(values: Iterable[float]) -> float:
    """Return the upper end of the colours for scores above chance (fractions): the next ten above the best, percent."""
    best = max((100 * value for value in values), default=0.0)
    return min(100.0, max(20.0, 10.0 * (best // 10 + 1)))


def shade_of(value: float, top: float) -> tuple[float, float, float, float]:
    """Return the colour (red, green, blue, alpha) of a score above chance on a scale from 0 to ``top`` percent."""
    from matplotlib import colormaps

    return colormaps["cividis"](min(1.0, max(0.0, 100 * value / top)))


def heat_map(found: Headline) -> Figure:
    """Draw models by tasks, tasks under headings of traditions, coloured by their distance above chance.

    A score is the mean of ROC-AUC and AP, each 0 at chance and 100 for a perfect ranking, so one scale serves both. The
    colour map is cividis, perceptually uniform and made for colour-blind readers (Nunez, Anderton, Renslow, PLoS ONE
    13(7), 2018); its lightness rises steadily, so it survives a greyscale print.
    """
    names, columns = found.rows, found.section.columns
    shown = [_shown(found, name, 36) for name in names]
    gaps = _gaps([column.tradition for column in columns])
    left, line, span = 0.12 + 0.075 * max(map(len, shown)), 0.36, len(columns) + gaps[-1]
    cell = min(1.1, max(0.72, (TEXT_WIDTH - left - 0.05) / span))
    heads = [broken(column.name) for column in columns]
    head = head_inches(found.section) + 0.2 + 0.13 * max(text.count("\n") + 1 for text in heads)
    width, foot = max(left + cell * span + 0.05, 5.2), 0.62
    height = head + line * len(names) + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, cell * span / width, line * len(names) / height))
    prepare_map(axes, span, len(names))
    axes.set_axis_off()
    cells, top = marks(found), top_of_scale(found)
    for y, name in enumerate(names):
        for x, column in enumerate(columns):
            _draw_cell(axes, x + gaps[x], y, cells.get((name, column.name)), top)
        axes.text(-0.06, y + 0.5, shown[y], ha="right", va="center", size=8, weight=_weight(found, name))
    for x, text in enumerate(heads):
        axes.text(x + gaps[x] + 0.5, -0.1, text, ha="center", va="bottom", size=7.5, linespacing=1.05)
    above = 0.1 + 0.15 * max(text.count("\n") + 1 for text in heads) / line
    for tradition, start, end in _brackets(found, gaps):
        axes.plot([start + 0.04, end - 0.04], [-above - 0.05] * 2, color=INK, linewidth=1.0, clip_on=False)
        axes.text((start + end) / 2, -above - 0.12, tradition, ha="center", va="bottom", size=8, weight="bold")
    draw_bar(figure, (0.0, top), "cividis", left, 0.3, min(2.2, width - left - 0.1), "0 chance")
    figure.text(0.005, 0.03 / height, _key(found), size=7, va="bottom")
    draw_title(figure, found.section, "Distance above chance by model and task, percent", height)
    describe(figure, f"Models by tasks: {found.section.title}", description(found))
    return figure


def phone_map(found: Headline) -> Figure:
    """Draw the map turned round for a narrow screen: tasks by models, further models in a band below."""
    columns, gaps = found.section.columns, _gaps([column.tradition for column in found.section.columns])
    bands = [found.rows[i : i + PHONE_MODELS] for i in range(0, len(found.rows), PHONE_MODELS)]
    left, line, span = 0.98, 0.32, len(columns) + gaps[-1] + 0.55 * len({c.tradition for c in columns})
    cell = (PHONE_WIDTH - left - 0.03) / max(map(len, bands))
    shown = {name: _shown(found, name, 20) for name in found.rows}
    head = 0.12 + 0.068 * max(map(len, shown.values()))
    key = _key(found, 62)
    foot, title = 0.45 + 0.115 * (key.count("\n") + 1), max(0.0, head_inches(found.section) - 0.1)
    height = title + len(bands) * (head + line * span) + foot
    figure = empty_figure(PHONE_WIDTH, height)
    cells, top = marks(found), top_of_scale(found)
    for i, band in enumerate(bands):
        bottom = height - title - (i + 1) * (head + line * span)
        place = (left / PHONE_WIDTH, bottom / height, cell * len(band) / PHONE_WIDTH, line * span / height)
        axes = figure.add_axes(place)
        prepare_map(axes, len(band), span)
        axes.set_axis_off()
        at = 0.0
        for tradition, members in groupby(columns, key=lambda column: column.tradition):
            axes.text(-left / cell + 0.03, at + 0.5, tradition.capitalize(), va="bottom", size=8.5, weight="bold")
            at += 0.55
            for column in members:
                axes.text(-0.08, at + 0.5, broken(column.name), ha="right", va="center", size=8, linespacing=0.95)
                for x, name in enumerate(band):
                    _draw_cell(axes, x, at, cells.get((name, column.name)), top, size=8.5)
                at += 1
            at += GAP
        for x, name in enumerate(band):
            axes.text(x + 0.5, 0.42, shown[name], rotation=90, ha="center", va="bottom", size=8,
                      weight=_weight(found, name))  # fmt: skip
    draw_bar(figure, (0.0, top), "cividis", 0.32, foot - 0.3, 2.4, "0 chance")
    figure.text(0.01, 0.03 / height, key, size=7.2, va="bottom", linespacing=1.1)
    describe(figure, f"Tasks by models: {found.section.title}", description(found))
    return figure


def description(found: Headline) -> str:
    """Return what the map shows, for who cannot see it."""
    cells = [(mark.value, *key) for key, mark in marks(found).items() if mark.value is not None]
    if not cells:
        return "There is no score."
    (high, best, there), (low, worst, here) = max(cells), min(cells)
    return (
        f"Percent of the way from chance to a perfect ranking, from {percent(low)} ({worst} on {here}) to "
        f"{percent(high)} ({best} on {there}). The numbers are in the tables."
    )


def _key(found: Headline, characters: int = 100) -> str:
    """Return what numbers and marks mean, in lines of so many characters."""
    key = ["Mean of ROC-AUC and AP; 0: chance, 100: a perfect ranking."]
    if any(mark.untold for mark in marks(found).values()):
        key.append(f"{UNTOLD}{FIXED}cannot be told from {clipped(found.base, 30)} (bold).")
    if found.controls:
        key.append(f"{CONTROL}{FIXED}learnt nothing.")
    return textwrap.fill(" ".join(key), characters)


def _shown(found: Headline, name: str, most: int) -> str:
    return clipped(name, most) + (f" {CONTROL}" if name in found.controls else "")


def _weight(found: Headline, name: str) -> str:
    return "bold" if name == found.base else "normal"


def _gaps(traditions: Sequence[str]) -> list[float]:
    """Return the shift of every task: a little more after each tradition."""
    shift, gaps = 0.0, []
    for i, tradition in enumerate(traditions):
        shift += GAP * (i > 0 and tradition != traditions[i - 1])
        gaps.append(shift)
    return gaps


def _brackets(found: Headline, gaps: Sequence[float]) -> list[tuple[str, float, float]]:
    """Return each tradition with the ends of its columns."""
    columns, brackets = found.section.columns, []
    for tradition, members in groupby(range(len(columns)), key=lambda i: columns[i].tradition):
        places = list(members)
        brackets.append((tradition.capitalize(), places[0] + gaps[places[0]], places[-1] + gaps[places[-1]] + 1))
    return brackets


def _draw_cell(axes: Axes, x: float, y: float, mark: Mark | None, top: float, size: float = 9.0) -> None:
    shade = None if mark is None or mark.value is None else shade_of(mark.value, top)
    draw_cell(axes, x, y, shade, mark.text if mark else ABSENT, size)
