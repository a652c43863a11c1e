"""Scores by family of labels (makam, raga, instrument, …), models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..records.record import FamilyScore, Metric, Record
from ..records.sections import ABSENT, HEADLINE, METRIC_TITLES, Column, Row, Section, sections
from .base import Block, Part, Scope, View
from .dots import Dot, DotLine, dots_figure
from .figures import figures_by_task
from .tables import Rows, ViewTable, cell_facts, not_run, not_scored
from .words import of_defined, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = "all labels"


@dataclass(frozen=True)
class FamilyTask:
    """One task of the view.

    Attributes:
        column: the task.
        families: in the order in which the labels name them.
        scores: model (position in the section's rows) -> family -> score; a model without a record is not in it.
        overall: model -> metric -> score over all labels.
        notes: what is absent and why.
    """

    column: Column
    families: tuple[str, ...]
    scores: Mapping[int, Mapping[str, FamilyScore]]
    overall: Mapping[int, Mapping[str, Metric]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FamilyView:
    """Scores by family for the records of one edition, split and protocol."""

    section: Section
    tasks: tuple[FamilyTask, ...]


def family_views(records: Iterable[Record]) -> tuple[FamilyView, ...]:
    """Return the view for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    return tuple(FamilyView(s, tuple(_task(s, column) for column in s.columns)) for s in sections(records))


def _task(section: Section, column: Column) -> FamilyTask:
    found = {k: r for k, row in enumerate(section.rows) if (r := section.record(row, column))}
    notes = [*not_run(section, column)]
    for record in found.values():
        notes += not_scored(record)
        if any(f.roc_auc is not None and f.roc_auc_interval is None for f in record.families):
            notes.append(f"{record.model.name}: no interval where the test split holds too few groups for one.")
    first = next(iter(found.values()))
    return FamilyTask(
        column=column,
        families=tuple(dict.fromkeys(f.family for f in first.families)),
        scores={k: {f.family: f for f in record.families} for k, record in found.items()},
        overall={k: record.metrics for k, record in found.items()},
        notes=tuple(dict.fromkeys(notes)),
    )


def family_tables(view: FamilyView) -> list[ViewTable]:
    """Return a table for each task and metric: models by families, percent."""
    section = view.section
    return [
        ViewTable(
            title=f"{task.column.name}: {METRIC_TITLES[metric]} by family, percent [{section.interval_name}], "
            f"n={task.column.test_tracks} test tracks",
            source=section.title,
            warning=section.warning,
            columns=(
                "model",
                *(f"{family}\n{_count(task, family)}" for family in task.families),
                f"{ALL}\n{task.column.label_count}",
            ),
            rows=tuple(_row(task, k, row, metric) for k, row in enumerate(section.rows)),
            notes=task.notes if metric == HEADLINE[-1] else (),
        )
        for task in view.tasks
        for metric in HEADLINE
    ]


def _counts(task: FamilyTask, family: str) -> set[tuple[int, int]]:
    """How many labels of a family are scored, of how many; several where that differs between the models."""
    return {(scores[family].defined, scores[family].labels) for scores in task.scores.values() if family in scores}


def _count(task: FamilyTask, family: str) -> str:
    found = _counts(task, family)
    return of_defined(*found.pop()) if len(found) == 1 else "labels scored differ"


def _row(task: FamilyTask, k: int, row: Row, metric: str) -> tuple[str, ...]:
    if k not in task.scores:
        return (row.name, *(ABSENT for _ in task.families), ABSENT)
    cells = []
    for family in task.families:
        score = task.scores[k].get(family)
        differs = len(_counts(task, family)) > 1
        count = f" ({of_defined(score.defined, score.labels)})" if score and differs else ""
        cells.append(with_interval(*score.ranked(metric)) + count if score else ABSENT)
    overall = task.overall[k].get(metric)
    return (row.name, *cells, with_interval(overall.value, overall.interval) if overall else ABSENT)


def family_rows(view: FamilyView) -> Rows:
    """Return one row for each model, task, family and metric, as fractions."""
    return [
        cell_facts(view.section, row, task.column)
        | {
            "family": family,
            "labels": score.labels,
            "defined": score.defined,
            "test_tracks": task.column.test_tracks,
            "metric": metric,
            "value": value,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
        }
        for task in view.tasks
        for k, row in enumerate(view.section.rows)
        for family, score in task.scores.get(k, {}).items()
        for metric in HEADLINE
        for value, interval in [score.ranked(metric)]
    ]


def family_figure(view: FamilyView, task: FamilyTask, rows: Sequence[Row] | None = None) -> Figure:
    """Draw the scores of one task by family, with intervals.

    Args:
        view: the section's.
        task: of the view.
        rows: the models to draw, as many as there are markers at most; the first of them if not given.
    """
    rows = view.section.rows if rows is None else rows
    places = [view.section.rows.index(row) for row in rows]
    lines = [
        DotLine(
            name=family,
            note=_count(task, family),
            dots={m: [_dot(task.scores.get(k, {}).get(family), m) for k in places] for m in HEADLINE},
        )
        for family in task.families
    ]
    overall = {m: [_overall(task.overall.get(k), m) for k in places] for m in HEADLINE}
    lines.append(DotLine(ALL, task.column.label_count, overall))
    return dots_figure(
        view.section,
        f"{task.column.name}: scores by family (n={task.column.test_tracks} test tracks)",
        lines,
        [row.name for row in rows],
        f"whisker: {view.section.interval_name}; line at 50: ROC-AUC of chance.",
    )


def _dot(score: FamilyScore | None, metric: str) -> Dot | None:
    if score is None:
        return None
    value, interval = score.ranked(metric)
    return None if value is None else Dot(value, interval)


def _overall(metrics: Mapping[str, Metric] | None, name: str) -> Dot | None:
    metric = metrics.get(name) if metrics else None
    return None if metric is None or metric.value is None else Dot(metric.value, metric.interval)


def _blocks(scope: Scope) -> Iterator[Block]:
    (view,) = family_views(scope.records)
    tables = family_tables(view)
    each = len(tables) // len(view.tasks)
    yield Block(
        "families",
        "Families side by side",
        "Macro means over the defined labels of each family.",
        parts=tuple(
            Part(task.column.name, (), tuple(tables[each * i : each * (i + 1)])) for i, task in enumerate(view.tasks)
        ),
    )


VIEW = View(
    name="families",
    help="Show scores by family of labels, models side by side.",
    compute=family_views,
    tables=family_tables,
    rows=lambda view: {"": family_rows(view)},
    figures=lambda view: figures_by_task(view.section, view.tasks, partial(family_figure, view)),
    blocks=_blocks,
    examples=("cmbench report families results --out views",),
)
