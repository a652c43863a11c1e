"""``cmbench tasks …``: list, show, prepare, verify. Parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .terminal import console

tasks_app = typer.Typer(
    no_args_is_help=False, help="List tasks; show, prepare or verify one.", invoke_without_command=True
)

DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of the real data sets; or set CMBENCH_DATA.", show_default=False),
]


@tasks_app.callback()
def list_tasks(context: typer.Context) -> None:
    """List every task."""
    if context.invoked_subcommand is None:
        from ..tasks.base import registry
        from .listing import print_tasks

        print_tasks(registry().values(), console())


@tasks_app.command("show", epilog="**Example**\n\n`cmbench tasks show lyra`")
def show_task(name: Annotated[str, typer.Argument(help="Name of a task, or path to a task.yaml.")]) -> None:
    """Show one task: labels by family with support, counts, licence, citation, how to get the audio."""
    from ..tasks.base import get_task
    from .listing import print_task

    print_task(get_task(name), console())


@tasks_app.command(
    "prepare",
    epilog="**Examples**\n\n`cmbench tasks prepare magnatagatune --data-root ~/corpora`\n\n"
    "`cmbench tasks prepare fma_medium --data-root ~/corpora --yes`",
)
def prepare_task(
    name: Annotated[str, typer.Argument(help="Name of a task.")],
    data_root: DataRoot = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before fetching.")] = False,
    source: Annotated[
        str | None, typer.Option(help="Another source of the data, where a task knows several.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
) -> None:
    """Get a task's real data: say what, how much and under what terms, then fetch, check and unpack it.

    What is there is not fetched again, and a broken download goes on where it stopped. Exit code 1 if something is
    still missing that only you can have.
    """
    from ..tasks.base import get_task
    from ..tasks.preparing import PrepareContext, carry_out
    from .listing import print_missing
    from .preparation import PreparationBars, print_notes, print_plan, with_announced_sizes

    task, root, screen = get_task(name), _root(data_root), console(stderr=True)
    if task.prepare is None:
        raise UsageError(f"Task {task.name} has nothing to prepare. {task.access}".rstrip())
    context = PrepareContext(root, _ask_secret, offline=offline, source=source)
    plan = with_announced_sizes(task.prepare(task, context), context)
    print_notes(plan, screen)
    if not plan.nothing_to_do:
        print_plan(plan, screen)
        if not yes:
            _require_agreement()
        with PreparationBars(screen, {one.path.name for one in plan.downloads}) as bars:
            doing = PrepareContext(root, _ask_secret, bars.tell, bars, offline, source)
            carry_out(plan, doing, root / task.name)
    # What was fetched may tell more about what is missing.
    rest = task.prepare(task, context)
    if rest.missing:
        print_missing(rest.missing, screen)
        raise typer.Exit(1)
    typer.echo(f"{task.title} is in {root / task.name}. `cmbench tasks verify {task.name}` checks every file.")


def _root(named: Path | None) -> Path:
    """Return the data root, which need not exist yet."""
    from ..paths import data_root

    root = data_root(named)
    if root is None:
        raise UsageError("No data root: give --data-root DIR, the folder of the real data sets, or set CMBENCH_DATA.")
    if root.exists() and not root.is_dir():
        raise UsageError(f"The data root {root} is not a folder; see --data-root and CMBENCH_DATA.")
    return root


def _require_agreement() -> None:
    """Ask whether to go on.

    Raises:
        UsageError: there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError("Nothing was fetched: there is no terminal to ask at. Add --yes to agree to the list above.")
    typer.confirm("Go on?", abort=True, err=True)


def _ask_secret(prompt: str) -> str:
    """Ask for a secret, unseen.

    Raises:
        UsageError: there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"There is no terminal to ask at: {prompt}")
    return str(typer.prompt(prompt, hide_input=True, err=True))
