"""Two corpora of one name and one folder of results."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from cmbench.benchmark.records.corpora import FILE, claim
from cmbench.benchmark.records.folder import record_files
from cmbench.errors import UsageError
from cmbench.tasks.base import Task
from cmbench.tasks.registry import registry


def corpus(folder: Path, name: str = "mine") -> Task:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "task.yaml").touch()
    return replace(registry()["lyra"], name=name, described_in=folder / "task.yaml")


def test_another_corpus_of_the_same_name_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "results"
    claim(out, [registry()["lyra"]])
    assert not out.exists()
    claim(out, [corpus(tmp_path / "one"), corpus(tmp_path / "ü", "other")])
    before = (out / FILE).read_bytes()
    claim(out, [corpus(tmp_path / "one")])
    with pytest.raises(UsageError) as caught:
        claim(out, [corpus(tmp_path / "two")])
    told = str(caught.value)
    assert f"another corpus that is named 'mine' too, {tmp_path / 'one' / 'task.yaml'}" in told
    assert str(tmp_path / "two" / "task.yaml") in told
    assert (out / FILE).read_bytes() == before
    claim(tmp_path / "elsewhere", [corpus(tmp_path / "two")])
    assert list(record_files(out)) == []


def test_a_corpus_that_was_moved_takes_its_results_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "results"
    claim(out, [corpus(tmp_path / "one")])
    (tmp_path / "one").rename(tmp_path / "two")
    with caplog.at_level(logging.WARNING):
        claim(out, [corpus(tmp_path / "two")])
    assert "is now taken to be" in caplog.text
    with pytest.raises(UsageError, match="another corpus"):
        claim(out, [corpus(tmp_path / "three")])


@pytest.mark.parametrize("content", ["no json\n", '{"name": 3}\n', "[]\n", "3\n"])
def test_a_damaged_note_is_not_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UsageError, match="cannot be read"):
        claim(tmp_path, [corpus(tmp_path / "one")])
