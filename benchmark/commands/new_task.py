"""``cmbench tasks new``: a folder of recordings becomes a task. Parse, call, print."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ...errors import UsageError
from ...terminal import console

if TYPE_CHECKING:
    from rich.console import Console

    from ...tasks.own.corpus import Problem, Proposal

MOST_LOST = 0.1
"""Share of the rows that may be left out without being asked for."""

SHOWN = 20
"""Problems of one kind that are listed."""

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
        Path | None,
        typer.Option("--out", "-o", help="Folder of the task; beside the recordings if not given.", show_default=False),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="The table, if the folder has several.", show_default=False)
    ] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Folder of the recordings, if they are elsewhere.", show_default=False)
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a table that is not UTF-8, e.g. windows-1254.", show_default=False)
    ] = None,
    path: Annotated[str | None, typer.Option(help="Column that names the recordings.", show_default=False)] = None,
    labels: Annotated[
        list[str] | None, typer.Option(help="Columns that hold labels; several with commas.", show_default=False)
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Columns of what must stay in one split (album, artist), with commas; or `none`.", show_default=False
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Column of the splits, or `none`.", show_default=False)] = None,
    track_id: Annotated[
        str | None, typer.Option("--id", help="Column of the ids, or `none`.", show_default=False)
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Column where excerpts start, or `none`.", show_default=False)
    ] = None,
    end: Annotated[str | None, typer.Option(help="Column where excerpts end, or `none`.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="Name of the task.", show_default=False)] = "",
    title: Annotated[str, typer.Option(help="Title of the task.", show_default=False)] = "",
    tradition: Annotated[str, typer.Option(help="turkish, greek … or a word of your own.", show_default=False)] = "",
    licence: Annotated[str, typer.Option(help="Of audio and labels.", show_default=False)] = "",
    citation: Annotated[str, typer.Option(help="Whom to cite.", show_default=False)] = "",
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
    choices = Choices(path, _names(labels, columns), groups, split, track_id, start, end)
    with console(stderr=True).status("Opening the recordings …"):
        found = propose_task(opened, choices, fewest, os.cpu_count() or 1)
    screen = console()
    _print_columns(found, screen)
    _print_problems(found.problems, screen)
    for note in found.notes:
        screen.print(f"[bold]note[/]  {escape(note)}", highlight=False)
    _print_labels(found, screen)
    folder = out.expanduser().absolute() if out else opened.folder
    _require_usable(found, leave_out)
    written = write_task(found, About(name, title, tradition, licence, citation), folder, force=force, dry=dry_run)
    for file in written:
        typer.echo(f"Written: {file}")
    first = "Next, without --dry-run and then" if dry_run else "Next"
    typer.echo(f"{first}: cmbench run --model mfcc,chroma --tasks {_quoted(out or folder)}")


def _names(values: list[str] | None, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the columns that an option names; one whose name holds a comma is one."""
    if values is None:
        return None
    parts = (([value] if value in columns else value.split(",")) for value in values)
    return tuple(name.strip() for several in parts for name in several if name.strip())


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _print_columns(found: Proposal, screen: Console) -> None:
    source = found.source
    screen.print(
        f"[bold]{escape(source.name)}[/]: {escape(source.kind)}; {found.rows} rows, "
        f"{len(source.recordings.paths)} recordings",
        highlight=False,
    )
    table = Table("column", "read as", "first cell", box=None, header_style="bold")
    for column in source.sheet.columns:
        first = next((cell for cell in source.sheet.column(column) if cell), "")
        table.add_row(escape(column), escape(found.roles.why[column]), escape(first[:40]))
    screen.print(table)
    screen.print()


def _print_problems(problems: tuple[Problem, ...], screen: Console) -> None:
    for kind, count in Counter(problem.kind for problem in problems).items():
        mine = [problem for problem in problems if problem.kind == kind]
        screen.print(f"[bold]{count} × {escape(kind)}[/] ({escape(mine[0].remedy)})", highlight=False)
        for problem in mine[:SHOWN]:
            screen.print(f"  {escape(problem.where)}: {escape(problem.text)}", highlight=False, soft_wrap=True)
        if count > SHOWN:
            screen.print(f"  … and {count - SHOWN} more", highlight=False)
    if problems:
        screen.print()


def _print_labels(found: Proposal, screen: Console) -> None:
    from ...tasks.splits.names import SPLITS

    support = {split: found.support(split) for split in SPLITS}
    table = Table("label", "all", *SPLITS, "", box=None, header_style="bold")
    for label in found.labels:
        counts = [support[split][label] for split in SPLITS]
        said = (
            _lacking([split for split, count in zip(SPLITS, counts, strict=True) if not count])
            if found.split_of
            else ""
        )
        whole = sum(label in track.labels for track in found.tracks)
        table.add_row(escape(label), str(whole), *map(str, counts), said)
    sizes, groups = Counter(found.split_of.values()), {t.id: t.group for t in found.tracks if t.group}
    table.add_row("recordings", str(len(found.tracks)), *(str(sizes[split]) for split in SPLITS),
                  "drawn" if found.drawn else "as given", style="bold")  # fmt: skip
    if groups:
        counts = [len({g for id_, g in groups.items() if found.split_of.get(id_) == split}) for split in SPLITS]
        table.add_row("groups", str(len({*groups.values()})), *map(str, counts), "")
    screen.print(table)
    screen.print()


def _lacking(splits: list[str]) -> str:
    """Say what it means that splits have no track with a label; empty if there are none such."""
    meaning = {"train": "not learned: none in train", "valid": "not weighed in the choice: none in valid",
               "test": "not scored: none in test"}  # fmt: skip
    return "; ".join(meaning[split] for split in splits)


def _require_usable(found: Proposal, leave_out: bool) -> None:
    """Check that what is left is a task.

    Raises:
        UsageError: it is not; nothing was written.
    """
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
