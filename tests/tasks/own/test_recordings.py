from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.tasks.own.recordings import find_recordings, recordings_of
from cmbench.tests.tasks.own.conftest import Sound

FOLDER = Path("/music")
FILES = ("disc1/01 Hicâz.wav", "disc1/02.flac", "disc2/01 Hicâz.wav", "ZZ.mp3")


def named(cells: list[str], files: tuple[str, ...] = FILES) -> list[str | None]:
    """What each cell means, from the folder."""
    shelf = recordings_of(FOLDER, map(PurePosixPath, files))
    return [str(n.path.relative_to(FOLDER)) if n.path else None for n in shelf.name(cells)]


@pytest.mark.parametrize(
    "cell",
    [
        "disc1/02.flac",
        "./disc1/02.flac",
        "disc1\\02.flac",
        "disc1/02",
        "02",
        "DISC1/02.FLAC",
        "C:\\Users\\Ayşe\\music\\disc1\\02.flac",
        "file:///home/a%20b/disc1/02.flac",
        "disc1/02.wav",
    ],
)
def test_a_recording_is_found_however_it_is_written(cell: str) -> None:
    assert named([cell]) == ["disc1/02.flac"]


def test_letters_of_another_unicode_form_are_the_same() -> None:
    decomposed = unicodedata.normalize("NFD", "disc1/01 Hicâz.wav")
    assert decomposed != "disc1/01 Hicâz.wav"
    assert named([decomposed]) == ["disc1/01 Hicâz.wav"]
    assert named(["disc1/01 Hicâz.wav"], (decomposed,)) == [decomposed]


def test_a_name_that_two_recordings_have_is_not_guessed() -> None:
    shelf = recordings_of(FOLDER, map(PurePosixPath, FILES))
    [one] = shelf.name(["01 Hicâz.wav"])
    assert one.path is None
    assert len(one.paths) == 2


def test_one_cell_is_not_matched_by_less_of_its_path_than_the_others() -> None:
    """``disc2/02.flac`` is not there; that another folder has a ``02.flac`` must not be taken for it."""
    assert named(["disc1/01 Hicâz.wav", "disc1/02.flac", "disc2/02.flac"]) == [
        "disc1/01 Hicâz.wav",
        "disc1/02.flac",
        None,
    ]


def test_what_differs_only_in_case_is_told_apart_by_case() -> None:
    assert named(["a.wav", "A.wav"], ("A.wav", "a.wav")) == ["a.wav", "A.wav"]


def test_only_sound_is_found_and_dot_files_are_none(tmp_path: Path, sound: Sound) -> None:
    for name in ("b.WAV", "a/x.flac", "._a.wav", ".hidden/c.wav", "__MACOSX/d.wav", "notes.txt"):
        sound(tmp_path / name)
    assert [str(p) for p in find_recordings(tmp_path).paths] == ["a/x.flac", "b.WAV"]


def test_an_absolute_path_that_is_there_is_taken(tmp_path: Path, sound: Sound) -> None:
    elsewhere = sound(tmp_path / "else" / "x.wav")
    sound(tmp_path / "here" / "y.wav")
    [one] = find_recordings(tmp_path / "here").name([str(elsewhere)])
    assert one.path == elsewhere


def test_a_name_that_begins_with_a_blank_is_found() -> None:
    for file in ("\u00a0a.wav", "x/\u2003b.wav", "\u00a0.wav"):
        assert recordings_of(FOLDER, [PurePosixPath(file)]).name([file])[0].path == FOLDER / file


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0%", exclude_categories=("Cs", "Cc")), min_size=1, max_size=8
)


@given(
    st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["NFC", "NFD"]),
)
def test_every_path_is_found_by_itself(parts: list[list[str]], backslash: bool, form: str) -> None:
    clean = [[p.strip(" .~") or "x" for p in path] for path in parts]
    keys = {unicodedata.normalize("NFC", "/".join(p)).casefold().strip(): "/".join(p) + ".wav" for p in clean}
    files = tuple(keys.values())
    cells = [unicodedata.normalize(form, file).replace("/", "\\" if backslash else "/") for file in files]  # type: ignore[arg-type]
    shelf = recordings_of(FOLDER, map(PurePosixPath, files))
    for cell, file, one in zip(cells, files, shelf.name(cells), strict=True):
        assert FOLDER / file in one.paths, cell
