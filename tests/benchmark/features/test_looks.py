from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmbench.benchmark.features import looks as looks_module
from cmbench.benchmark.features.looks import looks_sha256, note_audio, noted_audio
from cmbench.benchmark.features.stored import StoredTrack
from cmbench.sound import PLAIN, STRAIGHT
from cmbench.tasks.base import Track

STORED = StoredTrack("a", "a.wav", 0.0, None, None, "0" * 64)


def tracks_in(folder: Path) -> list[Track]:
    for name in "abc":
        (folder / f"{name}.wav").write_bytes(name.encode() * 50)
    return [*(Track(name, folder / f"{name}.wav", ()) for name in "abc"), Track("gone", folder / "gone.wav", ())]


def test_files_that_look_otherwise_have_other_looks(tmp_path: Path) -> None:
    tracks = tracks_in(tmp_path)
    looks = looks_sha256(tracks)
    assert looks == looks_sha256(tracks)
    others = [tracks[::-1], tracks[:-1], [replace(tracks[0], id="z"), *tracks[1:]]]
    others += [[replace(tracks[0], start=1.0), *tracks[1:]], [replace(tracks[0], end=1.0), *tracks[1:]]]
    others += [[replace(tracks[0], path=tmp_path / "." / "b.wav"), *tracks[1:]]]
    found = {looks_sha256(other) for other in others}
    assert len(found | {looks}) == len(others) + 1
    stat = tracks[1].path.stat()
    tracks[1].path.write_bytes(b"x" * 50)
    os.utime(tracks[1].path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert looks_sha256(tracks) != looks, "size and time of change are the same, not the time of any change"
    looks = looks_sha256(tracks)
    tracks[3].path.touch()
    assert looks_sha256(tracks) != looks


def test_only_what_was_noted_of_the_same_looks_is_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "noted" / "a.json"
    assert noted_audio(file, "looks") is None
    note_audio(file, "looks", "audio", [STORED])
    assert noted_audio(file, "looks") == "audio"
    assert noted_audio(file, "others") is None
    assert caplog.text == ""
    content = file.read_bytes()
    for forged in (
        content.replace(b'"audio", "dec', b'"other", "dec'),
        content.replace(b'"audio",', b'"other",'),
        b"",
        b"[]",
    ):
        if forged != content:
            file.write_bytes(forged)
            assert noted_audio(file, "looks") is None
            assert "is damaged and is written again" in caplog.text
            caplog.clear()
    facts = json.loads(content)
    del facts["content_sha256"]
    file.write_text(json.dumps(facts))
    assert noted_audio(file, "looks") is None


@pytest.mark.parametrize(
    ("changed", "rests"),
    [
        ({}, False),
        ({"decoder": PLAIN}, False),
        ({"decoder": STRAIGHT}, False),
        ({"decoder": "libsndfile-parts 1.2.2"}, True),
        ({"failure": "damaged"}, True),
        ({"warnings": ("wrong extension: .wav holds FLAC",)}, True),
    ],
)
def test_a_note_rests_on_the_decoders_where_audio_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], rests: bool
) -> None:
    monkeypatch.setattr(looks_module, "decoders", lambda: frozenset({"ffmpeg 7"}))
    note_audio(tmp_path / "a.json", "looks", "audio", [STORED, replace(STORED, **changed)])
    assert noted_audio(tmp_path / "a.json", "looks") == "audio"
    monkeypatch.setattr(looks_module, "decoders", lambda: frozenset({"ffmpeg 8"}))
    assert noted_audio(tmp_path / "a.json", "looks") == (None if rests else "audio")


def test_a_cache_for_reading_only_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    caplog.set_level(logging.DEBUG)
    note_audio(tmp_path / "file" / "a.json", "looks", "audio", [STORED])
    assert "is not written" in caplog.text
