"""Whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from ...comparing.lineage import is_control
from ..base import Block, Drawing, Part, Scope, View
from ..figures import figures_by_task, in_parts
from ..words import ALL
from .calibration import LEGEND, bin_rows, calibration_rows, calibration_tables, calibration_views
from .reliability import FEW, TOGETHER, calibration_figure, overview_figure


def _blocks(scope: Scope) -> Iterator[Block]:
    if not scope.evidence:
        return
    parts, overview = [], []
    for view in calibration_views(scope.evidence, scope.resamples):
        for column, table in zip(view.section.columns, calibration_tables(view), strict=True):
            title = f"Reliability: {column.name}"
            some = in_parts(view.section.rows, TOGETHER) if scope.few else []
            drawings = tuple(Drawing(title, partial(calibration_figure, view, column, rows)) for rows in some)
            rows = table.rows if scope.few else tuple(row for row in table.rows if row[1] == ALL)
            notes = tuple(note for note in table.notes if note != LEGEND)
            parts.append(Part(column.name, drawings, (replace(table, rows=rows, notes=notes),)))
        if not scope.few:
            learnt = [row for row in view.section.rows if not is_control(view.section.records_of(row)[0][1].model)]
            overview += [Drawing(_OVERVIEW, partial(overview_figure, view, some)) for some in in_parts(learnt)]
    yield Block(
        "calibration",
        "Calibration",
        f"Whether probabilities mean what they say. Rankings do not depend on it. {LEGEND}",
        tuple(overview),
        tuple(parts),
    )


_OVERVIEW = (
    f"Reliability, all labels: on the dashed line, what is said comes true; every mark rests on {FEW} forecasts or more"
)

VIEW = View(
    name="calibration",
    help="Show whether probabilities mean what they say: reliability, calibration error, Brier score and skill.",
    compute=calibration_views,
    tables=calibration_tables,
    rows=lambda view: {"": calibration_rows(view), "bins": bin_rows(view)},
    figures=lambda view: figures_by_task(view.section, partial(calibration_figure, view), TOGETHER),
    blocks=_blocks,
    examples=("cmbench report calibration results --out views",),
)
