"""Scores by hidden state and family of labels: where in an encoder raga lives, and where the instrument.

The scores are those by which the protocol's search chooses: on the validation split, with one seed, each input at its
best learning rate. They are a map of the encoder, not results; they have no intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from ...records.record import LayerScore, Record
from ...records.sections import ABSENT, METRIC_TITLES, Column, Row, Section, sections
from ..tables import Rows, ViewTable, cell_facts, not_run
from ..words import ALL, of_defined, percent

NOT_STORED = (
    "scores by family are not stored by the record, which was written before cmbench kept them; `cmbench run --force` "
    "measures it again from the stored features"
)


@dataclass(frozen=True)
class LayerLine:
    """One family across the inputs of a model."""

    family: str  # its name, or :data:`ALL`
    labels: int  # how many it has
    defined: int | None  # how many of them the validation split defines; ``None`` where the record does not say
    values: tuple[float | None, ...]  # score of each input; ``None`` where there is none

    @property
    def count(self) -> str:
        """Return how many labels it has, and how many of them have a score."""
        return f"{ABSENT}/{self.labels} labels" if self.defined is None else of_defined(self.defined, self.labels)


@dataclass(frozen=True)
class LayerPanel:
    """One model on one task."""

    row: Row  # the model
    inputs: tuple[str, ...]  # hidden states in the encoder's order, and the weighted sum if it was a candidate
    fused: int | None  # position of the weighted sum; ``None`` if it was no candidate
    chosen: int | None  # position of the input that validation chose; ``None`` if it is not among them
    valid_tracks: int  # tracks of the validation split
    stored: bool  # whether the record holds scores by family
    lines: tuple[LayerLine, ...]  # families, if they are stored, then all labels
    notes: tuple[str, ...]  # what is absent and why

    @property
    def states(self) -> list[int]:
        """Positions of the hidden states."""
        return [k for k in range(len(self.inputs)) if k != self.fused]

    def best(self, line: LayerLine) -> int | None:
        """Return the position of the best hidden state, the first of equals; ``None`` where none has a score."""
        known = [(-value, k) for k in self.states if (value := line.values[k]) is not None]
        return min(known)[1] if known else None


@dataclass(frozen=True)
class LayerView:
    """Scores by hidden state for the records of one edition, split and protocol."""

    section: Section  # the records
    metric: str  # ``roc_auc`` or ``average_precision``
    panels: Mapping[Column, tuple[LayerPanel, ...]]  # task -> a panel for each model with a record


def layer_views(
    records: Iterable[Record],
    metric: Annotated[
        Literal["roc_auc", "average_precision"], typer.Option(help="Validation score to show.")
    ] = "roc_auc",
) -> tuple[LayerView, ...]:
    """Return the view for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    return tuple(
        LayerView(
            section,
            metric,
            {c: tuple(_panel(row, r, metric) for row, r in section.records_on(c)) for c in section.columns},
        )
        for section in sections(records)
    )


def _panel(row: Row, record: Record, metric: str) -> LayerPanel:
    inputs = tuple(layer.layer for layer in record.layers)
    stored = all(layer.families is not None for layer in record.layers)
    notes = []
    untrained = [layer.layer for layer in record.layers if layer.score is None]
    if untrained:
        notes.append(f"{row.name}: no learning rate could be trained on {', '.join(untrained)}.")
    lines = _family_lines(record.layers, metric) if stored else []
    undefined = [f"{line.family} ({line.count})" for line in lines if line.defined == 0]
    if undefined:
        notes.append(f"{row.name}: the validation split defines no label of {', '.join(undefined)}.")
    defined = sum(line.defined or 0 for line in lines) if lines else None
    overall = tuple(getattr(layer, metric) for layer in record.layers)
    return LayerPanel(
        row=row,
        inputs=inputs,
        fused=next((k for k, name in enumerate(inputs) if name not in record.model.layer_names), None),
        chosen=inputs.index(record.selection.layer) if record.selection.layer in inputs else None,
        valid_tracks=record.coverage.used["valid"],
        stored=stored,
        lines=(*lines, LayerLine(ALL, record.total_labels, defined, overall)),
        notes=tuple(notes),
    )


def _family_lines(layers: tuple[LayerScore, ...], metric: str) -> list[LayerLine]:
    names = dict.fromkeys(f.family for layer in layers for f in layer.families or ())
    lines = []
    for name in names:
        found = [next((f for f in layer.families or () if f.family == name), None) for layer in layers]
        known = [f for f in found if f]
        lines.append(
            LayerLine(
                family=name,
                labels=known[0].labels,
                defined=max(f.defined for f in known),
                values=tuple(getattr(f, metric) if f else None for f in found),
            )
        )
    return lines


def layer_tables(view: LayerView) -> list[ViewTable]:
    """Return a table for each task: for every model and family, the first, last and best hidden state, percent."""
    tables = []
    for column, panels in view.panels.items():
        tracks = sorted({panel.valid_tracks for panel in panels})
        without = ", ".join(panel.row.name for panel in panels if not panel.stored)
        told = [f"{without}: {NOT_STORED}."] if without else []
        tables.append(
            ViewTable.of(
                view.section,
                f"{column.name}: {METRIC_TITLES[view.metric]} on validation by hidden state and family, "
                f"percent, one seed, n={'/'.join(map(str, tracks))} validation tracks",
                ("model", "family", "labels", "first", "last", "fused", "chosen", "best", "best\nstate"),
                [_table_row(panel, line) for panel in panels for line in panel.lines],
                keys=3,
                notes=(*not_run(view.section, column), *told, *(note for panel in panels for note in panel.notes)),
            )
        )
    return tables


def _table_row(panel: LayerPanel, line: LayerLine) -> tuple[str, ...]:
    states, best = panel.states, panel.best(line)
    places = (states[0] if states else None, states[-1] if states else None, panel.fused, panel.chosen)
    values = (ABSENT if k is None else percent(line.values[k]) for k in places)
    return (
        panel.row.name,
        line.family,
        line.count,
        *values,
        ABSENT if best is None else percent(line.values[best]),
        ABSENT if best is None else panel.inputs[best],
    )


def layer_rows(view: LayerView) -> Rows:
    """Return one row for each model, task, family and input, as fractions."""
    return [
        cell_facts(view.section, panel.row, column)
        | {
            "family": line.family,
            "labels": line.labels,
            "defined": line.defined,
            "valid_tracks": panel.valid_tracks,
            "input": name,
            "position": k,
            "chosen": k == panel.chosen,
            "metric": f"valid_{view.metric}",
            "value": line.values[k],
        }
        for column, panels in view.panels.items()
        for panel in panels
        for line in panel.lines
        for k, name in enumerate(panel.inputs)
    ]
