"""Whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..base import Block, Drawing, Part, Scope, View
from ..figures import figures_by_task
from .calibration import CalibrationView, bin_rows, calibration_rows, calibration_tables, calibration_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(view: CalibrationView) -> dict[str, Callable[[], Figure]]:
    from .reliability import calibration_figure

    return figures_by_task(view.section, partial(calibration_figure, view))


def _blocks(scope: Scope) -> Iterator[Block]:
    from .reliability import calibration_figure

    if not scope.evidence:
        return
    parts = []
    for view in calibration_views(scope.evidence, scope.resamples):
        for column, table in zip(view.section.columns, calibration_tables(view), strict=True):
            title = f"Reliability: {column.name}"
            drawings = (Drawing(title, partial(calibration_figure, view, column)),) if scope.few else ()
            rows = table.rows if scope.few else tuple(row for row in table.rows if row[1] == "all labels")
            parts.append(Part(column.name, drawings, (replace(table, rows=rows),)))
    yield Block(
        "calibration",
        "Calibration",
        "Whether probabilities mean what they say. Rankings do not depend on it.",
        parts=tuple(parts),
    )


VIEW = View(
    name="calibration",
    help="Show whether probabilities mean what they say: reliability, calibration error, Brier score and skill.",
    compute=calibration_views,
    tables=calibration_tables,
    rows=lambda view: {"": calibration_rows(view), "bins": bin_rows(view)},
    figures=_figures,
    blocks=_blocks,
    examples=("cmbench report calibration results --out views",),
)
