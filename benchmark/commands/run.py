"""``cmbench run`` and ``cmbench schema``: parse, call, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import UsageError
from ...terminal import console
from . import completing

if TYPE_CHECKING:
    from ..records.record import Record

RUN_EXAMPLES = (
    "**Examples**\n\n"
    "`cmbench run --model CultureMERT-95M --tasks all --plan`\n\n"
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
            autocompletion=completing.models,
        ),
    ],
    tasks: Annotated[
        list[str],
        typer.Option(
            "--tasks",
            "-t",
            help="`all` (the paper's six), `ready` (those of the six whose data is here), `installed` (also others' "
            "tasks), names, a tradition, or paths to a task.yaml; several with commas.",
            autocompletion=completing.tasks,
        ),
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
    limit: Annotated[
        int | None,
        typer.Option(help="Only about this many tracks of each task, whole groups: a first look, never ranked.", min=3),
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
    if plan and limit is not None:
        raise UsageError("--plan counts the whole of each task; leave out --limit, whose run is a first look.")
    request: dict[str, Any] = {
        "edition": edition,
        "split": split,
        "protocol": protocol,
        "data_root": data_root,
        "out": out,
        "device": device,
        "precision": precision,
        "seeds": seeds,
        "mini_scale": mini_scale,
        "mini_seed": mini_seed,
    }
    if plan:
        from ..plan import plan_run
        from .planning import plan_json, print_run_plan

        planned = plan_run(_parts(model), _parts(tasks), **request)
        if as_json:
            typer.echo(plan_json(planned))
        else:
            print_run_plan(planned, console())
        return
    from ..run import run as run_benchmark
    from .progress import TerminalObserver

    further: dict[str, Any] = {"offline": offline, "force": force, "workers": workers, "limit": limit}
    with TerminalObserver(console(stderr=True)) as observer:
        records = run_benchmark(_parts(model), _parts(tasks), **request, **further, observer=observer)
    _show(records, out, title, details)


def _show(records: Sequence[Record], out: Path, title: str, details: bool) -> None:
    """Print what a run says, and write the page of everything that its folder holds, earlier models included."""
    from ...paths import cache_root
    from ..pages.page import conclusions_of, page_key
    from ..records.sections import audited, sections
    from ..views.headline import print_conclusion
    from ..views.scores.table import print_short

    page, shown = out / "report.html", audited(sections(records), cache_root())
    key = page_key(out, title, *(text for section in shown for text in section.audits.values()))
    said, problems = conclusions_of(page, key), []
    if said is None:
        # Before anything is printed: whoever reads may leave early (`| head`).
        problems = _draw(out, page, title, key)
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


def _draw(out: Path, page: Path, title: str, key: str) -> list[str]:
    """Draw the page of all records below a folder, and say what is wrong with some: their page is drawn every time."""
    from ...paths import cache_root
    from ..pages.page import write_page
    from ..records.evidence import read_what_is_there
    from ..records.folder import iter_records
    from ..records.sections import audited, sections

    found, problems = read_what_is_there(out)
    shown = audited(sections(iter_records(out)), cache_root())
    write_page(shown, page, found, title=title, key="" if problems else key)
    return problems


def _parts(values: list[str]) -> list[str]:
    from ...written import split_list

    return [part for value in values for part in split_list(value)]


def schema() -> None:
    """Print the JSON Schema of a record."""
    import json

    from ..records.record import json_schema

    typer.echo(json.dumps(json_schema(), indent=1, sort_keys=True))
