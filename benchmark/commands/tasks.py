"""``cmbench tasks …``: list, show, new, prepare, verify, audit. Parse, call, print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError
from ...terminal import ProgressBar, console, escape, new_table
from . import completing
from .new_task import EXAMPLES as NEW_EXAMPLES
from .new_task import new_task
from .options import DataRoot, MiniScale, MiniSeed, Offline, Workers, option

if TYPE_CHECKING:
    from rich.console import Console

    from ...tasks.base import Task

tasks_app = typer.Typer(
    no_args_is_help=False,
    help="List tasks; make one of your own music; show, prepare, verify or audit one.",
    invoke_without_command=True,
)


Name = Annotated[str, typer.Argument(help="Name of a task, or path to a task.yaml.", autocompletion=completing.tasks)]


@tasks_app.callback()
def list_tasks(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(
            help="A tradition, names, or `all`, the paper's six; with commas.",
            autocompletion=completing.tasks,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List every task."""
    if context.invoked_subcommand is None:
        from ...tasks.choice import select_tasks

        chosen = select_tasks(only or "installed")
        if as_json:
            typer.echo(tasks_json(chosen))
        else:
            print_tasks(chosen, console())


tasks_app.command("new", no_args_is_help=True, epilog=NEW_EXAMPLES)(new_task)


@tasks_app.command("show", epilog="**Example**\n\n`cmbench tasks show lyra`")
def show_task(name: Name) -> None:
    """Show one task: labels by family with support, counts, licence, citation, how to get the audio."""
    from ...tasks.choice import get_task

    print_task(get_task(name), console())


@tasks_app.command(
    "prepare",
    epilog="**Examples**\n\n`cmbench tasks prepare magnatagatune --data-root ~/corpora`\n\n"
    "`cmbench tasks prepare fma_medium --data-root ~/corpora --yes`",
)
def prepare_task(
    name: Annotated[str, typer.Argument(help="Name of a task.", autocompletion=completing.tasks)],
    data_root: DataRoot = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before fetching.")] = False,
    source: Annotated[str | None, option(help="Another source of the data, where a task knows several.")] = None,
    offline: Offline = False,
) -> None:
    """Get a task's real data: say what, how much and under what terms, then fetch, check and unpack it.

    What is there is not fetched again, and a broken download goes on where it stopped. Exit code 1 if something is
    still missing that only you can have.
    """
    from ...tasks.choice import get_task
    from ...tasks.fetching.carry_out import carry_out
    from ...tasks.preparing import PrepareContext
    from ...terminal import print_missing
    from .preparation import print_notes, print_plan, shown_on, with_announced_sizes

    task, root, screen = get_task(name), _root(data_root), console(stderr=True)
    if task.prepare is None:
        raise UsageError(f"Task {task.name} has nothing to prepare. {task.access}".rstrip())
    context = PrepareContext(root, _ask_secret, offline=offline, source=source)
    plan = task.prepare(task, context)
    asked = () if offline else tuple(step.asks for step in plan.steps if step.asks)
    if asked and not _has_terminal():
        raise UsageError(f"{task.name}: nothing was fetched, there is no terminal to ask at. {'; '.join(asked)}.")
    plan = with_announced_sizes(plan, context)
    print_notes(plan, screen)
    if not plan.nothing_to_do:
        print_plan(plan, screen)
        if not (yes or offline):
            _require_agreement()
        # Before the first byte: nobody waits for a download to be asked after it.
        given = {prompt: _ask_secret(prompt) for prompt in asked}
        with ProgressBar(screen) as bars:
            progress = shown_on(bars, {one.path.name for one in plan.downloads})
            doing = replace(
                context, ask=lambda one: given.get(one) or _ask_secret(one), tell=bars.print, progress=progress
            )
            carry_out(plan, doing, root / (task.folder or task.name))
    # What was fetched may tell more about what is missing.
    rest = task.prepare(task, context)
    if rest.missing:
        print_missing(rest.missing, screen)
        raise typer.Exit(1)
    typer.echo(
        f"{task.title} is in {root / (task.folder or task.name)}. `cmbench tasks verify {task.name}` checks every file."
    )


@tasks_app.command(
    "verify",
    epilog="**Examples**\n\n`cmbench tasks verify lyra --data-root ~/corpora`\n\n"
    "`cmbench tasks verify magnatagatune --split marble --json finding.json`",
)
def verify_task(
    name: Name,
    data_root: DataRoot = None,
    split: Annotated[str | None, option(help="Another split than the usual one, by name.")] = None,
    json_file: Annotated[Path | None, option("--json", help="Write the finding to this file.", dir_okay=False)] = None,
    workers: Annotated[int | None, typer.Option(help="Threads; the processors if not given.", min=1)] = None,
) -> None:
    """Decode and hash every file of a task's real data, and say per split what is missing or broken.

    Exit code 1 if anything is wrong. The checksum tells whether two machines have the same audio.
    """
    from ...files import write_atomically
    from ...paths import cache_root
    from ...tasks.audit.verify import print_finding, verify
    from ...tasks.base import LoadContext
    from ...tasks.choice import get_task
    from .preparation import shown_on

    task = get_task(name)
    edition = "custom" if "custom" in task.editions else "full"
    root = None if edition == "custom" else _root(data_root)
    data = task.load(edition, LoadContext(root, cache_root(), needs_audio=False), split)
    with ProgressBar(console(stderr=True)) as bars:
        finding = verify(data, workers or os.cpu_count() or 1, shown_on(bars))
    if json_file is not None:
        write_atomically(json_file, finding.to_json().encode())
    print_finding(finding, console())
    if not finding.is_sound:
        raise typer.Exit(1)


