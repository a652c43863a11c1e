"""Which labels of a family are taken for which, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.sections import Column, Row, Section
from ..figures import (
    FAINT,
    TEXT_WIDTH,
    clipped,
    draw_cell,
    draw_title,
    empty_figure,
    head_inches,
    prepare_map,
    short_label,
)
from .confusion import Confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_figure(section: Section, column: Column, row: Row, confusion: Confusion) -> Figure:
    """Draw where the probability of a family goes: true labels by labels, each row percent of its sum.

    Cells are coloured from white (0) to dark (the largest share, 50 at least), so the map reads in grey; right answers
    are outlined. Right of each row: tracks that carry the label, and how many of them are taken for it.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    names = [clipped(short_label(label)) for label in confusion.labels]
    count, longest = len(names), max(map(len, names))
    left, right = 0.25 + 0.062 * longest, 1.0
    cell = min(0.5, max(0.12, (TEXT_WIDTH - left - right) / count))
    head, foot = head_inches(section) + 0.14, 0.34 + 0.06 * longest
    width, height = max(left + cell * count + right, 4.8), head + cell * count + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, cell * count / width, cell * count / height))
    prepare_map(axes, count, count)
    size = min(7.0, 20 * cell)
    darkest = max([0.5, *(share for shares in confusion.probability for share in shares or ())])
    for i, shares in enumerate(confusion.probability):
        for j in range(count):
            shade = "#eceff1" if shares is None else colormaps["Greys"](0.9 * shares[j] / darkest)
            text = f"{100 * shares[j]:.0f}" if shares is not None and cell >= 0.2 else ""
            draw_cell(axes, j, i, shade, text, size, edgecolor="#c3c9cf", linewidth=0.4)
        axes.add_patch(Rectangle((i, i), 1, 1, fill=False, edgecolor="#0072b2", linewidth=1.2, zorder=3))
        told = f"n={confusion.support[i]}, {confusion.counts[i][i]} right" if confusion.support[i] else "n=0: no row"
        axes.annotate(told, (count, i + 0.5), (4, 0), textcoords="offset points", va="center", size=min(6.5, 38 * cell))
    axes.set_yticks([i + 0.5 for i in range(count)], names, size=min(7.0, 42 * cell))
    axes.set_xticks([i + 0.5 for i in range(count)], names, size=min(7.0, 42 * cell), rotation=90)
    note = "rows: what a track carries; columns: share of the family's probability, percent of the row"
    figure.text(0.01, 0.04 / height, note, va="bottom", size=6.5, color=FAINT)
    draw_title(figure, section, f"{clipped(row.name)} on {column.name}: where {confusion.family} goes", height)
    return figure
