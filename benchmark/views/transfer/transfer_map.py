"""The transfer matrix as a heat map, legible in one or both columns of a paper, in grey and to colour-blind readers."""

from __future__ import annotations

import math
import textwrap
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ....tasks.base import WESTERN
from ...comparing.transfer import Cell, TransferMatrix
from ...records.sections import ABSENT
from ..figures import BLACK, INK, broken, clipped, describe, draw_bar, empty_figure, ink_on, on_page, prepare_map
from ..words import percent, points
from .transfer_tables import separable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

PAGE_WIDTH = 7.0
"""Inches of both."""

SMALLEST_SCALE = 0.05
"""Least change at which the colours are at their ends."""

GAP = 0.12
"""Between the tasks and the means, in columns."""

COLUMN_MEANS = "mean change"


def transfer_figure(matrix: TransferMatrix, width: float = PAGE_WIDTH) -> Figure:
    """Draw models by tasks: mean of ROC-AUC and AP, coloured by its change against the base.

    Tasks stand under headings of traditions. Colours run from purple (loss) to orange (gain), ColorBrewer's PuOr, which
    colour-blind readers can tell apart, to the largest change of a model that is no control; controls have none. Every
    cell has its number and sign, so that the map can be read without colour. Hatched: not separable from zero.
    Outlined: the model was trained on this tradition.
    """
    size = 5.2 if width < 5 else 8.0
    point = 1 / 72
    summaries = _summaries(matrix)
    rows = len(matrix.models) + (len(matrix.models) > 2)
    shown = {model: clipped(model, 24 if width < 5 else 36) for model in matrix.models}
    left = 0.62 * size * point * max(len(name) for name in (*shown.values(), COLUMN_MEANS)) + 0.08
    columns = len(matrix.tasks) + GAP + len(summaries)
    cell, line = (width - left - 0.02) / columns, 3.2 * size * point
    names = [broken(task) for task in matrix.tasks]
    note = _note(matrix, characters=int(width / (0.56 * (size - 1.5) * point)))
    head = (3.2 + 1.25 * max(name.count("\n") for name in (*names, *summaries))) * size * point
    scale = 3.2 * size * point if len(matrix.models) > 1 else 0.0
    foot = (1.0 + 1.3 * (note.count("\n") + 1)) * (size - 1.5) * point + scale
    height = head + line * rows + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, cell * columns / width, line * rows / height))
    prepare_map(axes, columns, rows)
    axes.set_axis_off()
    edge, largest = 1.2 * point, scale_end(matrix)
    ends = {model: math.inf if matrix.kinds[model] == "control" else largest for model in matrix.models}
    for y, model in enumerate(matrix.models):
        for x, task in enumerate(matrix.tasks):
            _draw_cell(axes, x, y, matrix.cells.get((model, task)), size, (edge / cell, edge / line), ends[model])
        for x, (level, change) in enumerate(value[model] for value in summaries.values()):
            _write(axes, len(names) + GAP + x, y, level, change, size, weight="bold")
        axes.text(-0.06, y + 0.5, shown[model], ha="right", va="center_baseline", size=size)
    if rows > len(matrix.models):
        axes.text(-0.06, rows - 0.5, COLUMN_MEANS, ha="right", va="center_baseline", size=size)
        for x, task in enumerate(matrix.tasks):
            axes.text(
                x + 0.5, rows - 0.5, points(matrix.column_change(task)), ha="center", va="center_baseline", size=size
            )
    _head(axes, matrix, [*names, *summaries], size - 1, (cell, line))
    if scale:
        end = 100 * largest
        draw_bar(figure, (-end, end), _colours(), left, foot - 2.6 * size * point, 0.4 * width)
    figure.text(0.01, 0.4 * size * point / height, note, size=size - 1.5, va="bottom", linespacing=1.2)
    describe(figure, f"Transfer, models by tasks: {matrix.title}", note.replace("\n", " "))
    return figure


def _head(axes: Axes, matrix: TransferMatrix, names: Sequence[str], size: float, cell: tuple[float, float]) -> None:
    """Write the names of the columns, those of the tasks under headings of traditions; a cell is given in inches."""
    tasks, traditions = len(matrix.tasks), [matrix.traditions[task] for task in matrix.tasks]
    lengths = [float(len(part)) for name in names[:tasks] for part in name.split("\n")]
    lengths += [len(name) / traditions.count(name) for name in traditions]
    size = min(size, 72 * cell[0] / (0.6 * max(lengths)))  # letters are at most so wide, on average
    high = 1.25 * size / 72 / cell[1]
    for place, name in enumerate(names):
        at = place + GAP * (place >= tasks) + 0.5
        axes.text(at, -0.12, name, ha="center", va="bottom", size=size, linespacing=1.05)
    above = -0.12 - high * (max(name.count("\n") for name in names) + 1.2)
    for tradition, members in groupby(range(tasks), key=traditions.__getitem__):
        first, *_, last = [*members] * 2
        axes.plot([first + 0.06, last + 0.94], [above, above], color=INK, linewidth=0.8, clip_on=False)
        look: dict[str, Any] = {"ha": "center", "va": "bottom", "size": size, "weight": "bold"}
        axes.text((first + last + 1) / 2, above - 0.05, tradition.capitalize(), **look)


