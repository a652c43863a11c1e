"""MagnaTagATune: columns by name, the published split by folder or by list, groups from file names."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks import magnatagatune
from cmbench.tasks.base import LoadContext
from cmbench.tasks.fetching.carry_out import carry_out
from cmbench.tasks.magnatagatune import CORRUPT, LABELS, MARBLE_COUNTS, TASK, album, paths_by_folder
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS

Rows = Callable[[str], list[dict[str, str]]]
Write = Callable[..., Path]
Serve = Callable[[Path], str]
OTHERS = ("no strings", "female vocals")
"""Two of the 138 columns that are not labels; the second reads almost like one that is."""


def write_annotations(write: Write, folder: Path, clips: Mapping[str, tuple[str, ...]]) -> Path:
    """Write the file as it is published: quoted, tab-separated, columns in another order than the labels'."""
    tags = sorted((*LABELS, *OTHERS), reverse=True)
    lines = ["\t".join(f'"{name}"' for name in ("clip_id", *tags, "mp3_path"))]
    for number, (path, positive) in enumerate(clips.items()):
        cells = [str(number), *("1" if tag in positive else "0" for tag in tags), path]
        lines.append("\t".join(f'"{cell}"' for cell in cells))
    return write(folder / "annotations_final.csv", lines)


def clip(folder: str, title: str = "song", by: str = "someone-first_album") -> str:
    return f"{folder}/{by}-03-{title}-0-29.mp3"


CLIPS: dict[str, tuple[str, ...]] = {
    clip("f"): ("metal", "female vocals"),
    clip("0"): ("female voice",),
    clip("b"): ("guitar", "choral"),
    clip("c"): ("slow",),
    clip("d"): ("no vocal",),
    clip("e"): ("no strings",),
    clip("c", "other"): (),
    CORRUPT[0]: ("guitar",),
}


@pytest.fixture
def root(context: LoadContext, write: Write) -> Path:
    assert context.data_root is not None
    folder = context.data_root / "magnatagatune"
    write_annotations(write, folder, CLIPS)
    (folder / "mp3" / "a").mkdir(parents=True)
    return folder


def test_the_folder_rule_splits_drops_clips_without_labels_and_broken_ones(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    assert {name: [track.id for track in data.splits[name]] for name in SPLITS} == {
        "train": [clip("0"), clip("b")],
        "valid": [clip("c")],
        "test": [clip("f"), clip("d")],
    }
    assert data.splits["test"][0].path == root / "mp3" / clip("f")


def test_labels_are_found_by_the_columns_names(root: Path, context: LoadContext) -> None:
    data = TASK.load("full", context)
    labels = {track.id: track.labels for name in SPLITS for track in data.splits[name]}
    assert labels == {
        clip("f"): ("metal",),
        clip("0"): ("female voice",),
        clip("b"): ("guitar", "choral"),
        clip("c"): ("slow",),
        clip("d"): ("no vocal",),
    }
    assert [data.labels.index(name) for name in ("metal", "female voice")] == [47, 48]


def test_the_clips_may_lie_directly_in_the_data_root(root: Path, context: LoadContext) -> None:
    (root / "mp3" / "a").rename(root / "a")
    assert TASK.load("full", context).splits["valid"][0].path == root / clip("c")


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (clip("f"), "someone-first_album"),
        ("2/a_b-c__d-01-bwv54__i_aria-30-59.mp3", "a_b-c__d"),
        ("f/no_number-29.mp3", None),
        ("z/someone-first_album-03-song-0-29.mp3", None),
    ],
)
def test_the_group_is_performer_and_album(path: str, group: str | None) -> None:
    assert album(path) == group


def lists(root: Path, write: Write, **rows: list[str]) -> None:
    for name, entries in rows.items():
        write(root / "split" / f"{name}.txt", entries)


def test_lists_decide_if_there_are_any(root: Path, context: LoadContext, write: Write) -> None:
    lists(root, write, train=[clip("c", "other")], valid=[f"7\t{clip('0')}"])
    np.save(root / "split" / "test.npy", np.array([f"0\t{clip('d')}", f"3\t{clip('e')}"]))
    data = TASK.load("full", context)
    assert {name: [(t.id, t.labels) for t in data.splits[name]] for name in SPLITS} == {
        "train": [(clip("c", "other"), ())],
        "valid": [(clip("0"), ("female voice",))],
        "test": [(clip("d"), ("no vocal",)), (clip("e"), ())],
    }


