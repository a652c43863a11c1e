"""The three Dunya tasks: lists, tags and audio of the user's own copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks.base import LoadContext
from cmbench.tasks.choice import get_task
from cmbench.tasks.splits.names import SPLITS

Rows = Callable[[str], list[dict[str, str]]]
Write = Callable[..., Path]
NAMES = ("turkish_makam", "carnatic", "hindustani")
IDS = {"train": ["a1", "a2"], "valid": ["b1"], "test": ["c1", "c2"]}


@pytest.fixture
def root(context: LoadContext, write: Write) -> Path:
    """A small makam collection; every recording has a row and all but c2 have audio."""
    assert context.data_root is not None
    folder = context.data_root / "turkish_makam"
    for name, ids in IDS.items():
        (folder / "split").mkdir(parents=True, exist_ok=True)
        np.save(folder / "split" / f"{name}.npy", np.array(ids))
    write(
        folder / "metadata.tsv",
        [
            "mbid\ttags\tgroup\tduration_s",
            "c2\tmakam--Rast|makam--Unheard of\t\t1.0",
            "c1\tusul--Du\u0308yek|instrument--Ney|makam--Hicaz\trelease-1\t200",
            "a1\tinstrument--Voice\trelease-2\t",
            "a2\t\trelease-2\t3",
            "B1\tusul--Aksak\trelease-3\t4",
            "other\tusul--Sofyan\trelease-9\t4",
        ],
    )
    for name in ("a1.mp3", "a2.flac", "a2.mp3", "b1.ogg", "c1.wav"):
        write(folder / "audio" / name, [])
    return folder


def test_tracks_come_in_the_lists_order_with_labels_groups_and_audio(root: Path, context: LoadContext) -> None:
    data = get_task("turkish_makam").load("full", context)
    assert {name: [track.id for track in data.splits[name]] for name in SPLITS} == IDS
    tracks = {track.id: track for name in SPLITS for track in data.splits[name]}
    assert tracks["c1"].labels == ("instrument--Ney", "makam--Hicaz", "usul--Düyek")
    assert tracks["c2"].labels == ("makam--Rast",)
    assert tracks["a2"].labels == ()
    assert tracks["b1"].labels == ("usul--Aksak",)
    # A makam that is no label is an annotation all the same; only a family without any is not known.
    families = {i: sorted({label.split("--")[0] for label in t.unknown}) for i, t in tracks.items()}
    assert families == {
        "a1": ["makam", "usul"],
        "a2": ["instrument", "makam", "usul"],
        "b1": ["instrument", "makam"],
        "c1": [],
        "c2": ["instrument", "usul"],
    }
    whole = [label for label in data.labels if label.startswith("usul--")]
    assert [label for label in tracks["a1"].unknown if label.startswith("usul--")] == whole
    assert not any(track.unknown for track in data.read_as("negative").splits["test"])
    assert {i: t.group for i, t in tracks.items()} == {
        "a1": "release-2",
        "a2": "release-2",
        "b1": "release-3",
        "c1": "release-1",
        "c2": None,
    }
    found = {i: t.path.relative_to(root).as_posix() for i, t in tracks.items()}
    assert found == {
        "a1": "audio/a1.mp3",
        "a2": "audio/a2.flac",
        "b1": "audio/b1.ogg",
        "c1": "audio/c1.wav",
        "c2": "audio/c2.mp3",
    }
    assert not tracks["c2"].path.exists()
    assert all(t.start == 0.0 and t.end is None for t in tracks.values())


def test_the_folder_name_audios_of_the_published_scripts_works_too(root: Path, context: LoadContext) -> None:
    (root / "audio").rename(root / "audios")
    tracks = get_task("turkish_makam").load("full", context).splits["train"]
    assert tracks[0].path == root / "audios" / "a1.mp3"


def test_without_the_group_column_groups_are_unknown(root: Path, context: LoadContext, write: Write) -> None:
    ids = [i for ids in IDS.values() for i in ids]
    write(root / "metadata.tsv", ["mbid\ttags", *(f"{i}\tmakam--Rast" for i in ids)])
    data = get_task("turkish_makam").load("full", context)
    assert {track.group for name in SPLITS for track in data.splits[name]} == {None}


def test_recordings_without_a_row_are_counted_not_guessed(root: Path, context: LoadContext, write: Write) -> None:
    write(root / "metadata.tsv", ["mbid\ttags", "a1\tmakam--Rast", "c1\tmakam--Rast"])
    with pytest.raises(MissingError) as caught:
        get_task("turkish_makam").load("full", context)
    (missing,) = caught.value.missing
    assert missing.what == "labels of turkish_makam (3 of 5 listed tracks have no row: a2, b1, c2)"


def test_missing_labels_and_missing_audio_are_reported_together(root: Path, context: LoadContext, write: Write) -> None:
    write(root / "metadata.tsv", ["mbid\ttags", "a1\tmakam--Rast"])
    shutil.rmtree(root / "audio")
    (root / "split" / "valid.npy").unlink()
    with pytest.raises(MissingError) as caught:
        get_task("turkish_makam").load("full", context)
    assert [m.what.split(" (")[0] for m in caught.value.missing] == [
        "split lists of turkish_makam",
        "audio of turkish_makam",
    ]
    np.save(root / "split" / "valid.npy", np.array(["b1"]))
    with pytest.raises(MissingError) as caught:
        get_task("turkish_makam").load("full", context)
    assert [m.what.split(" (")[0] for m in caught.value.missing] == [
        "labels of turkish_makam",
        "audio of turkish_makam",
    ]


def test_audio_of_none_of_the_recordings_is_no_audio(root: Path, context: LoadContext, write: Write) -> None:
    shutil.rmtree(root / "audio")
    write(root / "audio" / "unknown.mp3", [])
    with pytest.raises(MissingError, match="audio of turkish_makam"):
        get_task("turkish_makam").load("full", context)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["mbid\tlabels", "a1\tx"], "lacks the column 'tags'"),
        (["mbid\ttags", "a1\tmakam--Rast", "A1\t"], "line 3: a1 has a row already"),
        (["mbid\ttags", "\tmakam--Rast"], "line 2: the cell mbid is empty"),
        (["mbid\ttags", "a1\tRast"], "no tag is a label of turkish_makam.*'instrument--Voice'.*'Rast'"),
    ],
)
def test_a_wrong_table_is_named(root: Path, context: LoadContext, write: Write, lines: list[str], message: str) -> None:
    write(root / "metadata.tsv", lines)
    with pytest.raises(UsageError, match=message):
        get_task("turkish_makam").load("full", context)


@pytest.fixture
def published_root(published: Path, context: LoadContext, write: Write) -> Callable[[str], Path]:
    """Sets up a task's published id lists and an audio file of one recording."""

    def build(name: str) -> Path:
        assert context.data_root is not None
        folder = context.data_root / name
        (folder / "split").mkdir(parents=True)
        for part in SPLITS:
            shutil.copy(published / name / f"ccml_{part}.npy", folder / "split" / f"{part}.npy")
        first = (published / name / "train.txt").read_text(encoding="utf-8").split()[0]
        write(folder / "audio" / f"{first}.mp3", [])
        return folder

    return build


