"""Recordings' details as tags and releases, and the table that keeps them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.tasks.choice import get_task
from cmbench.tasks.dunya.layout import read_recordings
from cmbench.tasks.dunya.recordings import (
    COLLECTIONS,
    COMMON_NAMES,
    DunyaRecording,
    UnreadableDetailsError,
    add_rows,
    has_details,
    read_details,
    read_rows,
    write_rows,
)
from cmbench.tasks.fetching.tables import cell_values

MAKAM, CARNATIC, HINDUSTANI = (COLLECTIONS[name] for name in ("turkish_makam", "carnatic", "hindustani"))
ADI = "c788c38a-b53a-48cb-b7bf-d11769260c4d"
Details = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def player(instrument: object) -> dict[str, Any]:
    """Who plays what, in the form of the Indian collections."""
    return {"artist": {"mbid": "p", "name": "P"}, "instrument": instrument, "lead": False, "attributes": ""}


@pytest.fixture
def carnatic() -> dict[str, Any]:
    """Details in the form of the Carnatic collection."""
    return {
        "mbid": "AB12",
        "title": "A kriti",
        "length": 256000,
        "artists": [player({"name": "Voice"}), player({"name": "Violin"}), player({"name": "Violin"}), player(None)],
        "raaga": [{"uuid": "x", "name": "Tōḍi", "common_name": "thodi"}],
        "taala": [{"uuid": ADI, "name": "Ādi", "common_name": "adi"}],
        "form": [{"name": "Varnam - Tana Varnam"}],
        "work": [],
        "concert": [{"mbid": "c2", "title": "B"}, {"mbid": "c1", "title": "A"}],
        "album_artists": [],
    }


def test_a_makam_recording(makam: Details) -> None:
    details = makam("a1", "Hicaz", instrument="Classical kemenc\u0327e")
    assert has_details(MAKAM, details)
    assert read_details(MAKAM, details) == DunyaRecording(
        "a1", ("instrument--Classical kemençe", "makam--Hicaz", "usul--Düyek"), ("r1",), None
    )


def test_a_carnatic_recording(carnatic: dict[str, Any]) -> None:
    assert read_details(CARNATIC, carnatic) == DunyaRecording(
        "ab12",
        ("form--Varnam - Tana Varnam", "instrument--Violin", "instrument--Voice", "raga--thodi", "tala--adi"),
        ("c1", "c2"),
        256.0,
    )


def test_a_hindustani_recording() -> None:
    details = {
        "mbid": "h1",
        "length": None,
        "artists": [],
        "raags": [{"uuid": "x", "common_name": "Bhairabi", "name": "Bhairavi"}],
        "taals": [{"uuid": "y", "common_name": "Ektaal", "name": "Ēktāl"}] * 2,
        "layas": [{"uuid": "z", "common_name": "Vilambit", "name": "Vilaṁbit"}],
        "forms": [{"uuid": "f", "common_name": "Khayal", "name": "Khyāl"}],
        "works": [],
        "release": [],
    }
    found = read_details(HINDUSTANI, details)
    assert found == DunyaRecording("h1", ("form--Khayal", "raga--Bhairabi", "tala--Ektaal"), (), None)


def test_names_that_a_copy_leaves_out_are_known_of_every_label(carnatic: dict[str, Any]) -> None:
    labels = [*get_task("carnatic").labels, *get_task("hindustani").labels]
    named = {label.partition("--")[2] for label in labels if label.startswith(("raga--", "tala--"))}
    named |= {label.partition("--")[2] for label in get_task("hindustani").labels if label.startswith("form--")}
    assert set(COMMON_NAMES.values()) == named
    carnatic["taala"] = [{"uuid": ADI, "name": "Ādi"}]
    carnatic["raaga"] = [{"uuid": "another", "name": "Kāṁbhōji"}]
    assert set(read_details(CARNATIC, carnatic).tags) >= {"tala--adi", "raga--Kāṁbhōji"}


def test_a_lone_object_and_null_are_read_as_lists(carnatic: dict[str, Any]) -> None:
    carnatic |= {"raaga": {"name": "a", "common_name": "kalyani"}, "taala": None, "concert": {"mbid": "C9"}}
    found = read_details(CARNATIC, carnatic)
    assert "raga--kalyani" in found.tags
    assert found.releases == ("c9",)


def test_a_name_cannot_break_the_table(carnatic: dict[str, Any]) -> None:
    carnatic["form"] = [{"name": " a|b\tc\nd "}, {"name": "e\ud800"}]
    assert {"form--a/b c d", "form--e?"} <= set(read_details(CARNATIC, carnatic).tags)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mbid": " "}, "no MusicBrainz id"),
        ({"raaga": "thodi"}, "'raaga' does not list objects"),
        ({"form": [{"name": None}]}, "an entry of 'form' has no name"),
        ({"form": [{"name": 5}]}, "an entry of 'form' has no name"),
        ({"artists": [player("Voice")]}, "an instrument in 'artists' is no object"),
        ({"artists": [player({})]}, "an entry of 'instrument' has no name"),
    ],
)
def test_details_of_another_form_are_refused(carnatic: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableDetailsError, match=message):
        read_details(CARNATIC, carnatic | change)


@pytest.mark.parametrize("field", CARNATIC.fields)
def test_an_absent_field_is_no_empty_one(carnatic: dict[str, Any], field: str) -> None:
    del carnatic[field]
    assert not has_details(CARNATIC, carnatic)
    with pytest.raises(UnreadableDetailsError, match=f"the field '{field}' is absent"):
        read_details(CARNATIC, carnatic)


def test_what_is_no_object_is_refused() -> None:
    foreign: tuple[object, ...] = (None, [], "x", 3)
    for details in foreign:
        with pytest.raises(UnreadableDetailsError, match="expected an object"):
            read_details(MAKAM, details)


@pytest.mark.parametrize("length", [None, 0, -1, float("nan"), float("inf"), "long", 10**400])
def test_a_length_that_is_none(carnatic: dict[str, Any], length: object) -> None:
    assert read_details(CARNATIC, carnatic | {"length": length}).seconds is None


@pytest.mark.parametrize("mbid", [None, "", "../a1", "a/b", "a b", "."])
def test_an_id_that_leads_elsewhere_is_none(carnatic: dict[str, Any], mbid: object) -> None:
    with pytest.raises(UnreadableDetailsError, match="no MusicBrainz id"):
        read_details(CARNATIC, carnatic | {"mbid": mbid})


def test_releases_without_an_id_are_none(carnatic: dict[str, Any]) -> None:
    known = {"mbid": "R1", "title": "Known"}
    concerts = [{"mbid": None, "title": "Unknown"}, known, {"title": "No field"}, {"mbid": " "}]
    assert read_details(CARNATIC, carnatic | {"concert": concerts}).releases == ("r1",)


def test_the_table_is_what_the_loader_reads(tmp_path: Path) -> None:
    rows = read_rows(tmp_path / "metadata.tsv")
    add_rows(
        rows, [DunyaRecording("a1", ("makam--Rast", "usul--Düyek"), ("r2", "r3"), 12.5), DunyaRecording("b1", (), ())]
    )
    write_rows(tmp_path / "metadata.tsv", rows)
    assert (tmp_path / "metadata.tsv").read_text(encoding="utf-8").splitlines() == [
        "mbid\ttags\tgroup\treleases\tduration_s",
        "a1\tmakam--Rast|usul--Düyek\tr2|r3\tr2|r3\t12.500",
        "b1\t\t\t\t",
    ]
    found = read_recordings(get_task("turkish_makam"), tmp_path / "metadata.tsv")
    assert found["a1"].tags == {"makam--Rast", "usul--Düyek"}
    assert (found["a1"].group, found["b1"].group) == ("r2|r3", None)
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.tsv"]


def test_rows_and_columns_of_the_user_stay(tmp_path: Path, write: Write) -> None:
    table = write(
        tmp_path / "metadata.tsv", ["comment\tmbid\tgroup\ttags", "mine\tA1\tmy group\tmakam--Hicaz", "\tb1\t\t"]
    )
    rows = read_rows(table)
    add_rows(rows, [DunyaRecording("a1", ("makam--Rast",), ("r1",)), DunyaRecording("c1", ("makam--Rast",), ("r1",))])
    write_rows(table, rows)
    assert table.read_text(encoding="utf-8").splitlines() == [
        "mbid\ttags\tgroup\treleases\tduration_s\tcomment",
        "a1\tmakam--Hicaz\tmy group\t\t\tmine",
        "b1\t\t\t\t\t",
        "c1\tmakam--Rast\tr1\tr1\t\t",
    ]


def test_two_rows_of_one_recording_are_refused(tmp_path: Path, write: Write) -> None:
    for lines in (["mbid\ttags", "a1\t", "A1\t"], ["mbid\ttags", "\tx"]):
        with pytest.raises(UsageError, match=f"line {len(lines)}"):
            read_rows(write(tmp_path / "metadata.tsv", lines))


@given(st.lists(st.text(min_size=1), max_size=5))
def test_any_name_survives_the_table(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    details: dict[str, object] = {
        "mbid": "a1",
        "makamlist": [{"name": name} for name in names if name.strip()],
        "usullist": [],
        "performers": [],
        "releases": [],
    }
    recording = read_details(MAKAM, details)
    table = tmp_path_factory.mktemp("table") / "metadata.tsv"
    rows = read_rows(table)
    add_rows(rows, [recording])
    write_rows(table, rows)
    assert cell_values(read_rows(table)["a1"]["tags"]) == recording.tags
