"""``cmbench merge`` as a user types it: one model, a sweep on a real task, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from cmbench.baselines.mert.checkpoint import Preprocessor
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.benchmark import run as run_module
from cmbench.benchmark.protocol import ProbeSettings, get_protocol
from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError

TINY = HubertShape(
    conv_dim=(8,) * 7, hidden=16, layers=1, heads=2, intermediate=16, position_kernel=4, position_groups=4
)
QUICK = replace(
    get_protocol("cmbench-1"),
    probe=ProbeSettings(hidden=8, learning_rates=(1e-2,), max_epochs=5, seeds=(1,)),
    resamples=100,
)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base and two models in the current folder."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("base", "one", "two")):
        draw = torch.Generator().manual_seed(seed)
        weights = {
            n: t + (0.01 if seed else 0) * torch.randn(t.shape, generator=draw)
            for n, t in random_weights(TINY, 3).items()
        }
        write_folder(tmp_path / name, TINY, weights, Preprocessor(8000, False, "none"))


def merge(*words: str) -> Result:
    return CliRunner().invoke(app, ["merge", "--offline", "--base", "./base", *words], env={"COLUMNS": "300"})


def error_of(result: Result) -> CmbenchError:
    assert isinstance(result.exception, CmbenchError), result.output
    return result.exception


@pytest.mark.usefixtures("models")
def test_a_merge_says_what_it_did(tmp_path: Path) -> None:
    done = merge("--add", "./one", "--add", "./two", "--scale-each", "0.2,-0.1", "--out", "out")
    assert done.exit_code == 0, done.output
    for words in ("(task vectors scaled one by one)", "-0.1   two", "Licence: see sources", "Written: out"):
        assert words in done.output
    facts = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert [(one["name"], one["scale"]) for one in facts["added"]] == [("one", 0.2), ("two", -0.1)]
    again = merge("--add", "./one", "--method", "dare", "--density", "0.5", "--seed", "3", "--out", "out", "--force")
    assert again.exit_code == 0, again.output
    facts = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert (facts["method"], facts["density"], facts["seed"]) == ("dare", 0.5, 3)


@pytest.mark.usefixtures("models")
def test_warnings_are_printed() -> None:
    done = merge("--add", "./base", "--out", "out")
    assert "base has the weights of the base base: it adds nothing." in done.output


@pytest.mark.usefixtures("models")
def test_a_sweep_on_a_real_task_goes_on_where_it_was(
    tmp_path: Path, make_task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    monkeypatch.setattr(run_module, "select_tasks", lambda _: (task,))
    monkeypatch.setattr(run_module, "get_protocol", lambda *_: QUICK)
    words = ("--add", "./one", "--add", "./two", "--sweep", "0.1:0.2:0.1", "--tasks", "tones", "--out", "s")
    first = merge(*words, "--workers", "1", "--device", "cpu")
    assert first.exit_code == 0, first.output
    for text in ("Chosen on validation: scale", "selected on the test set", "scale 0.1", "scale 0.2", "sweep.svg"):
        assert text in first.output
    assert sorted(p.name for p in (tmp_path / "s" / "records").iterdir()) == [
        *("base", "one", "s-scale-0.1", "s-scale-0.2", "two")
    ]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s" / "records").rglob("*.json")}
    again = merge(*words)
    assert again.exit_code == 0, again.output
    assert "5 cells finished before" in again.output
    assert {p: p.stat().st_mtime_ns for p in before} == before
    other = merge(*words, "--method", "mean")
    assert other.exit_code == 0, other.output
    assert "3 cells finished before" in other.output


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tasks", "lyra"), "go with --sweep"),
        (("--keep",), "go with --sweep"),
        (("--scale-each", "0.1;0.2"), "should be numbers with commas"),
        (("--scale-each", "0.1,0.2"), "2 numbers for 1 models"),
        (("--scale", "0.1", "--scale-each", "0.1"), "not both"),
        (("--method", "soup"), "no method 'soup'"),
        (("--dtype", "int8"), "no dtype 'int8'"),
        (("--add", "mfcc"), "mfcc is not a MERT-shaped network"),
        (("--add", "./nothing"), "no model folder"),
        (("--sweep", "0.1:0.2:0.1"), "--sweep needs --tasks"),
        (("--sweep", "0.1:0.2:0.1", "--tasks", "lyra", "--scale", "0.1"), "do not go with --sweep"),
        (("--sweep", "0.1:0.2", "--tasks", "lyra"), "should read START:STOP:STEP"),
        (("--sweep", "0.1,0.2", "--tasks", "lyra", "--method", "soup"), "no method 'soup'"),
        (("--sweep", "0.1,0.2", "--tasks", "lira", "--edition", "mini"), "Did you mean lyra"),
    ],
)
def test_what_means_nothing_is_refused_and_leaves_no_model(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    error = error_of(merge("--add", "./one", *words, "--out", "out"))
    assert isinstance(error, UsageError)
    assert message in str(error)
    assert not list(tmp_path.glob("out/*.safetensors"))
    assert not list(tmp_path.glob(".out*"))
