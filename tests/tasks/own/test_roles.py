from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.own.roles import Choices, Roles, plain_name, propose, seconds
from cmbench.tasks.own.sources import open_source

Corpus = Callable[..., Path]
FILES = [f"{i}.wav" for i in range(12)]


def roles_of(folder: Path, choices: Choices | None = None) -> Roles:
    source = open_source(str(folder))
    return propose(source.sheet, source.recordings, choices or Choices())[0]


def rows(**columns: Callable[[int], str]) -> list[dict[str, str]]:
    return [{name: cell(i) for name, cell in columns.items()} for i in range(12)]


def test_columns_are_known_by_name_and_contents(corpus: Corpus) -> None:
    found = roles_of(
        corpus(
            rows(
                No=str,
                Dosya=lambda i: f"{i}.wav",
                Makam=lambda i: f"makam {i}",
                Köken=lambda i: "abc"[i % 3],
                Albüm=lambda i: f"disc {i % 4}",
                Sanatçı=lambda i: f"singer {i % 4}",
                Artist=lambda i: f"s{i % 5}",
                Split=lambda i: ["Train", "val", "TEST"][i % 3],
                Başlık=lambda i: f"title {i}",
                year=lambda i: str(1990 + i % 3),
            ),
            FILES,
            ";",
        )
    )
    assert (found.path, found.id, found.group, found.split) == ("Dosya", "No", ("Albüm",), "Split")
    assert found.labels == ("Makam", "Köken")
    assert found.why["Artist"] == "not used; could be the group (--group Artist)"
    assert found.why["year"] == found.why["Başlık"] == "not used"


def test_columns_that_are_a_label_each(corpus: Corpus) -> None:
    found = roles_of(
        corpus(rows(file=lambda i: f"{i}.wav", guitar=lambda i: str(i % 2), sad=lambda i: "x" * (i % 3 == 0)), FILES)
    )
    assert (found.labels, found.marks) == ((), ("guitar", "sad"))


def test_the_user_has_the_last_word(corpus: Corpus) -> None:
    folder = corpus(rows(file=lambda i: f"{i}.wav", note=lambda i: "ab"[i % 2], album=lambda i: str(i % 4)), FILES)
    found = roles_of(folder, Choices(labels=("note",), group=("none",)))
    assert (found.labels, found.group) == (("note",), ())
    with pytest.raises(UsageError, match="nots"):
        roles_of(folder, Choices(labels=("nots",)))


def test_excerpts_need_times(corpus: Corpus) -> None:
    folder = corpus(
        rows(
            file=lambda i: f"{i}.wav",
            start=lambda i: f"0:{i:02d}",
            end=lambda i: f"{i + 1}.5",
            tag=lambda i: "ab"[i % 2],
        ),
        FILES,
    )
    assert (roles_of(folder).start, roles_of(folder).end) == ("start", "end")


def test_a_table_that_names_no_recording(corpus: Corpus) -> None:
    folder = corpus(rows(file=lambda i: f"other{i}.wav", tag=lambda i: "ab"[i % 2]), FILES)
    with pytest.raises(
        UsageError,
        match=r"No column of .*songs.csv names the 12 recordings .*: 'file' begins with 'other0.wav'.*--audio",
    ):
        roles_of(folder)


def test_a_table_without_labels(corpus: Corpus) -> None:
    folder = corpus(rows(file=lambda i: f"{i}.wav", title=lambda i: f"t{i}"), FILES)
    with pytest.raises(UsageError, match=r"no column seems to hold labels.*--labels COLUMN; there are 'title'"):
        roles_of(folder)


def test_a_table_without_a_line_of_names(corpus: Corpus) -> None:
    folder = corpus(rows(file=lambda i: f"{i}.wav", tag=lambda i: "ab"[i % 2]), FILES)
    table = folder / "songs.csv"
    table.write_text(table.read_text().split("\n", 1)[1])
    with pytest.raises(UsageError, match=r"'0.wav' is 0.wav\), not columns.*one for each column: file, label …$"):
        roles_of(folder)
    table.write_text("file,label\n" + table.read_text())
    assert roles_of(folder).labels == ("label",)


@pytest.mark.parametrize(
    ("cell", "value"), [("7", 7.0), ("7,5", 7.5), ("1:05", 65.0), ("1:00:01.5", 3601.5), ("x", None), ("", None)]
)
def test_times(cell: str, value: float | None) -> None:
    assert seconds(cell) == value


@pytest.mark.parametrize(
    ("name", "plain"), [("Albüm", "album"), ("Çalgı ", "calgi"), ("Start (s)", "start_s"), ("Δρόμος", "δρομος")]
)
def test_names_without_accents(name: str, plain: str) -> None:
    assert plain_name(name) == plain
