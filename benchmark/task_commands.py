"""``cmbench tasks …``: list, show. Parse, call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from .terminal import console

tasks_app = typer.Typer(no_args_is_help=False, help="List tasks, or show one.", invoke_without_command=True)


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
