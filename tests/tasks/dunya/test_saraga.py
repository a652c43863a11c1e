"""Saraga as a source: its archive or its folders, matched to the lists, and evaluated by itself."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from cmbench.errors import CmbenchError, MissingError, UsageError
from cmbench.tasks.base import LoadContext
from cmbench.tasks.choice import get_task
from cmbench.tasks.dunya.recordings import COLLECTIONS, read_details
from cmbench.tasks.dunya.saraga import ARCHIVES, files_of, mix_of, saraga_recordings, take
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS

Rows = Callable[[str], list[dict[str, str]]]
TASK = get_task("carnatic")
IDS = {"train": ["a1", "a2", "far1"], "valid": ["b1", "far2"], "test": ["c1", "far3"]}
RAGAS = {"a1": "thodi", "a2": "kalyani", "b1": "thodi", "c1": "thodi", "unlisted": "kalyani"}


def details(mbid: str) -> dict[str, Any]:
    """Details of a recording as Saraga ships them."""
    voice = {"artist": {"mbid": "p", "name": "P"}, "instrument": {"mbid": "i", "name": "Voice"}, "lead": True}
    return {
        "mbid": mbid,
        "title": f"Title {mbid}",
        "length": 61000,
        "artists": [voice],
        "raaga": [{"uuid": "r", "name": "R", "common_name": RAGAS[mbid]}],
        "taala": [{"uuid": "c788c38a-b53a-48cb-b7bf-d11769260c4d", "name": "Ādi"}],
        "form": [{"name": "Kriti"}],
        "work": [],
        "concert": [{"mbid": f"concert-{mbid[0]}", "title": "At a hall"}],
        "album_artists": [],
    }


def recording_files(mbid: str) -> dict[str, bytes]:
    """Files of one recording by their path in Saraga 1.5, as far as they matter here."""
    base = f"saraga1.5_carnatic/Concert {mbid[0]} by P/Śrī {mbid}/Śrī {mbid}"
    return {
        f"{base}.json": json.dumps(details(mbid)).encode(),
        f"{base}.mp3.mp3": f"mix of {mbid}".encode(),
        f"{base}.multitrack-vocal.mp3": b"a channel",
        f"{base}.pitch.txt": b"0.0\t0.0\n",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The task's folder with its lists and an empty place for Saraga."""
    made = tmp_path / "data" / "carnatic"
    (made / "split").mkdir(parents=True)
    (made / "saraga").mkdir()
    for name, ids in IDS.items():
        np.save(made / "split" / f"{name}.npy", np.array(ids))
    return made


