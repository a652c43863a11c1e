"""The scores: models by tasks, with intervals, means, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...records.record import Record
from ...records.sections import HEADLINE, METRIC_TITLES, Section, sections
from ..base import Block, Drawing, Scope, View
from ..figures import in_parts
from ..words import percent
from .results import main_tables, tidy_csv
from .table import print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Sections = tuple[Section, ...]


def _compute(records: Sequence[Record]) -> list[Sections]:
    return [sections(records)]


def _figures(found: Sections) -> dict[str, Callable[[], Figure]]:
    """Return heat maps where there are several models, curves along hidden states, and every record's labels."""
    from .curves import layer_curves
    from .heat_map import heat_map
    from .label_bars import label_bars

    figures: dict[str, Callable[[], Figure]] = {}
    for section in found:
        for metric in HEADLINE if len(section.rows) > 1 else ():
            figures[f"heatmap-{metric}-{section.slug}"] = partial(heat_map, section, metric)
        parts = in_parts(section.rows)
        for i, rows in enumerate(parts):
            end = f"-{i + 1}" if len(parts) > 1 else ""
            figures[f"layers-{section.slug}{end}"] = partial(layer_curves, section, rows)
        for row in section.rows:
            for column, record in section.records_of(row):
                name = f"labels-{row.name}-{column.name}-{section.slug}"
                figures[name] = partial(label_bars, section, record)
    return figures


def _blocks(scope: Scope) -> Iterator[Block]:
    section = scope.section
    drawings = tuple(_heat_map(section, metric) for metric in HEADLINE) if len(section.rows) > 1 else ()
    yield Block("scores", "Scores", "", drawings, template="scores.html")


def _heat_map(section: Section, metric: str) -> Drawing:
    from .heat_map import heat_map

    scored = [
        (found.value, row.name, column.name)
        for row in section.rows
        for column in section.columns
        if (found := section.metric(row, column, metric)) and found.value is not None
    ]
    caption = "The numbers of the table above. Hatched: no score."
    if scored:
        best, worst = max(scored), min(scored)
        caption = (
            f"The numbers of the {METRIC_TITLES[metric]} table above, "
            f"from {percent(worst[0])} ({worst[1]} on {worst[2]}) to {percent(best[0])} ({best[1]} on {best[2]}). "
            "Hatched: no score."
        )
    title = f"Heat map of {METRIC_TITLES[metric]} by model and task, percent"
    return Drawing(title, partial(heat_map, section, metric), caption, caption)


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
