"""Distances between traditions as heat maps, and against transfer as scatter plots; every file of a report."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...files import write_atomically
from ..records.sections import Section
from ..scoring.metrics import Doubles
from ..views.base import Block, Drawing, Part
from ..views.figures import COLOURS, FAINT, INK, MARKERS, empty_figure, figure_bytes, style
from .distance import MEASURES, Distances, PairDistance
from .distance_tables import distance_table, labels, number, relation_line
from .file import similarity_csv, similarity_json
from .relation import Relation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .report import SimilarityReport

_CELL, _LINE, _TREE = 0.68, 0.42, 0.9
"""Inches: width and height of a cell, width of the tree."""


def tree_order(matrix: Doubles) -> tuple[list[int], Doubles]:
    """Order tasks so that near ones are neighbours.

    Average linkage, leaves ordered so that the sum of distances between neighbours is least (Bar-Joseph, Gifford,
    Jaakkola 2001). Estimates below zero count as zero.

    Args:
        matrix: distances ``[tasks, tasks]``, at least two tasks.

    Returns:
        Positions in order, and the tree as ``scipy.cluster.hierarchy.linkage`` has it.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(np.maximum(matrix, 0.0), checks=False), "average", optimal_ordering=True)
    return leaves_list(tree).tolist(), tree


def distance_map(distances: Distances) -> Figure:
    """Draw the symmetric matrix of distances, near tasks side by side, with the tree of their average linkage.

    Dark is near and light is far on cividis, whose lightness rises steadily (Nunez, Anderton, Renslow, PLoS ONE 13(7),
    2018): it survives a greyscale print and colour-blind readers. Each cell has its number and interval. Hatched: not
    separable from chance.
    """
    matrix = distances.matrix()
    order, tree = tree_order(matrix)
    tasks = [distances.tasks[i] for i in order]
    notes = [f"{distances.source} · {distances.edition} edition", *labels(distances.edition, distances.stand_in)]
    left = 0.2 + 0.068 * max(len(task) for task in tasks)
    names = [textwrap.wrap(task.replace("_", " "), 13) for task in tasks]
    head, foot = 0.4 + 0.14 * len(notes) + 0.09 * max(map(len, names)), 0.42
    width, height = max(left + _CELL * len(tasks) + _TREE + 0.3, 5.4), head + _LINE * len(tasks) + foot
    figure = empty_figure(width, height)
    place = (left / width, foot / height, _CELL * len(tasks) / width, _LINE * len(tasks) / height)
    axes = figure.add_axes(place)
    axes.set_xlim(0, len(tasks))
    axes.set_ylim(len(tasks), 0)
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    ends = 0.0, max(float(matrix.max()), 1e-9)
    for y, row in enumerate(tasks):
        for x, column in enumerate(tasks):
            _cell(axes, x, y, distances.pair(row, column), ends)
    traditions = {c.task: c.tradition for c in distances.collections}
    axes.set_yticks([])
    for y, task in enumerate(tasks):
        axes.text(-0.08, y + 0.38, task, ha="right", va="center", size=7.5)
        axes.text(-0.08, y + 0.74, traditions[task], ha="right", va="center", size=5.5, color=FAINT)
    axes.xaxis.tick_top()
    axes.set_xticks([x + 0.5 for x in range(len(tasks))], ["\n".join(name) for name in names], size=5.8)
    _draw_tree(figure, (place[0] + place[2] + 0.1 / width, place[1], (_TREE - 0.15) / width, place[3]), tree)
    _title(figure, f"{MEASURES[distances.measure]} between tasks", notes, height)
    key = "Dark: near. Below each distance its 95 % cluster-bootstrap interval. Hatched: not separable from chance."
    figure.text(0.005, 0.05 / height, f"{key}\nRight: average linkage.", size=6, va="bottom")
    return figure


def _title(figure: Figure, what: str, notes: Sequence[str], height: float) -> None:
    figure.text(0.005, 1 - 0.06 / height, what, va="top", size=9, weight="bold")
    for i, note in enumerate(notes):
        figure.text(0.005, 1 - (0.23 + 0.14 * i) / height, note, va="top", size=6.5, style="italic" if i else "normal")


def _cell(axes: Axes, x: int, y: int, pair: PairDistance | None, ends: tuple[float, float]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    if pair is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eceff1", edgecolor="white", linewidth=0.8))
        return
    shade = colormaps["cividis"](min(1.0, max(0.0, pair.corrected / ends[1])))
    # Relative luminance as in WCAG 2.2, simplified to a power of 2.2; 0.18 is where black and white contrast equally.
    light = sum(weight * part**2.2 for weight, part in zip((0.2126, 0.7152, 0.0722), shade, strict=False))
    ink = "#000000" if light > 0.18 else "#ffffff"
    told = pair.separable or pair.q_value is None
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="#9aa3ab", hatch=None if told else "////", lw=0))
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", linewidth=0.8))
    box = None if told else {"facecolor": shade, "edgecolor": "none", "pad": 0.8}
    middle = 0.5 if pair.low is None else 0.36
    axes.text(x + 0.5, y + middle, number(pair.corrected), ha="center", va="center", size=7.5, color=ink, bbox=box)
    if pair.low is not None:
        span = f"[{number(pair.low)}, {number(pair.high)}]"
        axes.text(x + 0.5, y + 0.74, span, ha="center", va="center", size=5.2, color=ink, bbox=box)


