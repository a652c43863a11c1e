"""``cmbench report …`` and ``cmbench compare``: views over records. Parse, call, print."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ...errors import UsageError, quoted
from ...terminal import console
from .options import Bound, ChangesOut, Edition, Labels, Out, Places, ProtocolName, Resamples, Split
from .similarity import EPILOG as SIMILARITY_EXAMPLES
from .similarity import similarity

if TYPE_CHECKING:
    from ..comparing.compare import Comparison
    from ..records.evidence import Evidence
    from ..records.record import Record
    from ..views.base import ViewFiles

DEFAULT = "html"


class ReportGroup(TyperGroup):
    """Views by name; ``cmbench report RECORDS`` without one is the page."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take the first word for records unless it is the name of a view."""
        known = args and args[0] in self.commands
        return super().resolve_command(ctx, args if known else [DEFAULT, *args])


report_app = typer.Typer(
    cls=ReportGroup,
    no_args_is_help=True,
    help="Views over records. Without a name of a view: the table and the page.",
    epilog="**Examples**\n\n`cmbench report results`\n\n"
    "`cmbench report forgetting --before results/MERT-v1-95M --after results/CultureMERT-95M`",
)


@report_app.command("html", epilog="**Example**\n\n`cmbench report html results --figures figures`")
def html(
    places: Annotated[list[Path], typer.Argument(help="Records, or folders of records.", metavar="RECORDS…")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures here, as SVG and PNG.", show_default=False)
    ] = None,
    reported: Annotated[bool, typer.Option("--reported", help="Also print what papers report, apart.")] = False,
    base: Annotated[str | None, typer.Option(help="Model to compare with; the first if not given.")] = None,
    similarity: Annotated[
        Path | None,
        typer.Option(help="What `cmbench report similarity --out` wrote: its folder or JSON.", show_default=False),
    ] = None,
    resamples: Resamples = 1000,
) -> None:
    """Print the table of some records and write their page: one file, no network."""
    from ..comparing.equity import equities
    from ..pages.page import write_page
    from ..records.evidence import read_what_is_there
    from ..records.folder import iter_records
    from ..similarity.file import read_distances
    from ..views.equity import print_equity
    from ..views.reported import print_reported
    from ..views.scores.label_bars import write_figures
    from ..views.scores.table import print_table

    distances = read_distances(similarity) if similarity is not None else []
    records = list(iter_records(*places))
    if not records:
        raise UsageError(f"There is no record in {', '.join(map(str, places))}; `cmbench run` writes them.")
    if base is not None and base not in (names := {record.model.name for record in records}):
        raise UsageError(f"There is no record of the base {quoted(base)}; there are {', '.join(sorted(names))}.")
    found, problems = read_what_is_there(*places)
    score_all(found, resamples)
    print_table(records, console())
    print_equity(equities(found, resamples), console())
    for problem in problems:
        typer.echo(f"Not compared: {problem}", err=True)
    if reported:
        typer.echo()
        print_reported(console(), sorted({record.task.name for record in records}))
    page = write_page(records, out, found, base=base, resamples=resamples, distances=distances)
    typer.echo(f"Page: {page}")
    if figures is not None:
        for path in write_figures(records, figures):
            typer.echo(f"Figure: {path}")


@report_app.command(
    "reported",
    epilog="**Examples**\n\n`cmbench report reported`\n\n`cmbench report reported --against results`",
)
def reported(
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against", help="Records, or their folder, to set beside the published figures.", show_default=False
        ),
    ] = None,
) -> None:
    """Print what papers report on the six tasks, with sources: not measured by cmbench, never ranked.

    With `--against` cell by cell: published, ours with its interval, inside or outside, and what differs.
    """
    from ..views.against import against as set_beside
    from ..views.against import print_against
    from ..views.reported import print_reported

    if not against:
        print_reported(console())
        return
    from ..records.folder import iter_records

    records = list(iter_records(*against))
    if not records:
        raise UsageError(f"There is no record in {', '.join(map(str, against))}; `cmbench run` writes them.")
    print_against(*set_beside(records), console())


