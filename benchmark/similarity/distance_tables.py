"""Distances between traditions as tables, in the terminal and on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...tasks.base import MINI_LABEL
from ..records.sections import ABSENT
from ..views.tables import ViewTable, print_tables
from ..views.words import points
from .distance import MEASURES, Collection, Distances, PairDistance
from .relation import Relation
from .report import SimilarityReport

if TYPE_CHECKING:
    from rich.console import Console

STAND_IN_LABEL = "stand-in tokens: fitted here, not those of EnCodec; not comparable with published token distances"

LEGEND = (
    "~ not separable from chance at a false discovery rate of 5 %. 95 % interval: cluster bootstrap. 95 % of chance: "
    "what samples stay below when groups change sides at random. as sampled: before the correction for the number of "
    "groups."
)


def labels(edition: str, stand_in: bool) -> list[str]:
    """Return what must stand beside every number; empty for real data and a published codec."""
    return [*([MINI_LABEL] if edition == "mini" else []), *([STAND_IN_LABEL] if stand_in else [])]


def number(value: float | None) -> str:
    """Return a distance with three digits, or a dash where there is none."""
    # Adding zero turns -0.0 into 0.0.
    return ABSENT if value is None else f"{round(value, 3) + 0.0:.3f}"


def print_similarity(report: SimilarityReport, console: Console) -> None:
    """Print every matrix of distances, the pairs with intervals and tests, and relations with transfer."""
    for distances in report.distances:
        source = f"{report.edition} edition · {distances.source}"
        print_tables([_matrix_table(distances, source), distance_table(distances, source)], console)
        console.print()
    if report.relations:
        _print_relations(report, console)


def distance_table(distances: Distances, source: str) -> ViewTable:
    """Return the pairs, nearest first, as a table; ``source`` is its edition in words."""
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
        notes=(distances.definition, LEGEND, *reasons),
    )


def _matrix_table(distances: Distances, source: str) -> ViewTable:
    """Return the distances as a table of tasks by tasks."""
    rows = [
        (_row_name(one), *(_cell(distances.pair(one.task, other)) for other in distances.tasks))
        for one in distances.collections
    ]
    return ViewTable(
        title=MEASURES[distances.measure],
        source=source,
        warning=" · ".join(labels(distances.edition, distances.stand_in)),
        columns=("", *(task.replace("_", "_\n", 1).replace("tagatune", "\ntagatune") for task in distances.tasks)),
        rows=tuple(rows),
    )


def _row_name(one: Collection) -> str:
    count = f"n={one.tracks}" + (f" of {one.tracks + one.failed}" if one.failed else "")
    return f"{one.task} ({count}, {one.groups} {'groups' if one.groups_known else 'tracks as groups'})"


def _cell(pair: PairDistance | None) -> str:
    if pair is None:
        return "·"
    return f"{'' if pair.separable or pair.q_value is None else '~'}{number(pair.corrected)}"


def _print_relations(report: SimilarityReport, console: Console) -> None:
    from rich.text import Text

    console.print(Text(f"Does distance go with transfer? · {report.edition} edition", style="bold"))
    for label in labels(report.edition, any(d.stand_in for d in report.distances)):
        console.print(Text(label, style="yellow"))
    for relation in (r for r in report.relations if r.rho is not None):
        named = f"{MEASURES[relation.distances.measure]}, {relation.distances.source}"
        console.print(Text(f"{named}: {relation_line(relation)}"))
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
