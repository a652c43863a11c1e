"""Every label, and which are taken for which: what the command writes and prints, and the block of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...records.evidence import Evidence
from ...records.record import LabelScore
from ...records.sections import HEADLINE, Row, Section
from ..base import DRAWN_MODELS, Block, Part, ViewFiles
from ..dots import Dot, DotLine, dots_figure
from ..figures import in_parts, short_label
from ..tables import print_tables
from .labels import (
    _by_family,
    _shown_confusions,
    _value,
    confusion_rows,
    confusion_tables,
    label_rows,
    label_tables,
    label_views,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

    from .labels import LabelTask, LabelView


def print_labels(view: LabelView, console: Console) -> None:
    """Print scores by label and the most confused pairs."""
    print_tables(label_tables(view), console)


def label_figure(view: LabelView, task: LabelTask, rows: Sequence[Row] | None = None) -> Figure:
    """Draw the scores of one task by label.

    Args:
        view: the section's.
        task: of the view.
        rows: the models to draw, as many as there are markers at most; all of them if not given.
    """
    rows = view.section.rows if rows is None else rows
    places = [view.section.rows.index(row) for row in rows]
    lines, family = [], None
    for label in _by_family(task):
        facts = task.facts(label)
        if facts.family != family:
            family = facts.family
            lines.append(DotLine(family))
        dots = {m: [_dot(task.scores.get(k, {}).get(label), m) for k in places] for m in HEADLINE}
        lines.append(DotLine(short_label(label), f"n={facts.support}", dots, {"average_precision": facts.prevalence}))
    return dots_figure(
        view.section,
        f"{task.column.name}: scores by label (n={task.column.test_tracks} test tracks)",
        lines,
        [row.name for row in rows],
        "dotted: prevalence, the AP of chance; n: positives in the test split.",
    )


def _dot(score: LabelScore | None, metric: str) -> Dot | None:
    value, interval = _value(score, metric) if score else (None, None)
    return None if value is None else Dot(value, interval)


def label_files(view: LabelView) -> ViewFiles:
    """Return what ``cmbench report labels --out`` writes."""
    from .confusion_map import confusion_figure

    parts = in_parts(view.section.rows)
    figures: dict[str, Callable[[], Figure]] = {
        f"{task.column.name}{f'-{i + 1}' if len(parts) > 1 else ''}": partial(label_figure, view, task, rows)
        for task in view.tasks
        for i, rows in enumerate(parts)
    }
    for task in view.tasks:
        for row, c in _shown_confusions(view, task):
            end = f"{task.column.name}-{c.family}-{row.name}"
            figures[end] = partial(confusion_figure, view.section, task.column, row, c)
    rows = {"": label_rows(view), "confusion": confusion_rows(view)}
    return ViewFiles(f"labels-{view.section.slug}", label_tables(view), rows, figures)


def _confusions(section: Section, found: Sequence[Evidence]) -> Block:
    tables = confusion_tables(label_views(found)[0]) if found and len(section.rows) <= DRAWN_MODELS else {}
    return Block(
        "confusion",
        "Which labels are taken for which",
        "Of families in which a track has one label: the most frequent mistakes of the most probable label.",
        (),
        tuple(Part(task, (), tuple(pairs)) for task, pairs in tables.items() if pairs),
    )
