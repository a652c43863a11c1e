"""Scores by family of labels (makam, raga, instrument, …), models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..records.record import FamilyScore, Record
from ..records.sections import ABSENT, HEADLINE, METRIC_TITLES, Column, Row, Section, sections
from .base import Block, Part, Scope, View
from .dots import DotLine, dots_figure, dots_of
from .figures import figures_by_task
from .tables import Rows, ViewTable, cell_facts, ends, not_run, not_scored
from .words import ALL, of_defined, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIFFER = "labels scored differ"


def _scores(record: Record | None) -> dict[str, FamilyScore]:
    if record is None:
        return {}
    whole = {m: record.metrics[m] for m in HEADLINE}
    values: dict[str, Any] = {m: metric.value for m, metric in whole.items()}
    values |= {f"{m}_interval": metric.interval for m, metric in whole.items()}
    every = FamilyScore(family=ALL, labels=record.total_labels, defined=record.defined_labels, **values)
    return {score.family: score for score in (*record.families, every)}


def _counts(section: Section, column: Column) -> dict[str, str]:
    """Say for every family how many labels are scored, of how many, and where that differs between the models."""
    found: dict[str, set[str]] = {}
    for _, record in section.records_on(column):
        for family, score in _scores(record).items():
            found.setdefault(family, set()).add(of_defined(score.defined, score.labels))
    return {family: one.pop() if len(one) == 1 else DIFFER for family, one in found.items()}


def family_tables(section: Section) -> list[ViewTable]:
    """Return a table for each task and metric: models by families, percent."""
    tables = []
    for column in section.columns:
        counts = _counts(section, column)
        tables += [
            ViewTable.of(
                section,
                f"{column.name}: {METRIC_TITLES[metric]} by family, percent [{section.interval_name}], "
                f"n={column.test_tracks} test tracks",
                ("model", *(f"{family}\n{count}" for family, count in counts.items())),
                [(row.name, *_cells(section.record(row, column), counts, metric)) for row in section.rows],
                notes=_notes(section, column) if metric == HEADLINE[-1] else (),
            )
            for metric in HEADLINE
        ]
    return tables


def _notes(section: Section, column: Column) -> list[str]:
    notes = [*not_run(section, column)]
    for _, record in section.records_on(column):
        notes += not_scored(record)
        if any(f.roc_auc is not None and f.roc_auc_interval is None for f in record.families):
            notes.append(f"{record.model.name}: no interval where the test split holds too few groups for one.")
    return list(dict.fromkeys(notes))


def _cells(record: Record | None, counts: Mapping[str, str], metric: str) -> Iterator[str]:
    scores = _scores(record)
    for family, count in counts.items():
        score = scores.get(family)
        own = f" ({of_defined(score.defined, score.labels)})" if score and count == DIFFER else ""
        yield with_interval(*score.ranked(metric)) + own if score else ABSENT


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
    """Draw the scores of one task by family, with intervals."""
    rows = section.rows if rows is None else rows
    found = [_scores(section.record(row, column)) for row in rows]
    lines = [
        DotLine(family, count, dots_of([own.get(family) for own in found]))
        for family, count in _counts(section, column).items()
    ]
    title = f"{column.name}: scores by family (n={column.test_tracks} test tracks)"
    key = f"whisker: {section.interval_name}; line at 50: ROC-AUC of chance."
    return dots_figure(section, title, lines, [row.name for row in rows], key)


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
