"""Distances between traditions in the terminal, as CSV and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...tasks.base import MINI_LABEL
from ..records.sections import ABSENT
from ..views.tables import ViewTable
from ..views.words import points
from .distance import MEASURES, Distances, PairDistance
from .relation import Relation
from .report import SimilarityReport

if TYPE_CHECKING:
    from rich.console import Console

STAND_IN_LABEL = "stand-in tokens: fitted here, not those of EnCodec; not comparable with published token distances"


def labels(edition: str, stand_in: bool) -> list[str]:
    """Return what must stand beside every number; empty for real data and a published codec."""
    return [*([MINI_LABEL] if edition == "mini" else []), *([STAND_IN_LABEL] if stand_in else [])]


def number(value: float | None) -> str:
    """Return a distance with three digits, or a dash where there is none."""
    # Adding zero turns -0.0 into 0.0.
    return ABSENT if value is None else f"{round(value, 3) + 0.0:.3f}"


def print_similarity(report: SimilarityReport, console: Console) -> None:
    """Print every matrix of distances, the pairs with intervals and tests, agreements and relations."""
    for distances in report.distances:
        _print_distances(distances, console)
    if report.agreements:
        _print_agreements(report, console)
    if report.relations:
        _print_relations(report, console)


def _print_distances(distances: Distances, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    title = f"{MEASURES[distances.measure]}: {distances.source} · {distances.edition} edition"
    console.print(Text(title, style="bold"))
    for label in labels(distances.edition, distances.stand_in):
        console.print(Text(label, style="yellow"))
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("")
    for task in distances.tasks:
        table.add_column(task.replace("_", "_\n", 1).replace("tagatune", "\ntagatune"), justify="right", no_wrap=True)
    for one in distances.collections:
        pairs = [distances.pair(one.task, other) for other in distances.tasks]
        count = f"n={one.tracks}" + (f" of {one.tracks + one.failed}" if one.failed else "")
        kind = "groups" if one.groups_known else "tracks as groups"
        name = Text(f"{one.task} ({count}, {one.groups} {kind})", style="bold")
        table.add_row(name, *(_cell(pair) for pair in pairs))
    console.print(table)
    biased = any(pair.value != pair.corrected for pair in distances.pairs)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("pair", "distance", "95 % interval", *(("as sampled",) if biased else ()), "95 % of chance", "p", "q"):
        table.add_column(name, justify="left" if name == "pair" else "right")
    for pair in sorted(distances.pairs, key=lambda p: p.corrected):
        span = ABSENT if pair.low is None else f"[{number(pair.low)}, {number(pair.high)}]"
        given = (*((pair.value,) if biased else ()), pair.null_high, pair.p_value, pair.q_value)
        table.add_row(f"{pair.first} – {pair.second}", number(pair.corrected), span, *map(number, given))
    console.print(table)
    legend = (
        f"{distances.definition} ~ not separable from chance at a false discovery rate of 5 %. 95 % interval: cluster "
        "bootstrap. 95 % of chance: what samples stay below when groups change sides at random."
        + (" as sampled: the distance before the correction for the number of groups." if biased else "")
    )
    reasons = sorted({pair.reason for pair in distances.pairs if pair.reason})
    console.print(Text("\n".join([legend, *reasons]), style="dim"))
    console.print()


def distance_table(distances: Distances, source: str) -> ViewTable:
    """Return the pairs, nearest first, as a table for the page; ``source`` is its edition in words."""
    rows = [
        (
            f"{pair.first} – {pair.second}",
            number(pair.corrected),
            ABSENT if pair.low is None else f"[{number(pair.low)}, {number(pair.high)}]",
            *map(number, (pair.value, pair.null_high, pair.p_value, pair.q_value)),
        )
        for pair in sorted(distances.pairs, key=lambda p: p.corrected)
    ]
    reasons = sorted({pair.reason for pair in distances.pairs if pair.reason})
    return ViewTable(
        title=f"{MEASURES[distances.measure]}: {distances.source}",
        source=source,
        warning=" · ".join(labels(distances.edition, distances.stand_in)),
        columns=("pair", "distance", "95 % interval", "as sampled", "95 % of chance", "p", "q"),
        rows=tuple(rows),
        notes=(distances.definition, *reasons),
    )


def _cell(pair: PairDistance | None) -> str:
    if pair is None:
        return "·"
    return f"{'' if pair.separable or pair.q_value is None else '~'}{number(pair.corrected)}"


def _print_agreements(report: SimilarityReport, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"Two encoders on the same tracks: linear CKA · {report.edition} edition", style="bold"))
    for label in labels(report.edition, stand_in=False):
        console.print(Text(label, style="yellow"))
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("encoders", "task", "tracks", "groups", "CKA", "95 % interval"):
        table.add_column(name, justify="left" if name in ("encoders", "task") else "right")
    for one in report.agreements:
        span = ABSENT if one.low is None else f"[{number(one.low)}, {number(one.high)}]"
        names = f"{one.first} – {one.second}"
        table.add_row(names, one.task, str(one.tracks), str(one.groups), number(one.value), span)
    console.print(table)
    console.print(Text("Debiased; interval by the delete-one-group jackknife. 1: the same up to rotation and scale.\n",
                       style="dim"))  # fmt: skip


def _print_relations(report: SimilarityReport, console: Console) -> None:
    from rich.text import Text

    console.print(Text(f"Does distance go with transfer? · {report.edition} edition", style="bold"))
    for label in labels(report.edition, any(r.stand_in for r in report.relations)):
        console.print(Text(label, style="yellow"))
    for relation in (r for r in report.relations if r.rho is not None):
        console.print(Text(f"{MEASURES[relation.measure]}, {relation.source}: {relation_line(relation)}"))
        for cell in sorted(relation.cells, key=lambda c: c.distance):
            where = f"{cell.model} ({cell.tradition}) on {cell.task}"
            console.print(Text(f"  {number(cell.distance)}  {points(cell.change):>6}  {where}", style="dim"))
    # What a correlation lacks is the same for most distances; it is said once.
    lacking = dict.fromkeys(relation_line(r) for r in report.relations if r.rho is None)
    left_out = dict.fromkeys(f"left out: {name}" for r in report.relations for name in r.left_out)
    console.print(Text("\n".join([*lacking, *left_out])))


def relation_line(relation: Relation) -> str:
    """Return the correlation with its n and its test, or why there is none."""
    if relation.rho is None or relation.p_value is None:
        return f"No correlation: {relation.reason}."
    kind = "all" if relation.exact else "random"
    return (
        f"Spearman's rho {relation.rho:+.2f} over n = {len(relation.cells)} cells of "
        f"{len({c.model for c in relation.cells})} models, p = {relation.p_value:.3f} "
        f"(two-sided Mantel test, {kind} {relation.permutations:,} permutations of the tasks)"
    )
