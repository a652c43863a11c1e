from __future__ import annotations

import logging
import os
import shutil
import stat
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.base import LoadContext, Task, TaskData
from cmbench.tasks.choice import get_task
from cmbench.tasks.custom import load_task

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
MAKAM = SHARED / "real" / "makam_contours"
needs_makam = pytest.mark.skipif(not MAKAM.is_dir(), reason="the folder `shared` beside the checkout has no makam set")

YAML = "name: my_ragas\nlabels: [raga--kalyani, raga--thodi, solo]\n"
CSV = """id,path,split,group,labels
a,audio/a.wav,train,g1,raga--kalyani|solo
b,audio/b.wav,valid,,raga--thodi
c,/far/c.wav,test,g2,
"""


def made(folder: Path, yaml: str = YAML, csv: str | bytes = CSV) -> Path:
    """Write a task and return the path of its yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "tracks.csv").write_bytes(csv.encode() if isinstance(csv, str) else csv)
    path = folder / "task.yaml"
    path.write_text(yaml, encoding="utf-8")
    return path


def data_of(task: Task, folder: Path) -> TaskData:
    return task.load("custom", LoadContext(data_root=None, cache_root=folder))


def error_of(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_task(path)
    return str(caught.value)


def splits_in(path: Path) -> dict[str, str]:
    """Read id -> split without the code under test (no cell in these files holds a comma)."""
    lines = [line.split(",") for line in path.read_text(encoding="utf-8-sig").splitlines()]
    at = lines[0].index("split")
    return {line[0]: line[at] for line in lines[1:]}


def unsplit(count: int, groups: int, labels: int = 3) -> str:
    """A list of tracks without splits; the labels of a track follow from its group."""
    rows = [f"t{i},t{i}.wav,g{i % groups},l{i % groups % labels}" for i in range(count)]
    return "\n".join(["id,path,group,labels", *rows]) + "\n"


SIMPLE = "name: drawn\nlabels: [l0, l1, l2]\n"


# what a task says


def test_smallest_task(tmp_path: Path) -> None:
    task = load_task(made(tmp_path))
    assert (task.name, task.title, task.tradition, task.licence) == ("my_ragas", "my_ragas", "other", "not stated")
    assert task.labels == ("raga--kalyani", "raga--thodi", "solo")
    assert task.families == {"raga--kalyani": "raga", "raga--thodi": "raga", "solo": "tag"}
    assert task.counts == {"train": 1, "valid": 1, "test": 1}
    assert task.test_support == {}
    assert task.max_track_seconds is None
    assert list(task.editions) == ["custom"]
    data = data_of(task, tmp_path)
    (a,), (b,), (c,) = (data.splits[s] for s in ("train", "valid", "test"))
    assert (a.path, a.group, a.labels) == (tmp_path / "audio/a.wav", "g1", ("raga--kalyani", "solo"))
    assert (b.group, b.start, b.end) == (None, 0.0, None)
    assert (c.path, c.labels) == (Path("/far/c.wav"), ())
    assert data.label_matrix("train").tolist() == [[True, False, True]]


def test_every_key(tmp_path: Path) -> None:
    yaml = YAML + (
        "title: Mine\ntradition: carnatic\ndescription: >-\n  One\n  sentence.\nlicense: CC0\ncitation: Me\n"
        "families: {solo: form}\nmax_track_seconds: 90\ntracks: lists/other.csv\nsource: here\nsample_rate: 24000\n"
    )
    path = made(tmp_path, yaml)
    (tmp_path / "lists").mkdir()
    (tmp_path / "tracks.csv").rename(tmp_path / "lists/other.csv")
    task = load_task(path)
    assert (task.title, task.tradition, task.description) == ("Mine", "carnatic", "One sentence.")
    assert (task.licence, task.citation, task.max_track_seconds) == ("CC0", "Me", 90.0)
    assert task.families == {"raga--kalyani": "raga", "raga--thodi": "raga", "solo": "form"}
    assert data_of(task, tmp_path).splits["train"][0].path == tmp_path / "audio/a.wav"


def test_one_label_a_track_and_works_and_performers(tmp_path: Path) -> None:
    rows = [f"t{i},t{i}.wav,l{i % 2},w{i % 6},p{i % 5}" for i in range(30)]
    csv = "\n".join(["id,path,labels,work,performer", *rows]) + "\n"
    path = made(tmp_path / "one", "name: one\nlabels: [l0, l1]\nsingle_label: true\n", csv)
    task = load_task(path)
    assert task.single_label
    context = LoadContext(data_root=None, cache_root=tmp_path)
    for split, kind, count in (("work-safe", "work", 6), ("performer-safe", "performer", 5)):
        data = task.load("custom", context, split)
        found = [{getattr(t, kind) for t in data.splits[name]} for name in ("train", "valid", "test")]
        assert len(set().union(*found)) == sum(map(len, found)) == count
    told = error_of(made(tmp_path / "other", YAML + "single_label: perhaps\n"))
    assert "task.yaml:3: `single_label` must be true or false, not perhaps" in told
    assert not load_task(made(tmp_path / "third", YAML + "single_label: false\n")).single_label


def test_british_licence_and_stretches(tmp_path: Path) -> None:
    csv = (
        "labels,end,start,id,path,split,artist\n"
        "solo,12.5,3,a,x.wav,train,A\n|solo||solo ,, ,b,x.wav,valid,B\n,,0,c,x.wav,test,C\n"
    )
    task = load_task(made(tmp_path, YAML + "licence: CC BY\n", csv))
    assert task.licence == "CC BY"
    splits = data_of(task, tmp_path).splits
    assert (splits["train"][0].start, splits["train"][0].end) == (3.0, 12.5)
    assert (splits["valid"][0].labels, splits["valid"][0].start, splits["valid"][0].end) == (("solo",), 0.0, None)


def test_get_task_by_path(tmp_path: Path) -> None:
    assert get_task(str(made(tmp_path))).name == "my_ragas"


@pytest.mark.parametrize("crlf", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_encodings_of_csv(tmp_path: Path, mark: bytes, crlf: bool) -> None:
    csv = mark + CSV.replace("raga--thodi", "makam--Uşşak").encode().replace(b"\n", b"\r\n" if crlf else b"\n")
    task = load_task(made(tmp_path, "name: x\nlabels: [raga--kalyani, makam--Uşşak, solo]\n", csv))
    assert data_of(task, tmp_path).splits["valid"][0].labels == ("makam--Uşşak",)
    assert (tmp_path / "tracks.csv").read_bytes() == csv


def test_decomposed_letters_are_the_same_label(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "makam--Hüzzam") for form in ("NFC", "NFD"))
    assert composed != decomposed
    yaml = f"name: x\nlabels: [{decomposed}, raga--kalyani, solo]\nfamilies: {{{composed}: mode}}\n"
    task = load_task(made(tmp_path, yaml, CSV.replace("raga--thodi", composed)))
    assert task.labels[0] == composed
    assert task.families[composed] == "mode"
    assert data_of(task, tmp_path).splits["valid"][0].labels == (composed,)


# what is wrong with a task.yaml


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("", "task.yaml:1: it must hold lines such as `name: my_corpus`"),
        ("- a\n- b\n", "task.yaml:1: it must hold lines such as `name: my_corpus`"),
        ("name: x\n", "task.yaml: the key `labels` is missing."),
        ("labels: [solo]\n", "task.yaml: the key `name` is missing."),
        (YAML + "lable: [x]\n", "task.yaml:3: unknown key 'lable'; did you mean 'labels'? Known are name,"),
        (YAML + "zzz: 1\n", "task.yaml:3: unknown key 'zzz'. Known are name,"),
        (YAML + "name: y\n", "task.yaml:3: the key 'name' stands in line 1 already."),
        ("name: [x\nlabels: [a]\n", "task.yaml:1: not valid YAML: "),
        (YAML + "citation: 2016-99-99\n", "task.yaml:3: `citation` must be text, not 2016-99-99; put it in quotes."),
        (YAML + "citation: 2016-01-09\n", "task.yaml:3: `citation` must be text"),
        (YAML + "title: 1001\n", "task.yaml:3: `title` must be text, not 1001; put it in quotes."),
        ("name: a/b\nlabels: [solo]\n", "task.yaml:1: 'a/b' cannot be a task's name"),
        ("name: ..\nlabels: [solo]\n", "task.yaml:1: '..' cannot be a task's name"),
        ("name:\nlabels: [solo]\n", "task.yaml:1: '' cannot be a task's name"),
        ("name: turkish\nlabels: [solo]\n", "task.yaml:1: the name 'turkish' is taken"),
        ("name: all\nlabels: [solo]\n", "task.yaml:1: the name 'all' is taken"),
        ("name: x\nlabels: []\n", "task.yaml:2: `labels` must be a list"),
        ("name: x\nlabels: solo\n", "task.yaml:2: `labels` must be a list"),
        (
            "name: x\nlabels: [solo, no]\n",
            "task.yaml:2: the label no is not text for YAML but yes or no; put it in quotes: 'no'.",
        ),
        ("name: x\nlabels: ['a|b']\n", "task.yaml:2: 'a|b' cannot be a label"),
        ("name: x\nlabels: [' ']\n", "task.yaml:2: ' ' cannot be a label"),
        ("name: x\nlabels: [a, b, 'a ']\n", "task.yaml:2: the label 'a' is listed twice."),
        (YAML + "families: [raga]\n", "task.yaml:3: `families` must give each label its family"),
        (
            YAML + "families: {sole: form}\n",
            "task.yaml:3: `families` names 'sole', which is no label; did you mean 'solo'?",
        ),
        (YAML + "max_track_seconds: 0\n", "task.yaml:3: `max_track_seconds` must be a positive number, not 0."),
        *(
            (YAML + f"max_track_seconds: {written}\n", "task.yaml:3: `max_track_seconds` must be a positive number")
            for written in ("0b_", "!!int ", "!!float x", "9" * 400, "!!int {}")
        ),
        (YAML + "max_track_seconds: .inf\n", "task.yaml:3: `max_track_seconds` must be a positive number"),
        (YAML + "max_track_seconds: yes\n", "task.yaml:3: `max_track_seconds` must be a positive number, not yes."),
        (YAML + "license: a\nlicence: b\n", "task.yaml:4: `license` and `licence` are the same; keep one."),
        (YAML + "tracks: none.csv\n", "none.csv: there is no such file; it should be the list of tracks."),
    ],
)
def test_wrong_yaml(tmp_path: Path, yaml: str, words: str) -> None:
    assert words in error_of(made(tmp_path, yaml))


def test_absent_and_unreadable_yaml(tmp_path: Path) -> None:
    assert "there is no such file; it should be the description of a task" in error_of(tmp_path / "no.yaml")
    path = made(tmp_path)
    path.write_bytes(b"name: x\ntitle: \xfeark\xfd\n")
    assert "task.yaml:2: the byte 0xfe is not UTF-8" in error_of(path)
    (tmp_path / "folder.yaml").mkdir()
    assert "folder.yaml: the description of a task cannot be read: Is a directory" in error_of(tmp_path / "folder.yaml")


# what is wrong with a tracks.csv

HEAD = "id,path,split,group,labels\n"


@pytest.mark.parametrize(
    ("csv", "words"),
    [
        ("", "tracks.csv: the file is empty; its first line should be id,path,labels,split,group."),
        ("\n \n", "tracks.csv: the file is empty"),
        (HEAD, "tracks.csv: no tracks below the line of column names."),
        ("id,path,split\na,b,train\n", "tracks.csv:1: the column `labels` is missing; found are id, path, split."),
        ("id,path,labels,splits\na,b,solo,train\n", "tracks.csv:1: unknown column 'splits'; did you mean 'split'?"),
        ("id,path,Labels\na,b,solo\n", "tracks.csv:1: unknown column 'Labels'; did you mean 'labels'?"),
        ("id,path,labels,id\na,b,solo,c\n", "tracks.csv:1: two columns are named 'id'."),
        (CSV + "d,d.wav,test\n", "tracks.csv:5: 3 cells under 5 columns"),
        (
            CSV + "d,d.wav,test,g,solo,raga--thodi\n",
            "tracks.csv:5: 6 cells under 5 columns; quote cells that hold a comma.",
        ),
        (CSV + '\n"d"x,d.wav,test,g,solo\n', "tracks.csv:6: not valid CSV: "),
        (CSV + ",d.wav,test,g,solo\n", "tracks.csv:5: the track has no id."),
        (CSV + "d,,test,g,solo\n", "tracks.csv:5: the track has no path."),
        (CSV + "\nb,d.wav,test,g,solo\n", "tracks.csv:6: the id 'b' stands in line 3 already."),
        (
            CSV + "d,d.wav,vald,g,solo\n",
            "tracks.csv:5: the split 'vald' is unknown; did you mean 'valid'? It is one of",
        ),
        (CSV + "d,d.wav,xyz,g,solo\n", "tracks.csv:5: the split 'xyz' is unknown. It is one of train, valid, test"),
        (CSV + "d,d.wav,,g,solo\n", "tracks.csv:5: the track has no split, but others have. It is one of"),
        (
            CSV + "d,d.wav,test,g,raga--Thodi\n",
            "tracks.csv:5: the label 'raga--Thodi' is not among the labels of the task; did",
        ),
        ("id,path,labels,start\na,b,solo,x\n", "tracks.csv:2: `start` must be seconds, 0 or more, not 'x'."),
        ("id,path,labels,end\na,b,solo,-2\n", "tracks.csv:2: `end` must be seconds, 0 or more, not '-2'."),
        ("id,path,labels,end\na,b,solo,nan\n", "tracks.csv:2: `end` must be seconds, 0 or more, not 'nan'."),
        (
            "id,path,labels,start,end\na,b,solo,2,2\n",
            "tracks.csv:2: the track ends at 2 s, which is not after its start.",
        ),
        ("id,path,labels,split\na,b,solo,test\nc,b,solo,test\n", "no track is in the split 'train'"),
        ("id,path,labels\na,a,solo\nb,b,solo\n", "tracks.csv: there are too few recordings. They are divided into 3"),
        (b"id,path,labels\n\xff\xfe,b,solo\n", "tracks.csv:2: the byte 0xff is not UTF-8"),
    ],
)
def test_wrong_csv(tmp_path: Path, csv: str | bytes, words: str) -> None:
    path = made(tmp_path, csv=csv)
    before = (tmp_path / "tracks.csv").read_bytes()
    assert words in error_of(path)
    assert (tmp_path / "tracks.csv").read_bytes() == before


# drawing


@pytest.mark.parametrize("column", [False, True])
def test_missing_splits_are_drawn_once_and_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, column: bool
) -> None:
    lines = [line.split(",") for line in unsplit(60, groups=30).splitlines()]
    if column:
        lines = [[*line, "split" if i == 0 else ""] for i, line in enumerate(lines)]
    path = made(tmp_path, SIMPLE, "\n".join(",".join(line) for line in lines) + "\n")
    with caplog.at_level(logging.WARNING):
        data = data_of(load_task(path), tmp_path)
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path / 'tracks.csv'} had no tracks in train and valid and test: drew them by group and label and "
        f"wrote them into the file (train 42, valid 6, test 12)."
    ]
    written = splits_in(tmp_path / "tracks.csv")
    assert written == {t.id: split for split, tracks in data.splits.items() for t in tracks}
    assert Counter(written.values()) == {"train": 42, "valid": 6, "test": 12}
    group_splits = {(t.group, split) for split, tracks in data.splits.items() for t in tracks}
    assert len(group_splits) == 30
    before = (tmp_path / "tracks.csv").read_bytes()
    again = data_of(load_task(path), tmp_path)
    assert again.split_sha256 == data.split_sha256
    assert (tmp_path / "tracks.csv").read_bytes() == before
    assert len(caplog.records) == 1


@pytest.mark.parametrize("split", ["", "train"])
def test_looking_at_a_task_writes_nothing(tmp_path: Path, split: str) -> None:
    lines = unsplit(60, groups=30).splitlines()
    path = made(tmp_path, SIMPLE, "\n".join([f"{lines[0]},split", *(f"{line},{split}" for line in lines[1:])]) + "\n")
    before = (tmp_path / "tracks.csv").read_bytes()
    task = get_task(str(path))
    assert task.counts == {"train": 42, "valid": 6, "test": 12}
    assert (tmp_path / "tracks.csv").read_bytes() == before
    data_of(task, tmp_path)
    assert Counter(splits_in(tmp_path / "tracks.csv").values()) == task.counts


def test_a_list_that_was_edited_after_it_was_read_is_not_overwritten(tmp_path: Path) -> None:
    task = load_task(path := made(tmp_path, SIMPLE, unsplit(60, groups=30)))
    other = load_task(path)
    first = data_of(task, tmp_path)
    assert data_of(task, tmp_path).split_sha256 == data_of(other, tmp_path).split_sha256 == first.split_sha256
    edited = (tmp_path / "tracks.csv").read_bytes().replace(b"t1.wav", b"new.wav")
    (tmp_path / "tracks.csv").write_bytes(edited)
    with pytest.raises(UsageError, match="was changed while its splits were drawn; nothing was written"):
        data_of(task, tmp_path)
    assert (tmp_path / "tracks.csv").read_bytes() == edited


def test_write_back_keeps_everything_else(tmp_path: Path) -> None:
    lines = ["id,path,labels,note"] + [f'ş{i},"a, {i}.wav",l{i % 3},"say ""{i}"""' for i in range(30)]
    path = made(tmp_path, SIMPLE, b"\xef\xbb\xbf" + ("\r\n".join(lines) + "\r\n").encode())
    table = tmp_path / "tracks.csv"
    table.chmod(0o640)
    data_of(load_task(path), tmp_path)
    text = table.read_bytes().decode("utf-8")
    assert text.startswith("\ufeffid,path,split,labels,note\r\n")
    assert stat.S_IMODE(table.stat().st_mode) == 0o640
    without = [text]
    for split in ("train", "valid", "test"):
        without = [part.replace(f",{split},", ",") for part in without]
    assert without[0].replace(",split,", ",") == "\ufeff" + "\r\n".join(lines) + "\r\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["task.yaml", "tracks.csv"]