@pytest.mark.parametrize("name", NAMES)
def test_the_published_lists_load_whole(
    name: str, published: Path, published_root: Callable[[str], Path], context: LoadContext, write: Write
) -> None:
    folder = published_root(name)
    task = get_task(name)
    ids = {part: (published / name / f"{part}.txt").read_text(encoding="utf-8").split() for part in SPLITS}
    rows = [f"{i}\t{task.labels[n % len(task.labels)]}" for n, i in enumerate(i for part in SPLITS for i in ids[part])]
    write(folder / "metadata.tsv", ["mbid\ttags", *rows])
    data = task.load("full", context)
    assert {part: len(data.splits[part]) for part in SPLITS} == dict(task.counts)
    assert {part: [t.id for t in data.splits[part]] for part in SPLITS} == ids
    assert all(len(t.labels) == 1 for t in data.splits["test"])


def test_the_openly_known_makam_labels_are_too_few_and_that_is_said(
    published_rows: Rows, published_root: Callable[[str], Path], context: LoadContext, write: Write
) -> None:
    folder = published_root("turkish_makam")
    rows = published_rows("turkish_makam/otmm_metadata.tsv")
    lines = [
        row["mbid"] + "\t" + "|".join(f"instrument--{name}" for name in row["instruments"].split("|") if name)
        for row in rows
    ]
    write(folder / "metadata.tsv", ["mbid\ttags", *lines])
    with pytest.raises(MissingError) as caught:
        get_task("turkish_makam").load("full", context)
    (missing,) = caught.value.missing
    assert missing.what.startswith(f"labels of turkish_makam ({5297 - 1675} of 5297 listed tracks have no row: ")
    assert str(folder / "metadata.tsv") in missing.command


@pytest.mark.parametrize("name", ["carnatic", "hindustani"])
def test_the_openly_published_tags_use_the_labels_spelling(name: str, published_rows: Rows) -> None:
    rows = published_rows(f"{name}/saraga_labels.tsv")
    labels = set(get_task(name).labels)
    for row in rows:
        every = set(row["all_tags"].split("|"))
        assert {tag for tag in row["benchmark_tags"].split("|") if tag} == every & labels
    assert sum(bool(row["benchmark_tags"]) for row in rows) > 100
