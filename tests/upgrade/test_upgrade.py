"""What earlier versions left on a user's disk: found, read, gone on with.

Each folder ``v…`` was written by ``make.py`` of that version and never changes. It is opened by the command line and
the public API alone, at another place and with other times of its files. If a version raises an encoder's
``code_version``, its features are no longer found: then that is said here, beside the folder it concerns.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import cmbench

LEFT = sorted(Path(__file__).parent.glob("v*"))
MODELS = ("mfcc", "merged")
RUN = ("run", "--model", "mfcc,./merged", "--tasks", "corpus/task.yaml", "--device", "cpu", "--protocol", "cmbench-1")

Command = Callable[..., int]


@pytest.fixture(params=LEFT, ids=[folder.name for folder in LEFT])
def left(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a version left, as the current folder, with its cache."""
    folder = tmp_path / "user"
    shutil.copytree(request.param, folder, copy_function=shutil.copyfile)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CMBENCH_CACHE", str(folder / "cache"))
    return folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that runs the program in this process and returns its exit code."""

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["cmbench", *words])
        try:
            runpy.run_module("cmbench", run_name="__main__")
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def hashes(*folders: str) -> dict[str, str]:
    """Hash of every file in some folders, locks and pages aside."""
    files = [file for folder in folders for file in Path(folder).rglob("*") if file.is_file()]
    return {str(f): sha256(f.read_bytes()).hexdigest() for f in files if f.suffix not in (".lock", ".html")}


def record(folder: str, model: str) -> dict[str, Any]:
    """The record of a model, as it is written."""
    (file,) = Path(folder, model).glob("*.json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def features(cache: Path) -> dict[tuple[str, str], NDArray[np.float16]]:
    """Stored features by fingerprint and track."""
    from safetensors.numpy import load_file

    found = {}
    for index in cache.glob("features/*/*/*.index.json"):
        piece = json.loads(index.read_text(encoding="utf-8"))
        rows = load_file(index.with_name(piece["shard"]))["features"]
        for track in piece["tracks"]:
            found[index.parts[-3], track["id"]] = rows[slice(*track["rows"])]
    return found


def test_something_was_left() -> None:
    assert LEFT


def test_what_was_finished_is_found(left: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes("cache", "results")
    assert command(*RUN) == 0
    assert before.items() <= hashes("cache", "results").items()  # later versions write more beside it
    assert "features" not in capsys.readouterr().err
    page = Path("results/report.html").read_text(encoding="utf-8")
    assert all(name in page for name in MODELS)


def test_stored_features_are_not_made_again(left: Path, command: Command) -> None:
    before = hashes("cache")
    assert command(*RUN, "--out", "again") == 0
    # Cards of models, and how audio looked, are noted beside the features since.
    kept = {name: found for name, found in hashes("cache").items() if "/cards/" not in name and "/audio/" not in name}
    assert kept == before
    for model in MODELS:
        was, now = record("results", model), record("again", model)
        # What the probes make of them depends on the processor.
        for part in ("cell_sha256", "protocol", "coverage", "undefined_labels"):
            assert now[part] == was[part]
        for part in ("model", "task"):
            # Fields that came with later schemas have nothing to say here.
            assert {name: now[part][name] for name in was[part]} == was[part]
            assert {value for name, value in now[part].items() if name not in was[part]} <= {None}
        assert now["cost"]["encode_seconds"] == was["cost"]["encode_seconds"]


def test_features_made_today_are_those_that_were_stored(
    left: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBENCH_CACHE", str(left / "empty"))
    assert command(*RUN, "--out", "again") == 0
    was, now = features(left / "cache"), features(left / "empty")
    assert was.keys() == now.keys()
    assert len(was) == len(MODELS) * sum(record("results", "mfcc")["coverage"]["used"].values())
    for key, stored in was.items():
        # Float32 sums in another order, stored in eleven bits: some units in the last place.
        np.testing.assert_allclose(now[key].astype(np.float32), stored.astype(np.float32), rtol=4e-3, atol=4e-3)


def test_the_store_is_sound(left: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("cache", "verify") == 0
    assert f"{len(MODELS)} stores, 0 problems." in capsys.readouterr().out


def test_records_are_read(left: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("report", "html", "results", "--resamples", "100") == 0
    told = capsys.readouterr()
    assert "Not compared" not in told.err
    frame = cmbench.load_records("results")
    for model in MODELS:
        for name, metric in record("results", model)["metrics"].items():
            value = metric["value"]
            assert frame.query("model == @model and metric == @name")["value"].tolist() == [value]
            assert name.startswith("f1") or f"{100 * value:.1f}" in told.out


def test_the_entry_is_sound(left: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("leaderboard", "verify", "entries") == 0
    assert "1 of 1 sound." in capsys.readouterr().out


def test_pre_training_goes_on(left: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    log, weights = Path("halfway/training/log.jsonl"), Path("halfway/model.safetensors")
    begun, half = log.read_text(encoding="utf-8").splitlines(), weights.read_bytes()
    assert json.loads(Path("halfway/pretraining.json").read_text())["steps"] == 2
    assert command("pretrain", "recipe.yaml", "--resume", "--out", "halfway", "--device", "cpu") == 0
    assert "4 of 4 updates" in capsys.readouterr().out
    assert json.loads(Path("halfway/pretraining.json").read_text())["steps"] == 4
    lines = log.read_text(encoding="utf-8").splitlines()
    assert lines[: len(begun)] == begun
    # With the optimiser's state and what is drawn, it is the run that it would have been there.
    finished = Path("finished.jsonl").read_text(encoding="utf-8").splitlines()
    assert finished[: len(begun)] == begun
    losses = [[(one["kind"], one["step"], one["loss"]) for one in map(json.loads, log)] for log in (lines, finished)]
    assert [one[:2] for one in losses[0]] == [one[:2] for one in losses[1]]
    np.testing.assert_allclose([one[2] for one in losses[0]], [one[2] for one in losses[1]], rtol=1e-3)
    assert weights.read_bytes() != half
    assert cmbench.load_model("./halfway").encode(np.zeros((1, 8000), np.float32)).shape == (1, 3, 16)


def test_a_plug_in_works(left: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(left / "plugin")}
    words = ("run", "--model", "upgrade-loudness", "--tasks", "upgrade_plugin", "--data-root", ".", "--out", "plugged")
    done = subprocess.run([sys.executable, "-m", "cmbench", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert record("plugged", "upgrade-loudness")["metrics"]["roc_auc"]["value"] > 0.9
