"""``cmbench report similarity``: parse, call, print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ...errors import UsageError, quoted
from ...terminal import console

EPILOG = (
    "**Examples**\n\n"
    "`cmbench report similarity --model mfcc --edition mini --out similarity`\n\n"
    "`cmbench report similarity --tokens hf:facebook/encodec_24khz --tracks 100`\n\n"
    "`cmbench report similarity results --model MERT-v1-95M --tokens stand-in --base MERT-v1-95M`"
)


def similarity(
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Records: what validation chose, and the transfer to relate distances to.",
            metavar="[RECORDS…]",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="Distances of this model's stored features; several with commas."),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="Distances of tokens: `encodec-24khz`, a folder, hf:owner/name, or `stand-in`."),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--tasks", "-t", help="As in `cmbench run`; the paper's six if not given."),
    ] = None,
    edition: Annotated[
        str | None, typer.Option(help="`full` or `mini`; that of the records if not given.", show_default=False)
    ] = None,
    protocol: Annotated[str, typer.Option(help="Whose windows and records.")] = "cmbench-1",
    hidden_state: Annotated[
        list[str] | None,
        typer.Option(help="[MODEL=]STATE, or `last`; by validation if the records tell, else the last."),
    ] = None,
    base: Annotated[str | None, typer.Option(help="Model of the records that changes are against; the first.")] = None,
    in_culture: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=TRADITION: what it was adapted to; read from its card if not given."),
    ] = None,
    tracks: Annotated[int, typer.Option(min=5, max=1000, help="Training tracks of each task at most.")] = 200,
    seconds: Annotated[float, typer.Option(min=1.0, help="Audio of each track, for tokens.")] = 30.0,
    codebook_size: Annotated[int, typer.Option(min=2, help="Tokens of each codebook of the stand-in.")] = 256,
    resamples: Annotated[int, typer.Option(min=100, help="Of the bootstrap; permutations of the test.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of the stand-in.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for SVG, PNG, CSV and JSON.")] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of the real data sets; or set CMBENCH_DATA.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="Of EnCodec: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")] = "auto",
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    mini_scale: Annotated[float, typer.Option(help="Factor on the number of tracks of the mini edition.")] = 1.0,
    mini_seed: Annotated[int, typer.Option(help="Seed of the mini edition.")] = 0,
) -> None:
    """Measure how far apart the tasks' traditions are, on features or tokens, and relate that to transfer."""
    from ...baselines.base import LoadOptions
    from ...paths import cache_root
    from ...paths import data_root as configured_data_root
    from ...tasks.base import LoadContext
    from ..records.evidence import iter_evidence
    from ..similarity.distance_maps import write_similarity
    from ..similarity.distance_tables import print_similarity
    from ..similarity.report import Request, measure_similarity
    from .progress import TerminalObserver

    request = Request(
        models=_parts(model),
        tokens=tokens,
        tasks=_parts(tasks) or ("all",),
        edition=edition,
        protocol=protocol,
        states=_pairs("--hidden-state", hidden_state),
        tracks=tracks,
        seconds=seconds,
        codebook_size=codebook_size,
        resamples=resamples,
        seed=seed,
        base=base,
        in_culture={m: _parts([v]) for m, v in _pairs("--in-culture", in_culture).items()},
    )
    found = list(iter_evidence(*places or (), edition=edition, protocol=protocol))
    if places and not found:
        which = f"edition {edition} and protocol {protocol}" if edition else f"protocol {protocol}"
        raise UsageError(f"There is no record of {which} in {', '.join(map(str, places))}; `cmbench run` writes them.")
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out: {out} is a file, where a folder is needed.")
    with TerminalObserver(console(stderr=True)) as observer:
        context = LoadContext(
            data_root=configured_data_root(data_root),
            cache_root=cache_root(),
            workers=os.cpu_count() or 1,
            progress=observer.preparing,
            mini_scale=mini_scale,
            mini_seed=mini_seed,
        )
        options = LoadOptions(device=device, offline=offline)
        report = measure_similarity(request, found, context, options, observer.preparing)
    print_similarity(report, console())
    for path in write_similarity(report, out) if out is not None else ():
        typer.echo(f"Written: {path}")


def _parts(values: list[str] | None) -> tuple[str, ...]:
    from ...written import split_list

    return tuple(part for value in values or () for part in split_list(value))


def _pairs(option: str, values: list[str] | None) -> dict[str, str]:
    """Read MODEL=VALUE; VALUE alone, where the option allows it, is for every other model."""
    found = {}
    for text in values or ():
        model, _, value = text.rpartition("=")
        if not value or (not model and option == "--in-culture"):
            raise UsageError(f"{option} {quoted(text)} should read MODEL=VALUE.")
        found[model.strip()] = value.strip()
    return found
