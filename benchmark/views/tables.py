"""Tables of views over records: the same rows in the terminal, in LaTeX and in Markdown; tidy rows as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...terminal import print_heading, say, visible
from ..records.record import Interval, Record
from ..records.sections import ABSENT, Column, Row, Section

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..comparing.paired import Difference, Level

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Rows = Sequence[Mapping[str, object]]

LATEX_PACKAGES = "\\usepackage{booktabs,adjustbox}"

_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "–": "--",
    "→": "$\\rightarrow$",
    "≤": "$\\leq$",
    "±": "$\\pm$",
    "·": "$\\cdot$",
    "…": "\\dots{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


class Titled(Protocol):
    """What a table or a figure is of: a section, or what a study found."""

    @property
    def title(self) -> str:
        """Edition, split and protocol, or what was measured, in words."""

    @property
    def warning(self) -> str:
        """What must stand beside every number; empty for real data."""


@dataclass(frozen=True)
class ViewTable:
    """A table of one section, as text."""

    title: str  # what it shows, with the unit
    source: str  # edition, split and protocol in words; empty where they stand above already
    warning: str  # what must stand beside every number; empty for real data
    columns: tuple[str, ...]  # heads; a line break may part them
    rows: tuple[tuple[str, ...], ...]  # as many cells as columns each
    keys: int = 1  # leading columns that name the row; they are repeated where a wide table is continued below
    notes: tuple[str, ...] = ()  # what is absent, and why; what to mind
    # rows and columns of the cells that are best in their column, from 0: bold in LaTeX
    best: frozenset[tuple[int, int]] = frozenset()

    @classmethod
    def of(
        cls,
        section: Titled,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        keys: int = 1,
        notes: Iterable[str] = (),
    ) -> ViewTable:
        """Return a table with a section's title and warning."""
        return cls(title, section.title, section.warning, tuple(columns), tuple(map(tuple, rows)), keys, tuple(notes))


def section_facts(section: Section) -> dict[str, object]:
    """Return what every tidy row of a section begins with."""
    names = ("edition", "split", "protocol", "protocol_sha256", "warning")
    return {name: getattr(section, name) for name in names}


def cell_facts(section: Section, row: Row, column: Column) -> dict[str, object]:
    """Return what every tidy row of a model on a task begins with."""
    return section_facts(section) | {"task": column.name, "tradition": column.tradition, "model": row.name}


def ends(found: Interval | Level | Difference | None) -> dict[str, object]:
    """Return the ends of an interval for a tidy row, empty where there is none."""
    return {"low": found.low, "high": found.high} if found else {"low": None, "high": None}


def not_run(section: Section, column: Column) -> tuple[str, ...]:
    """Name the models that were not run on a task; nothing if there is none."""
    absent = [row.name for row in section.rows if section.record(row, column) is None]
    return (f"No record on {column.name}: {', '.join(absent)}.",) if absent else ()


def not_scored(record: Record) -> tuple[str, ...]:
    """Name the labels without a score, with the reason; nothing if there is none."""
    found = ", ".join(f"{label} ({reason})" for label, reason in record.undefined_labels.items())
    return (f"{record.model.name}, labels without a score: {found}.",) if found else ()


def print_tables(tables: Sequence[ViewTable], console: Console) -> None:
    """Print tables one below the other; a change of edition, split or protocol gets a heading.

    A table that is too wide for the console is set closer, or continued below with its key columns again.
    """
    source = None
    for table in tables:
        if table.source and table.source != source:
            source = table.source
            print_heading(console, table.source, table.warning)
        console.print()
        label = f" ({table.warning.partition(':')[0]})" if table.warning else ""
        say(console, table.title + label, "bold")
        gap, blocks = min(((gap, _blocks(table, gap, console)) for gap in (1, 0)), key=lambda found: len(found[1]))
        for columns in blocks:
            console.print(_grid(table, columns, gap))
        for note in table.notes:
            say(console, note, "dim")


def _blocks(table: ViewTable, gap: int, console: Console) -> list[list[int]]:
    """Split the columns into blocks that fit the console, each with at least one column beside the keys."""
    from rich.measure import Measurement

    unlimited = console.options.update(max_width=10_000)
    keys = list(range(table.keys))
    blocks = [keys]
    for column in range(table.keys, len(table.columns)):
        longer = [*blocks[-1], column]
        if (
            blocks[-1] == keys
            or Measurement.get(console, unlimited, _grid(table, longer, gap)).maximum <= console.width
        ):
            blocks[-1] = longer
        else:
            blocks.append([*keys, column])
    return blocks


