"""``cmbench tasks new``: a folder of recordings becomes a task. Parse, call, print."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError, counted
from ...terminal import console, escape, new_table
from ...written import composed
from .options import option

if TYPE_CHECKING:
    from rich.console import Console

    from ...tasks.own.corpus import Proposal, TableProblem

MOST_LOST = 0.1
"""Share of the rows that may be left out without being asked for."""

SHOWN = 20
"""Problems of one kind that are listed."""

_CELL = 40
"""Characters of a cell that are shown."""

EXAMPLES = (
    "**Examples**\n\n"
    "`cmbench tasks new ~/fieldwork`  (recordings and a table in one folder)\n\n"
    "`cmbench tasks new clips.xlsx --audio ~/clips --labels makam,usul --group album --out my_corpus`\n\n"
    "`cmbench tasks new mirdata:saraga_carnatic --labels raaga,taala --group concert --out saraga`"
)


def new_task(
    source: Annotated[
        str, typer.Argument(help="A folder, a table (CSV, any separator; Excel), or mirdata:NAME.", show_default=False)
    ],
    out: Annotated[
        Path | None, option("--out", "-o", help="Folder of the task; beside the recordings if not given.")
    ] = None,
    table: Annotated[Path | None, option(help="The table, if the folder has several.")] = None,
    audio: Annotated[Path | None, option(help="Folder of the recordings, if they are elsewhere.")] = None,
    encoding: Annotated[str | None, option(help="Of a table that is not UTF-8, e.g. windows-1254.")] = None,
    path: Annotated[str | None, option(help="Column that names the recordings.")] = None,
    labels: Annotated[list[str] | None, option(help="Columns that hold labels; several with commas.")] = None,
    group: Annotated[
        str | None, option(help="Columns of what must stay in one split (album, artist), with commas; or `none`.")
    ] = None,
    split: Annotated[str | None, option(help="Column of the splits, or `none`.")] = None,
    track_id: Annotated[str | None, option("--id", help="Column of the ids, or `none`.")] = None,
    start: Annotated[str | None, option(help="Column where excerpts start, or `none`.")] = None,
    end: Annotated[str | None, option(help="Column where excerpts end, or `none`.")] = None,
    name: Annotated[str, option(help="Name of the task.")] = "",
    title: Annotated[str, option(help="Title of the task.")] = "",
    tradition: Annotated[str, option(help="turkish, greek … or a word of your own.")] = "",
    licence: Annotated[str, option(help="Of audio and labels.")] = "",
    citation: Annotated[str, option(help="Whom to cite.")] = "",
    fewest: Annotated[int, typer.Option(min=1, help="Groups of a label that is kept: one for each split.")] = 3,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Leave out rows with problems, however many.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a task that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything, write nothing.")] = False,
) -> None:
    """Make a task of a folder of recordings: find the audio, read the table, draw the splits.

    Shows which column is taken for what, all that is wrong at once, the support of every label and the splits; writes
    task.yaml and tracks.csv. Then: `cmbench run --tasks FOLDER`.
    """
    from ...tasks.own.corpus import propose_task
    from ...tasks.own.roles import Choices
    from ...tasks.own.sources import open_source
    from ...tasks.own.writing import About, write_task

    opened = open_source(source, table, audio, encoding)
    columns = opened.sheet.columns
    groups = _names([group] if group else None, columns)
    single = (None if name is None else composed(name) for name in (path, split, track_id, start, end))
    choices = Choices(next(single), _names(labels, columns), groups, *single)
    with console(stderr=True).status("Opening the recordings …"):
        found = propose_task(opened, choices, fewest, os.cpu_count() or 1)
    _print_found(found, console())
    folder = out.expanduser().absolute() if out else opened.folder
    _require_usable(found, leave_out)
    about = About(name, title, tradition, licence, citation)
    for file in (written := write_task(found, about, folder, force=force, dry=dry_run)):
        typer.echo(f"Written: {file}")
    if not (written or dry_run):
        typer.echo(f"{folder} has this very task already; nothing was written.")
    first = "Next, without --dry-run and then" if dry_run else "Next"
    typer.echo(f"{first}: cmbench run --model mfcc,chroma --tasks {shlex.quote(str(out or folder))}")


def _print_found(found: Proposal, screen: Console) -> None:
    _print_columns(found, screen)
    _print_problems(found.problems, screen)
    for note in found.notes:
        screen.print(f"[bold]note[/]  {escape(note)}", highlight=False)
    _print_labels(found, screen)
    _print_use(found, screen)


def _names(values: list[str] | None, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the columns that an option names; one whose name holds a comma is one."""
    if values is None:
        return None
    parts = (([value] if value in columns else value.split(",")) for value in map(composed, values))
    return tuple(name.strip() for several in parts for name in several if name.strip())


