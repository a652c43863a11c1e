"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _parts(values: list[str] | None) -> list[str]:
    from ...written import split_list

    return [part for value in values or () for part in split_list(value)]


Edition = Annotated[str | None, typer.Option(help="Only records of this edition.", show_default=False)]

Split = Annotated[str | None, typer.Option(help="Only records on this split.", show_default=False)]

ProtocolName = Annotated[str | None, typer.Option(help="Only records under this protocol.", show_default=False)]

Places = Annotated[list[Path], typer.Argument(help="Records, or folders of records.", metavar="RECORDS…")]

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for figures (SVG, PNG) and tables (CSV, LaTeX, Markdown)."),
]

Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        help="Name of a model, a folder in Hugging Face format, or hf:owner/name@revision; several with commas.",
        callback=_parts,
    ),
]

Tasks = Annotated[
    list[str],
    typer.Option("--tasks", "-t", help="As in `cmbench run`; several with commas.", callback=_parts),
]

RunEdition = Annotated[
    str | None, typer.Option(help="`full` (real data, the default) or `mini` (rendered here).", show_default=False)
]

RunProtocol = Annotated[str, typer.Option(help="`cmbench-1`, or `marble-1` to compare with published figures.")]

DataRoot = Annotated[
    Path | None, typer.Option(help="Folder of the real data sets; or set CMBENCH_DATA.", show_default=False)
]

Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")]

Seeds = Annotated[
    int | None, typer.Option(help="Seeds of the chosen probe, if not the protocol's.", show_default=False)
]

Offline = Annotated[bool, typer.Option("--offline", help="Never touch the network.")]

Workers = Annotated[
    int | None,
    typer.Option(help="Decoding threads and rendering processes; the processors if not given.", show_default=False),
]

MiniScale = Annotated[float, typer.Option(help="Factor on the number of tracks of the mini edition.")]

MiniSeed = Annotated[int, typer.Option(help="Seed of the mini edition.")]
