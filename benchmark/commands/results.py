"""``cmbench results …``: records and predictions as a data set of the hub. Parse, call, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...errors import CmbenchError, UsageError
from .options import Edition, Places, ProtocolName, Split

results_app = typer.Typer(no_args_is_help=True, help="Share records and predictions as a data set of the hub.")

Repository = Annotated[
    str, typer.Argument(metavar="REPOSITORY", help="A data set of the hub: owner/name, or owner/name@revision.")
]


@results_app.command(
    "push",
    no_args_is_help=True,
    epilog="**Example**\n\n`cmbench results push our-lab/cmbench-results results --dry-run`",
)
def push(
    repository: Repository,
    places: Places,
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
    private: Annotated[bool, typer.Option("--private", help="If it is made now: seen by its owner only.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="A pull request in place of a commit.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send records and the predictions they come from.

    Predictions hold the ids, groups and labels of the test tracks, also of a corpus of your own.
    """
    from ..exports.shared import files_to_send, send

    files = files_to_send(places, edition, split, protocol)
    for name, content in files.items():
        typer.echo(f"{len(content) / 1024:10.1f} KiB  {name}")
    own = sorted({name.split("/")[1] for name in files if name.startswith("custom/")})
    if own:
        typer.echo(f"Of corpora of your own, with ids and labels of their test tracks: {', '.join(own)}.", err=True)
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nothing was sent: there is no terminal to ask at. Add --yes to agree to the list above.")
        typer.confirm(f"Send this to hf:{repository}{'' if private else ', where anybody may see it'}?", abort=True)
    typer.echo(f"Sent: {send(files, repository, private, create_pr)}")


@results_app.command(
    "pull", no_args_is_help=True, epilog="**Example**\n\n`cmbench results pull our-lab/cmbench-results --out theirs`"
)
def pull(
    repository: Repository,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the records.")] = Path("results"),
    edition: Edition = None,
) -> None:
    """Fetch records and predictions, score each again, and write those that are sound.

    No audio and no model is needed: every view and comparison works on them.
    """
    from ..exports.shared import fetch

    found = fetch(repository, out, edition)
    for path in found.written:
        typer.echo(f"Written: {path}")
    for problem in found.refused:
        typer.echo(f"Refused: {problem}", err=True)
    counts = f"{len(found.written)} records new, {found.known} here already, {len(found.refused)} refused"
    typer.echo(f"{counts}; commit {found.commit}.")
    if not found.written and not found.known:
        raise CmbenchError(f"hf:{repository}: there is no sound record in it.")
