"""Every label, and which are taken for which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...records.record import LabelScore
from ...records.sections import Column, Row, Section
from ..base import Block, Part, Scope, View
from ..dots import DotLine, dots_figure, dots_of
from ..figures import figures_by_task, short_label
from .confusion_map import confusion_figure
from .labels import (
    LabelView,
    by_family,
    confusion_rows,
    confusion_tables,
    label_rows,
    label_tables,
    label_views,
    scores_of,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def label_figure(section: Section, column: Column, rows: Sequence[Row] | None = None) -> Figure:
    """Draw the scores of one task by label."""
    rows = section.rows if rows is None else rows
    found = [scores_of(section.record(row, column)) for row in rows]
    lines, family = [], None
    for facts in by_family(section, column):
        if facts.family != family:
            family = facts.family
            lines.append(DotLine(family))
        dots = dots_of([own.get(facts.label) for own in found])
        chance = {"average_precision": facts.prevalence}
        lines.append(DotLine(short_label(facts.label), _note(facts), dots, chance))
    title = f"{column.name}: scores by label (n={column.test_tracks} test tracks)"
    key = "dotted: prevalence, the AP of chance; n: positives in the test split."
    return dots_figure(section, title, lines, [row.name for row in rows], key)


def _note(facts: LabelScore) -> str:
    return f"n={facts.support}" if facts.roc_auc is not None else f"n={facts.support}: no score"


def _figures(view: LabelView) -> dict[str, Callable[[], Figure]]:
    figures = figures_by_task(view.section, partial(label_figure, view.section))
    for column in view.section.columns:
        for row, c in shown(view, column):
            figures[f"{column.name}-{c.family}-{row.name}"] = partial(confusion_figure, view.section, column, row, c)
    return figures


def _blocks(scope: Scope) -> Iterator[Block]:
    views = label_views(scope.evidence) if scope.evidence and scope.few else ()
    pairs = [(column.name, confusion_tables(view, column)) for view in views for column in view.section.columns]
    if parts := tuple(Part(task, (), tuple(tables)) for task, tables in pairs if tables):
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
    rows=lambda view: {"": label_rows(view.section), "confusion": confusion_rows(view)},
    figures=_figures,
    blocks=_blocks,
    examples=("cmbench report labels results/mfcc results/chroma", "cmbench report labels results --out views"),
)