def scale_end(matrix: TransferMatrix) -> float:
    """Return the change at which the colours end, as a fraction: the largest of a model that is no control."""
    changes = [
        abs(cell.shown_change)
        for (model, _), cell in matrix.cells.items()
        if matrix.kinds[model] != "control" and cell.shown_change is not None
    ]
    return math.ceil(round(100 * max([SMALLEST_SCALE, *changes]), 6)) / 100


@cache
def _colours() -> Colormap:
    """Return purple to orange without the darkest ends, on which hatching could not be seen."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    shades = [colormaps["PuOr_r"](0.5 + 0.375 * step / 32) for step in range(-32, 33)]
    return LinearSegmentedColormap.from_list("change", shades)


def _summaries(matrix: TransferMatrix) -> dict[str, dict[str, tuple[str, str]]]:
    """Columns at the right: title -> model -> level and change."""
    others = [t for t in dict.fromkeys(matrix.traditions.values()) if t != WESTERN]
    found = {
        "mean of\nall cells": {
            model: (percent(matrix.paper[model]), _points(matrix.mean_change(model))) for model in matrix.models
        }
    }
    if others and len(others) < len(set(matrix.traditions.values())):
        found["non-\nWestern"] = {
            model: (percent(matrix.mean_score(model, others)), _points(matrix.mean_change(model, others)))
            for model in matrix.models
        }
    if any(value is not None for value in matrix.centred.values()):
        found["chance-\ncentred"] = {model: (percent(matrix.centred[model]), "") for model in matrix.models}
    return found


def _points(change: float | None) -> str:
    return "" if change is None else points(change)


def _note(matrix: TransferMatrix, characters: int) -> str:
    marks = ["Orange: gained, purple: lost."] if len(matrix.models) > 1 else []
    if any(cell.in_culture for cell in matrix.cells.values()):
        marks.append("Outlined: the model's own culture.")
    if any(not separable(cell) for cell in matrix.cells.values()):
        marks.append("Hatched: change not separable from 0.")
    if matrix.edition == "reported":
        marks.append("No intervals were reported.")
    if any(value is not None for value in matrix.centred.values()):
        marks.append("Chance-centred: 0 at chance, each tradition once.")
    change = "its change" if matrix.edition == "reported" else "the change of its distance from chance"
    text = " ".join(
        [
            *([f"{matrix.warning}."] if matrix.warning and matrix.edition != "reported" and not on_page() else []),
            f"{matrix.title}.",
            f"Mean of ROC-AUC and AP, %; below, {change} against {clipped(matrix.base)} in points.",
            *marks,
        ]
    )
    return textwrap.fill(text[:1].upper() + text[1:], characters)


def _draw_cell(
    axes: Axes, x: float, y: float, cell: Cell | None, size: float, edge: tuple[float, float], largest: float
) -> None:
    from matplotlib.patches import Rectangle

    if cell is None or cell.mean is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eceff1", edgecolor="white"))
        axes.text(x + 0.5, y + 0.5, ABSENT, ha="center", va="center", size=size, color=BLACK)
        return
    change = cell.shown_change
    shade = (0.96, 0.96, 0.96)
    if change is not None:
        shade = _colours()(0.5 + 0.5 * max(-1.0, min(1.0, change / largest)))[:3]
    hatched = not separable(cell)
    look: dict[str, Any] = {"facecolor": shade, "clip_on": False}
    if hatched:
        axes.add_patch(Rectangle((x, y), 1, 1, edgecolor="#8a94a0", hatch="////", lw=0, **look))
        look["fill"] = False
    axes.add_patch(Rectangle((x, y), 1, 1, edgecolor="white", lw=1.2, **look))
    if cell.in_culture:
        across, down = edge
        inner = Rectangle((x + across, y + down), 1 - 2 * across, 1 - 2 * down, fill=False, edgecolor="black")
        inner.set_linewidth(0.11 * size)
        axes.add_patch(inner)
    ink = BLACK if hatched else ink_on(shade)
    _write(axes, x, y, percent(cell.mean), _points(change), size, boxed=hatched, ink=ink)


def _write(
    axes: Axes,
    x: float,
    y: float,
    level: str,
    change: str,
    size: float,
    *,
    boxed: bool = False,
    weight: str = "normal",
    ink: str = INK,
) -> None:
    """Write a level and, below it, a change into the cell at a column and a row."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5} if boxed else None
    place: dict[str, Any] = {"ha": "center", "va": "center_baseline", "color": ink, "bbox": box}
    axes.text(x + 0.5, y + (0.34 if change else 0.5), level, size=size, weight=weight, **place)
    if change:
        axes.text(x + 0.5, y + 0.73, change, size=size - 1, **place)
