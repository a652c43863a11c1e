"""A corpus as people bring it: everything that is wrong is told at once, with line and remedy; the rest is read."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.errors import UsageError, quoted
from cmbench.tasks.base import LoadContext, Task, Track
from cmbench.tasks.choice import get_task, select_tasks
from cmbench.tasks.custom import load_task

HEAD = ("id", "path", "split", "group", "labels")
LABELS = ("makam--Uşşak", "makam--Hüzzam", "usul--Düyek")
YAML = f"name: mine\nlabels: [{', '.join(LABELS)}]\n"


def rows(count: int = 12, split: str = "ttttttttvvee") -> list[list[str]]:
    names = {"t": "train", "v": "valid", "e": "test"}
    return [[f"ş{i}", f"audio/Şarkı {i}.wav", names[split[i % 12]], f"g{i}", LABELS[i % 3]] for i in range(count)]


def made(
    folder: Path,
    some: list[list[str]],
    *,
    yaml: str = YAML,
    separator: str = ",",
    encoding: str = "utf-8",
    form: Literal["NFC", "NFD"] = "NFC",
    audio: bool = True,
) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([list(HEAD), *some])
    (folder / "audio").mkdir(exist_ok=True)
    (folder / "tracks.csv").write_bytes(text.getvalue().encode(encoding))
    (folder / "task.yaml").write_text(yaml, encoding="utf-8")
    for i in range(len(some) if audio else 0):
        (folder / "audio" / unicodedata.normalize(form, f"Şarkı {i}.wav")).touch()
    return folder / "task.yaml"


def data_of(task: Task, folder: Path) -> dict[str, tuple[Track, ...]]:
    return dict(task.load("custom", LoadContext(None, folder)).splits)


def error_of(path: Path) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load_task(path)
    return str(caught.value).replace(str(path.parent) + "/", "").splitlines()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(",;\t"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1254", "iso8859-9"]),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from(["/", "\\"]),
    st.booleans(),
)
def test_the_same_corpus_in_every_dress(
    separator: str, encoding: str, form: Literal["NFC", "NFD"], slash: str, split: bool
) -> None:
    """Whatever wrote the table, the splits drawn into it included, it is the same corpus with all its files."""
    some = [[a, b.replace("/", slash), c if split else "", d, e] for a, b, c, d, e in rows(36)]
    with tempfile.TemporaryDirectory() as plain, tempfile.TemporaryDirectory() as dressed:
        expected = data_of(
            load_task(made(Path(plain), [[a, b, c if split else "", d, e] for a, b, c, d, e in rows(36)])), Path(plain)
        )
        path = made(Path(dressed), some, separator=separator, encoding=encoding, form=form)
        for _ in range(2):
            found = load_task(path).load("custom", LoadContext(None, Path(dressed)))
            for name, tracks in found.splits.items():
                assert [(t.id, t.labels, t.group) for t in tracks] == [
                    (t.id, t.labels, t.group) for t in expected[name]
                ]
                assert all(track.path.is_file() for track in tracks)
        (Path(dressed) / "tracks.csv").read_bytes().decode(encoding)


def test_an_encoding_that_nothing_confirms_is_not_guessed(tmp_path: Path) -> None:
    some = [[f"ş{i}", f"Þarký {i}.wav", *row[2:4], "solo"] for i, row in enumerate(rows())]
    text = "id,path,split,group,labels\n" + "".join(",".join(row) + "\n" for row in some)
    (tmp_path / "tracks.csv").write_bytes(text.encode("cp1252", "replace"))
    path = tmp_path / "task.yaml"
    path.write_text("name: mine\nlabels: [solo]\n")
    (told,) = error_of(path)
    assert re.match(r"tracks\.csv:2: the byte 0x.. is not UTF-8 \(the word would be '.+' in windows-1254", told)
    remedy = re.search(r"`(encoding: .+?)`", told)
    assert remedy is not None
    path.write_text(f"name: mine\nlabels: [solo]\n{remedy[1]}\n")
    assert sum(load_task(path).counts.values()) == 12


def test_a_description_that_is_not_utf_8_tells_the_line_that_mends_it(tmp_path: Path) -> None:
    path = made(tmp_path, rows(), encoding="cp1254")
    path.write_bytes(YAML.encode("cp1254"))
    (told,) = error_of(path)
    assert told.startswith("task.yaml:2: the byte 0xfe is not UTF-8 (the word would be 'makam--Uşşak' in windows-1254")
    path.write_bytes((YAML + "encoding: windows-1254\n").encode("cp1254"))
    assert load_task(path).labels == LABELS
    # What is UTF-8 beyond doubt stays so beside it.
    made(tmp_path, rows())
    path.write_bytes((YAML + "encoding: windows-1254\n").encode("cp1254"))
    assert data_of(load_task(path), tmp_path)["train"][0].id == "ş0"


@pytest.mark.parametrize(
    "cell", ["low, high", "low;high", "['low', 'high']", '["low", "high"]', "low / high", "low high"]
)
def test_labels_joined_with_another_sign(tmp_path: Path, cell: str) -> None:
    some = [[*row[:4], cell] for row in rows(30)]
    told = error_of(made(tmp_path, some, yaml="name: x\nlabels: [low, high]\n"))
    assert told[0] == "30 things are wrong in tracks.csv; nothing was computed."
    said = f"tracks.csv:2: the labels {quoted(cell)} are not joined with `|`; write low|high."
    assert told[1:] == [f"{said} So in 30 lines: 2, 3, 4, 5, 6 …"]
    # The remedy works.
    assert load_task(
        made(tmp_path, [[*row[:4], "low|high"] for row in rows(30)], yaml="name: x\nlabels: [low, high]\n")
    )


def test_twenty_of_a_kind_are_listed_and_what_recurs_once(tmp_path: Path) -> None:
    some = [[*row[:4], f"low{i:02d}" if i < 25 else "no|high"] for i, row in enumerate(rows(30))]
    told = error_of(made(tmp_path, some, yaml="name: x\nlabels: [low, high]\n"))
    assert told[0] == "30 things are wrong in tracks.csv; nothing was computed."
    assert len(told) == 22
    assert told[-1] == "  … and 10 more like the last one."
    told = error_of(made(tmp_path, some[24:], yaml="name: x\nlabels: [low, high]\n"))
    assert told[1].startswith("tracks.csv:2: the label 'low24' is not among the labels of the task")
    assert told[2].endswith(" So in 5 lines: 3, 4, 5, 6, 7")


def test_a_label_with_a_comma_is_one_label(tmp_path: Path) -> None:
    some = [[*row[:4], "low, slow" if i % 2 else "low|high"] for i, row in enumerate(rows())]
    task = load_task(made(tmp_path, some, yaml="name: x\nlabels: ['low, slow', low, high]\n"))
    assert sum(task.counts.values()) == 12


def test_every_error_of_both_files_is_told_at_once(tmp_path: Path) -> None:
    some = rows()
    some[0][0] = ""
    some[1][1] = "https://x.org/a.wav"
    some[2][1] = "audio/._a.wav"
    some[3][1] = r"D:\music\a.wav"
    some[4][4] = "makam--Ussak"
    some[5][2] = "vali"
    some[7][0] = some[6][0]
    some[8] = [*some[8], "more"]
    told = error_of(made(tmp_path, some, yaml=YAML + "lable: x\ntitle: 1990\n"))
    assert told[0] == "10 things are wrong in task.yaml and tracks.csv; nothing was computed."
    starts = [
        "task.yaml:3: unknown key 'lable'; did you mean 'labels'?",
        "task.yaml:4: `title` must be text, not 1990; put it in quotes.",
        "tracks.csv:2: the track has no id.",
        "tracks.csv:3: 'https://x.org/a.wav' is an address; fetch the file",
        "tracks.csv:4: '._a.wav' begins with a dot",
        r"tracks.csv:5: 'D:\music\a.wav' is a place on a Windows machine",
        "tracks.csv:6: the label 'makam--Ussak' is not among the labels of the task; did you mean 'makam--Uşşak'?",
        "tracks.csv:7: the split 'vali' is unknown; did you mean 'valid'?",
        "tracks.csv:9: the id 'ş6' stands in line 8 already.",
        "tracks.csv:10: 6 cells under 5 columns; quote cells that hold a comma.",
    ]
    assert len(told) == 11
    for line, start in zip(told[1:], starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("written", "quoted", "what"),
    [
        ("no", "'no'", "yes or no"),
        ("Yes", "'Yes'", "yes or no"),
        ("1990", "'1990'", "a number"),
        ("1.50", "'1.50'", "a number"),
        ("12:30", "'12:30'", "a number"),
        ("2016-01-09", "'2016-01-09'", "a timestamp"),
        ("~", "'~'", "nothing"),
        ("raga: kalyani", "'raga: kalyani'", "a table"),
        ("[a, b]", "'[a, b]'", "a list"),
    ],
)
def test_labels_that_yaml_takes_for_something_else(tmp_path: Path, written: str, quoted: str, what: str) -> None:
    yaml = "name: x\nlabels:\n  - low\n  - {}\n  - high\n"
    some = [[*row[:4], "low"] for row in rows()]
    (told,) = error_of(made(tmp_path, some, yaml=yaml.format(written)))
    assert told == f"task.yaml:4: the label {written} is not text for YAML but {what}; put it in quotes: {quoted}."
    assert written in load_task(made(tmp_path, some, yaml=yaml.format(quoted))).labels


def test_labels_that_yaml_does_not_see(tmp_path: Path) -> None:
    told = error_of(made(tmp_path, rows(), yaml="name: x\nlabels:\n  - no\n  - #rock\n  -\n"))
    assert told[1:4] == [
        "task.yaml:3: the label no is not text for YAML but yes or no; put it in quotes: 'no'.",
        "task.yaml:4: for YAML `#rock` is a comment, and this label is empty; put it in quotes: '#rock'.",
        "task.yaml:5: this label is empty; write it, or remove its line.",
    ]
    (line,) = error_of(made(tmp_path, rows(), yaml="name: x\nlabels: [low, #rock, high]\n"))
    assert line.startswith("task.yaml:2: not valid YAML: ")
    assert line.endswith("; `#` begins a comment: put '#rock' in quotes.")


@pytest.mark.parametrize(
    ("start", "hint"),
    [("1,5", "write 1.5, with a point"), ("1:30", "write 90"), ("01:02:03.5", "write 3723.5")],
)
def test_seconds_as_people_write_them(tmp_path: Path, start: str, hint: str) -> None:
    lines = ["id;path;labels;split;start", *(f"t{i};t{i}.wav;low;train;{start}" for i in range(3))]
    (tmp_path / "tracks.csv").write_text("\n".join(lines))
    (tmp_path / "task.yaml").write_text("name: x\nlabels: [low]\n")
    told = error_of(tmp_path / "task.yaml")
    assert told[1] == f"tracks.csv:2: `start` must be seconds, 0 or more, not {start!r}; {hint}. So in 3 lines: 2, 3, 4"


@pytest.mark.parametrize(
    ("some", "words"),
    [
        (
            [[f"t{i}", f"{i}.wav", "", "album", LABELS[i % 3]] for i in range(9)],
            "You have 9 recordings in 1 group; at least 3 groups are needed. Add recordings, or name smaller groups",
        ),
        (
            [[f"t{i}", f"{i}.wav", "", "", LABELS[i % 3]] for i in range(2)],
            "You have 2 recordings; at least 3 are needed. Add recordings, or fill",
        ),
        ([[f"t{i}", f"{i}.wav", "", "", LABELS[0]] for i in range(40)], "no label tells one recording from another"),
        (
            [[f"t{i}", f"{i}.wav", "", "", LABELS[i % 2]] for i in range(5)],
            "needs a recording that has a label and one that",
        ),
        ([[f"t{i}", f"{i}.wav", "test", "", LABELS[i % 2]] for i in range(8)], "nothing to learn from (8 in `test`)"),
    ],
)
def test_too_few_recordings_in_words(tmp_path: Path, some: list[list[str]], words: str) -> None:
    (told,) = error_of(made(tmp_path, some))
    assert words in told


@pytest.mark.parametrize("count", [6, 12, 20])
def test_a_small_corpus_gets_splits_and_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, count: int) -> None:
    some = [[f"t{i}", f"{i}.wav", "", "", LABELS[i % 2]] for i in range(count)]
    data = data_of(load_task(made(tmp_path, some)), tmp_path)
    for tracks in data.values():
        assert {track.labels for track in tracks} == {(LABELS[0],), (LABELS[1],)}
    assert f"Scores on {len(data['test'])} test recordings are a first look" in caplog.text


@pytest.mark.parametrize(
    "names", [("Training", "VALIDATION", "testing"), ("tr", "dev set", "eval"), ("x", "val", "test")]
)
def test_splits_by_other_names(tmp_path: Path, names: tuple[str, str, str]) -> None:
    called = dict(zip(("train", "valid", "test"), names, strict=True))
    some = [[*row[:2], called[row[2]], *row[3:]] for row in rows()]
    if "x" in names:
        assert error_of(made(tmp_path, some))[1].startswith(
            "tracks.csv:2: the split 'x' is unknown. It is one of train"
        )
    else:
        assert load_task(made(tmp_path, some)).counts == load_task(made(tmp_path, rows())).counts


def test_a_split_by_another_name_stays_as_it_is_written(tmp_path: Path) -> None:
    path = made(tmp_path, [[*row[:2], "Training" if i < 30 else "Dev", *row[3:]] for i, row in enumerate(rows(40))])
    data = data_of(load_task(path), tmp_path)
    with (tmp_path / "tracks.csv").open(encoding="utf-8") as file:
        written = {row["id"]: row["split"] for row in csv.DictReader(file)}
    assert {written[track.id] for track in data["valid"]} == {"Dev"}
    assert {written[track.id] for track in data["train"]} == {"Training"}
    assert {written[track.id] for track in data["test"]} == {"test"}


def test_groups_are_one_in_either_unicode_form(tmp_path: Path) -> None:
    form: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    some = [[*row[:3], unicodedata.normalize(form[i % 2], "Uşşak"), row[4]] for i, row in enumerate(rows())]
    assert {t.group for t in data_of(load_task(made(tmp_path, some)), tmp_path)["train"]} == {"Uşşak"}


def test_files_whose_names_differ_in_case_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = made(tmp_path, [[a, b.upper(), *c] for a, b, *c in rows()])
    data = data_of(load_task(path), tmp_path)
    assert all(track.path.is_file() for tracks in data.values() for track in tracks)
    assert "12 paths differ from their files in upper and lower case only" in caplog.text


def test_a_file_is_taken_for_one_track_only(tmp_path: Path) -> None:
    """Names of videos differ in case only, too: what one names exactly is no other's."""
    some = rows()
    for row, name in ((1, "şarkı 0"), (2, "ŞARKI 2"), (3, "ŞARKI 3"), (4, "şarkı 3")):
        some[row][1] = f"audio/{name}.wav"
    path = made(tmp_path, some)
    tracks = {t.id: t for part in data_of(load_task(path), tmp_path).values() for t in part}
    assert [tracks[f"ş{i}"].path.is_file() for i in range(6)] == [True, False, True, False, False, True]