@report_app.command(
    "transfer",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench report transfer results --base MERT-v1-95M --out transfer`\n\n"
    "`cmbench report transfer --reported --out paper`",
)
def transfer(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Records, or folders of records.", metavar="RECORDS…", show_default=False),
    ] = None,
    base: Annotated[str | None, typer.Option(help="Model to compare with; the first if not given.")] = None,
    in_culture: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=TRADITION[,TRADITION]: what it was trained on; read from its card if not given."),
    ] = None,
    reported: Annotated[bool, typer.Option("--reported", help="The paper's table, from reported figures.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for SVG, PNG, LaTeX, Markdown and CSV.")
    ] = None,
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
    resamples: Resamples = 1000,
) -> None:
    """Show models by tasks: scores, and what changed against a base model."""
    from ..comparing.equity import equities
    from ..comparing.transfer import reported_matrix, transfer_matrix
    from ..views.equity import print_equity
    from ..views.transfer.transfer_map import write_transfer
    from ..views.transfer.transfer_tables import print_transfer

    if reported == bool(places):
        raise UsageError("Name records or folders of records, or ask for --reported figures: one of the two.")
    found = [] if reported else _read(places or [], edition, split, protocol)
    score_all(found, resamples)
    cultures = _cultures(in_culture or [])
    matrix = reported_matrix() if reported else transfer_matrix(found, base, cultures, resamples=resamples)
    print_transfer(matrix, console())
    print_equity(equities(found, resamples), console())
    for path in write_transfer(matrix, out) if out is not None else ():
        typer.echo(f"Written: {path}")


def _cultures(pairs: list[str]) -> dict[str, list[str]]:
    found = {}
    for pair in pairs:
        model, _, traditions = pair.rpartition("=")
        if not model or not traditions:
            raise UsageError(f"--in-culture {quoted(pair)} should read MODEL=TRADITION or MODEL=TRADITION,TRADITION.")
        found[model] = [tradition.strip() for tradition in traditions.split(",")]
    return found


@report_app.command(
    "forgetting",
    epilog="**Example**\n\n`cmbench report forgetting --before results/MERT-v1-95M --after results/CultureMERT-95M`",
)
def forgetting(
    before: Annotated[list[Path], typer.Option("--before", help="Records of the model before, or their folder.")],
    after: Annotated[
        list[Path], typer.Option("--after", help="Records of the model after; again for each further model.")
    ],
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
    resamples: Resamples = 1000,
    bound: Bound = 1.0,
    labels: Labels = True,
    out: ChangesOut = None,
) -> None:
    """Say what further training changed: per task, family and label, with intervals and a verdict.

    gained, lost: significant at a false discovery rate of 5 %. kept: shown to be within the bound. Else: cannot tell.
    """
    from ..comparing.equity import equities
    from ..comparing.forgetting import forgetting as judge
    from ..views.changes import print_forgetting
    from ..views.equity import print_equity

    first = _read(before, edition, split, protocol)
    others = [_read([place], edition, split, protocol) for place in after]
    everything = [*first, *chain.from_iterable(others)]
    score_all(everything, resamples)
    for other in others:
        report = judge(first, other, resamples=resamples, bound=bound / 100)
        print_forgetting(report, console(), labels=labels)
        _write_changes(report.comparison, out)
    print_equity(equities(everything, resamples), console())


def compare_models(
    first: Annotated[Path, typer.Argument(help="Records of the first model, or their folder.", metavar="A")],
    others: Annotated[list[Path], typer.Argument(help="The same of each model to compare with it.", metavar="B…")],
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
    resamples: Resamples = 1000,
    bound: Bound = 1.0,
    labels: Labels = True,
    out: ChangesOut = None,
) -> None:
    """Compare models on the same tracks: paired differences with intervals, per task, family and label.

    With three models or more also the places that each may have: models that cannot be told apart share them.
    """
    from ...tasks.splits.names import is_sample
    from ..comparing.compare import compare
    from ..comparing.ties import standings
    from ..views.changes import print_comparison, print_standings

    sides = [_read([place], edition, split, protocol) for place in (first, *others)]
    score_all(list(chain.from_iterable(sides)), resamples)
    for other in sides[1:]:
        comparison = compare(sides[0], other, resamples=resamples, bound=bound / 100, labels=labels)
        print_comparison(comparison, console(), labels=labels)
        _write_changes(comparison, out)
    if len(sides) > 2 and not any(is_sample(e.record.task.split) for side in sides for e in side):
        print_standings(standings(sides, resamples), console())


def _write_changes(comparison: Comparison, out: Path | None) -> None:
    """Write every change as CSV, if a folder was named."""
    if out is None:
        return
    from ...files import safe_name, write_atomically
    from ..views.changes import change_rows
    from ..views.tables import csv_text

    name = f"changes-{comparison.before}-{comparison.after}-{comparison.edition}-{comparison.split}"
    path = out / f"{safe_name(name)}.csv"
    write_atomically(path, csv_text(change_rows(comparison)).encode())
    typer.echo(f"Written: {path}")


def score_all(found: Sequence[Evidence], resamples: int) -> None:
    """Score all resamples beforehand, on every processor."""
    import os

    from ..comparing.paired import replicate_all

    with console(stderr=True).status(f"Scoring {len(found)} records on {resamples} resamples …"):
        replicate_all(found, resamples, os.cpu_count() or 1)


def _read(places: list[Path], edition: str | None, split: str | None, protocol: str | None) -> list[Evidence]:
    """Read records with their predictions, those that were asked for."""
    from ..records.evidence import choose_records, read_evidence

    return [read_evidence(path) for path in choose_records(places, edition, split, protocol)]


class RankedMetric(StrEnum):
    """Metrics of a ranking."""

    roc_auc = "roc_auc"
    average_precision = "average_precision"


@report_app.command(
    "layers",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench report layers results`\n\n"
    "`cmbench report layers results/MERT-v1-95M --metric average_precision --out views`",
)
def layers(
    places: Places,
    metric: Annotated[RankedMetric, typer.Option(help="Validation score to show.")] = RankedMetric.roc_auc,
    out: Out = None,
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
) -> None:
    """Show the score of every hidden state by family: where raga lives, where the instrument."""
    from ..views.layers import layer_files, print_layers
    from ..views.layers.layers import layer_views

    for view in layer_views(_records(places, edition, split, protocol), metric.value):
        print_layers(view, console())
        _write(layer_files(view), out)