def test_some_lists_are_not_enough_and_unknown_clips_are_counted(
    root: Path, context: LoadContext, write: Write
) -> None:
    lists(root, write, train=[clip("0")], valid=[clip("c")])
    with pytest.raises(MissingError, match=r"split lists of magnatagatune \(test\)"):
        TASK.load("full", context)
    lists(root, write, test=["12", "0\tf/unknown.mp3", clip("d")])
    with pytest.raises(UsageError, match=r"2 listed clips are not in annotations_final\.csv \(first: '12'\)"):
        TASK.load("full", context)


def test_a_cell_that_is_no_bit_and_an_absent_column_are_named(root: Path, context: LoadContext, write: Write) -> None:
    table = root / "annotations_final.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace('"7"\t"0"', '"7"\t"2"', 1), encoding="utf-8")
    with pytest.raises(UsageError, match="line 9: '2' in the column 'woman' is neither 0 nor 1"):
        TASK.load("full", context)
    table.write_text(text.replace('"choral"', '"chorale"', 1), encoding="utf-8")
    with pytest.raises(UsageError, match="lacks the column 'choral'"):
        TASK.load("full", context)


def test_absent_clips_are_missing_audio(root: Path, context: LoadContext) -> None:
    shutil.rmtree(root / "mp3")
    (root / "mp3").mkdir()
    with pytest.raises(MissingError) as caught:
        TASK.load("full", context)
    (missing,) = caught.value.missing
    assert missing.what == "audio of magnatagatune (25863 clips)"


def test_marble_splits_the_same_clips_without_leaving_any_out(root: Path, context: LoadContext) -> None:
    marble = TASK.load("full", context, "marble")
    assert {name: [track.id for track in marble.splits[name]] for name in SPLITS} == {
        "train": [clip("0"), clip("b"), CORRUPT[0]],
        "valid": [clip("c"), clip("c", "other")],
        "test": [clip("f"), clip("d"), clip("e")],
    }
    assert marble.splits["valid"][1].labels == ()
    official = TASK.load("full", context)
    assert (official.split_name, marble.split_name) == ("official", "marble")
    assert official.split_sha256 != marble.split_sha256
    assert TASK.load("full", context, "official") == official
    with pytest.raises(UsageError, match=r"\(full\) has no split 'random'; it has 'official', 'marble'"):
        TASK.load("full", context, "random")