def place(folder: Path, files: dict[str, bytes]) -> None:
    """Write files to the place of Saraga."""
    for name, data in files.items():
        path = folder / "saraga" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def pack(folder: Path, files: dict[str, bytes]) -> None:
    """Write files into an archive at the place of Saraga."""
    with zipfile.ZipFile(folder / "saraga" / ARCHIVES["carnatic"][0], "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.fixture
def files() -> dict[str, bytes]:
    """A whole small Saraga."""
    return {name: data for mbid in RAGAS for name, data in recording_files(mbid).items()}


def run(folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Take what is covered; return what is told and the report."""
    told: list[str] = []
    take(TASK, folder, told.append, lambda *_: None)
    return told, json.loads((folder / "saraga.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("put", [place, pack])
def test_what_is_covered_is_taken(
    folder: Path, files: dict[str, bytes], put: Callable[[Path, dict[str, bytes]], None]
) -> None:
    put(folder, files)
    told, report = run(folder)
    assert {path.name: path.read_bytes() for path in (folder / "audio").iterdir()} == {
        f"{mbid}.mp3": f"mix of {mbid}".encode() for mbid in ("a1", "a2", "b1", "c1")
    }
    assert (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()[1] == (
        "a1\tform--Kriti|instrument--Voice|raga--thodi|tala--adi\tconcert-a\tconcert-a\t61.000"
    )
    assert report["splits"]["train"] == {"listed": 3, "tags": 2, "audio": 2}
    assert report["covered"] == {"train": 2, "valid": 1, "test": 1}
    assert report["recordings_in_saraga"] == 5
    assert report["not_fetched"] == []
    assert "form--Alapana" in report["labels_never_seen"]
    assert told[0] == (
        "carnatic: Saraga covers 4 of 7 listed recordings (train 2 of 3, valid 1 of 2, test 1 of 2); 1 of its "
        "recordings are in no list."
    )
    assert told[-1] == (
        f"carnatic: to evaluate the covered part by itself: cmbench run --tasks {folder / 'saraga.yaml'}"
    )


def test_the_whole_task_still_says_what_is_missing(folder: Path, files: dict[str, bytes]) -> None:
    place(folder, files)
    run(folder)
    with pytest.raises(MissingError, match=r"3 of 7 listed tracks have no row: far1, far2, far3"):
        TASK.load("full", LoadContext(data_root=folder.parent, cache_root=folder.parent / "cache"))


def test_the_part_is_a_task_of_its_own(folder: Path, files: dict[str, bytes]) -> None:
    place(folder, files)
    run(folder)
    part = get_task(str(folder / "saraga.yaml"))
    assert part.name == "saraga_carnatic"
    assert part.labels == ("instrument--Voice", "form--Kriti", "tala--adi", "raga--thodi")
    assert (part.max_track_seconds, part.tradition) == (330.0, "carnatic")
    data = part.load("custom", LoadContext(data_root=None, cache_root=folder / "cache"))
    assert {name: [t.id for t in data.splits[name]] for name in SPLITS} == {
        "train": ["a1", "a2"],
        "valid": ["b1"],
        "test": ["c1"],
    }
    (test,) = data.splits["test"]
    assert (test.group, test.path) == ("concert-c", folder / "audio" / "c1.mp3")
    assert data.splits["train"][1].labels == ("instrument--Voice", "form--Kriti", "tala--adi")


def test_rows_and_audio_that_are_there_stay(folder: Path, files: dict[str, bytes]) -> None:
    place(folder, files)
    (folder / "audio").mkdir()
    (folder / "audio" / "a1.flac").write_bytes(b"mine")
    (folder / "metadata.tsv").write_text("mbid\ttags\na1\traga--bhairavi\n", encoding="utf-8")
    run(folder)
    assert not (folder / "audio" / "a1.mp3").exists()
    assert "a1\traga--bhairavi\t" in (folder / "metadata.tsv").read_text(encoding="utf-8")


def test_a_part_without_a_split_is_no_task(folder: Path) -> None:
    place(folder, recording_files("a1"))
    told, report = run(folder)
    assert report["covered"] == {"train": 1, "valid": 0, "test": 0}
    assert not (folder / "saraga.yaml").exists()
    assert not any("cmbench run" in line for line in told)


def test_broken_and_foreign_files_are_named_or_passed_over(folder: Path, files: dict[str, bytes]) -> None:
    place(folder, files)
    place(
        folder, {"index.json": b'{"version": "1.5"}', "list.json": b"[1]", "x/.hidden/y.json": b"{", "a/._b.json": b"{"}
    )
    place(
        folder, {"x/torn.json": b'{"mbid": "b1"', "x/odd.json": b'{"mbid": "z"}', "x/latin.json": "é".encode("latin-1")}
    )
    (folder / "saraga" / "saraga1.5_carnatic" / "Concert c by P" / "Śrī c1" / "Śrī c1.mp3.mp3").unlink()
    told, report = run(folder)
    assert [(entry["what"], entry["id"]) for entry in report["not_fetched"] if entry["what"] == "tags"] == [
        ("tags", "x/latin.json"),
        ("tags", "x/odd.json"),
        ("tags", "x/torn.json"),
    ]
    assert [entry["id"] for entry in report["not_fetched"] if entry["what"] == "audio"] == ["c1"]
    assert any("not taken: 4" in line for line in told)


def test_the_mix_is_told_from_channels() -> None:
    def mix(*names: str) -> str | None:
        return mix_of(PurePosixPath("r/Kriti.json"), [f"r/{name}" for name in names])

    assert mix("Kriti.mp3.mp3", "Kriti.mp3", "Other.mp3") == "r/Kriti.mp3.mp3"
    assert mix("Kriti.MP3", "Kriti.multitrack-violin.mp3") == "r/Kriti.MP3"
    assert mix("P - Kriti_original.mp3", "Kriti.multitrack-violin.mp3", "Kriti.json") == "r/P - Kriti_original.mp3"
    assert mix("One.mp3", "Two.mp3") is None
    assert mix("Kriti.multitrack-violin.mp3") is None


def test_of_two_copies_that_with_audio_is_taken(folder: Path) -> None:
    files = recording_files("a1")
    place(folder, {"git/one.json": json.dumps(details("a1")).encode(), **files})
    with files_of(folder / "saraga") as found:
        recordings, unreadable = saraga_recordings(TASK, found)
    assert recordings["a1"].mix is not None
    assert unreadable == {}


def test_an_archive_that_is_none_is_named(folder: Path) -> None:
    (folder / "saraga" / "saraga1.5_carnatic.zip").write_bytes(b"<html>")
    with pytest.raises(UsageError, match=r"saraga1\.5_carnatic\.zip cannot be read as an archive .*Fetch it again"):
        run(folder)


def test_a_damaged_member_of_an_archive_is_named(folder: Path, files: dict[str, bytes]) -> None:
    pack(folder, files)
    path = folder / "saraga" / "saraga1.5_carnatic.zip"
    path.write_bytes(path.read_bytes().replace(b"Title b1", b"Title XX"))
    _, report = run(folder)
    assert [entry["reason"][:10] for entry in report["not_fetched"]] == ["Bad CRC-32"]
    assert report["covered"] == {"train": 2, "valid": 0, "test": 1}


def test_a_damaged_mix_in_an_archive_is_no_mp3(folder: Path, files: dict[str, bytes]) -> None:
    pack(folder, files)
    path = folder / "saraga" / "saraga1.5_carnatic.zip"
    path.write_bytes(path.read_bytes().replace(b"mix of b1", b"mix of XX"))
    with pytest.raises(CmbenchError, match=r"b1\.mp3 could not be copied from Saraga"):
        run(folder)
    assert not list((folder / "audio").glob("b1*"))


@pytest.mark.parametrize("other", [{}, {"x/y.json": json.dumps(details("unlisted")).encode()}])
def test_a_folder_without_any_listed_recording_is_said(folder: Path, other: dict[str, bytes]) -> None:
    place(folder, other)
    with pytest.raises(UsageError, match="has no Saraga recording of carnatic's lists"):
        run(folder)


def plan(context: PrepareContext) -> Any:
    """The plan of the Carnatic task with Saraga as source."""
    assert TASK.prepare is not None
    return TASK.prepare(TASK, context)


def test_a_plan_fetches_the_archive_where_there_is_none(folder: Path, files: dict[str, bytes]) -> None:
    told: list[str] = []
    context = PrepareContext(folder.parent, ask=lambda prompt: "", tell=told.append, source="saraga")
    (archive,) = plan(context).downloads
    assert archive.url.startswith("https://zenodo.org/record/4301737/files/saraga1.5_carnatic.zip")
    assert archive.path == folder / "saraga" / "saraga1.5_carnatic.zip"
    assert archive.digest == "md5:e4fcd380b4f6d025964cd16aee00273d"
    assert "CC BY-NC-SA 4.0" in archive.licence
    place(folder, files)
    made = plan(replace(context, offline=True))
    assert made.downloads == ()
    assert not made.steps[0].fetches
    made.steps[0].run(context)
    assert told
    assert made.missing == ()
    assert plan(context).nothing_to_do
    (missing,) = plan(context).missing
    assert missing.what == "labels of carnatic (3 of 7 listed tracks have no row: far1, far2, far3)"
    (folder / "audio" / "c1.mp3").unlink()
    assert not plan(context).nothing_to_do
    shutil.rmtree(folder / "split")
    assert len(plan(context).downloads) == 3


@pytest.mark.parametrize("name", ["saraga_sri_raghuvara"])
def test_real_details_give_the_known_tags(published: Path, published_rows: Rows, name: str) -> None:
    path = published.parent / "audio" / "carnatic" / f"{name}.json"
    recording = read_details(COLLECTIONS["carnatic"], json.loads(path.read_text(encoding="utf-8")))
    (row,) = [row for row in published_rows("carnatic/saraga_labels.tsv") if row["mbid"] == recording.mbid]
    assert "|".join(recording.tags) == row["all_tags"]
    assert recording.seconds == float(row["length_ms"]) / 1000
    assert recording.releases == ("90229a09-0f83-4c29-bc79-95a80288f438",)