@tasks_app.command(
    "audit",
    epilog="**Examples**\n\n`cmbench tasks audit lyra --data-root ~/corpora`\n\n"
    "`cmbench tasks audit my-corpus/task.yaml --out audit.json`\n\n"
    "`cmbench tasks audit carnatic --edition mini --no-audio`",
)
def audit_task(
    name: Name,
    edition: Annotated[str | None, option(help="`full` (real data, the default) or `mini` (rendered here).")] = None,
    split: Annotated[str | None, option(help="`group-safe`, or another split of the task by name.")] = None,
    data_root: DataRoot = None,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Also decode and compare every track.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the finding here, as JSON.")] = None,
    workers: Workers = None,
    mini_scale: MiniScale = 1.0,
    mini_seed: MiniSeed = 0,
) -> None:
    """Look for leaks between a task's splits, copies of tracks, and labels that cannot be judged.

    Finds albums, concerts, artists or videos in several splits; the same audio twice, also encoded anew; labels that no
    track tells apart; labels without a positive or a negative. The finding is kept, and printed with every result.
    """
    from ... import paths
    from ...files import write_atomically
    from ...tasks.audit.audit import audit as judge
    from ...tasks.audit.audit import audit_with_audio, keep_audit
    from ...tasks.audit.table import print_audit
    from ...tasks.base import LoadContext
    from ...tasks.choice import get_task
    from ..run import edition_of
    from .progress import TerminalObserver

    task, root = get_task(name), paths.cache_root()
    chosen, workers = edition_of(task, edition), workers or os.cpu_count() or 1
    with TerminalObserver(console(stderr=True)) as observer:
        context = LoadContext(
            data_root=paths.data_root(data_root),
            cache_root=root,
            workers=workers,
            progress=observer.preparing,
            mini_scale=mini_scale,
            mini_seed=mini_seed,
            needs_audio=audio and chosen == "mini",  # rendered here; of real data, what is there is compared
        )
        data = task.load(chosen, context, split)
        found = audit_with_audio(data, workers, observer.preparing) if audio else judge(data)
    print_audit(found, console())
    typer.echo(f"Kept: {keep_audit(found, root)}")
    if out is not None:
        write_atomically(out, found.to_json().encode())
        typer.echo(f"Written: {out}")


def _root(named: Path | None) -> Path:
    from ...paths import data_root

    root = data_root(named)
    if root is None:
        raise UsageError("No data root: give --data-root DIR, the folder of the real data sets, or set CMBENCH_DATA.")
    if root.exists() and not root.is_dir():
        raise UsageError(f"The data root {root} is not a folder; see --data-root and CMBENCH_DATA.")
    return root


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _require_agreement() -> None:
    if not _has_terminal():
        raise UsageError("Nothing was fetched: there is no terminal to ask at. Add --yes to agree to the list above.")
    typer.confirm("Go on?", abort=True, err=True)


def _ask_secret(prompt: str) -> str:
    if not _has_terminal():
        raise UsageError(f"There is no terminal to ask at: {prompt}")
    return str(typer.prompt(prompt, hide_input=True, err=True))


def tasks_json(tasks: Iterable[Task]) -> str:
    """Return tasks as JSON: what the list shows, and more."""
    listed = [
        {
            "name": task.name,
            "title": task.title,
            "tradition": task.tradition,
            "labels": list(task.labels),
            "families": dict(task.families),
            "tracks": dict(task.counts),
            "editions": sorted(task.editions),
            "licence": task.licence,
        }
        for task in tasks
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False)


def print_tasks(tasks: Iterable[Task], console: Console) -> None:
    """Print one line for each task."""
    grid = new_table("task", "tradition", "labels", "train", "valid", "test", "editions")
    for task in tasks:
        counts = [str(task.counts.get(split, "–")) for split in ("train", "valid", "test")]
        grid.add_row(task.name, task.tradition, str(len(task.labels)), *counts, ", ".join(sorted(task.editions)))
    console.print(grid)
    console.print("`cmbench tasks show NAME` tells more. Tasks of your own: `--tasks path/to/task.yaml`.", markup=False)


def print_task(task: Task, console: Console) -> None:
    """Print a task: labels by family with support, counts, licence, citation, access, notes."""
    console.print(f"[bold]{escape(task.title)}[/] ({task.name}, {task.tradition})", highlight=False)
    if task.description:
        console.print(escape(task.description), highlight=False)
    console.print()
    grid = new_table("family", "label (positives in the test split)")
    families = dict.fromkeys(task.families[label] for label in task.labels)
    for family in families:
        labels = [label for label in task.labels if task.families[label] == family]
        shown = (f"{label} ({task.test_support[label]})" if label in task.test_support else label for label in labels)
        grid.add_row(f"{family} ({len(labels)})", escape(", ".join(shown)))
    console.print(grid)
    facts = {
        "tracks": ", ".join(f"{split} {count}" for split, count in task.counts.items()) or "as the task's file lists",
        "cap": "whole tracks" if task.max_track_seconds is None else f"first {task.max_track_seconds:g} s of a track",
        "licence": task.licence,
        "citation": task.citation,
        "audio": task.access,
    }
    for edition in task.editions.values():
        if edition.other_splits:
            facts[f"splits of {edition.name}"] = ", ".join((edition.split_name, *edition.other_splits))
        if len(edition.labels) < len(task.labels):
            facts[edition.name] = f"{len(edition.labels)} labels: {', '.join(edition.labels)}"
    console.print()
    for title, text in facts.items():
        if text:
            console.print(f"[bold]{title}[/]  {escape(text)}", highlight=False)
    for note in task.notes:
        console.print(f"[bold]note[/]  {escape(note)}", highlight=False)
