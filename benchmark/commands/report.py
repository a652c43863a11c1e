"""``cmbench report …`` and ``cmbench compare``: views over records. Parse, call, print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from ...errors import UsageError, quoted
from ...terminal import console
from .options import Edition, Out, Places, ProtocolName, Split
from .plain import command_of, examples, group_of, handed_on
from .study import study_commands

if TYPE_CHECKING:
    from ..records.evidence import Evidence
    from ..records.record import Record
    from ..records.sections import Section
    from ..views.base import View

DEFAULT = "html"


def _commands() -> dict[str, Any]:
    """Return a command for every view, and that of the study that reports."""
    from ..views.registry import views

    return {name: view_command(view) for name, view in views().items()} | study_commands(similarity="similarity")


class ReportGroup(group_of(_commands)):  # type: ignore[misc]
    """Views by name; ``cmbench report RECORDS`` without one is the page."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take the first word for records unless it is the name of a view."""
        known = args and args[0] in self.commands
        return super().resolve_command(ctx, args if known else [DEFAULT, *args])


report_app = typer.Typer(
    cls=ReportGroup,
    no_args_is_help=True,
    help="Views over records. Without a name of a view: the table and the page.",
    epilog=examples(
        "cmbench report results",
        "cmbench report forgetting --before results/MERT-v1-95M --after results/CultureMERT-95M",
    ),
)


@report_app.command("html", epilog=examples("cmbench report html results --figures figures"))
def html(
    places: Places,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures here, as SVG and PNG.", show_default=False)
    ] = None,
    reported: Annotated[bool, typer.Option("--reported", help="Also print what papers report, apart.")] = False,
    base: Annotated[str | None, typer.Option(help="Model to compare with; by lineage if not given.")] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.", show_default=False)] = "",
    details: Annotated[
        bool, typer.Option("--details", help="Print every score with its interval, what was left out, and equity.")
    ] = False,
    similarity: Annotated[
        Path | None,
        typer.Option(help="What `cmbench report similarity --out` wrote: its folder or JSON.", show_default=False),
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the paired bootstrap.")] = 1000,
) -> None:
    """Print the table of some records and write their page: one file, no network."""
    from ...paths import cache_root
    from ..pages.page import conclusions_of, write_page
    from ..records.evidence import read_what_is_there
    from ..records.sections import audited, sections
    from ..studies.similarity.file import read_distances
    from ..views import headline, scores
    from ..views.base import nothing, write_view
    from ..views.reported.rows import reported_tables
    from ..views.scope import scope_of
    from ..views.scores.table import print_short
    from ..views.tables import print_tables

    distances = read_distances(similarity) if similarity is not None else []
    records = _records_below(places, base)
    found, problems = read_what_is_there(*places)
    shown = audited(sections(records), cache_root())
    page = write_page(shown, out, found, title=title, base=base, resamples=resamples, distances=distances)
    for said in conclusions_of(page, "") or ():
        headline.print_conclusion(said, console())
    if details:
        print_details(shown, found, resamples)
    else:
        print_short(shown, console())
    for problem in problems:
        typer.echo(f"Not compared: {problem}", err=True)
    if reported:
        typer.echo()
        print_tables(reported_tables(sorted({record.task.name for record in records})), console())
    typer.echo(f"Page: {page}")
    if figures is not None:
        drawn = write_view(replace(scores.VIEW, tables=nothing, texts=nothing), shown, figures)
        view = replace(headline.VIEW, rows=nothing)
        for section in shown:
            one = headline.of_scope(scope_of(section, found, base, resamples))
            drawn += write_view(view, one, figures)
        for path in drawn:
            typer.echo(f"Figure: {path}")


def _records_below(places: Sequence[Path], base: str | None) -> list[Record]:
    from ..records.folder import iter_records

    records = list(iter_records(*places))
    if not records:
        raise UsageError(f"There is no record in {', '.join(map(str, places))}; `cmbench run` writes them.")
    if base is not None and base not in (names := {record.model.name for record in records}):
        raise UsageError(f"There is no record of the base {quoted(base)}; there are {', '.join(sorted(names))}.")
    return records


def print_details(shown: tuple[Section, ...], found: Sequence[Evidence], resamples: int = 1000) -> None:
    """Print every score with its interval, what was left out, and how evenly each model serves the traditions."""
    from ..comparing.equity import equities
    from ..views import equity, scores

    console().print()
    scores.VIEW.print(tuple(shown), console())
    equity.VIEW.print(equities(found, resamples), console())


def compare(context: typer.Context) -> None:
    """Compare models on the same tracks: paired differences with intervals, per task, family and label."""
    from ..views.registry import views

    handed_on(context, view_command(views()["changes"]))


def _shared(
    places: Places, out: Out = None, edition: Edition = None, split: Split = None, protocol: ProtocolName = None
) -> None:
    """Hold what the commands of views share."""


def view_command(view: View[Any]) -> Any:
    """Return the command of a view: the records to read, its own options, where to write."""
    from ..views.base import READ

    takes = view.parameters
    read = [one for name, one in takes.items() if name in READ]
    shared = dict(signature(_shared, eval_str=True).parameters)
    if any(one.default is not one.empty for one in read):
        optional = Annotated[list[Path] | None, *get_args(shared["places"].annotation)[1:]]
        shared["places"] = shared["places"].replace(annotation=optional, default=None)
    if not {"records", "evidence"} & takes.keys():
        del shared["places"]
    if not view.writes:
        del shared["out"]
    if not read:
        shared = {name: one for name, one in shared.items() if name == "out"}

    def show(**given: Any) -> None:
        _show(view, {name: given.pop(name) for name in shared}, given)

    own = {name: one for name, one in takes.items() if name not in READ}
    return command_of(view.name, show, (shared | own).values(), view.help, examples(*view.examples), bool(read))


def _show(view: View[Any], shared: Mapping[str, Any], own: dict[str, Any]) -> None:
    """Read what a view reads; print and write what it makes of it."""
    from ..views.base import write_view

    out = shared.get("out")
    if out is not None and out.is_file():
        raise UsageError(f"{out} is a file; name a folder with --out.")
    with console(stderr=True).status("Computing …"):
        which = [shared.get(name) for name in ("edition", "split", "protocol")]
        found = view.of(shared.get("places") or (), which, **own)
    written = 0
    for one in found:
        view.print(one, console())
        for path in write_view(view, one, out) if out is not None else ():
            written += 1
            typer.echo(f"Written: {path}")
    if out is not None and not written:
        typer.echo(f"Nothing to write into {out}.", err=True)
