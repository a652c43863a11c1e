"""The commands: parse, call, print. No logic lives here, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .benchmark.merge_commands import EPILOG, merge_command
from .benchmark.mini_commands import mini_app
from .benchmark.model_commands import models_app
from .benchmark.report_commands import compare_models, report_app, score_all
from .benchmark.reproduce_commands import reproduce_app
from .benchmark.task_commands import tasks_app
from .benchmark.view_commands import export_results
from .errors import CmbenchError, MissingError
from .leaderboards.commands import register as register_leaderboard
from .pretraining import commands as pretraining
from .terminal import console

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="cmbench",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="How well does a music model understand the world's music?\n\n"
    "Start with `cmbench run --model chroma --tasks all --edition mini`.",
    epilog="A result is a folder of JSON records; every table and picture is a view of it.\n\n"
    "Environment: `CMBENCH_DATA` (real data sets), `CMBENCH_CACHE` (features, rendered audio), `CMBENCH_MODELS` "
    "(folders of models by name).",
)
export_app = typer.Typer(no_args_is_help=True, help="Write models and results in the formats of other tools.")
cache_app = typer.Typer(no_args_is_help=True, help="Look at, check and clean the feature store.")
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")
app.add_typer(cache_app, name="cache")
app.add_typer(export_app, name="export")
app.add_typer(report_app, name="report")
export_app.command(
    "results",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench export results results --format latex --out results.tex`\n\n"
    "`cmbench export results results --format eee --out eee --organisation 'Our lab'`",
)(export_results)
app.add_typer(mini_app, name="mini")
app.command(
    "compare", no_args_is_help=True, epilog="**Example**\n\n`cmbench compare results/mfcc results/chroma --no-labels`"
)(compare_models)
app.command("merge", no_args_is_help=True, epilog=EPILOG)(merge_command)
app.add_typer(reproduce_app, name="reproduce")
register_leaderboard(app)
app.command("pretrain", epilog=pretraining.EPILOG)(pretraining.pretrain_command)


def _version(show: bool) -> None:
    if show:
        from .version import __version__

        typer.echo(f"cmbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Take the options that belong to no command."""


@app.command(
    epilog="**Examples**\n\n"
    "`cmbench run --model mfcc,chroma --tasks all --edition mini`\n\n"
    "`cmbench run --model CultureMERT-95M --tasks turkish,lyra --data-root ~/corpora`\n\n"
    "`cmbench run --model ./my-mert --tasks my-corpus/task.yaml --out results`"
)
def run(
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Name of a model, a folder in Hugging Face format, or hf:owner/name@revision; several with commas.",
        ),
    ],
    tasks: Annotated[
        list[str],
        typer.Option("--tasks", "-t", help="`all`, tasks, a tradition, or paths to a task.yaml; several with commas."),
    ],
    edition: Annotated[
        str | None, typer.Option(help="`full` (real data, the default) or `mini` (rendered here).", show_default=False)
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="`group-safe` (no album or artist is in two), or another split by name.", show_default=False),
    ] = None,
    protocol: Annotated[str, typer.Option(help="`cmbench-1`, or `marble-1` to compare with published figures.")] = (
        "cmbench-1"
    ),
    data_root: Annotated[
        Path | None,
        typer.Option(help="Folder of the real data sets; or set CMBENCH_DATA.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the records and the page.")] = Path("results"),
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")] = "auto",
    precision: Annotated[str, typer.Option(help="`float32`, or `bfloat16` on an accelerator that has it.")] = "float32",
    seeds: Annotated[
        int | None,
        typer.Option(help="Seeds of the chosen probe, if not the protocol's; the result is then named so."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compute finished cells again (stored features are used).")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Decoding threads and rendering processes; the processors if not given.")
    ] = None,
    mini_scale: Annotated[float, typer.Option(help="Factor on the number of tracks of the mini edition.")] = 1.0,
    mini_seed: Annotated[int, typer.Option(help="Seed of the mini edition.")] = 0,
) -> None:
    """Evaluate models on tasks: records, a table and a page.

    Finished cells are not computed again. Ctrl-C is safe: the same command goes on where it was.
    """
    from .benchmark.compare import RESAMPLES
    from .benchmark.equity import equities
    from .benchmark.equity_table import print_equity
    from .benchmark.evidence import read_what_is_there
    from .benchmark.progress import TerminalObserver
    from .benchmark.record_folder import iter_records
    from .benchmark.report import print_table, write_page
    from .benchmark.run import run as run_benchmark

    with TerminalObserver(console(stderr=True)) as observer:
        records = run_benchmark(
            _parts(model),
            _parts(tasks),
            edition=edition,
            split=split,
            protocol=protocol,
            data_root=data_root,
            out=out,
            device=device,
            precision=precision,
            seeds=seeds,
            offline=offline,
            force=force,
            workers=workers,
            mini_scale=mini_scale,
            mini_seed=mini_seed,
            observer=observer,
        )
    found, problems = read_what_is_there(out)
    score_all(found, RESAMPLES)
    print_table(records, console())
    cells = {record.cell_sha256 for record in records}
    print_equity(equities([e for e in found if e.record.cell_sha256 in cells]), console())
    for problem in problems:
        typer.echo(f"Not compared: {problem}", err=True)
    # The page shows everything that the folder holds, this run's models beside earlier ones.
    typer.echo(f"Records: {out}\nPage:    {write_page(list(iter_records(out)), out / 'report.html', found)}")


