"""Boards: what TensorBoard reads is what the log holds, also after a kill and a resume."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cmbench.cli import app
from cmbench.errors import UsageError
from cmbench.pretraining.training.log import Log
from cmbench.pretraining.training.run import Run
from cmbench.pretraining.training.tensorboard import EventFiles, require_tensorboard, scalars
from cmbench.pretraining.training.train import train
from cmbench.tests.pretraining.training.test_train import RECIPE, build_run

accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="reading event files back needs tensorboard"
)


def boarded(folder: Path) -> Run:
    run = build_run(folder, "run")
    training = folder / "run"
    run.log = Log(training / "log.jsonl", RECIPE.steps, 1, None, EventFiles(training / "tensorboard"))
    return run


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> steps and values, of all event files."""
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def in_log(file: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for text in file.read_text().splitlines():
        line = json.loads(text)
        for tag, value in scalars(line):
            found.setdefault(tag, []).append((line["step"], value))
    return found


def require_same(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Check that a board holds what the log does, and return it."""
    board, log = read_back(run / "tensorboard"), in_log(run / "log.jsonl")
    assert board.keys() == log.keys()
    for tag, points in log.items():
        assert [step for step, _ in board[tag]] == [step for step, _ in points], tag
        np.testing.assert_allclose([v for _, v in board[tag]], [v for _, v in points], rtol=1e-6, err_msg=tag)
    return board


def test_a_board_holds_what_the_log_does(tmp_path: Path) -> None:
    run = boarded(tmp_path)
    with run.log:
        run.log.forget_after(-1)
        train(run)
    board = require_same(tmp_path / "run")
    assert [step for step, _ in board["loss/train"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [step for step, _ in board["loss/held_out/western"]] == [0, 2, 3, 4, 6, 7]
    assert {"learning_rate", "gradient_norm", "seconds", "cqt_error/train", "mean_accuracy/held_out/greek"} < set(board)
    for whose in ("train", "held_out/greek", "held_out/western"):
        for quantity in ("accuracy", "token_loss"):
            assert {f"{quantity}/{whose}/codebook_{k}" for k in range(1, 9)} < set(board)


def test_a_resumed_run_shows_no_update_twice(tmp_path: Path) -> None:
    run = boarded(tmp_path)
    update = run.log.update

    def kill(progress: Any, *rest: Any, **named: Any) -> None:
        if progress.step == 6:  # update 5 is on the board, and the last checkpoint is that of update 4
            raise KeyboardInterrupt
        update(progress, *rest, **named)

    object.__setattr__(run.log, "update", kill)
    with pytest.raises(KeyboardInterrupt), run.log:
        train(run)
    assert read_back(tmp_path / "run" / "tensorboard")["loss/train"][-1][0] == 5
    resumed = boarded(tmp_path)
    with resumed.log:
        resumed.log.forget_after(4)
        train(resumed, resume=True)
    assert [step for step, _ in require_same(tmp_path / "run")["loss/train"]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_board_that_is_asked_for_later_begins_with_the_run(tmp_path: Path) -> None:
    train(build_run(tmp_path, "run"), max_steps=3)
    run = boarded(tmp_path)
    with run.log:
        run.log.forget_after(3)
        train(run, resume=True)
    require_same(tmp_path / "run")


def test_without_the_package_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r'pip install "cmbench\[tensorboard\]"'):
        require_tensorboard()
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["pretrain", "mert-nano", "--tensorboard", "--out", str(out), "--device", "cpu"])
    assert "cmbench[tensorboard]" in str(done.exception)
    assert not out.exists()