def _draw_tree(figure: Figure, place: tuple[float, float, float, float], tree: Doubles) -> None:
    from scipy.cluster.hierarchy import dendrogram

    leaves = len(tree) + 1
    drawn = dendrogram(tree, no_plot=True)
    axes = figure.add_axes(place)
    # scipy puts the leaves at 5, 15, 25, …
    for across, up in zip(drawn["dcoord"], drawn["icoord"], strict=True):
        axes.plot(across, np.asarray(up) / 10, color=INK, linewidth=0.9)
    axes.set_ylim(leaves, 0)
    axes.set_xlim(0, max(1.05 * float(tree[:, 2].max()), 1e-9))
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(labelsize=5.5, length=2, width=0.5, pad=1)
    axes.spines["left"].set_visible(False)


def relation_figure(relation: Relation) -> Figure:
    """Draw the change of each cell against its distance, models by colour and marker, tasks by name."""
    from matplotlib.ticker import FuncFormatter

    notes = [f"{relation.source} · {relation.edition} edition", *labels(relation.edition, relation.stand_in)]
    models = list(dict.fromkeys(cell.model for cell in relation.cells))
    head, width, foot = 0.36 + 0.14 * len(notes), 5.4, 0.62 + 0.145 * len(models)
    height = head + 2.9 + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((0.55 / width, foot / height, 1 - 0.75 / width, 2.9 / height))
    axes.axhline(0, color=FAINT, linewidth=0.8)
    for k, model in enumerate(models):
        cells = [cell for cell in relation.cells if cell.model == model]
        axes.plot(
            [cell.distance for cell in cells],
            [100 * cell.change for cell in cells],
            linestyle="none",
            marker=MARKERS[k % len(MARKERS)],
            color=COLOURS[k % len(COLOURS)],
            markersize=5,
            label=f"{model} ({cells[0].tradition})",
        )
    axes.set_xlabel(MEASURES[relation.measure], size=7.5)
    axes.set_ylabel(f"change against {relation.base}, points", size=7.5)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    axes.tick_params(labelsize=6.5, length=2, width=0.5)
    axes.margins(x=0.12, y=0.1)
    _name_points(axes, relation)
    figure.legend(loc="lower left", ncols=1, frameon=False, fontsize=6.5, bbox_to_anchor=(0.0, 0.15 / height))
    figure.text(0.005, 0.04 / height, relation_line(relation), size=6, va="bottom")
    _title(figure, "Change on other traditions by their distance", notes, height)
    return figure


def _name_points(axes: Axes, relation: Relation) -> None:
    """Write each cell's task beside its point, where it covers least of the other points and names."""
    size = 5.2
    axes.autoscale_view()
    inches = axes.transData.transform([(c.distance, 100 * c.change) for c in relation.cells]) / axes.figure.dpi
    points = 72 * inches
    taken = [(x - 3.0, y - 3.0, x + 3.0, y + 3.0) for x, y in points]
    for cell, (x, y) in zip(relation.cells, points, strict=True):
        width, height = 0.58 * size * len(cell.task), 1.1 * size
        boxes = [
            (x + across, y + up, x + across + width, y + up + height)
            for reach in (4.0, 9.0, 14.0)
            for across in (reach, -reach - width, -width / 2)
            for up in (-height / 2, reach - height / 2, -reach - height / 2)
            if across != -width / 2 or up != -height / 2
        ]
        best = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken))
        taken.append(best)
        at = (best[0] - x, best[1] - y)
        axes.annotate(cell.task, (cell.distance, 100 * cell.change), at, textcoords="offset points", size=size)


def _overlap(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """Area that two boxes (left, bottom, right, top) share."""
    across, up = min(one[2], two[2]) - max(one[0], two[0]), min(one[3], two[3]) - max(one[1], two[1])
    return max(across, 0.0) * max(up, 0.0)


def write_similarity(report: SimilarityReport, folder: Path) -> list[Path]:
    """Write the maps and scatter plots as SVG and PNG, and all numbers as CSV and JSON; return the paths."""
    files: dict[str, bytes] = {
        f"similarity-{report.edition}.csv": similarity_csv(report).encode(),
        f"similarity-{report.edition}.json": similarity_json(report).encode(),
    }
    with style("path"):
        drawn = [(f"similarity-{d.slug}-{d.edition}", distance_map(d)) for d in report.distances]
        drawn += [
            (f"similarity-transfer-{r.slug}-{r.edition}", relation_figure(r))
            for r in report.relations
            if r.rho is not None
        ]
        for name, figure in drawn:
            for ending in ("svg", "png"):
                files[f"{name}.{ending}"] = figure_bytes(figure, ending)
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


def similarity_block(section: Section, distances: Sequence[Distances]) -> Block:
    """Return the block of a section: the distances of its edition."""
    there = [d for d in distances if d.edition == section.edition]
    return Block(
        "similarity",
        "Distance between traditions",
        "Measured on training tracks, not on scores.",
        tuple(Drawing(f"Distance between tasks, {d.source}", partial(distance_map, d)) for d in there),
        tuple(Part(f"Numbers: {d.source}", (), (distance_table(d, f"{d.edition} edition"),)) for d in there),
    )
