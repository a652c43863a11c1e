"""What a view gives: files to write, and a block of the page with its drawings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...files import safe_name, write_atomically
from .figures import figure_bytes, style
from .tables import ViewTable, csv_text, latex_tables, markdown_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .tables import Rows

DRAWN_MODELS = 4
"""Models up to which views that need a figure or a table for each model are drawn: more make a page of megabytes."""


@dataclass(frozen=True)
class Drawing:
    """A figure of the page, drawn when it is needed.

    Attributes:
        title: alternative text.
        draw: makes the figure.
    """

    title: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Part:
    """What is shown of one task, folded away until it is opened.

    Attributes:
        title: name of the task, or what the table is.
        drawings: its figures.
        tables: its tables.
    """

    title: str
    drawings: tuple[Drawing, ...]
    tables: tuple[ViewTable, ...]


@dataclass(frozen=True)
class Block:
    """A part of a section of the page.

    Attributes:
        id: part of its anchor.
        title: its heading.
        text: what it shows, in a sentence or two.
        drawings: figures that are always in sight.
        parts: the rest, most often one for each task.
    """

    id: str
    title: str
    text: str
    drawings: tuple[Drawing, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class ViewFiles:
    """What one view writes for one section.

    Attributes:
        name: start of the file names.
        tables: in one LaTeX and one Markdown file.
        csv: end of a file name -> tidy rows, as fractions; an empty field is a number that does not exist.
        figures: end of a file name -> what draws the figure; each is written as SVG and PNG.
    """

    name: str
    tables: Sequence[ViewTable]
    csv: Mapping[str, Rows]
    figures: Mapping[str, Callable[[], Figure]]


def write_view(files: ViewFiles, folder: Path) -> list[Path]:
    """Write a view's tables (LaTeX, Markdown), rows (CSV) and figures (SVG, PNG) and return the paths."""
    contents: dict[str, bytes] = {}
    if files.tables:
        contents[f"{files.name}.tex"] = latex_tables(files.tables).encode()
        contents[f"{files.name}.md"] = markdown_tables(files.tables).encode()
    for end, rows in files.csv.items():
        contents["-".join(filter(None, (files.name, end))) + ".csv"] = csv_text(rows).encode()
    with style("path"):
        for end, draw in files.figures.items():
            figure = draw()
            for ending in ("svg", "png"):
                contents[f"{'-'.join(filter(None, (files.name, end)))}.{ending}"] = figure_bytes(figure, ending)
    paths = []
    for name, content in contents.items():
        stem, _, ending = name.rpartition(".")
        paths.append(folder / f"{safe_name(stem)}.{ending}")
        write_atomically(paths[-1], content)
    return paths
