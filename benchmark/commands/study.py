"""``cmbench study NAME``, and the older commands that are the same: parse, call, print."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import UsageError
from ...terminal import console
from .options import Out
from .plain import command_of, examples, group_of

if TYPE_CHECKING:
    from ..studies.base import Study

Plan = Annotated[bool, typer.Option("--plan", help="Only say what it would take.")]


def study_commands(**named: str) -> dict[str, Any]:
    """Return the commands of studies, by name."""
    from ..studies.registry import studies

    there = studies()
    return {name: study_command(there[study]) for name, study in (named or {one: one for one in there}).items()}


def _with_list() -> dict[str, Any]:
    """Return the studies, and ``list``, which other groups have; :func:`listed` answers it."""
    listing = command_of("list", lambda: None, (), "List the studies.")
    listing.hidden = True
    return {**study_commands(), "list": listing}


study_app = typer.Typer(
    cls=group_of(_with_list),
    help="Studies: questions that take audio, encoders or probes. Without a name: those that there are.",
    epilog=examples("cmbench study similarity --model mfcc --edition mini --out similarity"),
)


@study_app.callback(invoke_without_command=True)
def listed(context: typer.Context) -> None:
    """List the studies."""
    if context.invoked_subcommand in (None, "list"):
        typer.echo(context.get_help())


def study_command(study: Study[Any, Any]) -> Any:
    """Return the command of a study: what its request holds, and where to write."""
    options = dict(study.options)
    show_help = any(one.default is one.empty for one in options.values())
    if not study.keeps:
        options["out"] = Parameter("out", Parameter.KEYWORD_ONLY, default=None, annotation=Out)
    if study.cost is not None:
        options["plan"] = Parameter("plan", Parameter.KEYWORD_ONLY, default=False, annotation=Plan)
    call = partial(_carried_out, study)
    return command_of(study.name, call, options.values(), study.help, examples(*study.examples), show_help)


def _carried_out(study: Study[Any, Any], plan: bool = False, **given: Any) -> None:
    out: Path | None = given["out"] if study.keeps else given.pop("out")
    carry_out(study, study.request(**given), out, plan)


def carry_out(study: Study[Any, Any], request: Any, out: Path | None, plan: bool = False) -> None:
    """State what a study takes, answer the request, print the answer and write its files.

    Raises:
        Exit: something is not as it should be, by the answer.
        CmbenchError: the study cannot be carried out; one of another distribution is named with that.
    """
    from ...plugins import answering
    from ..views.base import write_view
    from .progress import TerminalObserver

    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out: {out} is a file, where a folder is needed.")
    screen = console(stderr=True)
    place = f"Study {study.name}{study.origin} cannot be carried out"
    with answering(place) if study.origin else nullcontext():
        if study.cost is not None:
            screen.print(study.cost(request), style="dim", markup=False, highlight=False, soft_wrap=True)
        if plan:
            return
        with TerminalObserver(screen) as observer:
            found = study.compute(request, observer)
        study.print(found, console())
        if out is not None:
            further = study.further(found, out) if study.further else ()
            for path in (*write_view(study, found, out), *further):
                typer.echo(f"Written: {path}")
        failed = study.failed(found)
    if failed:
        raise typer.Exit(1)


reproduce_app = typer.Typer(
    cls=group_of(lambda: study_commands(family="family", nano="claims")),
    no_args_is_help=True,
    help="Train the nano family again, and test the paper's claims with it on the mini edition.",
    epilog=examples("cmbench reproduce nano", "cmbench reproduce family --out nano"),
)
"""Studies of the nano family and of the paper in miniature, under their older names."""
