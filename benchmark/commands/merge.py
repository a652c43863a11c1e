"""``cmbench merge``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import UsageError, quoted
from ...terminal import console

if TYPE_CHECKING:
    from ...baselines.base import LoadOptions
    from ...pretraining.merging.merge import MergeSettings

EPILOG = (
    "**Examples**\n\n"
    "`cmbench merge --base MERT-v1-95M --add ./greek-95m --add ./turkish-95m --scale 0.2 --out ta-95m`\n\n"
    "`cmbench merge --base B --add M1 --add M2 --method ties --density 0.2 --scale 1 --out ties-95m`\n\n"
    "`cmbench merge --base B --add M1 --add M2 --sweep 0.05:0.5:0.05 --tasks all --edition mini --out sweep`"
)


def merge_command(
    base: Annotated[
        str, typer.Option("--base", "-b", help="The model that all were adapted from: name, folder or hf:owner/name.")
    ],
    add: Annotated[list[str], typer.Option("--add", "-a", help="An adapted model; again for each further one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    scale: Annotated[
        float | None, typer.Option(help="Of every task vector; 0.2 for sum and dare, else 1.", show_default=False)
    ] = None,
    scale_each: Annotated[
        str | None, typer.Option(help="One scale for each --add instead, with commas.", show_default=False)
    ] = None,
    method: Annotated[str, typer.Option(help="`sum` (task arithmetic), `mean`, `ties` or `dare`.")] = "sum",
    density: Annotated[
        float | None,
        typer.Option(help="Share of each task vector that ties (0.2) and dare (0.1) keep.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what dare drops.")] = 0,
    weight_norm: Annotated[
        str, typer.Option(help="`raw`: merge its two halves as they are; `folded`: merge their product.")
    ] = "raw",
    dtype: Annotated[str, typer.Option(help="Of the weights that are written: `float32` or `float16`.")] = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace what the folder holds.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    sweep: Annotated[
        str | None,
        typer.Option(help="Evaluate scales START:STOP:STEP (or a list) instead of one.", show_default=False),
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--tasks", "-t", help="With --sweep: as in `cmbench run`.", show_default=False)
    ] = None,
    edition: Annotated[
        str | None, typer.Option(help="With --sweep: `full` (the default) or `mini`.", show_default=False)
    ] = None,
    protocol: Annotated[str, typer.Option(help="With --sweep: `cmbench-1` or `marble-1`.")] = "cmbench-1",
    data_root: Annotated[
        Path | None, typer.Option(help="With --sweep: folder of the real data sets.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="With --sweep: `auto`, `cpu`, `cuda` …")] = "auto",
    seeds: Annotated[
        int | None, typer.Option(help="With --sweep: seeds of the chosen probe.", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="With --sweep: decoding threads and rendering processes.", show_default=False)
    ] = None,
    mini_scale: Annotated[float, typer.Option(help="With --sweep: factor on the tracks of the mini edition.")] = 1.0,
    mini_seed: Annotated[int, typer.Option(help="With --sweep: seed of the mini edition.")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="With --sweep: keep the merged models.")] = False,
) -> None:
    """Merge models that were adapted from one base: base + scale x sum(model - base), or another method.

    Writes a folder that cmbench and transformers load, with a model card and `merge.json`. With `--sweep`: evaluates a
    range of scales, with a table and a figure; finished scales are not computed again.
    """
    from functools import partial

    from ...baselines.base import LoadOptions
    from ...pretraining.merging.merge import merge_settings

    settings = partial(merge_settings, len(add), method=method, density=density, seed=seed, weight_norm=weight_norm)
    if sweep is None:
        if tasks or edition or data_root or seeds or workers or keep:
            raise UsageError("--tasks, --edition, --data-root, --seeds, --workers and --keep go with --sweep.")
        how = settings(scale=scale, scale_each=_numbers(scale_each))
        _print_merged(base, add, how, out, LoadOptions(device="cpu", offline=offline), dtype, force)
        return
    if scale is not None or scale_each or force:
        raise UsageError("--scale, --scale-each and --force do not go with --sweep.")
    if not tasks:
        raise UsageError("--sweep needs --tasks, for example `--tasks all --edition mini`.")
    from ...written import split_list
    from ..studies.sweep.scale_tables import print_sweep, write_sweep
    from ..studies.sweep.sweep import Evaluation, parse_scales, sweep_scales
    from .progress import TerminalObserver

    evaluation = Evaluation(
        tasks=tuple(part for value in tasks for part in split_list(value)),
        edition=edition,
        protocol=protocol,
        data_root=None if data_root is None else str(data_root),
        seeds=seeds,
        mini_scale=mini_scale,
        mini_seed=mini_seed,
        device=device,
        offline=offline,
        workers=workers,
    )
    with TerminalObserver(console(stderr=True)) as observer:
        found = sweep_scales(
            [base, *add], parse_scales(sweep), lambda one: settings(scale=one), evaluation, out, observer, dtype, keep
        )
    print_sweep(found, console())
    for path in write_sweep(found, out):
        typer.echo(f"Written: {path}")


def _print_merged(
    base: str, add: list[str], how: MergeSettings, out: Path, options: LoadOptions, dtype: str, force: bool
) -> None:
    from rich.markup import escape

    from ...pretraining.merging.folder import merge_models

    screen = console()
    merged = merge_models(base, add, how, out, options, dtype, force)
    for warning in merged.warnings:
        screen.print(f"[yellow]{escape(warning)}[/]", highlight=False, soft_wrap=True)
    screen.print(f"{escape(merged.formula)}; weight norm {how.weight_norm}", highlight=False, soft_wrap=True)
    screen.print(f"base   {escape(merged.base.name)}", highlight=False, soft_wrap=True)
    for source in merged.sources:
        text = f"{source.scale:<5g}  {source.model.name}: task vector of {source.length:.3g} of the base's length"
        screen.print(escape(text), highlight=False, soft_wrap=True)
    typer.echo(f"Licence: {merged.licence}\nWritten: {out}")


def _numbers(text: str | None) -> list[float]:
    if text is None:
        return []
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--scale-each {quoted(text)} should be numbers with commas between them.") from error
