"""Two corpora of one name and one folder of results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmbench.benchmark.records.corpora import FILE, claim
from cmbench.benchmark.records.folder import record_files
from cmbench.errors import UsageError
from cmbench.tasks.base import Task
from cmbench.tasks.custom import load_task
from cmbench.tasks.registry import registry


def corpus(folder: Path, name: str = "mine", *, label: str = "a", sound: bytes = b"sound") -> Task:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.yaml").write_text(f"name: {name}\nlabels: [a, b]\n")
    rows = "".join(f"{i},{i}.wav,{split},{label}\n" for i, split in enumerate(("train", "valid", "test")))
    (folder / "tracks.csv").write_text(f"id,path,split,labels\n{rows}")
    for i in range(3):
        (folder / f"{i}.wav").write_bytes(sound)
    return load_task(folder / "task.yaml")


@pytest.mark.parametrize("differs", ["label", "sound", "tail", "nothing"])
def test_a_corpus_is_the_same_elsewhere_by_its_content(tmp_path: Path, differs: str) -> None:
    out, tail = tmp_path / "results", bytes(200_000)
    claim(out, [corpus(tmp_path / "one", sound=tail)])
    if differs == "nothing":
        copy = corpus(tmp_path / "two", sound=tail)
    elif differs == "label":
        copy = corpus(tmp_path / "two", label="b", sound=tail)
    else:
        copy = corpus(tmp_path / "two", sound=b"1" + tail[1:] if differs == "sound" else tail[1:] + b"1")
    before = (out / FILE).read_bytes()
    if differs == "nothing":
        claim(out, [copy])
        assert str(tmp_path / "two") in (out / FILE).read_text()
        return
    with pytest.raises(UsageError, match="another corpus"):
        claim(out, [copy])
    assert (out / FILE).read_bytes() == before


def test_to_look_at_a_corpus_draws_no_splits(tmp_path: Path) -> None:
    task = corpus(tmp_path / "one")
    table = tmp_path / "one" / "tracks.csv"
    table.write_text("id,path,labels\n" + "".join(f"{i},{i}.wav,{'ab'[i % 2]}\n" for i in range(12)))
    before = table.read_bytes()
    claim(tmp_path / "results", [load_task(task.described_in or table)])
    assert table.read_bytes() == before


def test_a_corpus_that_is_changed_where_it_is_stays_the_same(tmp_path: Path) -> None:
    claim(tmp_path / "results", [corpus(tmp_path / "one")])
    claim(tmp_path / "results", [corpus(tmp_path / "one", label="b", sound=b"other")])
    claim(tmp_path / "results", [corpus(tmp_path / "two", label="b", sound=b"other")])


def test_another_corpus_of_the_same_name_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "results"
    claim(out, [registry()["lyra"]])
    assert not out.exists()
    claim(out, [registry()["lyra"], corpus(tmp_path / "one"), corpus(tmp_path / "ü", "other")])
    assert [json.loads(line)["name"] for line in (out / FILE).read_text().splitlines()] == ["mine", "other"]
    before = (out / FILE).read_bytes()
    claim(out, [corpus(tmp_path / "one")])
    with pytest.raises(UsageError) as caught:
        claim(out, [corpus(tmp_path / "two", label="b")])
    told = str(caught.value)
    assert f"another corpus that is named 'mine' too, {tmp_path / 'one' / 'task.yaml'}" in told
    assert str(tmp_path / "two" / "task.yaml") in told
    assert (out / FILE).read_bytes() == before
    claim(tmp_path / "elsewhere", [corpus(tmp_path / "two")])
    assert list(record_files(out)) == []


def test_a_corpus_that_was_moved_takes_its_results_along(tmp_path: Path) -> None:
    """What the message says helps: removing the note."""
    out = tmp_path / "results"
    claim(out, [corpus(tmp_path / "one")])
    (tmp_path / "one").rename(tmp_path / "two")
    claim(out, [load_task(tmp_path / "two" / "task.yaml")])
    (tmp_path / "two").rename(tmp_path / "three")
    changed = corpus(tmp_path / "three", label="b")
    with pytest.raises(UsageError, match=rf"moved and changed since, remove {out / FILE}"):
        claim(out, [changed])
    (out / FILE).unlink()
    claim(out, [changed])


def test_a_note_without_content_is_still_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = corpus(tmp_path / "one")
    line = {"name": "mine", "file": str(tmp_path / "gone" / "task.yaml")}
    (tmp_path / FILE).write_text(json.dumps(line) + "\n")
    claim(tmp_path, [one])
    told = f"the corpus 'mine' was at {line['file']}, and is now taken to be {one.described_in}."
    assert f"{tmp_path}: {told}" in caplog.text


@pytest.mark.parametrize("content", ["no json\n", '{"name": 3}\n', "[]\n", "3\n"])
def test_a_damaged_note_is_not_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UsageError, match="cannot be read"):
        claim(tmp_path, [corpus(tmp_path / "one")])


def test_what_is_noted_is_believed_until_results_come(tmp_path: Path) -> None:
    out, task = tmp_path / "results", corpus(tmp_path / "one")
    claim(out, [task])
    record = out / "record.json"
    record.touch()
    claim(out, [task])
    settled = (out / FILE).read_bytes()
    assert (out / FILE).stat().st_mtime_ns > record.stat().st_mtime_ns
    (tmp_path / "one" / "0.wav").write_bytes(b"other")
    claim(out, [task])
    assert (out / FILE).read_bytes() == settled, "no result of another recording is there"
    record.touch()
    claim(out, [task])
    assert (out / FILE).read_bytes() != settled
    changed = corpus(tmp_path / "two")
    (tmp_path / "two" / "0.wav").write_bytes(b"other")
    claim(out, [changed])
    with pytest.raises(UsageError, match="another corpus"):
        claim(out, [corpus(tmp_path / "one")])
