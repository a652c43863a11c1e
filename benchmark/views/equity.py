"""How evenly each model serves the traditions: the worst, the spread, the gap to the West."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..comparing.equity import Equity, equities
from ..records.evidence import Evidence
from ..records.sections import ABSENT
from .base import Block, Resamples, Scope, View
from .tables import Rows, ViewTable, ends, print_tables
from .words import span

if TYPE_CHECKING:
    from rich.console import Console

LEGEND = (
    "Chance-centred score: percent of the way from chance (0) to a perfect ranking (100), mean of ROC-AUC and AP; 95 % "
    "intervals from whole groups. worst: the lowest tradition, and in how many resamples it is the lowest. spread: "
    "best minus worst. gap: mean of the other traditions minus the Western one. A model that lacks a "
    "tradition has no mean to set beside the others'."
)


def worst(judged: Equity) -> str:
    """Return the worst tradition and in how many resamples it is the worst."""
    if judged.worst is None:
        return "none: all alike"
    return judged.worst if judged.worst_share is None else f"{judged.worst} ({100 * judged.worst_share:.0f} %)"


def gap(judged: Equity) -> str:
    """Return the gap, or why there is none: one side of it was not measured."""
    return "no Western\ntask, or no other" if judged.gap is None else span(judged.gap, signed=True, joint="\n")


def lacking(judged: Sequence[Equity]) -> dict[int, tuple[str, ...]]:
    """Return, by the place of a model, the traditions that others of its setting have and it has not.

    What it has would be a mean over other traditions than theirs, so it is not shown.
    """
    known: dict[object, dict[str, None]] = {}
    for one in judged:
        known.setdefault(one.setting, {}).update(dict.fromkeys(one.traditions))
    lacks = {k: tuple(t for t in known[one.setting] if t not in one.traditions) for k, one in enumerate(judged)}
    return {k: names for k, names in lacks.items() if names}


def _row(one: Equity, lacks: tuple[str, ...]) -> tuple[str, ...]:
    if lacks:
        count = len(one.traditions) + len(lacks)
        return (one.model, f"no {', '.join(lacks)}", f"{len(one.traditions)} of {count}", *[ABSENT] * 4)
    return (
        one.model,
        worst(one),
        str(len(one.traditions)),
        span(one.mean, joint="\n"),
        ABSENT if one.worst is None else span(one.traditions[one.worst], joint="\n"),
        span(one.spread, joint="\n"),
        gap(one),
    )


def equity_tables(judged: Sequence[Equity]) -> list[ViewTable]:
    """Return one table for each edition, split and protocol; none where no model has two traditions."""
    heads = ("model", "worst", "traditions", "mean", "its score", "spread", "gap")
    return [
        ViewTable(
            title="Equity over traditions, percent",
            source=setting.title,
            warning=setting.warning,
            columns=heads,
            rows=tuple(_row(one, lacks) for one, lacks in members),
            keys=2,
            notes=(LEGEND,),
        )
        for setting, members in groupby(
            sorted(_with_lacks(judged), key=lambda pair: pair[0].setting), key=lambda pair: pair[0].setting
        )
    ]


def _with_lacks(judged: Sequence[Equity]) -> list[tuple[Equity, tuple[str, ...]]]:
    lacks = lacking(judged)
    return [(one, lacks.get(k, ())) for k, one in enumerate(judged)]


def print_equity(judged: Sequence[Equity], console: Console) -> None:
    """Print the tables below what was printed before."""
    if judged:
        console.print()
    print_tables(equity_tables(judged), console)


def _compute(evidence: Sequence[Evidence], resamples: Resamples = 1000) -> list[tuple[Equity, ...]]:
    return [equities(evidence, resamples)]


def _rows(judged: Sequence[Equity]) -> Rows:
    rows = []
    for one, lacks in _with_lacks(judged):
        over_all = {"mean": one.mean, "spread": one.spread, "gap": one.gap}
        named = (dict.fromkeys([*over_all, *lacks]) if lacks else over_all) | dict(one.traditions)
        rows += [
            {
                **one.setting.facts,
                "model": one.model,
                "score": name,
                "value": level.value if level else None,
                **ends(level),
                "worst_share": one.worst_share if name == one.worst and not lacks else None,
            }
            for name, level in named.items()
        ]
    return rows


def _blocks(scope: Scope) -> Iterator[Block]:
    if judged := equities(scope.alike, scope.resamples):
        yield Block("equity", "Equity over traditions", template="equity.html", data=_with_lacks(judged))


VIEW = View(
    name="equity",
    help="Show how evenly each model serves the traditions: the worst, the spread, the gap to the West.",
    compute=_compute,
    tables=equity_tables,
    rows=lambda judged: {"": _rows(judged)},
    stem=lambda judged: "equity",
    show=print_equity,
    blocks=_blocks,
    examples=("cmbench report equity results",),
)
