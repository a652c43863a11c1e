"""A table as people keep it: text with any separator, Excel, or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError, counted, quoted
from ...written import composed
from ..corpus.problems import refuse, require_sound
from ..corpus.table import ONE_NAME, Table, encoding_problem, read_table, readings
from .recordings import Recordings

TEXTS = (".csv", ".tsv", ".tab", ".txt")
WORKBOOKS = (".xlsx", ".xlsm")
TABLES = (*TEXTS, *WORKBOOKS)
"""Endings of files that may be a table of recordings."""


@dataclass(frozen=True)
class Sheet:
    """A table."""

    source: Path  # the file, or what the table was made of
    columns: tuple[str, ...]  # by name, in order
    # cells without white space around them, by column; accented letters are composed (NFC), so that what looks the same
    # is the same
    rows: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]  # of each row in the file, counted from 1
    files: tuple[str, ...] = ()  # name of the file of each row, where several were joined

    def where(self, row: int) -> str:
        """Return file and line of a row, for messages."""
        return f"{self.files[row] if self.files else self.source.name}:{self.lines[row]}"

    def column(self, name: str) -> list[str]:
        """Return the cells of a column."""
        return [row[name] for row in self.rows]


def read_sheet(path: Path, recordings: Recordings | None = None, encoding: str | None = None) -> Sheet:
    """Read a table.

    The encoding of a text that is not UTF-8 is known by ``recordings``, which it should name, if ``encoding`` is not
    stated.

    Raises:
        UsageError: it cannot be read, or holds no rows; the message says why and what helps.
    """
    if path.suffix.lower() in WORKBOOKS:
        return sheet_of(path, _workbook(path))
    if path.suffix.lower() == ".xls":
        raise UsageError(f"{path} is a workbook of an old Excel; save it as .xlsx or as CSV.")
    if path.suffix.lower() == ".jsonl":
        return sheet_of(path, _json_lines(path))
    return _text(path, recordings, encoding)


def sheet_of(path: Path, lines: Sequence[tuple[int, Sequence[str]]]) -> Sheet:
    """Return the table that rows of cells are, the first of them the names of the columns.

    Columns without a name and rows without a cell are left out.

    Raises:
        UsageError: there is no row below the names, or two columns share one.
    """
    kept = [(line, [composed(cell) for cell in cells]) for line, cells in lines if any(cell.strip() for cell in cells)]
    if len(kept) < 2:
        raise UsageError(f"{path}: a line of column names and at least one recording below it are needed.")
    names = [*kept[0][1]]
    for name in {n for n in names if n and names.count(n) > 1}:
        raise UsageError(f"{path}:{kept[0][0]}: two columns are named {quoted(name)}; rename one.")
    named = [(place, name) for place, name in enumerate(names) if name]
    for line, cells in kept[1:] if len(named) == 1 < len(names) else ():  # a workbook has cells beside its title
        if sum(map(bool, cells)) > 1:
            raise UsageError(f"{path}:{line}: {ONE_NAME}.")
    for line, cells in kept[1:]:
        if any(cell for cell in cells[len(names) :]):
            told = f"{counted(len(cells), 'cell')} under {counted(len(names), 'column')}; name every column"
            raise UsageError(f"{path}:{line}: {told if len(names) > 1 else ONE_NAME}.")
    rows = tuple({name: cells[place] if place < len(cells) else "" for place, name in named} for _, cells in kept[1:])
    return Sheet(path, tuple(name for _, name in named), rows, tuple(line for line, _ in kept[1:]))


def _text(path: Path, recordings: Recordings | None, encoding: str | None) -> Sheet:
    table = read_table(path, "the table of recordings", encoding=encoding)
    if table.source.guessed:
        table = _confirmed(table, recordings)
    require_sound(path, table.problems)
    if not table.rows:
        raise UsageError(f"{path}: a line of column names and at least one recording below it are needed.")
    rows = tuple({name: composed(cell) for name, cell in row.items() if name} for row in table.rows)
    return Sheet(path, tuple(filter(None, table.columns)), rows, table.lines)


def _confirmed(table: Table, recordings: Recordings | None) -> Table:
    """Return a table in the encoding in which its cells name recordings whose names have foreign letters.

    Raises:
        UsageError: none does, or two that read the table differently; the user has to say.
    """
    found: list[tuple[int, Table]] = []
    for _, tried in readings(table):
        cells = list({cell for row in tried.rows for cell in row.values() if not cell.isascii()})
        clear = recordings.name(cells) if recordings and cells else []
        found.append((sum(one.path is not None and not one.path.name.isascii() for one in clear), tried))
    most = max((score for score, _ in found), default=0)
    best = [tried for score, tried in found if score == most and most]
    if not best or any(one.rows != best[0].rows for one in best):
        problem = encoding_problem(table.source)
        words = problem.text.split("; save the file")[0]
        refuse(table.path, problem.line, f"{words}; save the table as UTF-8, or say so: --encoding windows-1254")
    return best[0]


def _workbook(path: Path) -> list[tuple[int, list[str]]]:
    try:
        import openpyxl
    except ImportError as error:
        raise UsageError(
            f'{path} is an Excel workbook: `pip install "cmbench[excel]"` reads it; or save it as CSV.'
        ) from error
    try:
        book = openpyxl.load_workbook(path, data_only=True)
    except Exception as error:  # openpyxl raises whatever its zip and XML readers do
        raise UsageError(f"{path}: this is no Excel workbook ({error}); save the table as CSV.") from error
    try:
        found = [_filled_down(sheet) for sheet in book.worksheets]
    finally:
        book.close()
    filled = [rows for rows in found if sum(any(cells) for _, cells in rows) > 1]
    if len(filled) != 1:
        raise UsageError(
            f"{path}: {len(filled)} of its sheets hold a table; keep one, or save the right one as CSV and name "
            "it with --table."
        )
    return filled[0]


def _filled_down(sheet: Any) -> list[tuple[int, list[str]]]:
    """Return the rows of a worksheet; a cell that was merged over several rows stands in each of them."""
    rows = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
    for merged in sheet.merged_cells.ranges:
        for row in rows[merged.min_row : merged.max_row]:
            row[merged.min_col - 1] = rows[merged.min_row - 1][merged.min_col - 1]
    return list(enumerate(rows, 1))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _json_lines(path: Path) -> list[tuple[int, list[str]]]:
    found: list[tuple[int, dict[str, object]]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                raise UsageError(f"{path}:{number}: this is no JSON ({error}).") from error
            if not isinstance(value, dict):
                raise UsageError(f"{path}:{number}: this is no JSON object.")
            found.append((number, value))
    columns = list(dict.fromkeys(key for _, facts in found for key in facts))
    return [(0, columns), *((number, [plain(facts.get(name)) for name in columns]) for number, facts in found)]


def plain(value: object) -> str:
    """Write a value as a cell: several are joined with ``|``, a thing with a name is its name, others are empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(int(value))
    if isinstance(value, int | float):
        return _cell(value)
    if isinstance(value, Mapping):
        return next((plain(value[key]) for key in ("common_name", "name", "title") if value.get(key)), "")
    if isinstance(value, list | tuple | set | frozenset):
        return "|".join(filter(None, (plain(one) for one in value)))
    return ""
