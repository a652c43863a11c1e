"""Distances between traditions, and whether they go with transfer, as tables and as tidy rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from ...records.sections import ABSENT
from ...views.tables import ViewTable
from ...views.words import points
from .distance import MEASURES, Collection, Distances, PairDistance
from .relation import Relation

LEGEND = (
    "~ not separable from chance at a false discovery rate of 5 %. 95 % interval: cluster bootstrap. 95 % of chance: "
    "what samples stay below when groups change sides at random. as sampled: before the correction for the number of "
    "groups."
)


def number(value: float | None) -> str:
    """Return a distance with three digits, or a dash where there is none."""
    return ABSENT if value is None else f"{value:z.3f}"


def distance_tables(distances: Distances) -> list[ViewTable]:
    """Return the distances as a table of tasks by tasks, and one of the pairs."""
    rows = [
        (_row_name(one), *(_cell(distances.pair(one.task, other)) for other in distances.tasks))
        for one in distances.collections
    ]
    heads = ("", *(task.replace("_", "_\n", 1).replace("tagatune", "\ntagatune") for task in distances.tasks))
    return [ViewTable.of(distances, MEASURES[distances.measure], heads, rows), distance_table(distances)]


def distance_table(distances: Distances) -> ViewTable:
    """Return the pairs, nearest first, as a table."""
    rows = [
        (
            f"{pair.first} – {pair.second}",
            number(pair.corrected),
            ABSENT if pair.low is None else f"[{number(pair.low)}, {number(pair.high)}]",
            *map(number, (pair.value, pair.null_high, pair.p_value, pair.q_value)),
        )
        for pair in sorted(distances.pairs, key=lambda p: p.corrected)
    ]
    heads = ("pair", "distance", "95 % interval", "as sampled", "95 % of chance", "p", "q")
    notes = (distances.definition, LEGEND, *sorted({pair.reason for pair in distances.pairs if pair.reason}))
    return ViewTable.of(distances, f"{MEASURES[distances.measure]}: {distances.source}", heads, rows, notes=notes)


def _row_name(one: Collection) -> str:
    count = f"n={one.tracks}" + (f" of {one.tracks + one.failed}" if one.failed else "")
    return f"{one.task} ({count}, {one.groups} {'groups' if one.groups_known else 'tracks as groups'})"


def _cell(pair: PairDistance | None) -> str:
    return "·" if pair is None else f"{'~' if pair.separable is False else ''}{number(pair.corrected)}"


def relation_table(relation: Relation) -> ViewTable:
    """Return the cells of a correlation, nearest first, as a table."""
    of = relation.distances
    rows = [
        (cell.model, cell.tradition, cell.task, number(cell.distance), points(cell.change))
        for cell in sorted(relation.cells, key=lambda cell: cell.distance)
    ]
    heads = ("model", "adapted to", "on task", "distance", f"change against {relation.base}, points")
    title = f"Does distance go with transfer? {MEASURES[of.measure]}"
    return ViewTable.of(of, title, heads, rows, 3, (relation.words,))


def distance_rows(d: Distances) -> Iterator[dict[str, object]]:
    """Yield a row for each pair, and for each of its codebooks; ``None`` does not exist."""
    named = {"edition": d.edition, "stand_in": d.stand_in, "measure": d.measure, "source": d.source}
    for pair in d.pairs:
        facts = asdict(pair)
        row = named | {"first": facts.pop("first"), "second": facts.pop("second")}
        books = facts.pop("by_codebook")
        facts = {"as_sampled": facts.pop("value"), "distance": facts.pop("corrected"), **facts}
        yield row | {"codebook": "mean" if books else None} | facts
        for i, value in enumerate(books):
            yield row | {"codebook": i} | dict.fromkeys(facts) | {"as_sampled": value}
