"""Scores along the hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...records.record import Record
from ...records.sections import Row, Section
from ..figures import (
    COLOURS,
    FAINT,
    INK,
    LINE,
    MARKERS,
    TEXT_WIDTH,
    clipped,
    draw_title,
    empty_figure,
    head_inches,
    legend_columns,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MARKS = 8
"""Marks on a curve of hidden states, about."""

RING: dict[str, Any] = {"marker": "o", "markerfacecolor": "none", "markeredgecolor": INK}


def layer_curves(section: Section, rows: Sequence[Row]) -> Figure:
    """Draw the validation score by hidden state, one panel for each task.

    The fused sum stands apart on the right; the input that validation chose is ringed. An encoder with one hidden state
    is a dashed line across; states that do not follow one another (:func:`in_order`) are not joined.
    """
    columns = section.columns
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    head, foot, panel = head_inches(section), 0.42, 1.7
    width = TEXT_WIDTH if across > 1 else 4.6
    names = [*(clipped(row.name) for row in rows), "chosen on validation"]
    foot += 0.17 * -(-len(names) // legend_columns(names, width))
    height = head + panel * down + foot - 0.3
    figure = empty_figure(width, height)
    grid = figure.subplots(down, across, sharey=True, sharex=True, squeeze=False)
    figure.subplots_adjust(left=0.5 / width, right=1 - 0.1 / width, top=1 - (head + 0.2) / height,
                           bottom=foot / height, hspace=0.32, wspace=0.08)  # fmt: skip
    fused_at = 1 + max((len(r.model.layer_names) for row in rows for _, r in section.records_of(row)), default=1)
    for i, axes in enumerate(grid.flat):
        if i >= len(columns):
            axes.set_visible(False)
            continue
        axes.set_title(columns[i].name, size=7.5, pad=3)
        axes.grid(axis="y", color=LINE, linewidth=0.5, clip_on=False)
        axes.set_axisbelow(True)
        axes.margins(y=0.1)
        for k, row in enumerate(rows):
            if record := section.record(row, columns[i]):
                _curve(axes, record, fused_at, k)
        _layer_axis(axes, fused_at, last=i + across >= len(columns))
    grid[-1][0].figure.supylabel("validation score, percent", size=7.5, x=0.005)
    joined = [any(in_order(r.model.layer_names) for _, r in section.records_of(row)) for row in rows]
    handles = [*(_handle(k, name, joined[k]) for k, name in enumerate(names[:-1])), _ring(names[-1])]
    figure.legend(handles=handles, loc="lower center", ncols=legend_columns(names, width), frameon=False, fontsize=7,
                  borderaxespad=0.2)  # fmt: skip
    draw_title(figure, section, "Validation score by hidden state", height)
    return figure


def _layer_axis(axes: Axes, fused_at: int, last: bool) -> None:
    step = 1 if fused_at <= 8 else 2 if fused_at <= 15 else 4
    ticks = list(range(0, fused_at - 1, step))
    axes.set_xlim(-0.6, fused_at + 0.6)
    axes.set_xticks([*ticks, fused_at], [*map(str, ticks), "fused"])
    axes.axvline(fused_at - 0.9, color=FAINT, linewidth=0.6, linestyle=":")
    axes.tick_params(labelsize=6.5, length=2, width=0.5, labelbottom=last)
    if last:
        axes.set_xlabel("hidden state", size=7, labelpad=2)


def in_order(layers: Sequence[str]) -> bool:
    """Return whether hidden states follow one another: a line between two says that something lies between them.

    They do where their names are one word and the numbers from 0 or 1 on (``L0`` to ``L12``). Statistics of one layer
    and views of one spectrum have names of their own and no order.
    """
    word = layers[0].rstrip("0123456789")
    return any(list(layers) == [f"{word}{i + first}" for i in range(len(layers))] for first in (0, 1))


def _curve(axes: Axes, record: Record, fused_at: int, k: int) -> None:
    place = {name: i for i, name in enumerate(record.model.layer_names)}
    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    known = [(place.get(s.layer, fused_at), 100 * s.score, s.layer) for s in record.layers if s.score is not None]
    states = [(x, y) for x, y, _ in known if x != fused_at]
    if len(record.model.layer_names) == 1 and states:
        axes.axhline(states[0][1], color=colour, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.7)
    ordered = in_order(record.model.layer_names)
    # Models with many hidden states are told apart by fewer marks; each mark has its weight on a page of 20 models.
    every, width = (max(1, len(states) // MARKS), 1.1) if ordered else (1, 0)
    xs, ys = [x for x, _ in states], [y for _, y in states]
    axes.plot(xs, ys, color=colour, marker=marker, markersize=3.2, clip_on=False, markevery=every, linewidth=width)
    for x, y, name in known:
        if x == fused_at:
            axes.plot([x], [y], color=colour, marker=marker, markersize=4.2, linestyle="none", clip_on=False)
        if name == record.selection.layer:
            axes.plot([x], [y], markersize=8, markeredgewidth=0.9, clip_on=False, **RING)


def _handle(k: int, name: str, joined: bool) -> Line2D:
    from matplotlib.lines import Line2D

    colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
    return Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.1 if joined else 0, label=name)


def _ring(name: str) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", markersize=7, label=name, **RING)
