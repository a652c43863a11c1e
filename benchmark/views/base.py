"""What a view is: one look at records, as a command, as files and as a block of the page.

How what was found is printed and written it shares with the studies (:mod:`..studies.base`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import typer

from ...files import safe_name, write_atomically
from .figures import figure_bytes, style
from .tables import ViewTable, csv_text, latex_tables, markdown_tables, print_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

    from ..records.evidence import Evidence
    from ..records.record import Record
    from ..records.sections import Section
    from .tables import Rows

T = TypeVar("T")

READ = {"records": "records", "evidence": "records, predictions", "read": "records, predictions"}
"""Parameters of :attr:`View.compute` that are not options, and what is read for them: the records that were named; the
same with their predictions; or a function that reads the latter from files and folders, where options name several."""

Resamples = Annotated[int, typer.Option(min=100, help="Resamples of whole groups (bootstrap).")]


def _finite(points: float) -> float:
    if not math.isfinite(points):
        raise typer.BadParameter(f"{points} is not a number of points; give one like 1.0.")
    return points


Bound = Annotated[
    float, typer.Option(min=0.0, callback=_finite, help="Changes smaller than this many points count as none.")
]

Labels = Annotated[bool, typer.Option("--labels/--no-labels", help="Also every label.")]

DRAWN_MODELS = 4
"""Models up to which views that need a figure or a table for each model are drawn: more make a page of megabytes."""


@dataclass(frozen=True)
class Drawing:
    """A figure of the page, drawn when it is needed."""

    title: str  # alternative text
    draw: Callable[[], Figure]  # makes the figure
    caption: str = ""  # printed below it; the title if not given
    description: str = "The numbers are in the tables below."  # long alternative text


@dataclass(frozen=True)
class Part:
    """What is shown of one task, folded away until it is opened."""

    title: str  # name of the task, or what the table is
    drawings: tuple[Drawing, ...]  # its figures
    tables: tuple[ViewTable, ...]  # its tables


@dataclass(frozen=True)
class Block:
    """A part of a section of the page."""

    id: str  # part of its anchor
    title: str  # its heading
    text: str = ""  # what it shows, in a sentence or two
    drawings: tuple[Drawing, ...] = ()  # figures that are always in sight
    parts: tuple[Part, ...] = ()  # the rest, most often one for each task
    template: str = "block.html"  # of :mod:`..pages.templates`, for what is not text, figures and tables of text
    data: Any = None  # what such a template shows
    open: bool = False  # whether it is in sight; else it is folded away under its title


@dataclass(frozen=True)
class Scope:
    """One section of the page, as the views see it."""

    section: Section  # the scores
    # those of its records whose predictions are there, under the names of its rows and columns
    evidence: tuple[Evidence, ...]
    # those of them that can be compared: on each task they agree on tracks, labels and groups
    alike: tuple[Evidence, ...]
    unlike: tuple[str, ...]  # why the others cannot
    base: str  # model of ``alike`` that the others are compared with; empty without any
    resamples: int  # of the bootstrap

    @property
    def records(self) -> list[Record]:
        """The records, model by model."""
        return [record for row in self.section.rows for _, record in self.section.records_of(row)]

    @property
    def few(self) -> bool:
        """Whether what takes a figure or a table for each model is drawn."""
        return len(self.section.rows) <= DRAWN_MODELS


def nothing(found: Any) -> Any:
    """Write nothing."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Shown(Generic[T]):
    """What is made of something that was found: in the terminal, and as files.

    Attributes:
        name: of its command, and at the start of its files' names.
        help: what it shows; the help of the command.
        tables: of what was found: printed, and written as LaTeX and Markdown.
        sentences: what came out, in words: printed below the tables, and written below those in Markdown.
        rows: end of a file's name -> tidy rows for CSV, as fractions; an empty field is a number that does not exist.
        figures: end of a file's name -> what draws the figure; written as SVG and PNG.
        texts: ending -> text of a file of another form.
        stem: start of the files' names; if not given, the name and that of the section (what was found, or its
            ``section``).
        show: prints what was found; the tables and sentences if not given.
        examples: commands to show in the help.
    """

    name: str
    help: str
    tables: Callable[[T], Sequence[ViewTable]] = nothing
    sentences: Callable[[T], Sequence[str]] = nothing
    rows: Callable[[T], Mapping[str, Rows]] = nothing
    figures: Callable[[T], Mapping[str, Callable[[], Figure]]] = nothing
    texts: Callable[[T], Mapping[str, str]] = nothing
    stem: Callable[[T], str] | None = None
    show: Callable[[T, Console], None] | None = None
    examples: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether there are files to write."""
        return any(one is not nothing for one in (self.tables, self.rows, self.figures, self.texts))

    def print(self, found: T, console: Console) -> None:
        """Print what was found."""
        if self.show is None:
            print_tables(self.tables(found), console)
            for sentence in self.sentences(found):
                console.print(sentence, markup=False, highlight=False)
        else:
            self.show(found, console)


@dataclass(frozen=True, kw_only=True)
class View(Shown[T]):
    """One look at records; its command is ``cmbench report NAME``.

    Attributes:
        compute: returns what is shown, most often one thing for each edition, split and protocol. A parameter named
            as in :data:`READ` is what it reads, optional if it has a default; every other is an option of the
            command, written as typer has it.
        blocks: of the page; the tables with their section's options as they are by default, if not given.
    """

    compute: Callable[..., Iterable[T]]
    blocks: Callable[[Scope], Iterable[Block]] | None = None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What :attr:`compute` takes, by name."""
        return inspect.signature(self.compute, eval_str=True).parameters

    @property
    def reads(self) -> str:
        """What the view reads, in words."""
        return next((words for name, words in READ.items() if name in self.parameters), "no records")

    def of(self, places: Sequence[Path], which: Sequence[str | None], **options: Any) -> tuple[T, ...]:
        """Compute the view of the records in files and folders; ``which`` edition, split and protocol."""
        from ..records.evidence import choose_records, read_evidence

        def read(wanted: Sequence[Path]) -> list[Evidence]:
            return [read_evidence(path) for path in choose_records(wanted, *which)]

        if "records" in self.parameters:
            options["records"] = list(choose_records(places, *which).values())
        if "evidence" in self.parameters:
            options["evidence"] = read(places) if places else ()
        if "read" in self.parameters:
            options["read"] = read
        return tuple(self.compute(**options))

    def page(self, scope: Scope) -> Iterable[Block]:
        """Return the blocks of a section of the page."""
        return self._tables_as_block(scope) if self.blocks is None else self.blocks(scope)

    def _tables_as_block(self, scope: Scope) -> Iterator[Block]:
        given = {"records": scope.records, "evidence": scope.evidence}
        wanted = {name: value for name, value in given.items() if name in self.parameters}
        tables = [t for found in self.compute(**wanted) for t in self.tables(found)] if any(wanted.values()) else []
        if tables:
            yield Block(
                self.name, self.name.capitalize(), self.help, parts=tuple(Part(t.title, (), (t,)) for t in tables)
            )


