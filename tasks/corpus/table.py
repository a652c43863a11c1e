"""Tables as people's programs write them: any separator, any encoding, any end of line; and the way back.

Nothing is taken from one hint: the separator is the one under which header and rows agree, whatever a line ``sep=;``
or the file's ending says. An encoding is told by its byte-order mark, by zero bytes (UTF-16 without one) or by being
valid UTF-8; anything else is a guess that the caller must confirm by what the texts should be, or refuse
(:func:`encoding_problem` words that).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ... import untrusted
from ...errors import UsageError, counted, quoted
from .problems import Problem, refuse

SEPARATORS: Mapping[str, str] = {",": "comma", ";": "semicolon", "\t": "tab", "|": "`|`"}
"""What separates cells, most likely first, and what it is called."""

LEGACY: Mapping[str, str] = {
    "cp1254": "windows-1254",
    "cp1253": "windows-1253",
    "cp1252": "windows-1252",
    "cp1250": "windows-1250",
}
"""Eight-bit encodings that a table which is not UTF-8 may have (Turkish, Greek, Western, Central European)."""

ONE_NAME = "the first line names one column, and here are more cells; remove what stands above the names of the columns"
"""Said of a table with a title above it."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT = 200
"""Rows that the separator is judged by."""

_EXCEL_SEPARATOR = re.compile(r'"?sep=(\\t|.)"?[,;\t|]*(?:\r\n|\r|\n|$)', re.IGNORECASE)


@dataclass(frozen=True)
class Text:
    """The text of a file, and how it is stored."""

    text: str  # without a byte-order mark
    mark: bytes  # the byte-order mark, or nothing
    encoding: str  # name of the codec
    guessed: bool  # whether the encoding is one of several that would do
    content: bytes  # the file's bytes


@dataclass(frozen=True)
class Table:
    """A table as it stands in its file."""

    path: Path  # of the file
    columns: tuple[str, ...]  # names in the file's order; columns without a name at the end are left out
    rows: tuple[Mapping[str, str], ...]  # the cells of each row by column, without spaces around them
    lines: tuple[int, ...]  # where each row ends in the file, counted from 1
    # the same rows as in the file, the first one with the names: every cell, nothing removed
    cells: tuple[tuple[str, ...], ...]
    separator: str  # between cells
    newline: str  # how most lines end
    head: str  # what stands before the line of the names (Excel's ``sep=;``), with its end of line
    source: Text  # how the text is stored
    # what is wrong with the table's form, by line; rows with a problem are not in ``rows``
    problems: tuple[Problem, ...]

    def written(self, cells: Sequence[Sequence[str]]) -> bytes:
        """Return the bytes of a file of this form with other cells, the names first."""
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.separator, lineterminator=self.newline).writerows(cells)
        return self.source.mark + (self.head + text.getvalue()).encode(self.source.encoding)


def read_bytes(path: Path, what: str) -> bytes:
    """Return what is in a file.

    Raises:
        UsageError: it is absent or cannot be read; the message says that it should be ``what``.
    """
    try:
        return untrusted.read_bytes(path, untrusted.LARGEST_TABLE)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; it should be {what}.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: {what} cannot be read: {reason}.") from error


