"""FMA-medium: ids, genres from the simple or the official tables, and the published counts."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks import fma_medium
from cmbench.tasks.base import LoadContext, TaskData
from cmbench.tasks.fetching.carry_out import carry_out
from cmbench.tasks.fma_medium import TASK, UNLABELLED
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS

Rows = Callable[[str], list[dict[str, str]]]
Write = Callable[..., Path]
Serve = Callable[[Path], str]


@pytest.fixture
def root(context: LoadContext, write: Write) -> Path:
    """Four tracks with the simple table; ids are written in both ways."""
    assert context.data_root is not None
    folder = context.data_root / "fma_medium"
    write(folder / "split" / "train.txt", ["000002", "5"])
    np.save(folder / "split" / "valid.npy", np.array([155066]))
    write(folder / "split" / "test.txt", ["000010"])
    rows = ["2\tHip-Hop", "000005\tLo-Fi|Punk|Rock", "10\t", "155066\tAmbient|House|Electronic"]
    write(folder / "metadata.tsv", ["track_id\tgenres", *rows])
    (folder / "fma_medium" / "000").mkdir(parents=True)
    return folder


def official(folder: Path, tracks: list[tuple[str, str, str]]) -> None:
    """Write tables in the form of fma_metadata.zip: (track id, artist id, genres_all)."""
    folder.mkdir(parents=True)
    with (folder / "tracks.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["", "artist", "artist", "set", "track", "track"])
        writer.writerow(["", "bio", "id", "subset", "genres", "genres_all"])
        writer.writerow(["track_id", "", "", "", "", ""])
        for track, artist, genres in tracks:
            writer.writerow([track, 'a "long"\nbiography, ' + "x" * 200_000, artist, "medium", "[]", genres])
    (folder / "genres.csv").write_text(
        "genre_id,#tracks,parent,title,top_level\n12,1,0,Rock,12\n21,1,0,Hip-Hop,21\n25,1,12,Punk,12\n",
        encoding="utf-8",
    )


OFFICIAL = [("2", "1", "[21]"), ("5", "7", "[25, 12]"), ("10", "", "[]"), ("155066", "9", "[12]"), ("3", "9", "[99]")]


def by_id(data: TaskData) -> dict[str, tuple[tuple[str, ...], str | None]]:
    return {track.id: (track.labels, track.group) for name in SPLITS for track in data.splits[name]}


def test_the_simple_table_gives_genres_and_ids_have_six_digits(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    assert by_id(data) == {
        "000002": (("Hip-Hop",), None),
        "000005": (("Rock", "Punk"), None),
        "155066": (("Electronic", "House"), None),
        "000010": ((), None),
    }
    assert data.splits["valid"][0].path == root / "fma_medium" / "155" / "155066.mp3"


def test_the_archive_may_be_unpacked_directly_into_the_data_root(root: Path, context: LoadContext) -> None:
    (root / "fma_medium" / "000").rename(root / "000")
    data = TASK.load("full", context)
    assert data.splits["train"][0].path == root / "000" / "000002.mp3"


def test_the_official_tables_give_genres_with_their_parents_and_artists(root: Path, context: LoadContext) -> None:
    (root / "metadata.tsv").unlink()
    official(root / "fma_metadata", OFFICIAL)
    limit = csv.field_size_limit()
    assert by_id(TASK.load("full", context)) == {
        "000002": (("Hip-Hop",), "artist-1"),
        "000005": (("Rock", "Punk"), "artist-7"),
        "155066": (("Rock",), "artist-9"),
        "000010": ((), None),
    }
    assert csv.field_size_limit() == limit


def test_with_both_tables_genres_are_the_simple_ones_and_artists_the_official_ones(
    root: Path, context: LoadContext, write: Write
) -> None:
    official(root / "fma_metadata", OFFICIAL)
    rows = ["2\tPop\t", "5\tPop\tmine", "10\tPop\t", "155066\tPop\t"]
    write(root / "metadata.tsv", ["track_id\tgenres\tgroup", *rows])
    assert by_id(TASK.load("full", context)) == {
        "000002": (("Pop",), "artist-1"),
        "000005": (("Pop",), "mine"),
        "155066": (("Pop",), "artist-9"),
        "000010": (("Pop",), None),
    }


@pytest.mark.parametrize("genres", ["[99]", "12", "Rock", "[[12]]", ""])
def test_genres_that_are_no_list_of_known_ids_are_refused(root: Path, context: LoadContext, genres: str) -> None:
    (root / "metadata.tsv").unlink()
    official(root / "fma_metadata", [*OFFICIAL[:3], ("155066", "9", genres)])
    with pytest.raises(UsageError, match=r"tracks\.csv, line 11: genres_all is"):
        TASK.load("full", context)


def test_another_file_named_tracks_csv_is_refused(root: Path, context: LoadContext, write: Write) -> None:
    (root / "metadata.tsv").unlink()
    official(root / "fma_metadata", OFFICIAL)
    write(root / "fma_metadata" / "tracks.csv", ["track_id,genres", "2,Pop"])
    with pytest.raises(UsageError, match=r"lack track\.genres_all, artist\.id; expected the official tracks\.csv"):
        TASK.load("full", context)


def test_tracks_without_genres_row_and_wrong_ids_are_named(root: Path, context: LoadContext, write: Write) -> None:
    write(root / "split" / "test.txt", ["10", "77"])
    with pytest.raises(MissingError, match="1 of 5 listed tracks have no row: 000077"):
        TASK.load("full", context)
    write(root / "split" / "test.txt", ["fma-10"])
    with pytest.raises(UsageError, match="split: 'fma-10' is not an FMA track id"):
        TASK.load("full", context)


def test_a_track_with_two_rows_is_refused(root: Path, context: LoadContext, write: Write) -> None:
    write(root / "metadata.tsv", ["track_id\tgenres", "2\tPop", "000002\tRock"])
    with pytest.raises(UsageError, match="line 3: track 000002 has a row already"):
        TASK.load("full", context)


def test_absent_audio_and_half_of_the_official_tables_are_both_named(root: Path, context: LoadContext) -> None:
    (root / "metadata.tsv").unlink()
    official(root / "fma_metadata", OFFICIAL)
    (root / "fma_metadata" / "genres.csv").unlink()
    shutil.rmtree(root / "fma_medium")
    with pytest.raises(MissingError) as caught:
        TASK.load("full", context)
    assert [m.what.split(" (")[0] for m in caught.value.missing] == ["labels of fma_medium", "audio of fma_medium"]


@pytest.fixture
def source(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lists and archives as they are published, of four tracks."""
    folder = tmp_path / "source"
    official(folder / "fma_metadata", OFFICIAL)
    lists = {"train": ["000002", "000005"], "valid": ["155066"], "test": ["000010"]}
    for name, ids in lists.items():
        np.save(folder / f"{name}.npy", np.array(ids))
    with zipfile.ZipFile(folder / "fma_metadata.zip", "w", zipfile.ZIP_BZIP2) as archive:
        for name in ("tracks.csv", "genres.csv"):
            archive.write(folder / "fma_metadata" / name, f"fma_metadata/{name}")
        archive.writestr("fma_metadata/features.csv", "large")
    with zipfile.ZipFile(folder / "fma_medium.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for track in ("000002", "000005", "000010", "155066"):
            archive.writestr(f"fma_medium/{track[:3]}/{track}.mp3", track * 100)
        archive.writestr("fma_medium/checksums", "")
    archives = {
        name: (1000, f"sha1:{hashlib.sha1((folder / name).read_bytes()).hexdigest()}") for name in fma_medium.ARCHIVES
    }
    monkeypatch.setattr(fma_medium, "ARCHIVES", archives)
    monkeypatch.setattr(fma_medium, "ARCHIVES_AT", serve(folder))
    monkeypatch.setattr(fma_medium, "LISTS_AT", fma_medium.ARCHIVES_AT)
    monkeypatch.setattr(fma_medium, "CLIPS", 4)
    digests = {name: hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest() for name, ids in lists.items()}
    monkeypatch.setattr(fma_medium, "LIST_SHA256", digests)
    return folder


def test_lists_metadata_and_clips_are_fetched(source: Path, context: LoadContext, preparing: PrepareContext) -> None:
    told: list[str] = []
    folder = preparing.data_root / "fma_medium"
    plan = fma_medium.prepare(TASK, preparing)
    names = ["train.npy", "valid.npy", "test.npy", "fma_metadata.zip", "fma_medium.zip"]
    assert [one.path.name for one in plan.downloads] == names
    assert [one.digest is None for one in plan.downloads] == [True, True, True, False, False]
    carry_out(plan, replace(preparing, tell=told.append), folder)
    assert told[-1] == "The ids of the split lists are the published ones."
    data = TASK.load("full", context)
    assert data.splits["test"][0].path.read_text(encoding="utf-8") == "000010" * 100
    assert by_id(data)["000005"] == (("Rock", "Punk"), "artist-7")
    assert not (folder / "fma_metadata" / "features.csv").exists()
    for archive in folder.glob("*.zip"):
        archive.unlink()
    rest = fma_medium.prepare(TASK, preparing)
    assert rest.nothing_to_do
    assert rest.notes == ("The ids of the split lists are the published ones.",)


def test_what_is_there_in_another_layout_is_not_fetched(source: Path, root: Path, preparing: PrepareContext) -> None:
    with zipfile.ZipFile(source / "fma_medium.zip") as archive:
        archive.extractall(root)
    plan = fma_medium.prepare(TASK, preparing)
    assert plan.nothing_to_do
    assert plan.notes == ("The ids of the split lists are the published ones.",)
    (root / "split" / "test.txt").write_text("000003\n", encoding="utf-8")
    assert "The ids of test in" in fma_medium.prepare(TASK, preparing).notes[0]


def test_the_hashes_of_the_lists_are_those_of_the_published_ones(published_rows: Rows) -> None:
    ids: dict[str, list[str]] = {}
    for row in published_rows("fma_medium/fma_ccml.tsv.gz"):
        ids.setdefault(row["split"], []).append(row["track_id"])
    for name, digest in fma_medium.LIST_SHA256.items():
        assert hashlib.sha256("\n".join(sorted(ids[name])).encode()).hexdigest() == digest


@pytest.fixture
def published_root(published_rows: Rows, context: LoadContext, write: Write) -> Path:
    assert context.data_root is not None
    folder = context.data_root / "fma_medium"
    rows = published_rows("fma_medium/fma_ccml.tsv.gz")
    for name in SPLITS:
        write(folder / "split" / f"{name}.txt", (row["track_id"] for row in rows if row["split"] == name))
    write(folder / "metadata.tsv", ["track_id\tgenres", *(f"{row['track_id']}\t{row['genres']}" for row in rows)])
    (folder / "fma_medium" / "000").mkdir(parents=True)
    return folder


def test_the_published_lists_give_the_published_counts_and_supports(published_root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    assert {name: len(data.splits[name]) for name in SPLITS} == dict(TASK.counts)
    support = data.label_matrix("test").sum(axis=0)
    assert dict(zip(TASK.labels, support.tolist(), strict=True)) == dict(TASK.test_support)
    empty = {name: int((~data.label_matrix(name).any(axis=1)).sum()) for name in SPLITS}
    assert empty == UNLABELLED == {"train": 1478, "valid": 197, "test": 383}
    training = data.label_matrix("train").sum(axis=0).tolist()
    order = sorted(sorted(TASK.labels), key=lambda label: -training[TASK.labels.index(label)])
    assert list(TASK.labels) == order


def test_a_changed_genre_table_is_noticed(published_root: Path, context: LoadContext) -> None:
    table = published_root / "metadata.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("Chip Music", "Chip music"), encoding="utf-8")
    with pytest.raises(UsageError, match="Chip Music: 0, published 181"):
        TASK.load("full", context)


def test_no_published_genre_comes_without_its_parent(published_rows: Rows) -> None:
    parents = {"Punk": "Rock", "Garage": "Rock", "Indie-Rock": "Rock", "IDM": "Electronic", "Chiptune": "Chip Music"}
    parents |= {"Chip Music": "Electronic", "Hardcore": "Punk", "Soundtrack": "Instrumental", "Lo-Fi": "Rock"}
    rows = [set(row["genres"].split("|")) for row in published_rows("fma_medium/fma_ccml.tsv.gz")]
    assert {child: sum(child in row and parent not in row for row in rows) for child, parent in parents.items()} == (
        dict.fromkeys(parents, 0)
    )
    assert json.dumps(sorted(set(parents) - set(TASK.labels))) == '["Lo-Fi"]'