@pytest.fixture
def source(serve: Serve, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The annotations and the archive in three parts, as they are published."""
    folder = tmp_path / "source"
    write_annotations(write, folder, CLIPS)
    with zipfile.ZipFile(folder / "whole", "w") as archive:
        for path in CLIPS:
            archive.writestr(path, b"" if path in CORRUPT else path.encode() * 50)
    whole = (folder / "whole").read_bytes()
    third = len(whole) // 3 + 1
    for i in range(3):
        (folder / f"mp3.zip.{i + 1:03d}").write_bytes(whole[i * third : (i + 1) * third])
    digests = {name: f"md5:{hashlib.md5((folder / name).read_bytes()).hexdigest()}" for name in magnatagatune.FILES}
    monkeypatch.setattr(magnatagatune, "FILES", digests)
    monkeypatch.setattr(magnatagatune, "FILES_AT", serve(folder))
    monkeypatch.setattr(magnatagatune, "CLIPS", len(CLIPS) + 2)  # three broken clips are allowed for, one is here
    return folder


def test_the_parts_are_fetched_and_unpacked_once(
    source: Path, context: LoadContext, preparing: PrepareContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = preparing.data_root / "magnatagatune"
    plan = magnatagatune.prepare(TASK, preparing)
    assert [one.path.name for one in plan.downloads] == list(magnatagatune.FILES)
    assert {one.licence for one in plan.downloads} == {"CC BY-NC-SA 3.0"}
    assert all(path in plan.notes[0] for path in CORRUPT)
    assert plan.estimate == magnatagatune.CLIPS_BYTES == 3_000_108_000
    carry_out(plan, preparing, folder)
    data = TASK.load("full", context)
    assert data.splits["test"][0].path.read_bytes() == clip("f").encode() * 50
    assert (folder / "mp3" / CORRUPT[0]).read_bytes() == b""
    for part in folder.glob("mp3.zip.*"):
        part.unlink()
    monkeypatch.setattr(magnatagatune, "CLIPS", len(CLIPS) + len(CORRUPT))
    assert magnatagatune.prepare(TASK, preparing).nothing_to_do
    (folder / "mp3" / clip("f")).unlink()
    again = magnatagatune.prepare(TASK, preparing)
    assert [one.path.name for one in again.downloads] == ["mp3.zip.001", "mp3.zip.002", "mp3.zip.003"]
    assert replace(again, downloads=again.downloads[:1]).known_bytes == 2 * magnatagatune.CLIPS_BYTES
    carry_out(again, preparing, folder)
    assert (folder / "mp3" / clip("f")).is_file()


def test_clips_unpacked_by_hand_are_not_fetched(source: Path, root: Path, preparing: PrepareContext) -> None:
    with zipfile.ZipFile(source / "whole") as archive:
        archive.extractall(root)
    plan = magnatagatune.prepare(TASK, preparing)
    assert plan.estimate == 0, "the clips are here"
    (only,) = plan.downloads
    assert only.path == root / "annotations_final.csv"


Clips = dict[str, tuple[str, ...]]


@pytest.fixture
def published_clips(published_rows: Rows) -> Clips:
    """Valid and test clips with their published tags; training tags are not public, so the listed ones get one."""
    clips: Clips = {}
    for row in published_rows("magnatagatune/mtat_train_paths.tsv.gz"):
        clips[row["mp3_path"]] = ("rock",) if row["in_jongpillee_train_list"] == "1" else ()
    for name in ("valid", "test"):
        for row in published_rows(f"magnatagatune/mtat_{name}.tsv.gz"):
            clips[row["mp3_path"]] = tuple(tag for tag in row["tags"].split("|") if tag)
    assert len(clips) == 25863
    return clips


def test_the_folder_rule_gives_the_published_split_and_supports(
    published_clips: Clips, context: LoadContext, write: Write
) -> None:
    assert context.data_root is not None
    folder = context.data_root / "magnatagatune"
    write_annotations(write, folder, published_clips)
    (folder / "0").mkdir()
    data = TASK.load("full", context)
    assert {name: len(data.splits[name]) for name in SPLITS} == dict(TASK.counts)
    support = data.label_matrix("test").sum(axis=0)
    assert dict(zip(TASK.labels, support.tolist(), strict=True)) == dict(TASK.test_support)
    assert round(support.sum() / 4332, 2) == 3.27

    marble = TASK.load("full", context, "marble")
    assert {name: len(marble.splits[name]) for name in SPLITS} == MARBLE_COUNTS
    assert marble.label_matrix("test").sum(axis=0).tolist() == support.tolist()

    text = (folder / "annotations_final.csv").read_text(encoding="utf-8")
    swapped = (
        text.replace('"metal"', '"?"', 1).replace('"female voice"', '"metal"', 1).replace('"?"', '"female voice"', 1)
    )
    (folder / "annotations_final.csv").write_text(swapped, encoding="utf-8")
    with pytest.raises(UsageError, match="metal: 119, published 165; female voice: 165, published 119"):
        TASK.load("full", context)


def test_the_broken_clips_are_absent_from_the_published_training_list(published_rows: Rows) -> None:
    listed = {
        r["mp3_path"]: r["in_jongpillee_train_list"] for r in published_rows("magnatagatune/mtat_train_paths.tsv.gz")
    }
    assert [listed[path] for path in CORRUPT] == ["0", "0", "0"]
    assert not set(CORRUPT) & set(paths_by_folder(dict.fromkeys(listed, ("rock",)))["train"])


def test_groups_and_leaks_are_as_stated(published_clips: Clips) -> None:
    paths = paths_by_folder(published_clips)
    groups = {name: {album(path) for path in paths[name]} for name in SPLITS}
    assert None not in set().union(*groups.values())
    assert not groups["test"] & (groups["train"] | groups["valid"])
    assert not groups["valid"] & groups["train"]

    def performer(path: str) -> str:
        return (album(path) or "").partition("-")[0]

    def piece(path: str) -> str:
        return path.partition("/")[2].removeprefix(f"{album(path)}-")[3:].rpartition("-")[0]

    known = {performer(path) for name in ("train", "valid") for path in paths[name]}
    heard = {piece(path) for path in paths["train"]}
    assert sum(performer(path) in known for path in paths["test"]) == 2788
    assert sum(piece(path) in heard for path in paths["test"]) == 52
    (note,) = [note for note in TASK.notes if note.startswith("Groups are")]
    assert "2788 of the 4332" in note
    assert " 52 " in note
