"""``cmbench export …``: models and results in the formats of other tools. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...errors import UsageError
from .options import Edition, Offline, Places, ProtocolName, Split, option

export_app = typer.Typer(no_args_is_help=True, help="Write models and results in the formats of other tools.")


@export_app.command(
    "results",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench export results results --format latex --out results.tex`\n\n"
    "`cmbench export results results --format eee --out eee --organisation 'Our lab'`",
)
def export_results(
    places: Places,
    form: Annotated[
        Literal["latex", "csv", "markdown", "eee", "eval-results"],
        typer.Option("--format", "-f", help="`eee`: Every Eval Ever; `eval-results`: the hub's `.eval_results`."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File, or folder for `eee` and `eval-results`; printed if not given."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="`eval-results`: owner/name of the benchmark's data set on the hub.")
    ] = None,
    organisation: Annotated[str, typer.Option(help="`eee`: who evaluated.")] = "not stated",
    relationship: Annotated[
        Literal["first_party", "third_party", "collaborative", "other"],
        typer.Option(help="`eee`: of who evaluated to the models."),
    ] = "other",
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
) -> None:
    """Write results as LaTeX, CSV, Markdown, Every Eval Ever or `.eval_results`.

    Mini results say so wherever they go.
    """
    from ..exports.results import result_files, write_results
    from ..records.evidence import choose_records

    records = list(choose_records(places, edition, split, protocol).values())
    files = result_files(records, form, dataset=dataset, organisation=organisation, relationship=relationship)
    if out is None and len(files) == 1:
        typer.echo(next(iter(files.values())).decode(), nl=False)
        return
    if out is None:
        raise UsageError(f"--format {form} writes {len(files)} files; name a folder with --out.")
    for path in write_results(files, out, folder=form in ("eee", "eval-results")):
        typer.echo(f"Written: {path}")


@export_app.command(
    "hf", epilog="**Example**\n\n`cmbench export hf ./my-mert --out my-mert-export --scores results/my-mert`"
)
def export_model(
    model: Annotated[str, typer.Argument(help="A MERT-shaped model: its name, its folder, or hf:owner/name@revision.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    scores: Annotated[Path | None, option(help="Records whose scores go into the model card.")] = None,
    eval_dataset: Annotated[
        str | None, typer.Option(help="Also write .eval_results/cmbench.yaml, for this benchmark data set on the hub.")
    ] = None,
    offline: Offline = False,
) -> None:
    """Write a model as a folder that transformers' HubertModel loads, with a model card."""
    from ...baselines.base import LoadOptions
    from ...baselines.network import open_network
    from ..exports.hub import export_hf
    from ..records.folder import iter_records

    records = list(iter_records(scores)) if scores is not None else []
    opened = open_network(model, LoadOptions(device="cpu", offline=offline))
    typer.echo(f"Written: {export_hf(opened, out, records, eval_dataset)}")