def read_text(path: Path, what: str, encoding: str | None = None) -> Text:
    """Read a text in whatever encoding it has; see :class:`Text`.

    ``encoding`` counts where the file itself does not tell.

    Raises:
        UsageError: the file is absent, is no text (a workbook, a pointer of Git LFS), or contradicts ``encoding``.
    """
    data = read_bytes(path, what)
    for begin, kind in (
        (b"PK\x03\x04", "an Excel or LibreOffice workbook (or another archive)"),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    ):
        if data.startswith(begin):
            refuse(path, None, f"this is {kind}, not a table of text; save it from there as `CSV UTF-8`")
    if data.startswith(b"version https://git-lfs"):
        refuse(path, None, "this is a pointer of Git LFS, not the file itself; run `git lfs pull` in its folder")
    mark, codec = next(((mark, codec) for mark, codec in _MARKS if data.startswith(mark)), (b"", ""))
    found = codec or _codec_without_mark(data)
    # What is valid UTF-8 beyond ASCII is UTF-8, whatever was said of another file.
    codec = (encoding if encoding and data.isascii() else "") or found or encoding or ""
    guessed = not codec
    codec = codec or next((one for one in LEGACY if _decodes(data, one)), "latin-1")
    try:
        text = data.removeprefix(mark).decode(codec)
    except LookupError:
        refuse(
            path,
            None,
            f"there is no encoding {quoted(encoding or '')}; Python knows, for example, {', '.join(LEGACY.values())}",
        )
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        refuse(path, line, f"the byte {data[error.start]:#04x} is not {codec}; save the file with the encoding UTF-8")
    return Text(text, mark, codec, guessed, data)


def _codec_without_mark(data: bytes) -> str:
    """UTF-16 by where its zero bytes are, UTF-8 if it is valid, else nothing."""
    low, high = data[0::2].count(0), data[1::2].count(0)
    if 3 * max(low, high) > len(data) / 2 and min(low, high) * 10 < max(low, high):
        return "utf-16-be" if low > high else "utf-16-le"
    return "utf-8" if _decodes(data, "utf-8") else ""


