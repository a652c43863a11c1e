"""Paths as people write them, against files that are there."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmbench.written import find_path, is_hidden, is_of_another_system, is_there, is_web_address, split_list

NAMES = st.text("aZ09 üşİğéñ한글ắ,%#?&+'()-", min_size=1, max_size=12).filter(lambda name: name.strip() == name)
Form = Literal["NFC", "NFD"]
FORMS = st.sampled_from(get_args(Form))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=3), FORMS, FORMS, st.sampled_from(["/", "\\", "address", "~"]))
def test_a_file_is_found_however_its_name_is_written(
    tmp_path: Path, parts: list[str], there: Form, typed: Form, style: str
) -> None:
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    names = [unicodedata.normalize(there, part) for part in parts]
    file = folder.joinpath(*names)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    written = "/".join(unicodedata.normalize(typed, part) for part in parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("USERPROFILE", str(folder))
        if style == "\\":
            found = find_path(written.replace("/", "\\"), folder)
        elif style == "address":
            found = find_path(f"file://{quote(str(folder))}/{quote(written)}")
        elif style == "~":
            found = find_path(f"~/{written}", Path("elsewhere"))
        else:
            found = find_path(written, folder)
    assert found == file


def test_what_is_there_as_written_comes_first(tmp_path: Path) -> None:
    for name in ("a\\b.wav", "~", "100%25.wav", "file:"):
        (tmp_path / name).mkdir()
        assert find_path(name, tmp_path) == tmp_path / name
    composed, decomposed = (unicodedata.normalize(form, "é.wav") for form in get_args(Form))
    for name in (composed, decomposed):
        (tmp_path / name).write_text(name)
    if len({entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".wav")} & {composed, decomposed}) == 2:
        assert find_path(composed, tmp_path).read_text() == composed
        assert find_path(decomposed, tmp_path).read_text() == decomposed


def test_two_files_that_look_the_same_are_not_chosen_between(tmp_path: Path) -> None:
    forms = ["e\u0301\u0323", "\u1eb9\u0301"]
    for name in forms:
        (tmp_path / name).touch()
    third = "e\u0323\u0301"
    if len(os.listdir(tmp_path)) == 2:  # noqa: PTH208
        assert not is_there(third, tmp_path)


@pytest.mark.parametrize(
    "written", ["nothing", "~nobody-of-that-name/x", "a\0b", "x" * 5000, "ü\0", "file://[", "é" * 999]
)
def test_what_is_not_there_gives_no_error(written: str, tmp_path: Path) -> None:
    assert not is_there(written, tmp_path)


def test_a_folder_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.wav") for form in get_args(Form))
    assert not is_there(composed, tmp_path)
    (tmp_path / decomposed).touch()
    assert is_there(composed, tmp_path)


def test_lists_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a, b").mkdir()
    (tmp_path / "a, b" / "task.yaml").touch()
    (tmp_path / "a").touch()
    assert split_list("a, b") == ["a, b"]
    assert split_list("mfcc, a, b/task.yaml ,lyra") == ["mfcc", "a, b/task.yaml", "lyra"]
    assert split_list("a,c") == ["a", "c"]
    assert split_list(" , ,") == []
    assert split_list(f"{tmp_path}/a, b,{tmp_path}/a") == [f"{tmp_path}/a, b", f"{tmp_path}/a"]


def test_what_a_name_says_of_itself() -> None:
    assert is_web_address("https://x.org/a.wav")
    assert not is_web_address("file:///a.wav")
    assert is_hidden(Path("audio/._a.wav"))
    assert not is_hidden(Path(".cache/a.wav"))
    if os.name == "posix":
        assert is_of_another_system(r"C:\Users\me\a.wav")
        assert is_of_another_system(r"\\server\share\a.wav")
        assert not is_of_another_system("/home/me/a.wav")
