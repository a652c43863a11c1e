"""What the page shows of the views by family, hidden state, calibration, confusion, cost and similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from .calibration import calibration_tables, calibration_views
from .cost import cost_tables, cost_views
from .evidence import Evidence
from .families import family_tables, family_views
from .labels import confusion_tables, label_views
from .layers import layer_tables, layer_views
from .record import Record
from .sections import Section
from .similarity import Distances
from .similarity_tables import distance_table
from .view_tables import ViewTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN_MODELS = 4
"""Models up to which views that need a figure or a table for each model are drawn: more make a page of megabytes."""


@dataclass(frozen=True)
class Drawing:
    """A figure of the page, drawn when it is needed.

    Attributes:
        title: alternative text.
        draw: makes the figure.
    """

    title: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Part:
    """What is shown of one task, folded away until it is opened.

    Attributes:
        title: name of the task, or what the table is.
        drawings: its figures.
        tables: its tables.
    """

    title: str
    drawings: tuple[Drawing, ...]
    tables: tuple[ViewTable, ...]


@dataclass(frozen=True)
class Block:
    """A part of a section of the page.

    Attributes:
        id: part of its anchor.
        title: its heading.
        text: what it shows, in a sentence or two.
        drawings: figures that are always in sight.
        parts: the rest, most often one for each task.
    """

    id: str
    title: str
    text: str
    drawings: tuple[Drawing, ...]
    parts: tuple[Part, ...]


def blocks(
    section: Section, found: Sequence[Evidence], resamples: int, distances: Sequence[Distances] = ()
) -> tuple[Block, ...]:
    """Return the views of a section, those that there is something to show of.

    Args:
        section: the records.
        found: the section's records with predictions.
        resamples: of the cluster bootstrap of calibration.
        distances: between the tasks of this edition.
    """
    records = [record for row in section.rows for _, record in section.records_of(row)]
    made = (
        _layers(section, records),
        _families(records),
        _confusions(section, found),
        _calibration(section, found, resamples),
        _similarity(section, distances),
        _cost(records),
    )
    return tuple(block for block in made if block.parts)


def _layers(section: Section, records: Sequence[Record]) -> Block:
    from .layers_figure import layer_figure

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


def _families(records: Sequence[Record]) -> Block:
    (view,) = family_views(records)
    tables = family_tables(view)
    each = len(tables) // len(view.tasks)
    return Block(
        "families",
        "Families side by side",
        "Macro means over the defined labels of each family.",
        (),
        tuple(
            Part(task.column.name, (), tuple(tables[each * i : each * (i + 1)])) for i, task in enumerate(view.tasks)
        ),
    )


def _confusions(section: Section, found: Sequence[Evidence]) -> Block:
    tables = confusion_tables(label_views(found)[0]) if found and len(section.rows) <= DRAWN_MODELS else {}
    return Block(
        "confusion",
        "Which labels are taken for which",
        "Of families in which a track has one label: the most frequent mistakes of the most probable label.",
        (),
        tuple(Part(task, (), tuple(pairs)) for task, pairs in tables.items() if pairs),
    )


def _calibration(section: Section, found: Sequence[Evidence], resamples: int) -> Block:
    from .calibration_figure import calibration_figure

    few = len(section.rows) <= DRAWN_MODELS
    parts = []
    for view in calibration_views(found, resamples) if found else ():
        for task, table in zip(view.tasks, calibration_tables(view), strict=True):
            title = f"Reliability: {task.column.name}"
            drawings = (Drawing(title, partial(calibration_figure, view, task)),) if few else ()
            rows = table.rows if few else tuple(row for row in table.rows if row[1] == "all labels")
            parts.append(Part(task.column.name, drawings, (replace(table, rows=rows),)))
    return Block(
        "calibration",
        "Calibration",
        "Whether probabilities mean what they say. Rankings do not depend on it.",
        (),
        tuple(parts),
    )


def _similarity(section: Section, distances: Sequence[Distances]) -> Block:
    from .similarity_figure import distance_map

    there = [d for d in distances if d.edition == section.edition]
    return Block(
        "similarity",
        "Distance between traditions",
        "Measured on training tracks, not on scores.",
        tuple(Drawing(f"Distance between tasks, {d.source}", partial(distance_map, d)) for d in there),
        tuple(Part(f"Numbers: {d.source}", (), (distance_table(d, f"{d.edition} edition"),)) for d in there),
    )


def _cost(records: Sequence[Record]) -> Block:
    from .cost_figure import cost_figure

    (view,) = cost_views(records)
    means = tuple(panel for panel in view.panels if panel.column is None)
    many = len(view.section.rows) > DRAWN_MODELS and {panel.device for panel in means} == set(view.devices)
    drawn = replace(view, panels=means) if many else view
    return Block(
        "price",
        "Cost against score",
        "Seconds of encoding for an hour of audio, device by device; a star where no model is both cheaper and better.",
        tuple(Drawing(f"Cost against score on {name}", partial(cost_figure, drawn, name)) for name in view.devices),
        (Part("Numbers", (), tuple(cost_tables(view))),),
    )
