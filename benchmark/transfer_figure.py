"""The transfer matrix as a heat map, legible in one or both columns of a paper, in grey and to colour-blind readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .change_tables import points
from .figures import empty_figure, figure_bytes, style
from .record import write_atomically
from .sections import ABSENT, percent
from .transfer import Cell, TransferMatrix
from .transfer_tables import csv_matrix, latex_table, markdown_matrix, separable, warning

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_WIDTH = 3.4
"""Inches of one column of a two-column paper."""

PAGE_WIDTH = 7.0
"""Inches of both."""

LARGEST_CHANGE = 0.10
"""Change at which the colours are at their ends."""


def transfer_figure(matrix: TransferMatrix, width: float = PAGE_WIDTH) -> Figure:
    """Draw models by tasks: mean of ROC-AUC and AP, coloured by its change against the base.

    Colours run from purple (loss) to orange (gain), ColorBrewer's PuOr, which colour-blind readers can tell apart;
    every cell has its number and sign, so that the map can be read without colour. Hatched: not separable from zero.
    Outlined: the model was trained on this tradition.

    Args:
        matrix: what to draw.
        width: inches, for example :data:`COLUMN_WIDTH` or :data:`PAGE_WIDTH`.
    """
    size = max(4.5, min(8.0, 8.0 * width / PAGE_WIDTH + 0.8))
    left = 0.011 * size * max(len(model) for model in matrix.models) + 0.1
    columns, cell = len(matrix.tasks) + 1, (width - left - 0.05) / (len(matrix.tasks) + 1.15)
    line = 0.052 * size
    head, foot = 0.085 * size, 0.1 * size
    height = head + line * len(matrix.models) + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes(
        (left / width, foot / height, cell * (columns + 0.15) / width, line * len(matrix.models) / height)
    )
    axes.set_xlim(0, columns + 0.15)
    axes.set_ylim(len(matrix.models), 0)
    axes.tick_params(length=0, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for y, model in enumerate(matrix.models):
        for x, task in enumerate(matrix.tasks):
            _draw_cell(axes, x, y, matrix.cells.get((model, task)), size)
        average = percent(matrix.paper[model])
        axes.text(columns - 0.35, y + 0.5, average, ha="center", va="center", size=size, weight="bold")
    axes.set_yticks([y + 0.5 for y in range(len(matrix.models))], list(matrix.models), size=size)
    names = [task.replace("_", "\n") for task in matrix.tasks]
    axes.xaxis.tick_top()
    axes.set_xticks(
        [*(x + 0.5 for x in range(len(names))), columns - 0.35], [*names, "mean of\nall cells"], size=size - 1
    )
    note = f"{matrix.title}. " + (f"{warning(matrix)}. " if matrix.edition == "mini" else "")
    key = f"Mean of ROC-AUC and AP, %; below: change against {matrix.base}, points. Hatched: not separable from 0."
    figure.text(0.01, 0.02 / height, f"{note}\n{key} Outlined: own culture.", size=size - 2, va="bottom")
    return figure


def _draw_cell(axes: Axes, x: int, y: int, cell: Cell | None, size: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    if cell is None or cell.mean is None:
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor="#eceff1", edgecolor="white"))
        axes.text(x + 0.5, y + 0.5, ABSENT, ha="center", va="center", size=size)
        return
    change = cell.plain_change
    shade: str | tuple[float, ...] = "#f4f4f4"
    if change is not None:
        shade = colormaps["PuOr_r"](0.5 + 0.5 * max(-1.0, min(1.0, change / LARGEST_CHANGE)) * 0.75)
    hatch = None if separable(cell) else "////"
    axes.add_patch(
        Rectangle((x, y), 1, 1, facecolor=shade, edgecolor="#9aa3ab" if hatch else "white", hatch=hatch, lw=0)
    )
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", lw=1.0))
    if cell.in_culture:
        axes.add_patch(Rectangle((x + 0.04, y + 0.05), 0.92, 0.9, fill=False, edgecolor="black", lw=1.1))
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6} if hatch else None
    middle = 0.5 if change is None else 0.34
    axes.text(x + 0.5, y + middle, percent(cell.mean), ha="center", va="center", size=size, color="black", bbox=box)
    if change is not None:
        axes.text(x + 0.5, y + 0.74, points(change), ha="center", va="center", size=size - 1.5, color="black", bbox=box)


def write_transfer(matrix: TransferMatrix, folder: Path) -> list[Path]:
    """Write the matrix as SVG, PNG (page and column width), LaTeX, Markdown and CSV, and return the paths."""
    files: dict[str, bytes] = {
        "transfer.tex": latex_table(matrix).encode(),
        "transfer.md": markdown_matrix(matrix).encode(),
        "transfer.csv": csv_matrix(matrix).encode(),
    }
    with style("path"):
        for name, width in (("transfer", PAGE_WIDTH), ("transfer-column", COLUMN_WIDTH)):
            figure = transfer_figure(matrix, width)
            for ending in ("svg", "png"):
                files[f"{name}.{ending}"] = figure_bytes(figure, ending)
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]
