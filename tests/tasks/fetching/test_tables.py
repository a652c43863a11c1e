"""Reading lists, tables and audio names, and the errors for those who wrote them wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import UsageError
from cmbench.tasks.fetching.tables import audio_by_stem, cell_values, list_file, read_list, read_table


def test_a_list_is_read_alike_from_text_and_array(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\n\r\n two \nüç\n".encode())
    np.save(tmp_path / "b.npy", np.array(["one", "two", "üç"]))
    np.save(tmp_path / "c.npy", np.array([2, 30]))
    np.save(tmp_path / "d.npy", np.array([b"one"]))
    assert read_list(tmp_path / "a.txt") == read_list(tmp_path / "b.npy") == ("one", "two", "üç")
    assert read_list(tmp_path / "c.npy") == ("2", "30")
    assert read_list(tmp_path / "d.npy") == ("one",)


def test_an_array_file_wins_over_text_and_other_files_are_no_lists(tmp_path: Path) -> None:
    for name in ("train.txt", "train.npy", "train.tsv", "valid.tsv", "test.csv"):
        (tmp_path / name).write_bytes(b"")
    found = [list_file(tmp_path, name) for name in ("train", "valid", "test")]
    assert found == [tmp_path / "train.npy", tmp_path / "valid.tsv", None]


def test_an_array_of_python_objects_is_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path, str]]:
            return Path.write_text, (tmp_path / "sprung", "x")

    np.save(tmp_path / "train.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"never opened; write the ids as text instead, one a line, to train\.txt"):
        read_list(tmp_path / "train.npy")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("array", [np.zeros((2, 2), dtype=int), np.zeros(2), np.array("one")])
def test_an_array_that_is_no_list_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UsageError, match="one-dimensional"):
        read_list(tmp_path / "x.npy")


def test_a_damaged_array_and_text_in_another_encoding_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "y.txt").write_bytes("Uşşak".encode("iso8859-9"))
    with pytest.raises(UsageError, match=r"x\.npy"):
        read_list(tmp_path / "x.npy")
    with pytest.raises(UsageError, match=r"y\.txt: it is not UTF-8"):
        read_list(tmp_path / "y.txt")


def test_a_table_yields_its_rows_with_their_lines(tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text('\ufeffb\ta\n1\t"x\ty"\n\n3\t"two\nlines"\n4\t\n', encoding="utf-8")
    assert list(read_table(table, ("a", "b"))) == [
        (2, {"b": "1", "a": "x\ty"}),
        (5, {"b": "3", "a": "two\nlines"}),
        (6, {"b": "4", "a": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: the header lacks the column 'a', 'b'; it has nothing"),
        (b"a\tc\n", "line 1: the header lacks the column 'b'; it has a, c"),
        (b"a\tb\n1\t2\n1\n", "line 3: 1 cells, but the header has 2 columns"),
        (b"a\tb\n1\t2\t3\n", "line 2: 3 cells, but the header has 2 columns"),
        (b"a\tb\n1\t\xfe\n", "not UTF-8 text"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    table = tmp_path / "t.tsv"
    table.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(str(table)) + ".*" + re.escape(message)):
        list(read_table(table, ("a", "b")))


def test_a_cell_holds_values_in_composed_form() -> None:
    decomposed = "makam--Hu\u0308zzam"
    assert cell_values(f" {decomposed} | |usul--Aksak") == ("makam--H\u00fczzam", "usul--Aksak")
    assert cell_values("") == ()


def test_audio_is_found_by_its_name_and_the_better_format_wins(tmp_path: Path) -> None:
    for name in ("a.aiff", "a.mp3", "b.Mp3", "c.txt", "d.e.ogg", "no_ending"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    found = audio_by_stem(tmp_path)
    assert found == {"a": tmp_path / "a.mp3", "b": tmp_path / "b.Mp3", "d.e": tmp_path / "d.e.ogg"}
    assert audio_by_stem(tmp_path / "absent") == {}
