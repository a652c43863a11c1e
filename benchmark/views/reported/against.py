"""Ours against what was published, cell by cell: inside our interval or not, and what differs by declaration.

Being inside proves no reproduction, and being outside refutes none: our interval is of the draw of test tracks alone,
and no source tells how far its own value would move.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ....baselines.published import Reported, protocols, published, sources
from ....tasks.base import tradition_place
from ....tasks.registry import built_in
from ...records.record import Metric, Record
from ...records.sections import METRIC_TITLES
from ...records.setting import Setting
from ..tables import Rows, ViewTable, ends
from ..words import percent, with_interval
from .rows import WARNING

INSIDE, BELOW, ABOVE, NO_INTERVAL = "inside", "outside: ours is lower", "outside: ours is higher", "no interval"

ROUNDING = 0.0005
"""Published figures have three decimals."""

VARIANTS = ("@bfloat16", "@marble-norm")
"""Endings of names under which a published model is evaluated in another way; the difference is declared."""


@dataclass(frozen=True)
class AgainstCell:
    """One metric of one task."""

    metric: str  # its name
    published: float  # the value that was published, a fraction
    ours: Metric  # the record's

    @property
    def verdict(self) -> str:
        """Where the published value lies; the last digit that was printed may have been rounded."""
        if self.ours.interval is None:
            return NO_INTERVAL
        if self.published + ROUNDING < self.ours.interval.low:
            return ABOVE
        return BELOW if self.published - ROUNDING > self.ours.interval.high else INSIDE


@dataclass(frozen=True)
class Against:
    """One record beside one published row."""

    record: Record  # ours
    row: Reported  # the published one
    cells: tuple[AgainstCell, ...]  # of every metric that was published for the task
    differences: tuple[str, ...]  # what is known to differ, or is not known to be the same


def set_beside(records: Iterable[Record]) -> tuple[tuple[Against, ...], tuple[str, ...]]:
    """Set records beside every published row of their model; only those on real data of the six tasks.

    Returns:
        The comparisons, by published row, model and tradition; and in a sentence each, what has no counterpart.
    """
    found: list[Against] = []
    alone: list[str] = []
    records = list(records)
    real = [r for r in records if r.task.edition == "full" and r.task.name in built_in()]
    if others := len(records) - len(real):
        alone.append(f"{others} record(s) of the mini edition or of own corpora: never set beside published figures.")
    for record in sorted(real, key=lambda r: (r.model.name, tradition_place(built_in()[r.task.name].tradition))):
        rows = [row for row in published() if row.model == published_name(record.model.name)]
        both = [_beside(record, row) for row in rows if record.task.name in row.scores]
        found += both
        if not both:
            alone.append(f"{record.model.name} on {record.task.name}: no published figure.")
    order = list(published())
    return tuple(sorted(found, key=lambda one: (order.index(one.row), one.record.model.name))), tuple(alone)


def published_name(name: str) -> str:
    """Return the name under which a model's figures were published, without our ways to evaluate it."""
    for ending in VARIANTS:
        name = name.removesuffix(ending)
    return name


def _beside(record: Record, row: Reported) -> Against:
    cells = tuple(
        AgainstCell(metric, value, record.metrics[metric])
        for metric, value in row.scores[record.task.name].items()
        if value is not None and metric in record.metrics
    )
    return Against(record, row, cells, tuple(_differences(record, row)))


def _differences(record: Record, row: Reported) -> list[str]:
    """Return what differs between a record and a row, and what the source leaves open."""
    task, found = built_in()[record.task.name], []
    if record.task.split != "official":
        found.append(f"split: ours is {record.task.split}, the published one is official")
    if record.task.label_sha256 != sha256("\n".join(task.labels).encode()).hexdigest():
        found.append("labels: ours are not the published list")
    counts: Mapping[str, int] = task.counts
    if other := [f"{s} {record.task.tracks[s]} for {n}" for s, n in counts.items() if record.task.tracks.get(s) != n]:
        found.append(f"tracks: {', '.join(other)} published")
    asked, used = record.coverage.asked, record.coverage.used
    if lost := [f"{s} {used[s]} of {n}" for s, n in asked.items() if used[s] != n]:
        found.append(f"coverage: {', '.join(lost)} tracks could be used; the source states none missing")
    if undefined := record.total_labels - record.defined_labels:
        found.append(f"labels without a score: {undefined}; how the source counts them is not stated")
    theirs = protocols()[row.protocol]
    found.append(f"protocol: ours is {record.protocol.name}, theirs: {theirs.title} ({row.seeds} seed(s))")
    if record.model.name != row.model:
        found.append(f"model: ours is {record.model.name}, theirs {row.model}")
    found.append(f"not stated by the source: {'; '.join(theirs.unknown)}")
    return found


WORDS = (
    "inside: the published value, give or take its last digit, is in our 95 % interval, which is of the draw of test "
    "tracks alone. How far the published value would move, no source says: neither word proves or refutes a "
    "reproduction. docs/reach.md says how to come near."
)


def against_tables(found: Sequence[Against]) -> list[ViewTable]:
    """Return a table for each comparison: published and ours."""
    return [
        ViewTable(
            title=f"{one.record.model.name} on {one.record.task.name} against {one.row.model} ({one.row.protocol}): "
            "published and ours, percent [95 % interval]",
            source=f"published in {sources()[one.row.source].citation}",
            warning=WARNING,
            columns=("metric, %", "published", "ours", "published value"),
            rows=tuple(
                (METRIC_TITLES[c.metric], percent(c.published), with_interval(c.ours.value, c.ours.interval), c.verdict)
                for c in one.cells
            ),
            notes=(*one.differences, *([WORDS] if one is found[-1] else ())),
        )
        for one in found
    ]


def against_rows(found: Iterable[Against]) -> Rows:
    """Return one row for each comparison and metric, as fractions."""
    return [
        {
            **Setting.of(one.record).facts,
            "protocol_sha256": one.record.protocol.sha256,
            "warning": WARNING,
            "task": one.record.task.name,
            "tradition": one.record.task.tradition,
            "model": one.record.model.name,
            "metric": cell.metric,
            "value": cell.ours.value,
            **ends(cell.ours.interval),
            "published_model": one.row.model,
            "published_protocol": one.row.protocol,
            "published_in": sources()[one.row.source].citation,
            "published": cell.published,
            "verdict": cell.verdict,
            "differences": "; ".join(one.differences),
        }
        for one in found
        for cell in one.cells
    ]
