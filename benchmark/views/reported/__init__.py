"""What papers report: apart from ours, or set beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ....errors import UsageError
from ...records.folder import iter_records
from ..base import Block, Scope, View
from ..tables import ViewTable, print_tables
from .against import Against, against_rows, against_tables, set_beside
from .rows import reported_blocks, reported_tables

if TYPE_CHECKING:
    from rich.console import Console


Reports = tuple[tuple[Against, ...], tuple[str, ...]] | None
"""Records beside published rows, and in a sentence each what has no counterpart; ``None`` for the rows alone."""


def _compute(
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Records, or their folder, to set beside the published figures.", show_default=False),
    ] = None,
) -> list[Reports]:
    if not against:
        return [None]
    records = list(iter_records(*against))
    if not records:
        raise UsageError(f"There is no record in {', '.join(map(str, against))}; `cmbench run` writes them.")
    return [set_beside(records)]


def _tables(found: Reports) -> list[ViewTable]:
    return against_tables(found[0]) if found else reported_tables()


def _show(found: Reports, console: Console) -> None:
    print_tables(_tables(found), console)
    for sentence in found[1] if found else ():
        console.print(f"Not compared: {sentence}", soft_wrap=True, markup=False)
    if found and not found[0]:
        console.print("Nothing was compared: there is no record on real data of a model with published figures.")


def _blocks(scope: Scope) -> Iterator[Block]:
    """Yield what others report on these tasks: beside real data on the published splits only."""
    section = scope.section
    if section.on_published_data and (found := reported_blocks(column.key[0] for column in section.columns)):
        yield Block("reported", "Reported by others", template="reported.html", data=found)


VIEW = View(
    name="reported",
    help="""Print what papers report on the six tasks, with sources: not measured by cmbench, never ranked.

    With `--against` cell by cell: published, ours with its interval, inside or outside, and what differs.
    """,
    compute=_compute,
    tables=_tables,
    rows=lambda found: {"": against_rows(found[0])} if found and found[0] else {},
    stem=lambda found: "reported-against" if found else "reported",
    show=_show,
    blocks=_blocks,
    examples=("cmbench report reported", "cmbench report reported --against results --out views"),
)
