"""``cmbench leaderboard build``, ``serve`` and ``compare``. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import CmbenchError, unknown_name
from ..terminal import console

BUILD_EXAMPLES = (
    "**Examples**\n\n`cmbench leaderboard build --out site`\n\n`cmbench leaderboard build my-entries --out site`"
)

SERVE_EXAMPLES = "**Example**\n\n`cmbench leaderboard build --out site && cmbench leaderboard serve site`"

COMPARE_EXAMPLES = "**Example**\n\n`cmbench leaderboard compare mfcc/1 chroma/1 --no-labels`"


def build(
    entries: Annotated[
        Path | None,
        typer.Argument(help="Folder of entries; that of this checkout if not given.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages; a board in it is replaced.")] = Path(
        "site"
    ),
) -> None:
    """Verify and rank the entries, and write the board as static pages: no server, no network, the same bytes always.

    An entry that does not pass `cmbench leaderboard verify` stops it, and nothing is written.
    """
    from ..paths import data_root
    from .entry import ENTRIES
    from .site import build as write
    from .verify import verify

    root = ENTRIES if entries is None else entries
    with console(stderr=True).status("Computing every score again …"):
        refused = [found.entry for found in verify(root, labels=data_root()) if not found.sound]
    if refused:
        named = ", ".join(ascii(name)[1:-1] for name in refused)
        raise CmbenchError(f"Not sound: {named}. `cmbench leaderboard verify {root}` says why; nothing was written.")
    with console(stderr=True).status("Ranking …"):
        site = write(root, out)
    for board in site.boards:
        typer.echo(f"{board.title}: {len(board.places)} ranked, {len(board.incomplete)} without a place")
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


def compare(
    first: Annotated[str, typer.Argument(help="An entry of the board.", metavar="NAME/VERSION")],
    second: Annotated[str, typer.Argument(help="The one to compare with it.", metavar="NAME/VERSION")],
    entries: Annotated[
        Path | None,
        typer.Option(help="Folder of entries; that of this checkout if not given.", show_default=False),
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the paired bootstrap.")] = 1000,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Also families and labels.")] = True,
) -> None:
    """Compare two entries as `cmbench compare` does: paired differences with intervals, per task, family and label."""
    from ..benchmark.change_tables import print_comparison
    from ..benchmark.compare import compare as judge
    from .entry import ENTRIES, entry_folders, read_entry

    root = ENTRIES if entries is None else entries
    known = [f"{folder.parent.name}/{folder.name}" for folder in entry_folders(root)]
    for name in (first, second):
        if name not in known:
            raise unknown_name("entry", name, known, f"cmbench leaderboard verify {root}")
    sides = [read_entry(root / name).evidence for name in (first, second)]
    print_comparison(judge(*sides, resamples=resamples, labels=labels), console(), labels=labels)
