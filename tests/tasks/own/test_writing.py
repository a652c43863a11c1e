from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.tasks.base import LoadContext
from cmbench.tasks.choice import get_task
from cmbench.tasks.own.corpus import Proposal, propose_task
from cmbench.tasks.own.roles import Choices
from cmbench.tasks.own.sources import open_source
from cmbench.tasks.own.writing import About, task_name, write_task

Corpus = Callable[..., Path]


def proposal(corpus: Corpus, labels: tuple[str, ...] = ("no", "1990", "#rock", "12:30")) -> tuple[Path, Proposal]:
    listed = [{"file": f"{i}.wav", "labels": labels[i % len(labels)], "album": str(i)} for i in range(40)]
    folder = corpus(listed, [f"{i}.wav" for i in range(40)])
    return folder, propose_task(open_source(str(folder)), Choices())


def test_what_is_written_is_read_back_the_same(corpus: Corpus, tmp_path: Path) -> None:
    """Labels that YAML takes for something else are quoted."""
    folder, found = proposal(corpus)
    before = (folder / "songs.csv").read_bytes()
    assert write_task(found, About(title="My songs", tradition="turkish"), folder) == [
        folder / "task.yaml",
        folder / "tracks.csv",
    ]
    assert (folder / "songs.csv").read_bytes() == before
    task = get_task(str(folder))
    assert set(task.labels) == {"no", "1990", "#rock", "12:30"}
    assert (task.name, task.title, task.tradition) == ("corpus", "My songs", "turkish")
    splits = task.load("custom", LoadContext(None, tmp_path)).splits
    assert {t.id: s for s, tracks in splits.items() for t in tracks} == dict(found.split_of)
    assert {t for tracks in splits.values() for t in tracks} == set(found.tracks)


def test_a_task_that_is_there_is_not_replaced(corpus: Corpus) -> None:
    folder, found = proposal(corpus)
    write_task(found, About(), folder)
    assert write_task(found, About(), folder) == []
    with pytest.raises(UsageError, match=r"has another task already, corpus \(40 recordings, 4 labels\).*--force"):
        write_task(found, About(title="Other"), folder)
    assert write_task(found, About(), folder, dry=True) == []
    write_task(found, About(title="Another"), folder, force=True)
    assert get_task(str(folder)).title == "Another"


def test_a_table_called_tracks_csv_is_not_overwritten(corpus: Corpus) -> None:
    folder, _ = proposal(corpus)
    (folder / "songs.csv").rename(folder / "tracks.csv")
    before = (folder / "tracks.csv").read_bytes()
    found = propose_task(open_source(str(folder)), Choices())
    assert write_task(found, About(), folder)[1].name == "cmbench-tracks.csv"
    assert (folder / "tracks.csv").read_bytes() == before
    assert len(get_task(str(folder)).labels) == 4
    # Nor when a task that was made of it is there.
    again = propose_task(open_source(str(folder)), Choices())
    assert again.source.sheet.source == folder / "tracks.csv"
    assert write_task(again, About(title="Another"), folder, force=True)[1].name == "cmbench-tracks.csv"
    assert (folder / "tracks.csv").read_bytes() == before


def test_a_task_beside_elsewhere_names_whole_paths(corpus: Corpus, tmp_path: Path) -> None:
    _, found = proposal(corpus)
    write_task(found, About(name="n"), tmp_path / "out")
    with (tmp_path / "out" / "tracks.csv").open(encoding="utf-8") as table:
        assert all(Path(row["path"]).is_file() for row in csv.DictReader(table))
    assert yaml.safe_load((tmp_path / "out" / "task.yaml").read_text())["name"] == "n"


def test_a_wrong_name_leaves_nothing(corpus: Corpus, tmp_path: Path) -> None:
    _, found = proposal(corpus)
    with pytest.raises(UsageError, match="cannot be a task's name") as caught:
        write_task(found, About(name="a/b"), tmp_path / "out")
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("Kayıtlar (1990)", "kayıtlar_1990"), ("lyra", "my_lyra"), ("turkish", "my_turkish"), ("…", "corpus")],
)
def test_names_of_tasks(wanted: str, name: str) -> None:
    assert task_name(wanted) == name


@given(st.text(max_size=100))
def test_every_folder_gives_a_name_that_a_task_may_have(wanted: str) -> None:
    from cmbench.tasks.corpus.description import NAME

    assert NAME.fullmatch(task_name(wanted))


def test_a_foreign_tracks_csv_beside_the_table_stays(corpus: Corpus) -> None:
    folder, found = proposal(corpus)
    (folder / "tracks.csv").write_text("mine")
    assert write_task(found, About(), folder)[1].name == "cmbench-tracks.csv"
    assert (folder / "tracks.csv").read_text() == "mine"
