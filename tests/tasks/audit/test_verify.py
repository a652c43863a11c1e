"""Files that are as they should be, and files that are not, in every way."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from cmbench.tasks.audit.verify import FAULTS, VerifiedTask, print_finding, verify
from cmbench.tasks.base import LoadContext, Task, TaskData, Track

MakeTask = Callable[..., Task]


@pytest.fixture
def load(make_task: MakeTask, tmp_path: Path) -> Callable[..., TaskData]:
    """Returns a small task whose tracks last 1.5 to 1.7 s, with more training tracks and a published length."""

    def made(
        extra: tuple[Track, ...] = (), seconds: float | None = None, cap: float | None = None, full: bool = False
    ) -> TaskData:
        task = make_task(sizes=(4, 2, 3), seconds=1.5, extra=extra, cap=cap)
        data = task.load("custom", LoadContext(None, tmp_path))
        splits = {name: tuple(replace(t, seconds=seconds) for t in tracks) for name, tracks in data.splits.items()}
        data = replace(data, splits=splits)
        return replace(data, edition="full", split_name="official") if full else data

    return made


Load = Callable[..., TaskData]


def written(path: Path, wave: np.ndarray, rate: int = 8000) -> Path:
    soundfile.write(path, wave.astype(np.float32), rate)
    return path


def noise(seconds: float, rate: int = 8000) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate))


def fault_of(finding: VerifiedTask, track: str) -> tuple[str, str]:
    (fault,) = [one for one in finding.faults if one.id == track]
    return fault.fault, fault.reason


def test_sound_data_is_said_to_be_sound(load: Load) -> None:
    finding = verify(load(seconds=1.5))
    assert finding.is_sound
    assert {name: (one.asked, one.present, one.usable) for name, one in finding.splits.items()} == {
        "train": (4, 4, 4),
        "valid": (2, 2, 2),
        "test": (3, 3, 3),
    }
    assert finding.splits["test"].coverage == 1.0
    assert finding.splits["valid"].seconds == pytest.approx(3.1)


def test_every_fault_is_named(load: Load, tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.wav", noise(3))
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[:20000])
    empty = tmp_path / "empty.mp3"
    empty.touch()
    page = tmp_path / "page.mp3"
    page.write_text("<html>Please log in</html>", encoding="utf-8")
    paths = {
        "gone": tmp_path / "gone.wav",
        "folder": tmp_path,
        "name": tmp_path / ("x" * 300),
        "pipe": tmp_path / "pipe.wav",
        "cut": cut,
        "empty": empty,
        "page": page,
        "silent": written(tmp_path / "silent.wav", np.zeros(24000)),
        "short": written(tmp_path / "short.wav", noise(0.5)),
        "long": whole,
    }
    os.mkfifo(paths["pipe"])
    finding = verify(load(tuple(Track(name, path, ()) for name, path in paths.items()), seconds=1.5))
    assert {name: fault_of(finding, name)[0] for name in paths} == {
        "gone": "missing",
        "folder": "missing",
        "name": "missing",
        "pipe": "missing",
        "cut": "unreadable",
        "empty": "unreadable",
        "page": "unreadable",
        "silent": "unreadable",
        "short": "too short",
        "long": "wrong duration",
    }
    train = finding.splits["train"]
    assert dict(train.faults) == {"missing": 4, "unreadable": 4, "too short": 1, "wrong duration": 1}
    assert (train.asked, train.present, train.usable, train.coverage) == (14, 10, 6, 6 / 14)
    assert fault_of(finding, "long")[1] == "3.00 s, published 1.50 s"
    assert "cut short" in fault_of(finding, "cut")[1]
    assert "text, not audio" in fault_of(finding, "page")[1]
    assert not finding.is_sound
    assert set(finding.splits["test"].faults.values()) == {0}


def test_a_track_is_judged_by_its_own_stretch(load: Load, tmp_path: Path) -> None:
    video = written(tmp_path / "video.wav", np.concatenate([noise(4), np.zeros(16000)]))
    stretches = {"good": (0.0, 1.6), "past the end": (4.4, 7.0), "not there": (9.0, 10.0), "silent": (4.2, 5.8)}
    tracks = tuple(Track(name, video, (), start=start, end=end) for name, (start, end) in stretches.items())
    finding = verify(load(tracks, seconds=1.6))
    assert {fault.id: fault.fault for fault in finding.faults} == {
        "past the end": "unreadable",
        "not there": "unreadable",
        "silent": "unreadable",
    }
    late = (Track("late", video, (), start=3.5, end=5.0), Track("over", video, (), start=3.5, end=7.5))
    assert verify(load(late, seconds=4.0)).splits["train"].faults["wrong duration"] == 6


def test_a_cap_is_no_wrong_duration(load: Load) -> None:
    assert verify(load(seconds=600.0, cap=1.2)).is_sound
    assert not verify(load(seconds=600.0)).is_sound


def test_the_checksum_is_that_of_the_bytes_in_order(load: Load, tmp_path: Path) -> None:
    data = load((Track("gone", tmp_path / "gone.wav", ()),))
    finding = verify(data)
    lines = [
        f"{track.id}\t{hashlib.sha256(track.path.read_bytes()).hexdigest() if track.path.is_file() else '-'}\n"
        for track in data.splits["train"]
    ]
    assert lines[-1] == "gone\t-\n"
    assert finding.splits["train"].sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    whole = "".join(f"{name}\t{finding.splits[name].sha256}\n" for name in ("train", "valid", "test"))
    assert finding.sha256 == hashlib.sha256(whole.encode()).hexdigest()


def test_the_finding_does_not_depend_on_the_number_of_threads(load: Load, tmp_path: Path) -> None:
    data = load((Track("gone", tmp_path / "gone.wav", ()),), seconds=1.5)
    states: list[tuple[str, int, int]] = []
    assert verify(data, 1) == verify(data, 3, lambda *state: states.append(state))
    assert states == [("tones", done, 10) for done in range(1, 11)]


def test_a_split_of_another_size_than_published_is_not_sound(load: Load) -> None:
    data = load(full=True)
    exact = replace(data, task=replace(data.task, counts={"train": 4, "valid": 2, "test": 3}))
    assert verify(exact).is_sound
    fewer = verify(replace(data, task=replace(data.task, counts={"train": 4, "valid": 2, "test": 4})))
    assert (fewer.is_sound, fewer.faults, fewer.splits["test"].published) == (False, (), 4)
    other = replace(exact, split_name="marble", task=replace(exact.task, counts={"test": 4}))
    assert verify(other).splits["test"].published is None


def test_the_json_has_everything_and_no_number_that_is_none(load: Load, tmp_path: Path) -> None:
    finding = verify(load((Track("ğ", tmp_path / "gone.wav", ()),)))
    document = json.loads(finding.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert (document["format"], document["sound"], document["task"]) == (1, False, "tones")
    assert document["splits"]["train"]["coverage"] == 0.8
    assert document["faults"] == [
        {
            "split": "train",
            "id": "ğ",
            "file": str(tmp_path / "gone.wav"),
            "fault": "missing",
            "reason": "there is no such file",
        }
    ]


def test_the_table_never_rounds_up_to_whole(load: Load, tmp_path: Path) -> None:
    tracks = tuple(Track(f"[b]{i}", tmp_path / f"[b]{i}.wav", ()) for i in range(3))
    finding = verify(load(tracks))
    nearly = replace(finding.splits["test"], asked=10000, usable=9999)
    console = Console(width=140, record=True, file=io.StringIO())
    print_finding(replace(finding, splits=dict(finding.splits) | {"test": nearly}), console, shown=2)
    text = console.export_text()
    assert "99.9 %" in text
    assert "57.1 %" in text
    assert "[b]0.wav (there is no such file)" in text
    assert "… and 1 more" in text
    assert all(fault in text for fault in FAULTS)


def test_what_is_wrong_is_shown_before_what_is_missing(load: Load, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    tracks = (Track("gone", tmp_path / "gone.wav", ()), Track("empty", tmp_path / "empty.wav", ()))
    console = Console(width=140, record=True, file=io.StringIO())
    print_finding(verify(load(tracks)), console, shown=1)
    text = console.export_text()
    assert "empty.wav (an empty file" in text
    assert "gone.wav" not in text
