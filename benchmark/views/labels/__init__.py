"""Every label, and which are taken for which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...records.record import LabelScore
from ...records.sections import HEADLINE, Row
from ..base import Block, Part, Scope, View
from ..dots import Dot, DotLine, dots_figure
from ..figures import figures_by_task, short_label
from .labels import (
    LabelTask,
    LabelView,
    by_family,
    confusion_rows,
    confusion_tables,
    label_rows,
    label_tables,
    label_views,
    shown_confusions,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    for label in by_family(task):
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
    value, interval = score.ranked(metric) if score else (None, None)
    return None if value is None else Dot(value, interval)


def _figures(view: LabelView) -> dict[str, Callable[[], Figure]]:
    from .confusion_map import confusion_figure

    figures = figures_by_task(view.section, view.tasks, partial(label_figure, view))
    for task in view.tasks:
        for row, c in shown_confusions(view, task):
            end = f"{task.column.name}-{c.family}-{row.name}"
            figures[end] = partial(confusion_figure, view.section, task.column, row, c)
    return figures


def _blocks(scope: Scope) -> Iterator[Block]:
    tables = confusion_tables(label_views(scope.evidence)[0]) if scope.evidence and scope.few else {}
    if parts := tuple(Part(task, (), tuple(pairs)) for task, pairs in tables.items() if pairs):
        yield Block(
            "confusion",
            "Which labels are taken for which",
            "Of families in which a track has one label: the most frequent mistakes of the most probable label.",
            parts=parts,
        )


VIEW = View(
    name="labels",
    help="Show every label's support and scores, and which labels of a family are taken for which.",
    compute=label_views,
    tables=label_tables,
    rows=lambda view: {"": label_rows(view), "confusion": confusion_rows(view)},
    figures=_figures,
    blocks=_blocks,
    examples=("cmbench report labels results/mfcc results/chroma", "cmbench report labels results --out views"),
)
