"""Heads of a run, used on recordings: what they say of the test tracks is what the run scored."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy.special import logit
from typer.testing import CliRunner, Result

import cmbench
from cmbench.benchmark import run as run_module
from cmbench.benchmark.features.extract import BatchSize
from cmbench.benchmark.models import GivenEncoder
from cmbench.benchmark.probing.heads import heads_path, read_heads
from cmbench.benchmark.probing.tagging import open_tagger, tag
from cmbench.benchmark.protocol import ProbeSettings, get_protocol
from cmbench.benchmark.records.answers import answers_path
from cmbench.benchmark.records.record import read_record
from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.tasks.base import LoadContext, Task

MakeTask = Callable[..., Task]
QUICK = replace(
    get_protocol("cmbench-1"),
    name="quick",
    probe=ProbeSettings(hidden=16, learning_rates=(3e-3, 1e-2), max_epochs=10, seeds=(1, 2)),
    resamples=100,
)


@pytest.fixture
def task(make_task: MakeTask) -> Task:
    return make_task(sizes=(16, 8, 6), seconds=0.4)


@pytest.fixture
def record(task: Task, encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the record of a run."""
    monkeypatch.setattr(run_module, "select_tasks", lambda _: (task,))
    [made] = cmbench.run(encoder, "tones", protocol=QUICK, out=tmp_path / "out", device="cpu", workers=1)
    return next((tmp_path / "out").rglob(f"{made.stem}.json"))


def recordings(task: Task, tmp_path: Path, split: str) -> list[Path]:
    return [t.path for t in task.load("custom", LoadContext(None, tmp_path)).splits[split]]


def test_test_tracks_get_the_logits_that_were_scored(record: Path, task: Task, encoder: Any, tmp_path: Path) -> None:
    heads, _, _ = read_heads(heads_path(record))
    tagger = open_tagger(heads_path(record), read_record(record))
    found = list(tag(tagger, encoder, recordings(task, tmp_path, "test"), "cpu", BatchSize(30.0)))
    with np.load(record.with_suffix(".npz")) as predictions:
        mean = logit(predictions["probabilities"].astype(np.float64)).mean(axis=0)
    calibration = heads.calibration
    assert calibration is not None
    for one, expected in zip(found, mean, strict=True):
        assert one.probabilities is not None
        np.testing.assert_allclose(
            logit(one.probabilities), calibration.slope * expected + calibration.offset, atol=1e-3
        )


def test_recordings_that_the_heads_learnt_from_are_known(
    record: Path, task: Task, encoder: Any, tmp_path: Path
) -> None:
    tagger = open_tagger(heads_path(record), read_record(record))
    copy = shutil.copy(recordings(task, tmp_path, "train")[0], tmp_path / "another name.wav")
    soundfile.write(tmp_path / "new.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    paths = [Path(copy), tmp_path / "new.wav", tmp_path / "absent.wav"]
    first, second, third = tag(tagger, encoder, paths, "cpu", BatchSize(30.0))
    assert (first.known, second.known, third.known) == ("train", "", "")
    assert third.probabilities is None
    assert third.notes == ("there is no such file",)


def test_heads_of_another_record_are_refused(record: Path) -> None:
    made = read_record(record)
    other = made.model_copy(update={"predictions": made.predictions.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(UsageError, match=r"not those of the record beside them.*--force"):
        open_tagger(heads_path(record), other)


def test_a_windowing_that_is_none(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads, about, audio = read_heads(heads_path(record))
    monkeypatch.setattr(
        "cmbench.benchmark.probing.tagging.read_heads", lambda _: (heads, about | {"windowing": {"size": 1}}, audio)
    )
    with pytest.raises(CmbenchError, match="no file of heads"):
        open_tagger(heads_path(record), read_record(record))


def run(*words: object) -> Result:
    result = CliRunner().invoke(app, ["tag", *(str(word) for word in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def on_the_shelf(encoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the test's encoder by its name."""
    monkeypatch.setattr("cmbench.benchmark.models.load_encoder", lambda name, options: GivenEncoder.of(encoder))


@pytest.mark.usefixtures("on_the_shelf")
def test_the_command_says_that_probabilities_are_calibrated(record: Path, task: Task, tmp_path: Path) -> None:
    train = recordings(task, tmp_path, "train")[0]
    shown = run(train, "--record", record.parent, "--out", tmp_path / "tags.csv", "--device", "cpu")
    assert shown.exit_code == 0
    assert "Probabilities calibrated on 8 validation tracks" in shown.output
    assert "in the train split of the heads" in shown.output
    with (tmp_path / "tags.csv").open(encoding="utf-8-sig", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["label"] for row in rows] == list(task.labels)
    assert all(0 <= float(row["calibrated_probability"]) <= 1 for row in rows)
    assert {row["known_from"] for row in rows} == {"train"}


@pytest.mark.usefixtures("on_the_shelf")
def test_a_folder_of_recordings_one_of_which_is_none(record: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    (folder / "b.mp3").write_text("no sound")
    shown = run(folder, "--record", record, "--device", "cpu")
    assert shown.exit_code == 1
    assert "text, not audio" in shown.output


def test_one_record_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one record is needed, and there are 0"):
        run(tmp_path / "a.wav", "--record", tmp_path)


def test_another_encoder_of_the_name_is_refused(
    record: Path, make_encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_encoder()
    other = type("Other", (), {"card": replace(other.card, code_version="other"), "encode": other.encode})()
    monkeypatch.setattr("cmbench.benchmark.models.load_encoder", lambda name, options: other)
    with pytest.raises(UsageError, match=r"trained on features of .*another"):
        run(tmp_path / "a.wav", "--record", record)


def test_an_earlier_run_gets_its_answers_without_being_computed_again(
    record: Path, encoder: Any, tmp_path: Path
) -> None:
    answers_path(record).unlink()
    before = record.read_bytes()
    cmbench.run(encoder, "tones", protocol=QUICK, out=tmp_path / "out", device="cpu", workers=1)
    assert answers_path(record).is_file()
    assert record.read_bytes() == before
