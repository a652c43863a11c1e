"""A Dunya task's folder: its public lists, what is not in it, and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from cmbench.errors import MissingError
from cmbench.tasks.choice import get_task
from cmbench.tasks.dunya.lists import LISTS, absent, list_downloads, write_report
from cmbench.tasks.fetching.published import read_lists
from cmbench.tasks.splits.names import SPLITS

Write = Callable[..., Path]
TASK = get_task("hindustani")


@pytest.mark.parametrize("name", ["turkish_makam", "carnatic", "hindustani"])
def test_the_public_lists_are_those_published(published: Path, tmp_path: Path, name: str) -> None:
    made = list_downloads(get_task(name), tmp_path)
    assert [one.path for one in made] == [tmp_path / "split" / f"{split}.npy" for split in SPLITS]
    for one, split in zip(made, SPLITS, strict=True):
        data = (published / name / f"ccml_{split}.npy").read_bytes()
        assert (one.size, one.digest) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
        assert LISTS[name][split][0] == len(data)
        folder = name.removeprefix("turkish_")
        assert one.url.startswith("https://github.com/pxaris/ccml/raw/1f20c2f")
        assert one.url.endswith(f"/data/{folder}/split/{split}.npy")
        assert one.licence == "Apache-2.0"


@pytest.fixture
def folder(tmp_path: Path, write: Write) -> Path:
    """A folder with lists of the user's own; b1 has neither tags nor audio, c1 no audio."""
    for name, ids in {"train": ["a1", "a2"], "valid": ["b1"], "test": ["c1"]}.items():
        write(tmp_path / "split" / f"{name}.txt", ids)
    write(tmp_path / "metadata.tsv", ["mbid\ttags", "a1\ttala--Ektaal", "a2\t", "c1\tform--Khayal"])
    write(tmp_path / "audio" / "a1.flac", [])
    write(tmp_path / "audios" / "a2.mp3", [])
    return tmp_path


def test_lists_of_the_user_are_not_fetched(folder: Path) -> None:
    assert list_downloads(TASK, folder) == ()
    (folder / "split" / "valid.txt").unlink()
    assert [one.path.name for one in list_downloads(TASK, folder)] == ["valid.npy"]
    with pytest.raises(MissingError, match="split list valid"):
        absent(folder)


def test_what_is_absent(folder: Path) -> None:
    assert absent(folder) == (("b1",), ("b1", "c1"))


def test_the_report_counts_what_is_there(folder: Path) -> None:
    rows = {"a1": {"tags": "tala--Ektaal"}, "c1": {"tags": "form--Khayal"}}
    path = folder / "new" / "report.json"
    lacking = [{"what": "tags", "id": "b1", "reason": "ünknown", "state": "missing"}]
    audio = {"a1": folder / "a1.mp3"}
    write_report(path, TASK, "a source", read_lists(folder), rows, audio, lacking, {"further": [1]})
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["splits"] == {
        "train": {"listed": 2, "tags": 1, "audio": 1},
        "valid": {"listed": 1, "tags": 0, "audio": 0},
        "test": {"listed": 1, "tags": 1, "audio": 0},
    }
    assert found["labels"]["found"] == ["tala--Ektaal"]
    assert found["labels"]["test_support"]["form--Khayal"] == {"found": 1, "published": 98}
    assert (found["task"], found["source"], found["further"]) == ("hindustani", "a source", [1])
    assert found["not_fetched"] == lacking
    assert datetime.fromisoformat(found["date"]).tzinfo is not None
    assert [one.name for one in path.parent.iterdir()] == ["report.json"]