def _grid(table: ViewTable, columns: Sequence[int], gap: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), collapse_padding=True, show_edge=False)
    for c in columns:
        key = c < table.keys
        grid.add_column(Text(table.columns[c]), justify="left" if key else "right", overflow="fold", no_wrap=not key)
    for row in table.rows:
        grid.add_row(*(Text(row[c], style="dim" if row[c] == ABSENT else "") for c in columns))
    return grid


def escaped(text: str) -> str:
    """Return text for LaTeX."""
    return "".join(_LATEX.get(mark, mark) for mark in text.replace("\n", " "))


def latex_tables(tables: Sequence[ViewTable]) -> str:
    """Return tables for LaTeX with ``booktabs``; what must stand beside the numbers is a line of each table."""
    lines = [f"% needs {LATEX_PACKAGES}"]
    for table in tables:
        lines += ["", *("% " + line.replace("\n", " ") for line in (table.title, table.source, *table.notes))]
        rows = [
            [f"\\textbf{{{escaped(cell)}}}" if (y, x) in table.best else escaped(cell) for x, cell in enumerate(row)]
            for y, row in enumerate(table.rows)
        ]
        lines += _latex_lines(table.columns, rows, table.keys, table.warning)
    return "\n".join([*lines, ""])


def _latex_lines(columns: Sequence[str], rows: Iterable[Sequence[str]], keys: int, warning: str) -> Iterator[str]:
    """Yield the lines of a table for LaTeX, made smaller where it is wider than the column it stands in.

    A line break may part a head; cells are escaped already; ``warning`` stands in the table, so that it is there in
    print.
    """
    yield "\\begin{adjustbox}{max width=\\linewidth}"
    yield f"\\begin{{tabular}}{{{'l' * keys}{'r' * (len(columns) - keys)}}}"
    head = " & ".join(map(_latex_head, columns)) + " \\\\"
    yield from ("\\toprule", head, "\\midrule", *map(_latex_row, rows), "\\bottomrule")
    if warning:
        yield f"\\multicolumn{{{len(columns)}}}{{l}}{{\\footnotesize {escaped(warning)}}} \\\\"
    yield "\\end{tabular}"
    yield "\\end{adjustbox}"


def _latex_head(text: str) -> str:
    lines = [escaped(line) for line in text.split("\n")]
    return lines[0] if len(lines) == 1 else "\\shortstack[r]{" + " \\\\ ".join(lines) + "}"


def _latex_row(cells: Iterable[str]) -> str:
    text = " & ".join(cells) + " \\\\"
    # A bracket at the start of a row would be read as an argument of the line break before it.
    return "{[}" + text[1:] if text.startswith("[") else text


def markdown_tables(tables: Sequence[ViewTable], sentences: Iterable[str] = ()) -> str:
    """Return tables for Markdown, each under its title, with source, warning and notes; ``sentences`` come last."""
    parts = []
    for table in tables:
        rows = [table.columns, tuple("---" for _ in table.columns), *table.rows]
        parts += [
            f"### {_markdown(table.title)}",
            " ".join(filter(None, (f"{_markdown(table.source)}.", f"**{table.warning}**" if table.warning else ""))),
            "\n".join("| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows),
            *map(_markdown, table.notes),
        ]
    return "\n\n".join([*parts, *map(_markdown, sentences), ""])


def markdown_cell(text: str) -> str:
    """Return a text as a cell of a table in Markdown, shown as it is."""
    return _markdown(text.replace("\n", " ")).replace("|", "\\|")


def _markdown(text: str) -> str:
    """Return text that Markdown shows as it is: no tag, no link, no control character."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")


def csv_cell(value: object) -> object:
    """Return a cell that a spreadsheet takes for a text: what would begin a formula begins with an apostrophe."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def csv_text(rows: Rows) -> str:
    """Return tidy rows as CSV; ``None`` is an empty field."""
    # Not pandas: it would turn whole numbers in a column with a gap into fractions, and takes a second to load.
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return out.getvalue()