@report_app.command(
    "labels",
    no_args_is_help=True,
    epilog="**Examples**\n\n`cmbench report labels results/mfcc results/chroma`\n\n"
    "`cmbench report labels results --out views`",
)
def labels(
    places: Places, out: Out = None, edition: Edition = None, split: Split = None, protocol: ProtocolName = None
) -> None:
    """Show every label's support and scores, and which labels of a family are taken for which."""
    from ..views.labels import label_files, print_labels
    from ..views.labels.labels import label_views

    for view in label_views(_evidence(places, edition, split, protocol)):
        print_labels(view, console())
        _write(label_files(view), out)


@report_app.command(
    "families", no_args_is_help=True, epilog="**Example**\n\n`cmbench report families results --out views`"
)
def families(
    places: Places, out: Out = None, edition: Edition = None, split: Split = None, protocol: ProtocolName = None
) -> None:
    """Show scores by family of labels, models side by side."""
    from ..views.families import family_files, family_views, print_families

    for view in family_views(_records(places, edition, split, protocol)):
        print_families(view, console())
        _write(family_files(view), out)


@report_app.command(
    "calibration", no_args_is_help=True, epilog="**Example**\n\n`cmbench report calibration results --out views`"
)
def calibration(
    places: Places,
    out: Out = None,
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the cluster bootstrap.")] = 1000,
) -> None:
    """Show whether probabilities mean what they say: reliability, calibration error, Brier score and skill."""
    from ..views.calibration import calibration_files, print_calibration
    from ..views.calibration.calibration import calibration_views

    for view in calibration_views(_evidence(places, edition, split, protocol), resamples):
        print_calibration(view, console())
        _write(calibration_files(view), out)


@report_app.command("cost", no_args_is_help=True, epilog="**Example**\n\n`cmbench report cost results --out views`")
def cost(
    places: Places, out: Out = None, edition: Edition = None, split: Split = None, protocol: ProtocolName = None
) -> None:
    """Show score against seconds of encoding and memory, device by device."""
    from ..views.cost import cost_files, print_cost
    from ..views.cost.cost import cost_views

    for view in cost_views(_records(places, edition, split, protocol)):
        print_cost(view, console())
        _write(cost_files(view), out)


report_app.command("similarity", no_args_is_help=True, epilog=SIMILARITY_EXAMPLES)(similarity)


def _records(places: list[Path], edition: str | None, split: str | None, protocol: str | None) -> list[Record]:
    from ..records.evidence import choose_records

    return list(choose_records(places, edition, split, protocol).values())


def _evidence(places: list[Path], edition: str | None, split: str | None, protocol: str | None) -> list[Evidence]:
    from ..records.evidence import choose_records, read_evidence

    return [read_evidence(path) for path in choose_records(places, edition, split, protocol)]


def _write(files: ViewFiles, out: Path | None) -> None:
    from ..views.base import write_view

    if out is not None and out.is_file():
        raise UsageError(f"{out} is a file; name a folder with --out.")
    for path in write_view(files, out) if out is not None else ():
        typer.echo(f"Written: {path}")
