from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.tasks.own.recordings import recordings_of
from cmbench.tasks.own.sheet import plain, read_sheet, sheet_of
from cmbench.written import composed

ROWS = [["Dosya", "Makam", "Yıl"], ["a.wav", "Hicâz", "1990"], ["b.wav", "Uşşak", ""]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_text_of_any_form(tmp_path: Path, separator: str, encoding: str, newline: str) -> None:
    path = tmp_path / "songs.csv"
    path.write_bytes(newline.join(separator.join(row) for row in ROWS).encode(encoding))
    sheet = read_sheet(path)
    assert sheet.columns == ("Dosya", "Makam", "Yıl")
    assert sheet.column("Makam") == ["Hicâz", "Uşşak"]
    assert sheet.lines == (2, 3)


def test_excel_s_first_line_of_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_text("sep=;\nfile;label\na.wav;x\n")
    assert read_sheet(path).rows == ({"file": "a.wav", "label": "x"},)


def test_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="the extra `excel` is not installed")
    book = openpyxl.Workbook()
    book.create_sheet("empty")
    for row in [["Dosya", "No", None], ["a.wav", 7, None], ["b.wav", 7.5, None], [None, None, None]]:
        book.active.append(row)
    book.save(tmp_path / "songs.xlsx")
    sheet = read_sheet(tmp_path / "songs.xlsx")
    assert sheet.columns == ("Dosya", "No")
    assert sheet.column("No") == ["7", "7.5"]


def test_two_sheets_are_not_guessed_at(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="the extra `excel` is not installed")
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet()):
        sheet.append(["file", "label"])
        sheet.append(["a.wav", "x"])
    book.save(tmp_path / "songs.xlsx")
    with pytest.raises(UsageError, match="2 of its sheets hold a table"):
        read_sheet(tmp_path / "songs.xlsx")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "a line of column names"),
        ("a.csv", b"file,label\n", "a line of column names"),
        ("a.csv", b"file,file\na,b\n", "'file'"),
        ("a.csv", b"file,label\na,b,c\nd,e\n", "3 cells"),
        ("a.csv", "dosya,makam\na.wav,Uşşak\n".encode("cp1254"), "not UTF-8.*--encoding windows-1254"),
        ("a.xlsx", b"no zip", "no Excel workbook"),
        ("a.xls", b"", "old Excel"),
        ("a.jsonl", b"{", "no JSON"),
    ],
)
def test_what_is_no_table_is_named_with_its_reason(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl", reason="the extra `excel` is not installed")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_sheet(tmp_path / name)


def test_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "metadata.jsonl"
    path.write_text(json.dumps({"file_name": "a.wav", "tags": ["x", "y"]}) + "\n" + json.dumps({"file_name": "b.wav"}))
    assert read_sheet(path).rows == ({"file_name": "a.wav", "tags": "x|y"}, {"file_name": "b.wav", "tags": ""})


def test_what_json_and_mirdata_hold_becomes_a_cell() -> None:
    raga = [{"uuid": "1", "name": "Kalyāṇi", "common_name": "kalyani"}, {"name": "Todi"}]
    assert plain(raga) == "kalyani|Todi"
    assert [plain(v) for v in (None, True, 3, 2.0, 2.5, {"x": 1})] == ["", "1", "3", "2", "2.5", ""]


@given(
    st.lists(
        st.lists(st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=5), min_size=3, max_size=3),
        min_size=1, max_size=5,
    ),
    st.sampled_from(",;\t|"),
)  # fmt: skip
def test_cells_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str) -> None:
    path = tmp_path_factory.mktemp("t") / "a.csv"
    path.write_text("\n".join(separator.join(r) for r in [["a", "b", "c"], *rows]), encoding="utf-8")
    assert [[*row.values()] for row in read_sheet(path).rows] == [[composed(cell) for cell in row] for row in rows]


def test_an_encoding_is_taken_where_recordings_confirm_it_or_the_user_says_so(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_bytes("file,label\nαβγ.wav,ρε\n".encode("cp1253"))
    recordings = recordings_of(tmp_path, [PurePosixPath("αβγ.wav")])
    assert read_sheet(path, recordings).column("label") == ["ρε"]
    assert read_sheet(path, encoding="cp1253").column("label") == ["ρε"]
    with pytest.raises(UsageError, match="--encoding"):
        read_sheet(path, recordings_of(tmp_path, [PurePosixPath("abc.wav")]))


def test_a_cell_merged_over_rows_stands_in_each(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["file", "album"], ["a.wav", "first"], ["b.wav", None], ["c.wav", None], ["d.wav", "last"]):
        book.active.append(row)
    book.active.merge_cells("B2:B4")
    book.save(tmp_path / "a.xlsx")
    assert read_sheet(tmp_path / "a.xlsx").column("album") == ["first", "first", "first", "last"]


def test_a_title_above_the_names_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Fieldwork 1990\nfile,label\na.wav,x\n")
    with pytest.raises(UsageError, match=r"a\.csv:2: the first line names one column.* remove what stands above"):
        read_sheet(tmp_path / "a.csv")
    with pytest.raises(UsageError, match=r"a\.xlsx:2: the first line names one column.* remove what stands above"):
        sheet_of(tmp_path / "a.xlsx", [(1, ["Fieldwork"]), (2, ["file", "label"]), (3, ["a.wav", "x"])])
    with pytest.raises(UsageError, match=r"a\.xlsx:3: the first line names one column.* remove what stands above"):
        sheet_of(tmp_path / "a.xlsx", [(1, ["Fieldwork", ""]), (3, ["file", "label"]), (4, ["a.wav", "x"])])
