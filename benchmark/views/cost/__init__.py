"""What a point costs: what the command writes and prints, and the block of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ...records.record import Record
from ..base import DRAWN_MODELS, Block, Drawing, Part, ViewFiles
from ..tables import print_tables
from .cost import MEASURES, cost_rows, cost_tables, cost_views

if TYPE_CHECKING:
    from rich.console import Console

    from .cost import CostView


def print_cost(view: CostView, console: Console) -> None:
    """Print cost against score, device by device."""
    print_tables(cost_tables(view), console)


def cost_files(view: CostView) -> ViewFiles:
    """Return what ``cmbench report cost --out`` writes: a figure for each device and measure."""
    from .frontier import cost_figure

    figures = {}
    for device in view.devices:
        for measure in MEASURES:
            kind = "memory" if measure == "peak_memory_mib" else "time"
            end = f"{kind}-{device}" if len(view.devices) > 1 else kind
            figures[end] = partial(cost_figure, view, device, measure)
    return ViewFiles(f"cost-{view.section.slug}", cost_tables(view), {"": cost_rows(view)}, figures)


def _cost(records: Sequence[Record]) -> Block:
    from .frontier import cost_figure

    (view,) = cost_views(records)
    means = tuple(panel for panel in view.panels if panel.column is None)
    many = len(view.section.rows) > DRAWN_MODELS and {panel.device for panel in means} == set(view.devices)
    drawn = replace(view, panels=means) if many else view
    return Block(
        "price",
        "Cost against score",
        "Seconds of encoding for an hour of audio, device by device; a star where no model is both cheaper and better.",
        tuple(Drawing(f"Cost against score on {name}", partial(cost_figure, drawn, name)) for name in view.devices),
        (Part("Numbers", (), tuple(cost_tables(view))),),
    )
