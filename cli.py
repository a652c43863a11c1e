"""The commands: parse, call, print. No logic lives here, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .benchmark.commands.export import export_app
from .benchmark.commands.features import features_app
from .benchmark.commands.machine import DOCTOR_EXAMPLES, cache_app, doctor
from .benchmark.commands.merge import merge_command
from .benchmark.commands.mini import mini_app
from .benchmark.commands.models import models_app
from .benchmark.commands.plain import HANDS_ON, PlainGroup
from .benchmark.commands.report import compare, report_app
from .benchmark.commands.results import results_app
from .benchmark.commands.run import RUN_EXAMPLES, run, schema
from .benchmark.commands.study import reproduce_app, study_app
from .benchmark.commands.tag import TAG_EXAMPLES, tag
from .benchmark.commands.tasks import tasks_app
from .errors import CmbenchError, MissingError, remedy
from .leaderboards.commands import register as register_leaderboard
from .pretraining import commands as pretraining
from .terminal import console, printable, replace_what_cannot_be_encoded

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
app.add_typer(results_app, name="results")
app.add_typer(report_app, name="report")
app.add_typer(mini_app, name="mini")
app.command("compare", context_settings=HANDS_ON)(compare)
app.command("merge", context_settings=HANDS_ON)(merge_command)
app.add_typer(study_app, name="study")
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


INTERRUPTED, READER_GONE = 130, 141
"""Exit codes, as a shell has them: of Ctrl-C, and of writing to a pipe that nobody reads any more."""

_GOES_ON = "What is finished is kept; the same command goes on from there."
_LEFT_BEHIND = {
    "run": _GOES_ON,
    "tasks prepare": _GOES_ON,
    "features export": _GOES_ON,
    "reproduce family": _GOES_ON,
    "reproduce nano": _GOES_ON,
    "merge": "With --sweep, what is finished is kept and the same command goes on; otherwise it begins anew.",
    "pretrain": "What is saved is kept; the same command with --resume goes on from there.",
}
"""By command, what an interrupt leaves; every other command begins anew."""


def _interrupted() -> str:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    left = _LEFT_BEHIND.get(" ".join(words[:1])) or _LEFT_BEHIND.get(" ".join(words[:2]))
    if words[:1] == ["study"]:
        from .benchmark.studies.registry import studies

        study = studies().get(" ".join(words[1:2]))
        left = _GOES_ON if study is not None and study.goes_on else None
    return f"Interrupted. {left or 'The same command begins anew.'}"


def main() -> None:
    """Run the command line; errors meant for people are printed without a traceback."""
    code = _carry_out()
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    except BrokenPipeError:
        code = READER_GONE
    if code == READER_GONE:
        # Python flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _carry_out() -> int | str | None:
    # Figures are written, never shown. A notebook names a backend that need not be where cmbench is.
    os.environ["MPLBACKEND"] = "agg"
    try:
        replace_what_cannot_be_encoded()
        app()
    except MissingError as error:
        _print_missing(error, console(stderr=True))
        return error.exit_code
    except CmbenchError as error:
        typer.echo(f"Error: {printable(error)}", err=True)
        return error.exit_code
    except OSError as error:
        typer.echo(f"Error: {printable(error)}. {remedy(error)}", err=True)
        return 1
    except KeyboardInterrupt:
        # Where Ctrl-C meets typer outside of the command itself.
        typer.echo(_interrupted(), err=True)
        return INTERRUPTED
    except SystemExit as stop:
        # Typer and rich end with 1 at a closed pipe (`| head`), and typer with 130 at Ctrl-C: neither says a word.
        if isinstance(stop.__context__, BrokenPipeError):
            return READER_GONE
        if stop.code == INTERRUPTED:
            typer.echo(_interrupted(), err=True)
        return stop.code
    return 0
