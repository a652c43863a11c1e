"""The scores: models by tasks, with intervals, means, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...records.record import Record
from ...records.sections import Section, sections
from ..base import Block, Scope, View
from ..figures import figures_by_task, in_parts
from .results import main_tables, tidy_csv
from .table import print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Sections = tuple[Section, ...]


def _compute(records: Sequence[Record]) -> list[Sections]:
    return [sections(records)]


def _figures(found: Sections) -> dict[str, Callable[[], Figure]]:
    from ..labels import label_figure
    from .curves import layer_curves

    figures: dict[str, Callable[[], Figure]] = {}
    for section in found:
        parts = in_parts(section.rows)
        for i, rows in enumerate(parts):
            end = f"-{i + 1}" if len(parts) > 1 else ""
            figures[f"layers-{section.slug}{end}"] = partial(layer_curves, section, rows)
        by_task = figures_by_task(section, partial(label_figure, section))
        figures |= {f"labels-{task}-{section.slug}": draw for task, draw in by_task.items()}
    return figures


def _blocks(scope: Scope) -> Iterator[Block]:
    yield Block("scores", "Scores", template="scores.html", open=True)


VIEW = View(
    name="scores",
    help="Show the scores: models by tasks, with intervals, means, and what was left out.",
    compute=_compute,
    tables=main_tables,
    texts=lambda found: {"csv": tidy_csv(found)},
    figures=_figures,
    stem=lambda found: "",
    show=print_table,
    blocks=_blocks,
    examples=("cmbench report scores results --out scores",),
)
