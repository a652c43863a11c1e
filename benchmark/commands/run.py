"""``cmbench run`` and ``cmbench schema``: parse, call, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError
from ...terminal import console
from ..protocol import DEFAULT_PROTOCOL
from ..request import PLANNED, RunRequest, as_yaml, keep, read_request
from . import completing
from .options import DataRoot, Device, MiniScale, MiniSeed, Offline, RunEdition, RunProtocol, Seeds, Workers, option

if TYPE_CHECKING:
    from ..records.record import Record
    from ..records.sections import Section

RUN_EXAMPLES = (
    "**Examples**\n\n"
    "`cmbench run --model CultureMERT-95M --tasks all --plan`\n\n"
    "`cmbench run --model mfcc,chroma --tasks all --edition mini`\n\n"
    "`cmbench run --model CultureMERT-95M --tasks turkish,lyra --data-root ~/corpora`\n\n"
    "`cmbench run --model ./my-mert --tasks my-corpus/task.yaml --out results`\n\n"
    "`cmbench run run.yaml model=mfcc tasks=lyra`"
)


def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="A file of options in YAML, and changes key=value; options come last. Keys: the options that say what "
            "is computed.",
            metavar="FILE.yaml|key=value",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Name of a model, a folder in Hugging Face format, or hf:owner/name@revision; several with commas.",
            autocompletion=completing.models,
            show_default=False,
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--tasks",
            "-t",
            help="`all` (the paper's six), `ready` (those of the six whose data is here), `installed` (also others' "
            "tasks), names, a tradition, or paths to a task.yaml; several with commas.",
            autocompletion=completing.tasks,
            show_default=False,
        ),
    ] = None,
    edition: RunEdition = None,
    split: Annotated[
        str | None,
        typer.Option(help="`group-safe` (no album or artist is in two), or another split by name.", show_default=False),
    ] = None,
    protocol: RunProtocol = DEFAULT_PROTOCOL,
    data_root: DataRoot = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the records and the page.")] = Path("results"),
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="`float32`, or `bfloat16` on an accelerator that has it.")] = "float32",
    seeds: Seeds = None,
    offline: Offline = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compute finished cells again (stored features are used).")
    ] = False,
    workers: Workers = None,
    mini_scale: MiniScale = 1.0,
    mini_seed: MiniSeed = 0,
    limit: Annotated[
        int | None,
        typer.Option(help="Only about this many tracks of each task, whole groups: a first look, never ranked.", min=3),
    ] = None,
    executor: Annotated[str, typer.Option(help="`local`, or `ray` for a cluster (docs/scale.md).")] = "local",
    ray_address: Annotated[
        str | None, option(help="Of the Ray cluster; `auto` for the one of this machine; one of its own if not given.")
    ] = None,
    cpus_per_worker: Annotated[int | None, option(min=1, help="Of a cluster; 4 if not given.")] = None,
    gpus_per_worker: Annotated[
        float | None, option(min=0.0, help="Of a cluster, fractions too; 1 if not given and there are any.")
    ] = None,
    batch_seconds: Annotated[
        float | None, option(min=1.0, help="Audio that an encoder takes at once, seconds; by its device if not given.")
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Only say what would be done: cells, bytes to fetch, hours, the order. Writes nothing."
        ),
    ] = False,
    title: Annotated[str, typer.Option(help="Heading of the page.", show_default=False)] = "",
    details: Annotated[
        bool, typer.Option("--details", help="Print every score with its interval, what was left out, and equity.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan: as JSON.")] = False,
) -> None:
    """Evaluate models on tasks: records, a table and a page.

    Finished cells are not computed again. Ctrl-C is safe: the same command goes on where it was.
    """
    if as_json and not plan:
        raise UsageError("--json goes with --plan; a run writes its records as JSON in any case.")
    typed = {key: value for key, value in context.params.items() if _is_typed(context, key)}
    asked = read_request(words or (), typed)
    if plan and asked.limit is not None:
        raise UsageError("--plan counts the whole of each task; leave out --limit, whose run is a first look.")
    if words:
        console(stderr=True).print(as_yaml(asked), markup=False, highlight=False, soft_wrap=True)
    if plan:
        from ..plan import plan_run
        from .planning import plan_json, print_run_plan

        planned = plan_run(**{key: asked.values[key] for key in PLANNED})
        if as_json:
            typer.echo(plan_json(planned))
        else:
            print_run_plan(planned, console())
        return
    from ..run import run as run_benchmark
    from .progress import TerminalObserver

    with TerminalObserver(console(stderr=True)) as observer:
        records = run_benchmark(**asked.values, observer=observer)
    if words:
        keep(asked)
    _show(records, Path(asked.out), title, details)


def _is_typed(context: typer.Context, key: str) -> bool:
    source = context.get_parameter_source(key)
    return key in RunRequest.__dataclass_fields__ and source is not None and source.name != "DEFAULT"


def _show(records: Sequence[Record], out: Path, title: str, details: bool) -> None:
    """Print what a run says, and write the page of everything that its folder holds, earlier models included."""
    from ...paths import cache_root
    from ..pages.page import conclusions_of, page_key
    from ..records.folder import iter_records
    from ..records.sections import audited, sections
    from ..views.headline import print_conclusion
    from ..views.scores.table import print_short

    page, shown = out / "report.html", audited(sections(records), cache_root())
    everything = audited(sections(iter_records(out)), cache_root())
    key = page_key(out, title, *(text for section in everything for text in section.audits.values()))
    said, problems = conclusions_of(page, key), []
    if said is None:
        # Before anything is printed: whoever reads may leave early (`| head`).
        problems = _draw(everything, out, page, title, key)
        said = conclusions_of(page, "" if problems else key) or ()
    titles = {section.title for section in shown}
    for one in said:
        if one.title in titles:
            print_conclusion(one, console())
    if details:
        from ..records.evidence import read_what_is_there
        from .report import print_details

        cells = {record.cell_sha256 for record in records}
        print_details(shown, [e for e in read_what_is_there(out)[0] if e.record.cell_sha256 in cells])
    else:
        print_short(shown, console())
    for problem in problems:
        typer.echo(f"Not compared: {problem}", err=True)
    typer.echo(f"Records: {out}\nPage:    {page}")


def _draw(shown: Sequence[Section], out: Path, page: Path, title: str, key: str) -> list[str]:
    """Draw the page of all records below a folder, and say what is wrong with some: their page is drawn every time."""
    from ..pages.page import write_page
    from ..records.evidence import read_what_is_there

    found, problems = read_what_is_there(out)
    write_page(shown, page, found, title=title, key="" if problems else key)
    return problems


def schema() -> None:
    """Print the JSON Schema of a record."""
    import json

    from ..records.record import json_schema

    typer.echo(json.dumps(json_schema(), indent=1, sort_keys=True))