def _print_columns(found: Proposal, screen: Console) -> None:
    source = found.source
    screen.print(
        f"[bold]{escape(source.name)}[/]: {escape(source.kind)}; {counted(found.rows, 'row')}, "
        f"{counted(len(source.recordings.paths), 'recording')}",
        highlight=False,
    )
    grid = new_table("column", "read as", "first cell")
    for column in source.sheet.columns:
        first = next((cell for cell in source.sheet.column(column) if cell), "")
        grid.add_row(
            escape(column),
            escape(found.roles.why[column]),
            escape(first if len(first) <= _CELL else first[: _CELL - 1] + "…"),
        )
    screen.print(grid)
    screen.print()


def _print_problems(problems: tuple[TableProblem, ...], screen: Console) -> None:
    for kind, count in Counter(problem.kind for problem in problems).items():
        mine = [problem for problem in problems if problem.kind == kind]
        screen.print(f"[bold]{count} × {escape(kind)}[/] ({escape(mine[0].remedy)})", highlight=False, soft_wrap=True)
        places: dict[str, list[str]] = {}
        for problem in mine:
            places.setdefault(problem.text, []).append(problem.where)
        for text, where in list(places.items())[:SHOWN]:
            again = f" (so in {len(where)}, up to {where[-1]})" if len(where) > 1 else ""
            screen.print(f"  {escape(where[0] + ': ' + text + again)}", highlight=False, soft_wrap=True)
        if rest := sum(map(len, list(places.values())[SHOWN:])):
            screen.print(f"  … and {rest} more", highlight=False)
    if problems:
        screen.print()


def _print_labels(found: Proposal, screen: Console) -> None:
    from ...tasks.splits.names import SPLITS

    support = {split: found.support(split) for split in SPLITS}
    grid = new_table("label", "all", *SPLITS, "")
    for label in found.labels:
        counts = [support[split][label] for split in SPLITS]
        said = (
            _lacking([split for split, count in zip(SPLITS, counts, strict=True) if not count])
            if found.split_of
            else ""
        )
        whole = sum(label in track.labels for track in found.tracks)
        grid.add_row(escape(label), str(whole), *map(str, counts), said)
    sizes, groups = Counter(found.split_of.values()), {t.id: t.group for t in found.tracks if t.group}
    grid.add_row("recordings", str(len(found.tracks)), *(str(sizes[split]) for split in SPLITS),
                  "drawn" if found.drawn else "as given" if found.split_of else "no splits", style="bold")  # fmt: skip
    if groups:
        counts = [len({g for id_, g in groups.items() if found.split_of.get(id_) == split}) for split in SPLITS]
        grid.add_row("groups", str(len({*groups.values()})), *map(str, counts), "")
    screen.print(grid)
    screen.print()


def _print_use(found: Proposal, screen: Console) -> None:
    lost: Counter[str] = Counter()
    for problem in found.problems:
        lost[problem.kind] += problem.loses
    why = ", ".join(f"{count} × {kind}" for kind, count in lost.items() if count)
    used, there = len({track.path for track in found.tracks}), len(found.source.recordings.paths)
    rows = f"{len(found.tracks)} of {counted(found.rows, 'row')}" + (f" (without {why})" if why else "")
    rest = f" ({there - used} in no row that can be used)" if used < there else ""
    screen.print(f"[bold]used[/]  {escape(rows)}; {used} of {counted(there, 'recording')}{rest}", highlight=False)
    screen.print()


def _lacking(splits: list[str]) -> str:
    """Say what it means that splits have no track with a label; empty if there are none such."""
    meaning = {"train": "not learned: none in train", "valid": "not weighed in the choice: none in valid",
               "test": "not scored: none in test"}  # fmt: skip
    return "; ".join(meaning[split] for split in splits)


def _require_usable(found: Proposal, leave_out: bool) -> None:
    """Raise :class:`UsageError` if what is left is no task; nothing was written."""
    if not found.tracks or not found.labels:
        what = "recording can be used" if not found.tracks else "label is left"
        raise UsageError(f"No {what}; nothing was written. Mend what is listed above, and start again.")
    if not found.split_of:
        raise UsageError("There are no splits; nothing was written. Mend what is listed above, and start again.")
    if found.lost > MOST_LOST * found.rows and not leave_out:
        raise UsageError(
            f"{found.lost} of {found.rows} rows cannot be used; nothing was written. Mend what is listed above, or "
            "leave these rows out with --leave-out."
        )
