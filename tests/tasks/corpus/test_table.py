"""Tables in every form in which programs write them: what is read is what was written."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.tasks.corpus.problems import Problem, require_sound
from cmbench.tasks.corpus.table import encoding_problem, read_table

NAMES = ("id", "path", "labels")
CELLS = st.text("abcşüğİé. ,;\t|\"'=0123456789-", min_size=1, max_size=12).map(str.strip).filter(bool)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


def stored(content: bytes, folder: Path | None = None) -> Path:
    path = Path(folder or tempfile.mkdtemp()) / "t.csv"
    path.write_bytes(content)
    return path


@settings(max_examples=100, deadline=None)
@given(
    ROWS,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(ENCODINGS),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_what_was_written_is_read_and_written_again(
    rows: list[tuple[str, str, str]], separator: str, end: str, encoding: str, padding: int, head: bool, blank: bool
) -> None:
    text = io.StringIO(newline="")
    pad = [""] * padding
    csv.writer(text, delimiter=separator, lineterminator=end).writerows([[*row, *pad] for row in (NAMES, *rows)])
    whole = (f"sep={separator}{end}" if head else "") + text.getvalue()
    content = (whole + (end if blank else "")).encode(encoding)
    with tempfile.TemporaryDirectory() as folder:
        table = read_table(stored(content, Path(folder)), expected=NAMES)
    assert table.problems == ()
    assert table.columns == NAMES
    assert [tuple(row.values()) for row in table.rows] == rows
    assert (table.separator, table.newline, table.source.guessed) == (separator, end, False)
    first = 2 + head
    assert table.lines == tuple(range(first, first + len(rows)))
    assert table.written(table.cells) == whole.encode(encoding)


@pytest.mark.parametrize("sure", [b"sep=;", b'"sep=;"', b"SEP=;", b"sep=;;;"])
def test_excels_line_is_no_row(sure: bytes, tmp_path: Path) -> None:
    table = read_table(stored(sure + b"\r\nfile;who\r\na.wav;x\r\n", tmp_path))
    assert (table.columns, table.lines) == (("file", "who"), (3,))
    assert table.written(table.cells) == sure + b"\r\nfile;who\r\na.wav;x\r\n"


def test_a_line_that_states_the_wrong_separator_is_not_believed(tmp_path: Path) -> None:
    table = read_table(stored(b"sep=;\nfile,who\na.wav,x\n", tmp_path))
    assert (table.separator, table.columns) == (",", ("file", "who"))


def test_the_rows_decide_where_the_names_could_be_read_in_two_ways(tmp_path: Path) -> None:
    table = read_table(stored(b"file;title, performer\na.wav;one\nb.wav;two\n", tmp_path))
    assert (table.separator, table.columns) == (";", ("file", "title, performer"))
    table = read_table(stored(b"id,path,labels;more\na,b,c\n", tmp_path), expected=NAMES)
    assert table.separator == ","


def test_a_cell_without_a_name_above_it_is_not_dropped(tmp_path: Path) -> None:
    """The second half of a label that was not quoted."""
    table = read_table(stored(b"id,path,labels,\na,a.wav,low,high\nb,b.wav,low,\n", tmp_path))
    (problem,) = table.problems
    assert problem.line == 2
    assert problem.text == "4 cells under 3 columns; quote cells that hold a comma"
    assert table.rows == ({"id": "b", "path": "b.wav", "labels": "low"},)


def test_every_problem_of_form_is_found_with_its_line(tmp_path: Path) -> None:
    table = read_table(stored(b'id;path;id\na;b;c\na;b\na;b;c;d\na;b;c\n"a;b;c\n', tmp_path))
    assert [(problem.kind, problem.line) for problem in table.problems] == [
        ("columns", 1),
        ("cells", 3),
        ("cells", 4),
        ("syntax", 6),
    ]
    assert "hold a semicolon" in table.problems[1].text
    assert "never closed" in table.problems[3].text
    assert table.lines == (2, 5)


@pytest.mark.parametrize("codec", ["cp1254", "iso8859-9"])
def test_an_eight_bit_encoding_is_a_guess(codec: str, tmp_path: Path) -> None:
    content = "id,path,labels\na,Uşşak.wav,makam--Hüzzam\nb,Neşe.wav,makam--Rast\n".encode(codec)
    table = read_table(stored(content, tmp_path))
    assert table.source.guessed
    assert table.rows[0]["path"] == "Uşşak.wav"
    problem = encoding_problem(table.source)
    assert problem.line == 2
    assert "'Uşşak.wav' in windows-1254" in problem.text
    assert "'Uþþak.wav' in windows-1252" in problem.text
    stated = read_table(table.path, encoding="windows-1254")
    assert (stated.source.guessed, stated.rows) == (False, table.rows)
    with pytest.raises(UsageError, match="there is no encoding 'klingon'"):
        read_table(table.path, encoding="klingon")
    with pytest.raises(UsageError, match=r"t\.csv:2: the byte 0xfe is not utf-8"):
        read_table(table.path, encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "Excel or LibreOffice workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel workbook"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"id,path\na,b\n" + b"a,b\n" * 20 + b"c,\0\n", r"t\.csv:23: there is a zero byte"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        read_table(stored(content, tmp_path))


def test_up_to_twenty_of_each_kind_are_told(tmp_path: Path) -> None:
    some = [Problem("a", f"a{i}", i) for i in range(1, 31)] + [Problem("b", "one?", 7), Problem("c", "two")]
    with pytest.raises(UsageError) as caught:
        require_sound(tmp_path, some)
    told = str(caught.value).splitlines()
    assert told[0] == f"32 things are wrong in {tmp_path}; nothing was computed."
    assert told[1] == f"{tmp_path}:1: a1."
    assert told[20] == f"{tmp_path}:20: a20."
    assert told[21:] == ["  … and 10 more like the last one.", f"{tmp_path}:7: one?", f"{tmp_path}: two."]
    with pytest.raises(UsageError) as caught:
        require_sound(tmp_path, some[:1])
    assert str(caught.value) == f"{tmp_path}:1: a1."
    require_sound(tmp_path, ())
