"""Distances between traditions as heat maps, and against transfer as scatter plots."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from ...records.sections import Section
from ...scoring.metrics import Doubles
from ...views.base import Block, Drawing, Part
from ...views.figures import COLOURS, FAINT, MARKERS, draw_title, empty_figure, head_inches, ink_on
from .distance import MEASURES, STAND_IN_LABEL, Distances, PairDistance
from .relation import Relation
from .tables import distance_table, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL, _LINE = 0.68, 0.42
"""Inches: width and height of a cell."""

_KEY = "Dark: near. Below each distance its 95 % cluster-bootstrap interval. Hatched: not separable from chance."


def near_order(matrix: Doubles) -> list[int]:
    """Order tasks so that near ones are neighbours.

    Average linkage, leaves ordered so that the sum of distances between neighbours is least (Bar-Joseph, Gifford,
    Jaakkola 2001). Estimates below zero count as zero.

    Args:
        matrix: distances ``[tasks, tasks]``, at least two tasks.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(np.maximum(matrix, 0.0), checks=False), "average", optimal_ordering=True)
    order: list[int] = leaves_list(tree).tolist()
    return order


def distance_map(distances: Distances) -> Figure:
    """Draw the symmetric matrix of distances, near tasks side by side.

    Dark is near and light is far on cividis, whose lightness rises steadily (Nunez, Anderton, Renslow, PLoS ONE 13(7),
    2018): it survives a greyscale print and colour-blind readers. Each cell has its number and interval. Hatched: not
    separable from chance.
    """
    matrix = distances.matrix()
    tasks = [distances.tasks[i] for i in near_order(matrix)]
    names = ["\n".join(textwrap.wrap(task.replace("_", " "), 13)) for task in tasks]
    left, side = 0.2 + 0.068 * max(map(len, tasks)), _CELL * len(tasks)
    head, foot = head_inches(distances) + 0.1 + 0.09 * max(name.count("\n") + 1 for name in names), 0.28
    width, height = max(left + side + 0.2, 5.4), head + _LINE * len(tasks) + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, side / width, 1 - (head + foot) / height))
    axes.set(xlim=(0, len(tasks)), ylim=(len(tasks), 0), yticks=[])
    axes.spines[:].set_visible(False)
    traditions = {c.task: c.tradition for c in distances.collections}
    for y, row in enumerate(tasks):
        axes.text(-0.08, y + 0.38, row, ha="right", va="center", size=7.5)
        axes.text(-0.08, y + 0.74, traditions[row], ha="right", va="center", size=5.5, color=FAINT)
        for x, column in enumerate(tasks):
            _cell(axes, x, y, distances.pair(row, column), max(float(matrix.max()), 1e-9))
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=2)
    axes.set_xticks([x + 0.5 for x in range(len(tasks))], names, size=5.8)
    draw_title(figure, distances, f"{MEASURES[distances.measure]} between tasks", height)
    figure.text(0.005, 0.05 / height, _KEY, size=6, va="bottom")
    return figure


def _cell(axes: Axes, x: int, y: int, pair: PairDistance | None, farthest: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    if pair is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eceff1", edgecolor="white", linewidth=0.8))
        return
    shade = colormaps["cividis"](min(1.0, max(0.0, pair.corrected / farthest)))
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": ink_on(shade)}
    hatch = "////" if pair.separable is False else None
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="#9aa3ab", hatch=hatch, lw=0))
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", linewidth=0.8))
    if hatch:
        look["bbox"] = {"facecolor": shade, "edgecolor": "none", "pad": 0.8}
    axes.text(x + 0.5, y + (0.5 if pair.low is None else 0.36), number(pair.corrected), size=7.5, **look)
    if pair.low is not None:
        axes.text(x + 0.5, y + 0.74, f"[{number(pair.low)}, {number(pair.high)}]", size=5.2, **look)


def relation_figure(relation: Relation) -> Figure:
    """Draw the change of each cell against its distance: models by colour, tasks by marker."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter

    models = list(dict.fromkeys((cell.model, cell.tradition) for cell in relation.cells))
    tasks = list(dict.fromkeys(cell.task for cell in relation.cells))
    head, width, foot = head_inches(relation.distances), 5.4, 0.62 + 0.145 * max(len(models), len(tasks))
    height = head + 2.9 + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((0.55 / width, foot / height, 1 - 0.75 / width, 2.9 / height))
    axes.axhline(0, color=FAINT, linewidth=0.8)
    colours = {model: COLOURS[k % len(COLOURS)] for k, (model, _) in enumerate(models)}
    markers = dict(zip(tasks, cycle([*MARKERS, *"*<>phd8"]), strict=False))
    for cell in relation.cells:
        axes.plot(cell.distance, 100 * cell.change, markers[cell.task], color=colours[cell.model], markersize=5)
    axes.set_xlabel(MEASURES[relation.distances.measure], size=7.5)
    axes.set_ylabel(f"change against {relation.base}, points", size=7.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    axes.tick_params(labelsize=6.5, length=2, width=0.5)
    axes.margins(x=0.12, y=0.1)
    by_model = [Line2D([], [], color=colours[m], lw=4, label=f"{m} ({t})") for m, t in models]
    by_task = [Line2D([], [], color=FAINT, marker=markers[t], ls="none", ms=5, label=t) for t in tasks]
    look: dict[str, Any] = {"frameon": False, "fontsize": 6.5}
    figure.legend(handles=by_model, loc="lower left", bbox_to_anchor=(0.0, 0.15 / height), **look)
    figure.legend(handles=by_task, loc="lower right", bbox_to_anchor=(1.0, 0.15 / height), **look)
    figure.text(0.005, 0.04 / height, relation.words, size=6, va="bottom")
    draw_title(figure, relation.distances, "Change on other traditions by their distance", height)
    return figure


def similarity_block(section: Section, distances: Sequence[Distances]) -> Block:
    """Return the block of a section: the distances of its edition."""
    there = [d for d in distances if d.edition == section.edition]
    return Block(
        "similarity",
        "Distance between traditions",
        "Measured on training tracks, not on scores.",
        tuple(_drawing(d) for d in there),
        tuple(Part(f"Numbers: {d.source}", (), (distance_table(d),)) for d in there),
    )


def _drawing(distances: Distances) -> Drawing:
    """Return the map for the page, which says itself that it is of the mini edition, but not that tokens stand in."""
    title = f"Distance between tasks, {distances.source}"
    stand_in = [STAND_IN_LABEL] if distances.stand_in else []
    return Drawing(title, partial(distance_map, distances), ". ".join([title, *stand_in]))
