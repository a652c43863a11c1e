"""``cmbench features export``: what a model makes of a task, for other tools. Parse, call, print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from ...terminal import console
from ..protocol import DEFAULT_PROTOCOL
from .options import DataRoot, Device, MiniScale, MiniSeed, Offline, Workers, option

features_app = typer.Typer(no_args_is_help=True, help="Features of a model on a task.")


@features_app.callback()
def features() -> None:
    """Features of a model on a task."""


@features_app.command(
    "export",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench features export --model mfcc --tasks my_corpus --out features`\n\n"
    "`cmbench features export --model MERT-nano --tasks lyra --edition mini --by track --format parquet --out f`",
)
def export_features(
    model: Annotated[list[str], typer.Option("--model", "-m", help="Models as for `cmbench run`.")],
    tasks: Annotated[list[str], typer.Option("--tasks", "-t", help="Tasks as for `cmbench run`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the files, one for each model and task.")],
    form: Annotated[
        Literal["npz", "parquet"], typer.Option("--format", "-f", help="npz needs nothing; parquet needs pyarrow.")
    ] = ("npz"),
    by: Annotated[
        Literal["window", "track"],
        typer.Option(help="A row for each window, or for each track (mean over its windows)."),
    ] = ("window"),
    edition: Annotated[str | None, option(help="`full` or `mini`.")] = None,
    protocol: Annotated[str, typer.Option(help="Whose windows.")] = DEFAULT_PROTOCOL,
    data_root: DataRoot = None,
    device: Device = "auto",
    offline: Offline = False,
    workers: Workers = None,
    mini_scale: MiniScale = 1.0,
    mini_seed: MiniSeed = 0,
) -> None:
    """Write the features that probes see, every hidden state, with id, split, group, labels and seconds of each row.

    What is stored is not computed again.
    """
    from ... import paths
    from ...baselines.base import LoadOptions
    from ...files import write_atomically
    from ...tasks.base import LoadContext
    from ...tasks.choice import select_tasks
    from ..exports.features import features_bytes, file_name, stored_features
    from ..models import Encoders
    from ..protocol import get_protocol
    from ..request import parts
    from ..run import preflight
    from .progress import TerminalObserver

    workers, windowing = workers or os.cpu_count() or 1, get_protocol(protocol).windowing
    with TerminalObserver(console(stderr=True)) as watch:
        context = LoadContext(
            paths.data_root(data_root), paths.cache_root(), workers, watch.preparing, mini_scale, mini_seed
        )
        encoders = Encoders(LoadOptions(device, offline))
        names = [encoders.add(one) for one in parts(model)]
        for data in preflight(encoders, names, select_tasks(parts(tasks)), edition, context):
            for name in names:
                table = stored_features(encoders, name, data, windowing, workers, watch, by_track=by == "track")
                file = out / file_name(table, form, by)
                write_atomically(file, features_bytes(table, form))
                rows, layers, dim = table.features.shape
                typer.echo(f"Written: {file} ({rows} {by}s, {layers} hidden states of {dim})")
                if table.facts["warning"]:
                    typer.echo(table.facts["warning"])
