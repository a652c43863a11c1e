"""Options that many commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

Edition = Annotated[str | None, typer.Option(help="Only records of this edition.", show_default=False)]

Split = Annotated[str | None, typer.Option(help="Only records on this split.", show_default=False)]

ProtocolName = Annotated[str | None, typer.Option(help="Only records under this protocol.", show_default=False)]

Resamples = Annotated[int, typer.Option(min=100, help="Resamples of the paired bootstrap.")]


def _finite(points: float) -> float:
    if not math.isfinite(points):
        raise typer.BadParameter(f"{points} is not a number of points; give one like 1.0.")
    return points


Bound = Annotated[
    float, typer.Option(min=0.0, callback=_finite, help="Changes smaller than this many points count as none.")
]

Labels = Annotated[bool, typer.Option("--labels/--no-labels", help="Also every label.")]

ChangesOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for every change as CSV.", show_default=False)
]

Places = Annotated[list[Path], typer.Argument(help="Records, or folders of records.", metavar="RECORDS…")]

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for figures (SVG, PNG) and tables (CSV, LaTeX, Markdown)."),
]
