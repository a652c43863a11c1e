"""``cmbench models …``: list, show, check, prepare. Parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import MissingError, unknown_name
from ...terminal import console, escape, new_table
from . import completing
from .options import Device, Offline, Precision

if TYPE_CHECKING:
    from rich.console import Console

    from ...baselines.base import EncoderCard, EncoderEntry

VARIANT = "@marble-norm"
"""Ending of the names of encoders that are variants of others; listed once for all."""

models_app = typer.Typer(
    no_args_is_help=False, help="List models, show, check or prepare one.", invoke_without_command=True
)

Name = Annotated[
    str,
    typer.Argument(
        help="Name of a model, a folder in Hugging Face format, or hf:owner/name@revision.",
        autocompletion=completing.models,
    ),
]


@models_app.callback()
def list_models(
    context: typer.Context,
    only: Annotated[
        str | None,
        typer.Option(help="Only models with this in their name.", autocompletion=completing.models, show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List every model."""
    if context.invoked_subcommand is None:
        from ...baselines.registry import registry

        chosen = [entry for entry in registry().values() if (only or "").lower() in entry.name.lower()]
        if not chosen:
            raise unknown_name("model", only or "", registry(), "cmbench models")
        if as_json:
            typer.echo(models_json(chosen))
        else:
            print_models(chosen, console())


@models_app.command("show", epilog="**Example**\n\n`cmbench models show chroma`")
def show_model(name: Name, offline: Offline = False) -> None:
    """Load one model and show its card."""
    from ...baselines.base import LoadOptions
    from ...baselines.registry import load_encoder, registry

    entry = registry().get(name)
    try:
        card = load_encoder(name, LoadOptions(device="cpu", offline=offline)).card
    except MissingError:
        print_models([entry] if entry else [], console())
        print_details(entry.details if entry else (), console())
        raise
    print_model(card, console())
    # The card says these already.
    print_details([one for one in entry.details if one[0] != "trained on"] if entry else (), console())


@models_app.command(
    "check", epilog="**Examples**\n\n`cmbench models check random-mert-nano`\n\n`cmbench models check ./my-model`"
)
def check_model(
    name: Name,
    device: Device = "auto",
    precision: Precision = "float32",
    offline: Offline = False,
) -> None:
    """Check that a model keeps what an encoder promises, on a few seconds of mini audio.

    Run this first on an encoder of your own: the shape, batch against single clips, repeated passes, odd audio, the
    shortest and the longest window. Exit code 1 if a promise is broken.
    """
    from ...baselines.base import LoadOptions
    from ...baselines.registry import load_encoder
    from ..checks.check import print_checks
    from ..checks.promises import check_encoder

    encoder = load_encoder(name, LoadOptions(device=device, offline=offline, precision=precision))
    if not print_checks(check_encoder(encoder), console(), "kept   ", "BROKEN ", 42):
        raise typer.Exit(1)


@models_app.command(
    "prepare", epilog="**Examples**\n\n`cmbench models prepare`\n\n`cmbench models prepare musicnn --from musicnn.whl`"
)
def prepare_model(
    name: Annotated[str | None, typer.Argument(help="What to prepare; none lists what there is.")] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A file or folder that you have already; fetched if not given.", exists=True),
    ] = None,
) -> None:
    """Fetch and convert weights that no hub holds."""
    from ...baselines.registry import preparers

    known = preparers()
    if name is None:
        for one in known.values():
            typer.echo(f"{one.name}  {one.summary} Licence: {one.licence}.")
        return
    if name not in known:
        raise unknown_name("preparation", name, known, "cmbench models prepare")
    typer.echo(f"{known[name].summary} Licence: {known[name].licence}.")
    typer.echo(f"Ready: {known[name].prepare(source)}")


def models_json(entries: Iterable[EncoderEntry]) -> str:
    """Return models as JSON: what the list shows, and the further facts of each."""
    listed = [
        {
            "name": entry.name,
            "summary": entry.summary,
            "licence": entry.licence,
            "weights": entry.source,
            **dict(entry.details),
        }
        for entry in entries
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False)


def print_models(entries: Iterable[EncoderEntry], console: Console) -> None:
    """Print one line for each model."""
    grid = new_table()
    grid.add_column("model", no_wrap=True)
    for title in ("what it is", "licence", "weights"):
        grid.add_column(title)
    variants = False
    for entry in entries:
        if entry.name.endswith(VARIANT):
            variants = True
            continue
        grid.add_row(*(escape(text) for text in (entry.name, entry.summary, entry.licence, entry.source)))
    console.print(grid)
    if variants:
        console.print(f"NAME{VARIANT} normalises the input of a MERT model as MARBLE does.", markup=False)
    console.print("`--model path/to/folder` takes a folder in Hugging Face format, `--model hf:owner/name` the hub's.")


def print_model(card: EncoderCard, console: Console) -> None:
    """Print an encoder's card."""
    facts = {
        "family": card.family,
        "description": card.description,
        "sample rate": f"{card.sample_rate} Hz",
        "hidden states": f"{card.layers} of {card.dim}: {', '.join(card.layer_names)}",
        "shortest window": f"{card.min_seconds:.3g} s",
        "longest window": "no limit" if card.max_seconds is None else f"{card.max_seconds:g} s",
        "parameters": f"{card.parameters:,}",
        "trained on": ", ".join(card.trained_on) or "nothing",
        "input": card.preprocessing,
        "arithmetic": card.dtype,
        "licence": card.licence,
        "source": card.source,
        "weights": f"sha256 {card.weights_sha256}",
        "fingerprint": card.fingerprint,
    }
    console.print(f"[bold]{escape(card.name)}[/]")
    for title, text in facts.items():
        if text:
            console.print(f"  {title:<16}{escape(text)}", highlight=False, soft_wrap=True)


def print_details(details: Iterable[tuple[str, str]], console: Console) -> None:
    """Print further facts on an encoder, one on a line."""
    for title, text in details:
        console.print(f"  {title:<16}{escape(text)}", highlight=False, soft_wrap=True)
