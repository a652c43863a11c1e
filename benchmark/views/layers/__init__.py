"""Scores of every hidden state by family: what the command writes and prints, and the block of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ...records.record import Record
from ...records.sections import Section
from ..base import DRAWN_MODELS, Block, Drawing, Part, ViewFiles
from ..tables import print_tables
from .layers import layer_rows, layer_tables, layer_views

if TYPE_CHECKING:
    from rich.console import Console

    from .layers import LayerView


def print_layers(view: LayerView, console: Console) -> None:
    """Print, for every model and family, the first, last and best hidden state."""
    print_tables(layer_tables(view), console)


def layer_files(view: LayerView) -> ViewFiles:
    """Return what ``cmbench report layers --out`` writes."""
    from .state_map import layer_figure, panels_by_page

    figures = {}
    for task in view.tasks:
        pages = panels_by_page(task)
        for i, panels in enumerate(pages):
            end = f"{task.column.name}{f'-{i + 1}' if len(pages) > 1 else ''}"
            figures[end] = partial(layer_figure, view, task, panels)
    name = f"layer-families-{view.metric.replace('_', '-')}-{view.section.slug}"
    return ViewFiles(name, layer_tables(view), {"": layer_rows(view)}, figures)


def _layers(section: Section, records: Sequence[Record]) -> Block:
    from .state_map import layer_figure

    (view,) = layer_views(records)
    several = {row.name for row in section.rows if any(len(r.layers) > 1 for _, r in section.records_of(row))}
    parts = []
    for task, table in zip(view.tasks, layer_tables(view), strict=True):
        # An encoder with one hidden state has nothing to choose from.
        rows = tuple(row for row in table.rows if row[0] in several)
        drawn = len(section.rows) <= DRAWN_MODELS and any(panel.stored for panel in task.panels)
        title = f"Hidden states by family: {task.column.name}"
        drawings = (Drawing(title, partial(layer_figure, view, task)),) if drawn else ()
        if rows:
            parts.append(Part(task.column.name, drawings, (replace(table, rows=rows),)))
    return Block(
        "hidden",
        "Where each family lives",
        "Validation score of a probe on each hidden state, by family of labels: one seed, so small differences are "
        "noise. Chosen: the input that validation chose for all labels together.",
        (),
        tuple(parts),
    )
