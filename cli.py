"""The commands: parse, call, print. No logic lives here, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .benchmark.commands.export import export_app
from .benchmark.commands.features import features_app
from .benchmark.commands.machine import DOCTOR_EXAMPLES, cache_app, doctor
from .benchmark.commands.merge import EPILOG, merge_command
from .benchmark.commands.mini import mini_app
from .benchmark.commands.models import models_app
from .benchmark.commands.plain import PlainGroup
from .benchmark.commands.report import COMPARE, compare, report_app
from .benchmark.commands.reproduce import reproduce_app
from .benchmark.commands.run import RUN_EXAMPLES, run, schema
from .benchmark.commands.tag import TAG_EXAMPLES, tag
from .benchmark.commands.tasks import tasks_app
from .errors import CmbenchError, MissingError, remedy
from .leaderboards.commands import register as register_leaderboard
from .pretraining import commands as pretraining
from .terminal import console, replace_what_cannot_be_encoded, told

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="cmbench",
    cls=PlainGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="How well does a music model understand the world's music?\n\n"
    "Start with `cmbench run --model chroma --tasks all --edition mini`.",
    epilog="A result is a folder of JSON records; every table and picture is a view of it.\n\n"
    "Environment: `CMBENCH_DATA` (real data sets), `CMBENCH_CACHE` (features, rendered audio), `CMBENCH_MODELS` "
    "(folders of models by name).",
)
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")
app.add_typer(cache_app, name="cache")
app.add_typer(export_app, name="export")
app.add_typer(features_app, name="features")
app.add_typer(report_app, name="report")
app.add_typer(mini_app, name="mini")
app.command("compare", context_settings=COMPARE)(compare)
app.command("merge", no_args_is_help=True, epilog=EPILOG)(merge_command)
app.add_typer(reproduce_app, name="reproduce")
register_leaderboard(app)
app.command("pretrain", epilog=pretraining.EPILOG)(pretraining.pretrain_command)
app.command(epilog=RUN_EXAMPLES)(run)
app.command("tag", no_args_is_help=True, epilog=TAG_EXAMPLES)(tag)
app.command()(schema)
app.command(epilog=DOCTOR_EXAMPLES)(doctor)


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
        replace_what_cannot_be_encoded()
        app()
    except MissingError as error:
        _print_missing(error, console(stderr=True))
        sys.exit(error.exit_code)
    except CmbenchError as error:
        typer.echo(f"Error: {told(error)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        typer.echo(f"Error: {told(error)}. {remedy(error)}", err=True)
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
