from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.own.sources import open_source
from cmbench.tests.tasks.own.conftest import Sound

Corpus = Callable[..., Path]
ROWS = [{"file": "a.wav", "label": "x"}, {"file": "b.wav", "label": "y"}]


def test_a_folder_with_a_table_and_the_table_itself(corpus: Corpus) -> None:
    folder = corpus(ROWS, ["a.wav", "b.wav"])
    for named in (folder, folder / "songs.csv"):
        source = open_source(str(named))
        assert source.sheet.column("file") == ["a.wav", "b.wav"]
        assert [str(p) for p in source.recordings.paths] == ["a.wav", "b.wav"]
        assert (source.folder, source.name) == (folder, "corpus")


def test_of_several_tables_the_one_that_names_recordings(corpus: Corpus) -> None:
    folder = corpus(ROWS, ["a.wav", "b.wav"])
    (folder / "readme.txt").write_text("Recorded in 1990\nby us\n")
    assert open_source(str(folder)).sheet.source.name == "songs.csv"
    (folder / "copy.csv").write_bytes((folder / "songs.csv").read_bytes())
    with pytest.raises(UsageError, match=r"which of copy.csv, readme.txt, songs.csv .* --table"):
        open_source(str(folder))
    assert open_source(str(folder), folder / "copy.csv").sheet.source.name == "copy.csv"


def test_recordings_elsewhere(corpus: Corpus, tmp_path: Path, sound: Sound) -> None:
    sound(tmp_path / "else" / "a.wav")
    folder = corpus(ROWS, ["unrelated.wav"])
    assert [str(p) for p in open_source(str(folder), audio=tmp_path / "else").recordings.paths] == ["a.wav"]


def test_folders_named_by_label(tmp_path: Path, sound: Sound) -> None:
    for name in ("Hicaz/a.wav", "Rast/b.wav", "Rast/c.wav"):
        sound(tmp_path / name)
    sheet = open_source(str(tmp_path)).sheet
    assert sheet.rows[0] == {"path": "Hicaz/a.wav", "label": "Hicaz"}
    assert sheet.column("label") == ["Hicaz", "Rast", "Rast"]


def test_folders_named_by_split_label_and_album(tmp_path: Path, sound: Sound) -> None:
    for name in ("train/Rast/disc 1/b.wav", "validation/Rast/disc 2/c.wav", "test/Hicaz/disc 3/c.wav"):
        sound(tmp_path / name)
    assert open_source(str(tmp_path)).sheet.rows == (
        {"path": "test/Hicaz/disc 3/c.wav", "split": "test", "label": "Hicaz", "group": "Hicaz/disc 3"},
        {"path": "train/Rast/disc 1/b.wav", "split": "train", "label": "Rast", "group": "Rast/disc 1"},
        {"path": "validation/Rast/disc 2/c.wav", "split": "valid", "label": "Rast", "group": "Rast/disc 2"},
    )


def test_loose_recordings_without_a_table(tmp_path: Path, sound: Sound) -> None:
    sound(tmp_path / "a.wav")
    with pytest.raises(UsageError, match=r"no table in it, and 1 recordings \(a.wav"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("above", ["", "data/"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_audiofolder(tmp_path: Path, sound: Sound, ending: str, above: str) -> None:
    """Each split has its metadata, whose file names are seen from its folder."""
    for split in ("train", "validation", "test"):
        sound(tmp_path / above / split / "clips" / f"{split}.wav")
        row = {"file_name": f"clips/{split}.wav", "label": "x"}
        text = json.dumps(row) if ending == "jsonl" else "file_name,label\n" + ",".join(row.values())
        (tmp_path / above / split / f"metadata.{ending}").write_text(text)
    source = open_source(str(tmp_path))
    assert source.path_column == "file_name"
    assert {(r["file_name"], r["split"]) for r in source.sheet.rows} == {
        (f"{above}train/clips/train.wav", "train"),
        (f"{above}validation/clips/validation.wav", "valid"),
        (f"{above}test/clips/test.wav", "test"),
    }


def test_metadata_without_file_name(tmp_path: Path, sound: Sound) -> None:
    sound(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("path,label\na.wav,x\n")
    with pytest.raises(UsageError, match=r"`file_name` is missing.*found are path, label"):
        open_source(str(tmp_path))


def test_a_folder_as_people_write_it(tmp_path: Path, sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(tmp_path / "my songs" / "Rast" / "a.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    for written in ("~/my songs", (tmp_path / "my songs").as_uri(), f"{tmp_path}/my songs/"):
        assert open_source(written).recordings.folder == tmp_path / "my songs"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder or table"):
        open_source(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"no file in it has the ending of a recording.*--audio"):
        open_source(str(tmp_path))


class Cached:
    """mirdata's ``core.cached_property``: read from a file of annotations when it is asked for."""

    def __get__(self, track: object, kind: type) -> object:
        if track is None:
            return self
        raise AssertionError("annotations were read")


def fake_mirdata(monkeypatch: pytest.MonkeyPatch, home: Path, tracks: dict[str, Path]) -> None:
    """Put a double of mirdata in place: ``initialize``, ``list_datasets``, ``track_ids``, ``track``."""

    class Track:
        beats = Cached()

        def __init__(self, track_id: str) -> None:
            self.track_id = track_id
            self.audio_path = str(tracks[track_id])
            self.beats_path = "beats.txt"
            self.genre = "hip-hop"
            self._data_home = str(home)

        @property
        def artist(self) -> str:
            return f"artist of {self.track_id}"

        @property
        def audio(self) -> object:
            raise AssertionError("the audio was decoded")

        @property
        def metadata(self) -> dict[str, object]:
            return {"raaga": [{"uuid": "u", "common_name": "kalyani"}], "length": 3.0}

        def to_jams(self) -> None:
            """A method is no fact."""

    def initialize(name: str, data_home: str | None = None) -> object:
        if name != "small":
            raise ValueError(f"Invalid dataset {name}")
        return SimpleNamespace(
            data_home=data_home or str(home), track_ids=list(tracks), track=Track,
            _license_info="CC BY 4.0\n", _bibtex="@article{x}",
        )  # fmt: skip

    module = ModuleType("mirdata")
    module.__dict__.update(initialize=initialize, list_datasets=lambda: ["small"])
    monkeypatch.setitem(sys.modules, "mirdata", module)


def test_a_loader_of_mirdata(tmp_path: Path, sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mirdata(monkeypatch, tmp_path, {"t1": sound(tmp_path / "audio" / "1.wav"), "t2": tmp_path / "absent.wav"})
    source = open_source("mirdata:small")
    assert [str(p) for p in source.recordings.paths] == ["audio/1.wav"]
    assert source.sheet.rows[0] == {
        "id": "t1",
        "audio_path": str(tmp_path / "audio" / "1.wav"),
        "genre": "hip-hop",
        "artist": "artist of t1",
        "raaga": "kalyani",
        "length": "3",
    }
    assert (source.licence, source.citation, source.path_column) == ("CC BY 4.0", "@article{x}", "audio_path")


def test_mirdata_without_its_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mirdata(monkeypatch, tmp_path, {"t1": tmp_path / "absent.wav"})
    with pytest.raises(UsageError, match=r"none of its 1 tracks has its audio.*initialize\('small'.*download\(\)"):
        open_source("mirdata:small")
    with pytest.raises(UsageError, match=r"no data set 'smal'.*it has small"):
        open_source("mirdata:smal")


def test_without_mirdata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(UsageError, match=r"pip install \"cmbench\[mirdata\]\""):
        open_source("mirdata:small")
