"""``cmbench leaderboard build`` and ``serve``. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..benchmark.terminal import console

BUILD_EXAMPLES = (
    "**Examples**\n\n`cmbench leaderboard build --out site`\n\n`cmbench leaderboard build my-entries --out site`"
)

SERVE_EXAMPLES = "**Example**\n\n`cmbench leaderboard build --out site && cmbench leaderboard serve site`"


def build(
    entries: Annotated[
        Path | None,
        typer.Argument(help="Folder of entries; those that come with cmbench if not given.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages; a board in it is replaced.")] = Path(
        "site"
    ),
) -> None:
    """Rank the entries and write the board as static pages: no server, no network, the same bytes every time."""
    from .entry import ENTRIES
    from .site import build as write

    with console(stderr=True).status("Ranking …"):
        site = write(ENTRIES if entries is None else entries, out)
    for board in site.boards:
        typer.echo(f"{board.title}: {len(board.places)} ranked, {len(board.incomplete)} incomplete")
    typer.echo(f"Entries: {len(site.listed)}, SHA-256 {site.entries_sha256}")
    typer.echo(f"Page: {out / 'index.html'}")


def serve(
    folder: Annotated[Path, typer.Argument(help="That `build` wrote.", metavar="[SITE]")] = Path("site"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0 for any that is free.")] = 8000,
) -> None:
    """Show a built board on this machine until Ctrl-C; nobody else can reach it."""
    from .serving import LOCAL, server

    with server(folder, port) as serving:
        typer.echo(f"http://{LOCAL}:{serving.server_address[1]}/ (Ctrl-C ends it)")
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Ended.")
