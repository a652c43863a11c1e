"""What papers report, protocol by protocol: grey, with the source, never ranked or averaged with ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ....baselines.published import Reported, notes, paper_average, protocols, published, sources
from ....tasks.base import PAPER_TASKS, tradition_place
from ...records.sections import HEADLINE, METRIC_TITLES
from ..tables import ViewTable
from ..words import percent

WARNING = "reported: figures of others, not measured by cmbench, not comparable with measured scores and never ranked"


@dataclass(frozen=True)
class ReportedBlock:
    """Rows of one protocol."""

    protocol: str  # key of the protocol
    title: str  # its title
    summary: str  # how the figures came about, with what the source leaves open
    citation: str  # of the source
    seeds: str  # of the rows
    tasks: tuple[str, ...]  # columns, by tradition
    rows: tuple[Reported, ...]  # model by model

    def cell(self, row: Reported, task: str, metric: str) -> str:
        """Return a score in percent, or a dash where it was not published."""
        return percent(row.scores.get(task, {}).get(metric))

    def average(self, row: Reported) -> str:
        """Return the plain mean of the ROC-AUC and AP cells in percent, if all were published."""
        return percent(paper_average(row))


def reported_blocks(tasks: Iterable[str] | None = None) -> tuple[ReportedBlock, ...]:
    """Sort the reported rows by protocol.

    Rows that say nothing of ``tasks`` are left out.
    """
    from ....tasks.registry import registry

    known = registry()
    wanted = set(known if tasks is None else tasks)
    columns = tuple(sorted(wanted & known.keys(), key=lambda name: (tradition_place(known[name].tradition), name)))
    blocks = []
    for protocol, members in groupby(published(), key=lambda row: row.protocol):
        rows = tuple(row for row in members if any(task in row.scores for task in columns))
        if not rows:
            continue
        about, source = protocols()[protocol], sources()[rows[0].source]
        commit = f", commit {source.commit[:8]}" if source.commit else ""
        seeds = {row.seeds for row in rows}
        blocks.append(
            ReportedBlock(
                protocol=protocol,
                title=about.title,
                summary=f"{about.summary} Not stated: {'; '.join(about.unknown)}.",
                citation=source.citation + commit,
                seeds=" or ".join(f"{n} seed{'' if n == 1 else 's'}" for n in sorted(seeds)),
                tasks=columns,
                rows=rows,
            )
        )
    return tuple(blocks)


def reported_tables(tasks: Sequence[str] | None = None) -> list[ViewTable]:
    """Return the reported figures, a table for each protocol, in percent: ROC-AUC / AP."""
    blocks = reported_blocks(tasks)
    titles = " / ".join(METRIC_TITLES[metric] for metric in HEADLINE)
    cells = f"Cells: {titles}, percent; mean: of the {2 * len(PAPER_TASKS)} cells."
    return [
        ViewTable(
            title=f"{block.title}, {block.seeds}",
            source="What papers report",
            warning=WARNING,
            columns=("model", *(task.replace("_", "_\n", 1) for task in block.tasks), "mean"),
            rows=tuple(
                (
                    row.model,
                    *(" / ".join(block.cell(row, task, metric) for metric in HEADLINE) for task in block.tasks),
                    block.average(row),
                )
                for row in block.rows
            ),
            notes=(f"{block.citation}. {block.summary}", *((cells, *notes()) if block is blocks[-1] else ())),
        )
        for block in blocks
    ]
