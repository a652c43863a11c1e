"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Edition = Annotated[str | None, typer.Option(help="Only records of this edition.", show_default=False)]

Split = Annotated[str | None, typer.Option(help="Only records on this split.", show_default=False)]

ProtocolName = Annotated[str | None, typer.Option(help="Only records under this protocol.", show_default=False)]

Places = Annotated[list[Path], typer.Argument(help="Records, or folders of records.", metavar="RECORDS…")]

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for figures (SVG, PNG) and tables (CSV, LaTeX, Markdown)."),
]