def test_write_back_follows_a_link(tmp_path: Path) -> None:
    path = made(tmp_path, SIMPLE, unsplit(30, 30))
    (tmp_path / "tracks.csv").rename(tmp_path / "real.csv")
    (tmp_path / "tracks.csv").symlink_to("real.csv")
    data_of(load_task(path), tmp_path)
    assert (tmp_path / "tracks.csv").is_symlink()
    assert set(splits_in(tmp_path / "real.csv").values()) == {"train", "valid", "test"}


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (("train", "test"), {"train": 36, "valid": 4, "test": 20}),
        (("train", "valid"), {"train": 32, "valid": 20, "test": 8}),
        (("train",), {"train": 42, "valid": 6, "test": 12}),
    ],
)
def test_absent_splits_come_out_of_train(tmp_path: Path, present: tuple[str, ...], expected: dict[str, int]) -> None:
    other = present[-1]
    fixed = {f"t{i}": "train" if i < 40 else other for i in range(60)}
    lines = unsplit(60, groups=20).splitlines()
    split_lines = [lines[0] + ",split"] + [f"{line},{fixed[line.split(',')[0]]}" for line in lines[1:]]
    path = made(tmp_path, SIMPLE, "\n".join(split_lines) + "\n")
    data = data_of(load_task(path), tmp_path)
    written = splits_in(tmp_path / "tracks.csv")
    counts = Counter(written.values())
    # groups of two or three tracks: shares are met to one group
    assert all(abs(counts[split] - count) <= 2 for split, count in expected.items()), counts
    if other != "train":
        assert all(written[id_] == other for id_, split in fixed.items() if split == other)
    pool = [(t.group, split) for split, tracks in data.splits.items() for t in tracks if fixed[t.id] == "train"]
    assert len(set(pool)) == 20


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path, SIMPLE, unsplit(30, 30))
    before = (tmp_path / "tracks.csv").read_bytes()

    def refused(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(UsageError, match=r"the drawn splits cannot be written into it \(Permission denied\). Copy the"):
        data_of(load_task(path), tmp_path)
    assert (tmp_path / "tracks.csv").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["task.yaml", "tracks.csv"]


# a real set


@needs_makam
def test_makam_contours(tmp_path: Path) -> None:
    task = load_task(MAKAM / "task.yaml")
    assert (task.name, task.tradition, task.licence) == ("makam_contours", "turkish", "CC BY-NC-SA 4.0")
    assert task.labels[:3] == ("makam--Hicaz", "makam--Nihavent", "makam--Hüzzam")
    assert set(task.families.values()) == {"makam"}
    assert task.counts == {"train": 80, "valid": 24, "test": 40}
    assert task.test_support == dict.fromkeys(task.labels, 5)
    data = data_of(task, tmp_path)
    assert all(t.path.is_file() and t.group and len(t.labels) == 1 for ts in data.splits.values() for t in ts)


@needs_makam
def test_makam_contours_drawn(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    shutil.copy(MAKAM / "task.yaml", path)
    lines = [line.split(",") for line in (MAKAM / "tracks.csv").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["id", "path", "split", "group", "labels"]
    (tmp_path / "tracks.csv").write_text("".join(",".join(x[:2] + x[3:]) + "\n" for x in lines), encoding="utf-8")
    task = load_task(path)
    data = data_of(task, tmp_path)
    assert sum(task.counts.values()) == 144
    for split, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        assert abs(task.counts[split] / 144 - share) < 0.03
        support = data.label_matrix(split).sum(axis=0)
        assert (abs(support - 18 * share) <= 2.5).all(), (split, support)
        assert support.min() >= 1
    whole = {(t.group, split) for split, tracks in data.splits.items() for t in tracks}
    assert len(whole) == len({group for group, _ in whole}) > 20


def test_a_draw_that_could_not_be_judged_is_refused_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("name: four\nlabels: [a, b]\n", encoding="utf-8")
    rows = "".join(f"t{i},t{i}.wav,{'a' if i % 2 else 'b'}\n" for i in range(5))
    table = tmp_path / "tracks.csv"
    table.write_text("id,path,labels\n" + rows, encoding="utf-8")
    before = table.read_bytes()
    with pytest.raises(UsageError, match="too few recordings: each of the 3 parts"):
        load_task(tmp_path / "task.yaml")
    assert table.read_bytes() == before


def test_labels_behind_a_question_mark_are_not_known(tmp_path: Path) -> None:
    csv = CSV.replace("g1,raga--kalyani|solo", "g1,raga--kalyani|? solo").replace("g2,", "g2,?raga--thodi")
    splits = data_of(load_task(made(tmp_path, csv=csv)), tmp_path).splits
    assert [(t.labels, t.unknown) for name in ("train", "test") for t in splits[name]] == [
        (("raga--kalyani",), ("solo",)),
        ((), ("raga--thodi",)),
    ]
    both = made(tmp_path / "both", csv=CSV.replace("g1,raga--kalyani|solo", "g1,solo|?solo"))
    assert "the label `solo` is given, and not known" in error_of(both).replace("'", "`").replace('"', "`")
    strange = made(tmp_path / "strange", csv=CSV.replace("g1,raga--kalyani|solo", "g1,?sola"))
    assert "sola" in error_of(strange)
    assert "not among the labels of the task" in error_of(strange)
