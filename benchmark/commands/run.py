"""``cmbench run`` and ``cmbench schema``: parse, call, print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import UsageError
from ...terminal import console
from ..request import RunRequest, as_yaml, keep, read_request
from . import completing, options
from .options import option
from .plain import examples

if TYPE_CHECKING:
    from ..records.record import Record
    from ..records.sections import Section

RUN_EXAMPLES = examples(
    "cmbench run --model CultureMERT-95M --tasks all --plan",
    "cmbench run --model mfcc,chroma --tasks all --edition mini",
    "cmbench run --model CultureMERT-95M --tasks turkish,lyra --data-root ~/corpora",
    "cmbench run --model ./my-mert --tasks my-corpus/task.yaml --out results",
    "cmbench run run.yaml model=mfcc tasks=lyra",
)

_TASKS = (
    "`all` (the paper's six), `ready` (those of the six whose data is here), `installed` (also others' tasks), names, "
    "a tradition, or paths to a task.yaml; several with commas."
)
_SPLITS = "`group-safe` (no album or artist is in two), or another split by name."

OPTIONS: Mapping[str, Any] = {
    "model": options.Models,
    "tasks": Annotated[list[str], option("--tasks", "-t", help=_TASKS, autocompletion=completing.tasks)],
    "edition": options.RunEdition,
    "split": Annotated[str | None, option(help=_SPLITS)],
    "protocol": options.RunProtocol,
    "data_root": options.DataRoot,
    "out": Annotated[Path, typer.Option("--out", "-o", help="Folder of the records and the page.")],
    "device": options.Device,
    "precision": options.Precision,
    "seeds": options.Seeds,
    "offline": options.Offline,
    "force": Annotated[bool, typer.Option("--force", help="Compute finished cells again (stored features are used).")],
    "workers": options.Workers,
    "mini_scale": options.MiniScale,
    "mini_seed": options.MiniSeed,
    "limit": Annotated[
        int | None,
        typer.Option(help="Only about this many tracks of each task, whole groups: a first look, never ranked.", min=3),
    ],
    "executor": Annotated[str, typer.Option(help="`local`, or `ray` for a cluster (docs/scale.md).")],
    "ray_address": Annotated[
        str | None, option(help="Of the Ray cluster; `auto` for the one of this machine; one of its own if not given.")
    ],
    "cpus_per_worker": Annotated[int | None, option(min=1, help="Of a cluster; 4 if not given.")],
    "gpus_per_worker": Annotated[
        float | None, option(min=0.0, help="Of a cluster, fractions too; 1 if not given and there are any.")
    ],
    "batch_seconds": Annotated[
        float | None, option(min=1.0, help="Audio that an encoder takes at once, seconds; by its device if not given.")
    ],
}
"""How the fields of :class:`.request.RunRequest` are said as options; their defaults are the request's."""


def _with_request(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a run behind its words."""
    first, words, *others, _ = signature(command, eval_str=True).parameters.values()
    asked = RunRequest()
    own = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=getattr(asked, name), annotation=annotation)
        for name, annotation in OPTIONS.items()
    ]
    command.__signature__ = Signature([first, words, *own, *others])  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


@_with_request
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
    *,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Only say what would be done: cells, bytes to fetch, hours, the order. Writes nothing."
        ),
    ] = False,
    title: Annotated[str, option(help="Heading of the page.")] = "",
    details: Annotated[
        bool, typer.Option("--details", help="Print every score with its interval, what was left out, and equity.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan: as JSON.")] = False,
    **_: Any,
) -> None:
    """Evaluate models on tasks: records, a table and a page.

    Finished cells are not computed again. Ctrl-C is safe: the same command goes on where it was.
    """
    if as_json and not plan:
        raise UsageError("--json goes with --plan; a run writes its records as JSON in any case.")
    sources = {key: context.get_parameter_source(key) for key in OPTIONS}
    typed = {key: context.params[key] for key, source in sources.items() if source and source.name != "DEFAULT"}
    asked = read_request(words or (), typed)
    if plan and asked.limit is not None:
        raise UsageError("--plan counts the whole of each task; leave out --limit, whose run is a first look.")
    if words:
        console(stderr=True).print(as_yaml(asked), markup=False, highlight=False, soft_wrap=True)
    if plan:
        from ..plan import plan_run
        from .planning import plan_json, print_run_plan

        planned = plan_run(asked)
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

    from ..records.record import Record

    typer.echo(json.dumps(Record.model_json_schema(), indent=1, sort_keys=True))
