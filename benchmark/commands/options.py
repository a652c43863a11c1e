"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..request import parts
from . import completing


def _parts(values: list[str] | None) -> list[str]:
    return parts(values or ())


def option(*names: str, help: str, **more: Any) -> Any:
    """Return an option whose default means that nothing was said, and is not shown."""
    return typer.Option(*names, help=help, show_default=False, **more)


Edition = Annotated[str | None, option(help="Only records of this edition.")]
Split = Annotated[str | None, option(help="Only records on this split.")]
ProtocolName = Annotated[str | None, option(help="Only records under this protocol.")]
Places = Annotated[list[Path], typer.Argument(help="Records, or folders of records.", metavar="RECORDS…")]
DataRoot = Annotated[Path | None, option(help="Folder of the real data sets; or set CMBENCH_DATA.")]
Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")]
Precision = Annotated[str, typer.Option(help="`float32`, or `bfloat16` on an accelerator that has it.")]
Offline = Annotated[bool, typer.Option("--offline", help="Never touch the network.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Decoding threads and rendering processes; the processors if not given.")
]
MiniScale = Annotated[float, typer.Option(min=0.01, help="Factor on the tracks of the mini edition.")]
MiniSeed = Annotated[int, typer.Option(help="Seed of the mini edition.")]

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
        show_default=False,
        callback=_parts,
        autocompletion=completing.models,
    ),
]
Tasks = Annotated[
    list[str],
    typer.Option(
        "--tasks",
        "-t",
        help="As in `cmbench run`; several with commas.",
        callback=_parts,
        autocompletion=completing.tasks,
    ),
]
RunEdition = Annotated[str | None, option(help="`full` (real data, the default) or `mini` (rendered here).")]
RunProtocol = Annotated[
    str, typer.Option(help="`cmbench-2`, `cmbench-1`, or a `marble` one to compare with published figures.")
]
Seeds = Annotated[
    int | None, option(help="Seeds of the chosen probe, if not the protocol's; the result is then named so.")
]