def write_view(view: Shown[T], found: T, folder: Path) -> list[Path]:
    """Write tables (LaTeX, Markdown), rows (CSV) and figures (SVG, PNG) of what was found and return the paths."""
    section: Any = getattr(found, "section", found)
    stem = f"{view.name}-{section.slug}" if view.stem is None else view.stem(found)

    def named(end: str) -> str:
        return "-".join(filter(None, (stem, end))) or view.name

    texts = {}
    if tables := view.tables(found):
        markdown = markdown_tables(tables, view.sentences(found))
        texts = {f"{named('')}.tex": latex_tables(tables), f"{named('')}.md": markdown}
    texts |= {f"{named('')}.{ending}": text for ending, text in view.texts(found).items()}
    texts |= {f"{named(end)}.csv": csv_text(rows) for end, rows in view.rows(found).items()}
    return write_files(folder, texts, {named(end): draw for end, draw in view.figures(found).items()})


def write_files(folder: Path, texts: Mapping[str, str], figures: Mapping[str, Callable[[], Figure]]) -> list[Path]:
    """Write texts by their names, and figures by theirs as SVG and PNG; return the paths."""
    contents = {folder / _safe(name): text.encode() for name, text in texts.items()}
    with style("path"):
        for name, draw in figures.items():
            figure = draw()
            contents |= {folder / _safe(f"{name}.{end}"): figure_bytes(figure, end) for end in ("svg", "png")}
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def _safe(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{safe_name(stem)}.{ending}"
