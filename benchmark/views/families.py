"""Scores by family of labels (makam, raga, instrument, …), models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..records.record import FamilyScore, Metric, Record
from ..records.sections import ABSENT, HEADLINE, METRIC_TITLES, Column, Row, Section, sections
from .base import Block, Part, Scope, View
from .dots import Dot, DotLine, dot, dots_figure
from .figures import figures_by_task
from .tables import Rows, ViewTable, cell_facts, ends, not_run, not_scored
from .words import of_defined, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = "all labels"


def _families(section: Section, column: Column) -> list[str]:
    """Return the families of a task, in the order in which the labels name them."""
    return list(dict.fromkeys(f.family for f in section.records_on(column)[0][1].families))


def _score(record: Record | None, family: str) -> FamilyScore | None:
    return next((f for f in record.families if f.family == family), None) if record else None


def family_tables(section: Section) -> list[ViewTable]:
    """Return a table for each task and metric: models by families, percent."""
    tables = []
    for column in section.columns:
        families = _families(section, column)
        heads = ["model", *(f"{family}\n{_count(section, column, family)}" for family in families)]
        tables += [
            ViewTable.of(
                section,
                f"{column.name}: {METRIC_TITLES[metric]} by family, percent [{section.interval_name}], "
                f"n={column.test_tracks} test tracks",
                (*heads, f"{ALL}\n{column.label_count}"),
                [(row.name, *_cells(section, column, families, row, metric)) for row in section.rows],
                notes=_notes(section, column) if metric == HEADLINE[-1] else (),
            )
            for metric in HEADLINE
        ]
    return tables


def _notes(section: Section, column: Column) -> list[str]:
    """Say what is absent, and why."""
    notes = [*not_run(section, column)]
    for _, record in section.records_on(column):
        notes += not_scored(record)
        if any(f.roc_auc is not None and f.roc_auc_interval is None for f in record.families):
            notes.append(f"{record.model.name}: no interval where the test split holds too few groups for one.")
    return list(dict.fromkeys(notes))


def _counts(section: Section, column: Column, family: str) -> set[tuple[int, int]]:
    """How many labels of a family are scored, of how many; several where that differs between the models."""
    found = (_score(record, family) for _, record in section.records_on(column))
    return {(score.defined, score.labels) for score in found if score}


def _count(section: Section, column: Column, family: str) -> str:
    found = _counts(section, column, family)
    return of_defined(*found.pop()) if len(found) == 1 else "labels scored differ"


def _cells(section: Section, column: Column, families: Sequence[str], row: Row, metric: str) -> Iterator[str]:
    record = section.record(row, column)
    for family in families:
        score = _score(record, family)
        differs = len(_counts(section, column, family)) > 1
        count = f" ({of_defined(score.defined, score.labels)})" if score and differs else ""
        yield with_interval(*score.ranked(metric)) + count if score else ABSENT
    overall = section.metric(row, column, metric)
    yield with_interval(overall.value, overall.interval) if overall else ABSENT


def family_rows(section: Section) -> Rows:
    """Return one row for each model, task, family and metric, as fractions."""
    return [
        cell_facts(section, row, column)
        | {
            "family": score.family,
            "labels": score.labels,
            "defined": score.defined,
            "test_tracks": column.test_tracks,
            "metric": metric,
            "value": value,
            **ends(interval),
        }
        for column in section.columns
        for row, record in section.records_on(column)
        for score in record.families
        for metric in HEADLINE
        for value, interval in [score.ranked(metric)]
    ]


def family_figure(section: Section, column: Column, rows: Sequence[Row] | None = None) -> Figure:
    """Draw the scores of one task by family, with intervals.

    Args:
        section: the records.
        column: the task.
        rows: the models to draw, as many as there are markers at most; all of them if not given.
    """
    rows = section.rows if rows is None else rows
    found = [section.record(row, column) for row in rows]
    lines = []
    for family in _families(section, column):
        scores = [_score(record, family) for record in found]
        dots = {m: [dot(*score.ranked(m)) if score else None for score in scores] for m in HEADLINE}
        lines.append(DotLine(family, _count(section, column, family), dots))
    overall = {m: [_overall(record.metrics.get(m) if record else None) for record in found] for m in HEADLINE}
    lines.append(DotLine(ALL, column.label_count, overall))
    title = f"{column.name}: scores by family (n={column.test_tracks} test tracks)"
    key = f"whisker: {section.interval_name}; line at 50: ROC-AUC of chance."
    return dots_figure(section, title, lines, [row.name for row in rows], key)


def _overall(metric: Metric | None) -> Dot | None:
    return dot(metric.value, metric.interval) if metric else None


def _blocks(scope: Scope) -> Iterator[Block]:
    tables = family_tables(scope.section)
    each = len(HEADLINE)
    parts = [Part(c.name, (), tuple(tables[each * i : each * (i + 1)])) for i, c in enumerate(scope.section.columns)]
    text = "Macro means over the defined labels of each family."
    yield Block("families", "Families side by side", text, parts=tuple(parts))


VIEW = View(
    name="families",
    help="Show scores by family of labels, models side by side.",
    compute=sections,
    tables=family_tables,
    rows=lambda section: {"": family_rows(section)},
    figures=lambda section: figures_by_task(section, partial(family_figure, section)),
    blocks=_blocks,
    examples=("cmbench report families results --out views",),
)