def _decodes(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def encoding_problem(source: Text) -> Problem:
    """Word that a text is not UTF-8: the line, and how its first foreign word reads in each likely encoding."""
    first = next(i for i, byte in enumerate(source.content) if byte > 127)
    line = len(re.findall(rb"\r\n|\r|\n", source.content[:first])) + 1
    ends = rb"[\r\n,;\t|\"'\[\]]|[:#-] "
    before = re.split(ends, source.content[max(0, first - 40) : first])[-1]
    word = before + re.split(ends, source.content[first : first + 40])[0]
    readings = {name: word.decode(codec) for codec, name in LEGACY.items() if _decodes(word, codec)}
    listed = ", ".join(f"{quoted(text)} in {name}" for name, text in readings.items())
    return Problem(
        "encoding",
        f"the byte {source.content[first]:#04x} is not UTF-8 (the word would be {listed}); save the file with the "
        f"encoding UTF-8, or put the right one into task.yaml, for example `encoding: {next(iter(LEGACY.values()))}`",
        line,
    )


def read_table(
    path: Path, what: str = "a table", *, expected: Collection[str] = (), encoding: str | None = None
) -> Table:
    """Read a table, whatever its separator, encoding and ends of lines; blank lines are left out.

    Of the separators, that wins which yields most of the columns that are ``expected`` (lower case).

    Returns:
        The table, with everything that is wrong with its form as problems. Names of columns are not judged, but that
        each occurs once.

    Raises:
        UsageError: there is no such file, it cannot be read or is no text, or it is empty.
    """
    return parse_table(path, read_text(path, what, encoding), expected)


def parse_table(path: Path, source: Text, expected: Collection[str] = ()) -> Table:
    """Make a table of a text that was read before; see :func:`read_table`."""
    stated = _EXCEL_SEPARATOR.match(source.text)
    head = stated[0] if stated else ""
    body = source.text[len(head) :]
    if "\0" in body:
        line = len(re.findall(r"\r\n|\r|\n", source.text[: source.text.index("\0")])) + 1
        refuse(path, line, "there is a zero byte; this is no table of text. Save it again as `CSV UTF-8`")
    separator = _separator(body, expected, stated[1].replace(r"\t", "\t") if stated else "")
    problems: list[Problem] = []
    cells, lines = _cells(body, separator, problems)
    lines = [line + bool(head) for line in lines]
    problems = [replace(one, line=(one.line or 0) + bool(head)) for one in problems]
    if not cells:
        if problems:
            refuse(path, problems[0].line, problems[0].text)
        return Table(path, (), (), (), (), separator, "\n", head, source, ())
    columns = tuple(_trimmed([_clean(cell) for cell in cells[0]]))
    problems += _twice(columns, lines[0])
    rows, at = [], []
    for row, line in zip(cells[1:], lines[1:], strict=True):
        stripped = [cell.strip() for cell in row]
        if _fits(stripped, columns):
            rows.append(dict(zip(columns, stripped, strict=False)))
            at.append(line)
        else:
            problems.append(_uneven(stripped, columns, separator, line))
    ends = Counter(re.findall(r"\r\n|\r|\n", source.text))
    return Table(
        path=path,
        columns=columns,
        rows=tuple(rows),
        lines=tuple(at),
        cells=tuple(tuple(row) for row in cells),
        separator=separator,
        newline=max(ends, key=lambda end: ends[end], default="\n"),
        head=head,
        source=source,
        problems=tuple(sorted(problems, key=lambda one: one.line or 0)),
    )


def _fits(row: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether a row has a cell under every name, and nothing where no name is: that could be half of a torn cell."""
    return len(_trimmed(row)) <= len(columns) <= len(row)


def _uneven(row: Sequence[str], columns: Sequence[str], separator: str, line: int) -> Problem:
    if len(columns) == 1:
        return Problem("cells", ONE_NAME, line)
    name = SEPARATORS.get(separator, repr(separator))
    filled = max(len(_trimmed(row)), min(len(row), len(columns)))
    text = f"{counted(filled, 'cell')} under {counted(len(columns), 'column')}; quote cells that hold a {name}"
    return Problem("cells", text, line)


def readings(table: Table, expected: Collection[str] = ()) -> Iterator[tuple[str, Table]]:
    """Yield a table as it reads in each of the :data:`LEGACY` encodings that its bytes allow, after its name."""
    for codec, name in LEGACY.items():
        if _decodes(table.source.content, codec):
            text = replace(table.source, text=table.source.content.decode(codec), encoding=codec)
            yield name, parse_table(table.path, text, expected)


def _twice(columns: Sequence[str], line: int) -> list[Problem]:
    counted = Counter(column for column in columns if column)
    return [Problem("columns", f"two columns are named {quoted(name)}", line) for name, n in counted.items() if n > 1]


def _clean(name: str) -> str:
    """Compose a column's name, and remove what is invisible around it: spaces, byte-order marks, spaces of no width."""
    return unicodedata.normalize("NFC", name).strip("\ufeff\u200b\u200e\u200f \t\r\n\xa0")


def _trimmed(row: Sequence[str]) -> list[str]:
    kept = list(row)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def _cells(body: str, separator: str, problems: list[Problem]) -> tuple[list[list[str]], list[int]]:
    """Return rows that are not blank and the lines where they end; a syntax error ends the table."""
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    begin = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num)
            begin = reader.line_num + 1
    except csv.Error as error:
        endless = re.search("unexpected end|field limit", str(error))
        said = "a quotation mark opens a cell that is never closed" if endless else str(error)
        problems.append(Problem("syntax", f"not valid CSV: {said}. What follows this line was not read", begin))
    return rows, lines


def _separator(body: str, expected: Collection[str], stated: str) -> str:
    """Return the separator under which most expected columns are there, rows agree with the names, columns are many."""

    def fit(separator: str) -> tuple[int, float, int]:
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator)
        rows: list[list[str]] = []
        # A syntax error is told by the reading that follows; here the rows before it judge.
        with suppress(csv.Error):
            rows.extend(row for row in islice(reader, _LOOKED_AT) if any(cell.strip() for cell in row))
        names = _trimmed([_clean(cell) for cell in rows[0]]) if rows else []
        if len(names) < 2:
            return 0, 0.0, 0
        known = len({name.casefold() for name in names} & set(expected))
        even = sum(_fits(row, names) for row in rows[1:]) / max(1, len(rows) - 1)
        return known, even, len(names)

    candidates = dict.fromkeys([*([stated] if stated else []), *SEPARATORS])
    return max(candidates, key=fit)
