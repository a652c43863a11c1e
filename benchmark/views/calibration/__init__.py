"""Whether probabilities are true: what the command writes and prints, and the block of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ...records.evidence import Evidence
from ...records.sections import Section
from ..base import DRAWN_MODELS, Block, Drawing, Part, ViewFiles
from ..figures import in_parts
from ..tables import print_tables
from .calibration import bin_rows, calibration_rows, calibration_tables, calibration_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

    from .calibration import CalibrationView


def print_calibration(view: CalibrationView, console: Console) -> None:
    """Print calibration by task, model and family."""
    print_tables(calibration_tables(view), console)


def calibration_files(view: CalibrationView) -> ViewFiles:
    """Return what ``cmbench report calibration --out`` writes."""
    from .reliability import calibration_figure

    parts = in_parts(view.section.rows)
    figures: dict[str, Callable[[], Figure]] = {
        f"{task.column.name}{f'-{i + 1}' if len(parts) > 1 else ''}": partial(calibration_figure, view, task, rows)
        for task in view.tasks
        for i, rows in enumerate(parts)
    }
    rows = {"": calibration_rows(view), "bins": bin_rows(view)}
    return ViewFiles(f"calibration-{view.section.slug}", calibration_tables(view), rows, figures)


def _calibration(section: Section, found: Sequence[Evidence], resamples: int) -> Block:
    from .reliability import calibration_figure

    few = len(section.rows) <= DRAWN_MODELS
    parts = []
    for view in calibration_views(found, resamples) if found else ():
        for task, table in zip(view.tasks, calibration_tables(view), strict=True):
            title = f"Reliability: {task.column.name}"
            drawings = (Drawing(title, partial(calibration_figure, view, task)),) if few else ()
            rows = table.rows if few else tuple(row for row in table.rows if row[1] == "all labels")
            parts.append(Part(task.column.name, drawings, (replace(table, rows=rows),)))
    return Block(
        "calibration",
        "Calibration",
        "Whether probabilities mean what they say. Rankings do not depend on it.",
        (),
        tuple(parts),
    )
