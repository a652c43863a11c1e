"""``cmbench merge``: a merge, or with ``--sweep`` the study of its scales. Parse, call, print."""

from __future__ import annotations

import inspect
from copy import copy
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ...errors import UsageError, quoted
from ...terminal import console
from .plain import command_of, examples, handed_on

EXAMPLES = examples(
    "cmbench merge --base MERT-v1-95M --add ./greek-95m --add ./turkish-95m --scale 0.2 --out ta-95m",
    "cmbench merge --base B --add M1 --add M2 --method ties --density 0.2 --scale 1 --out ties-95m",
    "cmbench merge --base B --add M1 --add M2 --sweep 0.05:0.5:0.05 --tasks all --edition mini --out sweep",
)

OF_A_MERGE = ("base", "add", "out", "method", "density", "seed", "weight_norm", "dtype", "offline")
"""Options of the study that a merge at one scale has, too."""


def merge_command(context: typer.Context) -> None:
    """Merge models that were adapted from one base: base + scale x sum(model - base), or another method.

    Writes a folder that cmbench and transformers load, with a model card and `merge.json`. With `--sweep`: evaluates a
    range of scales, with a table and a figure; finished scales are not computed again.
    """
    from ..studies.sweep import STUDY

    own = inspect.signature(_merge_or_sweep, eval_str=True).parameters
    merging = [STUDY.options[name] for name in OF_A_MERGE]
    rest = [_with_sweep(one) for name, one in STUDY.options.items() if name not in (*OF_A_MERGE, "scales")]

    def call(**given: Any) -> None:
        _merge_or_sweep({one.name: given.pop(one.name) for one in (*merging, *rest)}, **given)

    parameters = [*merging, *(one for name, one in own.items() if name != "shared"), *rest]
    text = inspect.cleandoc(merge_command.__doc__ or "")
    handed_on(context, command_of("merge", call, parameters, text, EXAMPLES, show_help=True))


def _with_sweep(one: inspect.Parameter) -> inspect.Parameter:
    """Return an option of the study as one of the merge, which needs none of them."""
    kind, option = get_args(one.annotation)
    option = copy(option)
    option.help = f"With --sweep: {option.help[0].lower()}{option.help[1:]}"
    return one.replace(annotation=Annotated[kind, option], default=[] if one.default is one.empty else one.default)


def _merge_or_sweep(
    shared: dict[str, Any],
    scale: Annotated[
        float | None, typer.Option(help="Of every task vector; 0.2 for sum and dare, else 1.", show_default=False)
    ] = None,
    scale_each: Annotated[
        str | None, typer.Option(help="One scale for each --add instead, with commas.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what the folder holds.")] = False,
    sweep: Annotated[
        str | None,
        typer.Option(help="Evaluate scales START:STOP:STEP (or a list) instead of one.", show_default=False),
    ] = None,
) -> None:
    from ..studies.sweep import STUDY
    from .study import carry_out

    if sweep is None:
        usual = {name: one.default for name, one in STUDY.options.items() if name not in OF_A_MERGE}
        if extra := [name for name in shared if name in usual and shared[name] not in (usual[name], [])]:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in extra)
            raise UsageError(f"These options go with --sweep: {named}.")
        _print_merged(shared, scale, _numbers(scale_each), force)
        return
    if scale is not None or scale_each or force:
        raise UsageError("--scale, --scale-each and --force do not go with --sweep.")
    if not shared["tasks"]:
        raise UsageError("--sweep needs --tasks, for example `--tasks all --edition mini`.")
    carry_out(STUDY, STUDY.request(scales=sweep, **shared), shared["out"])


def _print_merged(shared: dict[str, Any], scale: float | None, scale_each: list[float], force: bool) -> None:
    from rich.markup import escape

    from ...baselines.base import LoadOptions
    from ...pretraining.merging.folder import merge_models
    from ...pretraining.merging.merge import merge_settings

    how = merge_settings(
        len(shared["add"]), scale=scale, scale_each=scale_each,
        **{name: shared[name] for name in ("method", "density", "seed", "weight_norm")},
    )  # fmt: skip
    screen, out = console(), Path(shared["out"])
    options = LoadOptions(device="cpu", offline=shared["offline"])
    merged = merge_models(shared["base"], shared["add"], how, out, options, shared["dtype"], force)
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