def test_names_of_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / unicodedata.normalize("NFD", "Şarkılar, eski")
    folder.mkdir()
    path = made(folder, rows())
    written = unicodedata.normalize("NFC", folder.name)
    for name in (written, f"{written}/task.yaml", f"./{written}", f"{written}\\task.yaml", path.as_uri()):
        assert [task.name for task in select_tasks(name)] == ["mine"]
    assert [task.name for task in select_tasks(f"lyra,{written}")] == ["lyra", "mine"]
    path.rename(path.with_name("task.yml"))
    assert get_task(written).name == "mine"
    (folder / "task.yml").rename(folder / "other.yaml")
    with pytest.raises(UsageError, match=r"has no task\.yaml.*; if other\.yaml is one, name that file"):
        get_task(written)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: this folder has no task\.yaml.*cmbench tasks new empty"):
        get_task("empty")
    with pytest.raises(UsageError, match=r"tracks\.csv: this file does not describe a task"):
        get_task(f"{written}/tracks.csv")
    with pytest.raises(UsageError, match="There is no file or folder nowhere/x"):
        get_task("nowhere/x")
    with pytest.raises(UsageError, match="no task named 'lyrra'"):
        get_task("lyrra")
    (tmp_path / "lyra").mkdir()
    assert get_task("lyra").name == "lyra"


def test_a_name_that_cannot_be_one_gets_a_better_one(tmp_path: Path) -> None:
    (told,) = error_of(made(tmp_path, rows(), yaml=YAML.replace("mine", "Old songs, 1990")))
    assert told.endswith("for example Old_songs_1990.")
    for name in ("ready", "installed", "all"):
        assert "is taken by cmbench itself" in error_of(made(tmp_path, rows(), yaml=YAML.replace("mine", name)))[0]
