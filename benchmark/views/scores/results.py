"""The scores as tables for papers, and as tidy rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ....tasks.splits.names import is_sample
from ...comparing.lineage import is_control
from ...frames import scores
from ...records.sections import ABSENT, HEADLINE, METRIC_TITLES, Column, Row, Section
from ..tables import ViewTable, csv_cell, not_run, not_scored
from ..words import percent, with_interval


def main_tables(found: Sequence[Section]) -> list[ViewTable]:
    """Return, for each section, models by tasks: ROC-AUC / AP with their mean, then each with its interval, percent."""
    tables = []
    for section in found:
        notes = [note for column in section.columns for note in not_run(section, column)]
        notes += [note for record in section.cells.values() for note in not_scored(record)]
        heads = ("model", *(_head(column) for column in section.columns))
        title = "ROC-AUC / AP, percent, mean over labels and seeds; mean: of all cells"
        rows = [_both(section, row) for row in section.rows]
        table = ViewTable.of(section, title, (*heads, "mean"), rows, notes=dict.fromkeys(notes))
        tables.append(replace(table, best=_best(section, HEADLINE)))
        for metric in HEADLINE:
            title = f"{METRIC_TITLES[metric]}, percent [{section.interval_name}]"
            table = ViewTable.of(section, title, heads, [_one(section, row, metric) for row in section.rows])
            tables.append(replace(table, best=_best(section, (metric,))))
    return tables


def _best(section: Section, metrics: Sequence[str]) -> frozenset[tuple[int, int]]:
    """Return the cells that are best in their column; controls are not ranked, nor is a sample of the tracks."""
    ranked = [] if is_sample(section.split) else [
        (y, row) for y, row in enumerate(section.rows) if not is_control(section.records_of(row)[0][1].model)
    ]  # fmt: skip
    found: set[tuple[int, int]] = set()
    columns: list[Callable[[Row], float | None]] = [
        *(partial(_of_column, section, metrics, column) for column in section.columns),
        lambda row: section.mean(row, *metrics).value,
    ]
    for x, score in enumerate(columns, start=1):
        scores = {y: value for y, row in ranked if (value := score(row)) is not None}
        found |= {(y, x) for y, value in scores.items() if len(scores) > 1 and value == max(scores.values())}
    return frozenset(found)


def _of_column(section: Section, metrics: Sequence[str], column: Column, row: Row) -> float | None:
    values = [found.value for name in metrics if (found := section.metric(row, column, name))]
    return None if not values or None in values else sum(value or 0.0 for value in values)


def _head(column: Column) -> str:
    return f"{column.name}\n(n={column.test_tracks}, {column.label_count})"


def _both(section: Section, row: Row) -> tuple[str, ...]:
    cells = []
    for column in section.columns:
        found = [section.metric(row, column, name) for name in HEADLINE]
        cells.append(" / ".join(percent(m.value) for m in found if m) or ABSENT)
    mean = section.mean(row, *HEADLINE)
    told = percent(mean.value) if mean.value is not None else f"{ABSENT} ({mean.present}/{mean.total})"
    return (row.name, *cells, told)


def _one(section: Section, row: Row, name: str) -> tuple[str, ...]:
    found = [section.metric(row, column, name) for column in section.columns]
    return (row.name, *(with_interval(m.value, m.interval) if m else ABSENT for m in found))


def tidy_csv(found: Sequence[Section]) -> str:
    """Return one row for each record and metric, as fractions; what is not defined is empty, with the reason."""
    records = [record for section in found for record in section.cells.values()]
    frame = scores(records)
    warnings = [section.warning for section in found for record in section.cells.values() for _ in record.metrics]
    frame["reason"] = [metric.reason or "" for record in records for metric in record.metrics.values()]
    frame["model_fingerprint"] = [r.model.fingerprint for r in records for _ in r.metrics]
    frame["split_sha256"] = [r.task.split_sha256 for r in records for _ in r.metrics]
    frame["label_sha256"] = [r.task.label_sha256 for r in records for _ in r.metrics]
    frame["protocol_sha256"] = [r.protocol.sha256 for r in records for _ in r.metrics]
    frame["warning"] = warnings
    return frame.map(csv_cell).to_csv(index=False, lineterminator="\n")
