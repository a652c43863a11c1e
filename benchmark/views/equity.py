"""Equity over traditions in the terminal and as rows for the page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ...tasks.base import MINI_LABEL
from ..comparing.equity import Equity
from ..records.sections import ABSENT
from .words import span

if TYPE_CHECKING:
    from rich.console import Console

LEGEND = (
    "Percent of the way from chance (0) to a perfect ranking (100), mean of ROC-AUC and AP; 95 % intervals from whole "
    "groups. worst: the lowest tradition, and in how many resamples it is the lowest. spread: best minus worst. gap: "
    "mean of the other traditions minus the Western one."
)


def worst(judged: Equity) -> str:
    """Return the worst tradition and in how many resamples it is the worst."""
    if judged.worst is None:
        return "none: all alike"
    return judged.worst if judged.worst_share is None else f"{judged.worst} ({100 * judged.worst_share:.0f} %)"


def gap(judged: Equity) -> str:
    """Return the gap, or why there is none: one side of it was not measured."""
    return "no Western\ntask, or no other" if judged.gap is None else span(judged.gap, signed=True, joint="\n")


def print_equity(judged: Sequence[Equity], console: Console) -> None:
    """Print one table for each edition, split and protocol; nothing where no model has two traditions."""
    from rich.table import Table
    from rich.text import Text

    def kind(e: Equity) -> tuple[str, str, str]:
        return (e.edition, e.split, e.protocol)

    for (edition, split, protocol), members in groupby(sorted(judged, key=kind), key=kind):
        title = f"Equity over traditions: {edition} edition · {split} split · protocol {protocol}"
        console.print()
        console.print(Text(title, style="bold"))
        if edition == "mini":
            console.print(Text(MINI_LABEL, style="yellow"))
        table = Table(box=None, header_style="dim", pad_edge=False)
        for name in ("model", "traditions", "mean", "worst", "its score", "spread", "gap"):
            table.add_column(name, justify="left" if name in ("model", "worst") else "right", overflow="fold")
        for one in members:
            table.add_row(
                Text(one.model),
                str(len(one.traditions)),
                span(one.mean, joint="\n"),
                Text(worst(one)),
                ABSENT if one.worst is None else span(one.traditions[one.worst], joint="\n"),
                span(one.spread, joint="\n"),
                gap(one),
            )
        console.print(table)
        console.print(Text(LEGEND, style="dim"))
