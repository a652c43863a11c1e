"""``cmbench mini …``: look into the embedded edition. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

mini_app = typer.Typer(
    no_args_is_help=True,
    help="Look into the mini edition.",
    epilog="**Example**\n\n`cmbench mini listen --tasks turkish,lyra`",
)

Tasks = Annotated[list[str], typer.Option("--tasks", "-t", help="`all`, tasks, or a tradition; several with commas.")]
Seed = Annotated[int, typer.Option("--mini-seed", help="Seed of the mini edition.")]
Scale = Annotated[float, typer.Option("--mini-scale", help="Factor on the number of tracks of the mini edition.")]


@mini_app.command(
    "listen",
    epilog="**Examples**\n\n`cmbench mini listen`\n\n`cmbench mini listen --tasks turkish,lyra --tracks 5`",
)
def listen(
    tasks: Tasks = ["all"],  # noqa: B006
    tracks: Annotated[int, typer.Option(help="Tracks of each task.")] = 3,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("mini.html"),
    mini_seed: Seed = 0,
    mini_scale: Scale = 1.0,
) -> None:
    """Write a page with players, spectrograms and labels of some tracks: one file, no network.

    Nothing else is rendered; a page of all six tasks takes some seconds and about 7 MB.
    """
    from ...tasks.choice import select_tasks
    from ...written import split_list
    from ..pages.listening import write_listening_page

    page = write_listening_page(
        select_tasks([part for value in tasks for part in split_list(value)]), out, tracks, mini_seed, mini_scale
    )
    typer.echo(f"Page: {page} ({page.stat().st_size / 1e6:.1f} MB)")
