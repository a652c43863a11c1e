"""Scores of every hidden state by family: where in an encoder raga lives, and where the instrument."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ...records.sections import Row, Section
from ..base import Block, Drawing, Part, Scope, View
from ..figures import in_parts
from ..scores.curves import layer_curves
from .layers import LayerView, layer_rows, layer_tables, layer_views
from .state_map import layer_figure, panels_by_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(view: LayerView) -> dict[str, Callable[[], Figure]]:
    figures: dict[str, Callable[[], Figure]] = {}
    for column, found in view.panels.items():
        pages = panels_by_page(found)
        for i, panels in enumerate(pages):
            end = f"{column.name}{f'-{i + 1}' if len(pages) > 1 else ''}"
            figures[end] = partial(layer_figure, view, column, panels)
    return figures


def _blocks(scope: Scope) -> Iterator[Block]:
    section = scope.section
    # One hidden state makes no curve; such encoders are drawn, as a line, only beside others.
    curves = in_parts(section.rows) if any(len(r.layers) > 1 for r in section.cells.values()) else []
    none = "" if curves else "Every encoder here has one hidden state; there is no curve to draw."
    drawings = tuple(_curves(section, rows) for rows in curves)
    yield Block("layers", "Layers", none, drawings)
    (view,) = layer_views(scope.records)
    several = {row.name for row in section.rows if any(len(r.layers) > 1 for _, r in section.records_of(row))}
    parts = []
    for (column, panels), table in zip(view.panels.items(), layer_tables(view), strict=True):
        # An encoder with one hidden state has nothing to choose from.
        rows = tuple(row for row in table.rows if row[0] in several)
        drawn = scope.few and any(panel.stored for panel in panels)
        title = f"Hidden states by family: {column.name}"
        drawings = (Drawing(title, partial(layer_figure, view, column)),) if drawn else ()
        if rows:
            parts.append(Part(column.name, drawings, (replace(table, rows=rows),)))
    if parts:
        yield Block(
            "hidden",
            "Where each family lives",
            "Validation score of a probe on each hidden state, by family of labels: one seed, so small differences "
            "are noise. Chosen: the input that validation chose for all labels together.",
            parts=tuple(parts),
        )


def _curves(section: Section, rows: Sequence[Row]) -> Drawing:
    chosen = "; ".join(
        f"{row.name}: " + ", ".join(f"{c.name} {r.selection.layer}" for c, r in section.records_of(row)) for row in rows
    )
    return Drawing(
        "Validation score by hidden state, percent",
        partial(layer_curves, section, rows),
        "Ringed: the input that validation chose. Dashed: an encoder with a single hidden state.",
        f"Chosen on validation: {chosen}.",
    )


VIEW = View(
    name="layers",
    help="Show the score of every hidden state by family: where raga lives, where the instrument.",
    compute=layer_views,
    tables=layer_tables,
    rows=lambda view: {"": layer_rows(view)},
    figures=_figures,
    stem=lambda view: f"layer-families-{view.metric.replace('_', '-')}-{view.section.slug}",
    blocks=_blocks,
    examples=(
        "cmbench report layers results",
        "cmbench report layers results/MERT-v1-95M --metric average_precision --out views",
    ),
)
