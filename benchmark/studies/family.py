"""The nano family, trained anew and compared with what ships."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ...baselines.nano import NANO_BASE
from ...pretraining.family import TOLERANCE, Deviation, Making, deviations, make_family
from ...tasks.base import MINI_LABEL
from ..commands.options import Device, Workers
from ..observer import Observer
from ..views.tables import ViewTable
from .base import Study, load_context, screen_of


@dataclass(frozen=True, kw_only=True)
class Request:
    """Where the family is made; its fields are the options of the command."""

    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; gets one for each model.")] = Path("nano")
    device: Device = "auto"
    workers: Workers = None


def _compute(request: Request, observer: Observer) -> list[Deviation]:
    screen = screen_of(observer)
    making = Making(
        request.out, request.out / NANO_BASE, load_context(observer, workers=request.workers), request.device
    )
    make_family(making, screen, partial(screen.print, markup=False, highlight=False, soft_wrap=True))
    return list(deviations(request.out))


def _words(one: Deviation) -> str:
    if one.same:
        return "the same weights as those that ship"
    if not one.comparable:
        return "made by another recipe or from other music than those that ship"
    if one.largest is None:
        return "merged from models that differ from those that ship"
    return f"held-out losses within {one.largest:.2%} of those that ship (allowed: {TOLERANCE:.0%})"


def _tables(found: list[Deviation]) -> list[ViewTable]:
    rows = tuple((one.name, _words(one)) for one in found)
    return [ViewTable("Models that were made anew", "nano family", MINI_LABEL, ("model", "what it is"), rows, keys=2)]


STUDY = Study(
    name="family",
    help="""Train MERT-nano and the models that continue from it, and compare them with those that ship.

    Ctrl-C is safe: the same command goes on. Exit code 1 if a model is not what its recipe gave before.
    """,
    request=Request,
    compute=_compute,
    cost=lambda request: "Trains six models, one after the other, and merges one: up to an hour on two cores.",
    tables=_tables,
    failed=lambda found: not all(one.within for one in found),
    stem=lambda found: "family",
    goes_on=True,
    examples=("cmbench reproduce family --out nano", "cmbench study family --out nano"),
)
