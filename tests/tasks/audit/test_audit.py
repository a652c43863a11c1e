"""The audit as a file: kept by the split's hash, read again, said in one line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cmbench.tasks.audit.audit import (
    audit,
    audit_path,
    audit_with_audio,
    ensure_audit,
    find_audit,
    keep_audit,
    summary,
)
from cmbench.tasks.audit.sound import AudioFindings, NearCopy, TrackInSplit
from cmbench.tasks.audit.table import print_audit
from cmbench.tasks.base import LoadContext, TaskData


@pytest.fixture
def data(make_task: Callable[..., Any], tmp_path: Path) -> TaskData:
    """Tones in three splits; a test track and a valid track are of the group of a training track."""
    task = replace(make_task(), group_kind="album")
    found: TaskData = task.load("custom", LoadContext(None, tmp_path))
    splits = dict(found.splits)
    for split in ("valid", "test"):
        splits[split] = (replace(splits[split][0], group="train-0"), *splits[split][1:])
    return replace(found, splits=splits)


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def test_the_finding_survives_the_file(data: TaskData, tmp_path: Path) -> None:
    found = audit_with_audio(data, 1, silent)
    path = keep_audit(found, tmp_path)
    assert path == tmp_path / "audits" / f"{data.split_sha256}.json"
    assert find_audit(tmp_path, "tones", data.split_sha256, data.label_sha256) == found
    assert path.read_text(encoding="utf-8") == audit_with_audio(data, 2, silent).to_json()
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert facts["split_sha256"] == data.split_sha256
    assert facts["lists"]["groups"]["test"]["leaking_tracks"] == 1


def test_one_line_says_it_all(data: TaskData) -> None:
    assert summary(audit(data)) == (
        "1 of 12 test tracks share a known album with train or valid, 1 of 8 valid tracks with train; "
        "audio not compared"
    )
    unknown = {s: tuple(replace(t, group=None, labels=()) for t in tracks) for s, tracks in data.splits.items()}
    assert summary(audit(replace(data, splits=unknown))) == (
        "albums unknown; labels undefined: train 3, valid 3, test 3; "
        "tracks without labels: train 16, valid 8, test 12; audio not compared"
    )


def test_a_later_audit_without_audio_does_not_take_the_place_of_one_with(data: TaskData, tmp_path: Path) -> None:
    ensure_audit(data, tmp_path)
    place = (tmp_path, "tones", data.split_sha256, data.label_sha256)
    kept = find_audit(*place)
    assert kept is not None
    assert (kept.audio, kept.reason) == (None, "`cmbench tasks audit` was not run")
    heard = audit_with_audio(data, 1, silent)
    keep_audit(heard, tmp_path)
    keep_audit(audit(data), tmp_path)
    ensure_audit(data, tmp_path)
    assert find_audit(*place) == heard


def test_absent_audio_is_said_and_the_lists_are_judged(data: TaskData, tmp_path: Path) -> None:
    splits = {s: tuple(replace(t, path=tmp_path / "nothing") for t in tracks) for s, tracks in data.splits.items()}
    found = audit_with_audio(replace(data, splits=splits), 1, silent)
    assert found.audio is None
    assert found.reason == "none of its 36 tracks can be read (train-00: there is no such file)"
    assert found.lists == audit(data).lists


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema_version": "9.9"}', b"[1]"])
def test_a_damaged_file_is_no_audit_and_is_made_again(data: TaskData, tmp_path: Path, content: bytes) -> None:
    path = audit_path(tmp_path, data.split_sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert find_audit(tmp_path, "tones", data.split_sha256, data.label_sha256) is None
    ensure_audit(data, tmp_path)
    assert find_audit(tmp_path, "tones", data.split_sha256, data.label_sha256) is not None


def test_a_changed_audit_is_named_and_made_again(
    data: TaskData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_audit(data, tmp_path)
    path = audit_path(tmp_path, data.split_sha256)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"tracks": 12', '"tracks": 13', 1), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    assert find_audit(tmp_path, "tones", data.split_sha256, data.label_sha256) is None
    assert f"{path} is not a whole audit" in caplog.text
    ensure_audit(data, tmp_path)
    assert path.read_text(encoding="utf-8") == text


def test_a_hash_that_is_none_leads_nowhere(tmp_path: Path) -> None:
    assert find_audit(tmp_path, "t", "../../secret", "") is None
    assert find_audit(tmp_path, "t", "\0", "") is None


def test_an_audit_of_other_labels_is_not_taken(data: TaskData, tmp_path: Path) -> None:
    ensure_audit(data, tmp_path)
    assert find_audit(tmp_path, "tones", data.split_sha256, "0" * 64) is None
    assert find_audit(tmp_path, "others", data.split_sha256, data.label_sha256) is None


def test_the_terminal_shows_what_was_found(data: TaskData) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    print_audit(audit_with_audio(data, 1, silent), console)
    text = console.export_text()
    assert "albums in several splits (1)" in text
    assert "train-0: train 3, valid 1, test 1" in text
    # The fixture renders the same tones for every split.
    assert "tracks with the same samples (12)" in text
    assert "train-00 (train) = valid-00 (valid) = test-00 (test)" in text
    assert "1 of 12 test tracks share a known album" in text


def test_other_speeds_and_other_spellings_are_said(data: TaskData) -> None:
    splits = dict(data.splits)
    splits["test"] = (replace(splits["test"][0], group="TRAIN-0"), *splits["test"][1:])
    found = audit(replace(data, splits=splits))
    assert "; 1 set of albums differs only in case or spaces; " in summary(found)
    ends = TrackInSplit("a", "train"), TrackInSplit("b", "test")
    near = (NearCopy(*ends, 0.31, 1.5, 1.008, 1.008), NearCopy(*ends, 0.2, 0.0, 0.988), NearCopy(*ends, 0.5, 0.0))
    compared, leaking = {"train": 1, "valid": 0, "test": 1}, {"train": 0, "valid": 0, "test": 1}
    audio = AudioFindings("landmarks-2", compared, (), near, leaking, (), ())
    console = Console(width=200, record=True, file=io.StringIO())
    print_audit(found.model_copy(update={"audio": audio}), console)
    text = console.export_text()
    assert "albums that differ only in case or spaces (1)" in text
    assert "TRAIN-0 = train-0" in text
    assert "31 % of the landmarks, +1.50 s, pitch +0.8 %, speed +0.8 %" in text
    assert "20 % of the landmarks, +0.00 s, pitch -1.2 %\n" in text
    assert "50 % of the landmarks, +0.00 s\n" in text