def _parts(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


@app.command()
def schema() -> None:
    """Print the JSON Schema of a record."""
    import json

    from .benchmark.record import json_schema

    typer.echo(json.dumps(json_schema(), indent=1, sort_keys=True))


@app.command(epilog="**Examples**\n\n`cmbench doctor`\n\n`cmbench doctor --benchmark --device cuda`")
def doctor(
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Also measure the encoder against the machine's matrix products.")
    ] = False,
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")] = "auto",
) -> None:
    """Say what this machine has for a run, and with `--benchmark` how fast it is."""
    from .benchmark.doctor import examine, measure, print_findings, print_speeds

    well = print_findings(examine(), console())
    if benchmark:
        print_speeds(measure(device), console())
    if not well:
        raise typer.Exit(1)


@export_app.command(
    "hf", epilog="**Example**\n\n`cmbench export hf ./my-mert --out my-mert-export --scores results/my-mert`"
)
def export_model(
    model: Annotated[str, typer.Argument(help="A MERT-shaped model: its name, its folder, or hf:owner/name@revision.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    scores: Annotated[
        Path | None, typer.Option(help="Records whose scores go into the model card.", show_default=False)
    ] = None,
    eval_dataset: Annotated[
        str | None,
        typer.Option(help="Also write .eval_results/cmbench.yaml, for this benchmark data set on the hub."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
) -> None:
    """Write a model as a folder that transformers' HubertModel loads, with a model card."""
    from .baselines.base import LoadOptions
    from .benchmark.export_hf import export_hf, open_model
    from .benchmark.record_folder import iter_records

    records = list(iter_records(scores)) if scores is not None else []
    opened = open_model(model, LoadOptions(device="cpu", offline=offline))
    typer.echo(f"Written: {export_hf(opened, out, records, eval_dataset)}")


@cache_app.command("ls")
def cache_ls() -> None:
    """List the stores: which encoder, which task, how large."""
    from .benchmark.listing import print_stores
    from .benchmark.upkeep import list_stores
    from .paths import cache_root

    print_stores(list_stores(cache_root()), cache_root(), console())


@cache_app.command("verify")
def cache_verify() -> None:
    """Hash every shard again; exit code 1 if one is broken."""
    from .benchmark.upkeep import store_folders, verify_store
    from .paths import cache_root

    stores = store_folders(cache_root())
    problems = [problem for folder in stores for problem in verify_store(folder)]
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{len(stores)} stores, {len(problems)} problems.")
    if problems:
        typer.echo("`cmbench cache gc` removes broken shards; the next run makes their features again.")
        raise typer.Exit(1)


@cache_app.command("gc", epilog="**Example**\n\n`cmbench cache gc --unused-days 30 --dry-run`")
def cache_gc(
    unused_days: Annotated[
        float | None, typer.Option(help="Also remove stores not used for this many days.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove broken shards, leavings of killed runs and, if asked, stores long unused."""
    from .benchmark.upkeep import collect_garbage
    from .paths import cache_root

    collected = collect_garbage(cache_root(), unused_days=unused_days, dry_run=dry_run)
    for path in collected.paths:
        typer.echo(f"{'would remove' if dry_run else 'removed'} {path}")
    typer.echo(f"{len(collected.paths)} files or folders, {collected.bytes / 1e6:.1f} MB.")


def _print_missing(error: MissingError, screen: Console) -> None:
    from .terminal import print_missing

    print_missing(error.missing, screen)
    hint = " Without the data, `--edition mini` runs the same tasks on audio rendered here."
    screen.print(f"\nNothing was computed.{hint if error.mini_would_do else ''}", highlight=False)


INTERRUPTED = 130
KEPT = "Interrupted. What is finished is kept; the same command goes on from there (`cmbench pretrain` with --resume)."


def main() -> None:
    """Run the command line; errors meant for people are printed without a traceback."""
    try:
        app()
    except MissingError as error:
        _print_missing(error, console(stderr=True))
        sys.exit(error.exit_code)
    except CmbenchError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        typer.echo(f"Error: {error}. Is the folder writable, and is there space?", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        # Where Ctrl-C meets typer outside of the command itself.
        typer.echo(KEPT, err=True)
        sys.exit(INTERRUPTED)
    except SystemExit as stop:
        # Typer turns Ctrl-C into this code and says nothing.
        if stop.code == INTERRUPTED:
            typer.echo(KEPT, err=True)
        raise
