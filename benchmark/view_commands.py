"""``cmbench report layers``, ``labels``, ``families``, ``calibration``, ``cost``; ``cmbench export results``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..terminal import console
from .report_commands import Edition, ProtocolName, Split, report_app
from .similarity_commands import EPILOG as SIMILARITY_EXAMPLES
from .similarity_commands import similarity

if TYPE_CHECKING:
    from .evidence import Evidence
    from .record import Record
    from .view_tables import ViewFiles

Places = Annotated[list[Path], typer.Argument(help="Records, or folders of records.", metavar="RECORDS…")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for figures (SVG, PNG) and tables (CSV, LaTeX, Markdown)."),
]


class Relationship(StrEnum):
    """How who evaluated is related to who made the model."""

    first_party = "first_party"
    third_party = "third_party"
    collaborative = "collaborative"
    other = "other"


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
    from .layers import layer_files, layer_views, print_layers

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
    from .labels import label_files, label_views, print_labels

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
    from .families import family_files, family_views, print_families

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
    from .calibration import calibration_files, calibration_views, print_calibration

    for view in calibration_views(_evidence(places, edition, split, protocol), resamples):
        print_calibration(view, console())
        _write(calibration_files(view), out)


@report_app.command("cost", no_args_is_help=True, epilog="**Example**\n\n`cmbench report cost results --out views`")
def cost(
    places: Places, out: Out = None, edition: Edition = None, split: Split = None, protocol: ProtocolName = None
) -> None:
    """Show score against seconds of encoding and memory, device by device."""
    from .cost import cost_files, cost_views, print_cost

    for view in cost_views(_records(places, edition, split, protocol)):
        print_cost(view, console())
        _write(cost_files(view), out)


report_app.command("similarity", no_args_is_help=True, epilog=SIMILARITY_EXAMPLES)(similarity)


def _records(places: list[Path], edition: str | None, split: str | None, protocol: str | None) -> list[Record]:
    from .evidence import choose_records

    return list(choose_records(places, edition, split, protocol).values())


def _evidence(places: list[Path], edition: str | None, split: str | None, protocol: str | None) -> list[Evidence]:
    from .evidence import choose_records, read_evidence

    return [read_evidence(path) for path in choose_records(places, edition, split, protocol)]


def _write(files: ViewFiles, out: Path | None) -> None:
    from .view_tables import write_view

    if out is not None and out.is_file():
        raise UsageError(f"{out} is a file; name a folder with --out.")
    for path in write_view(files, out) if out is not None else ():
        typer.echo(f"Written: {path}")


class Format(StrEnum):
    """Formats of ``cmbench export results``."""

    latex = "latex"
    csv = "csv"
    markdown = "markdown"
    eee = "eee"
    eval_results = "eval-results"


def export_results(
    places: Places,
    form: Annotated[
        Format,
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
    relationship: Annotated[Relationship, typer.Option(help="`eee`: of who evaluated to the models.")] = (
        Relationship.other
    ),
    edition: Edition = None,
    split: Split = None,
    protocol: ProtocolName = None,
) -> None:
    """Write results as LaTeX, CSV, Markdown, Every Eval Ever or `.eval_results`.

    Mini results say so wherever they go.
    """
    from .export_results import result_files, write_results

    records = _records(places, edition, split, protocol)
    files = result_files(
        records, form.value, dataset=dataset, organisation=organisation, relationship=relationship.value
    )
    if out is None and len(files) == 1:
        typer.echo(next(iter(files.values())).decode(), nl=False)
        return
    if out is None:
        raise UsageError(f"--format {form.value} writes {len(files)} files; name a folder with --out.")
    for path in write_results(files, out, folder=form in (Format.eee, Format.eval_results)):
        typer.echo(f"Written: {path}")
