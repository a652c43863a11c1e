"""What a point costs: score against seconds and memory, device by device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..base import Block, Drawing, Part, Scope, View
from .cost import MEASURES, CostView, cost_rows, cost_tables, cost_views
from .frontier import cost_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figures(view: CostView) -> dict[str, Callable[[], Figure]]:
    figures: dict[str, Callable[[], Figure]] = {}
    for device in view.devices:
        for measure in MEASURES:
            kind = "memory" if measure == "peak_memory_mib" else "time"
            end = f"{kind}-{device}" if len(view.devices) > 1 else kind
            figures[end] = partial(cost_figure, view, device, measure)
    return figures


def _blocks(scope: Scope) -> Iterator[Block]:
    (view,) = cost_views(scope.records)
    means = tuple(panel for panel in view.panels if panel.column is None)
    many = not scope.few and {panel.device for panel in means} == set(view.devices)
    drawn = replace(view, panels=means) if many else view
    yield Block(
        "price",
        "Cost against score",
        "Seconds of encoding for an hour of audio, device by device; a star where no model is both cheaper and better.",
        tuple(Drawing(f"Cost against score on {name}", partial(cost_figure, drawn, name)) for name in view.devices),
        (Part("Numbers", (), tuple(cost_tables(view))),),
    )


VIEW = View(
    name="cost",
    help="Show score against seconds of encoding and memory, device by device.",
    compute=cost_views,
    tables=cost_tables,
    rows=lambda view: {"": cost_rows(view)},
    figures=_figures,
    blocks=_blocks,
    examples=("cmbench report cost results --out views",),
)
