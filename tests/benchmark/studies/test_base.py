"""What a study is made of: options from a request, and what many requests share."""

from __future__ import annotations

import io
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path

import pytest
from rich.console import Console

from cmbench.benchmark.commands.progress import TerminalObserver
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.studies.base import Evaluation, Study, load_context, screen_of
from cmbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    noise: float
    times: int = 3


STUDY = Study(name="noise", help="Add noise.", request=Request, compute=lambda request, observer: request.noise)


def test_the_fields_of_a_request_are_options_its_own_first() -> None:
    options = STUDY.options
    assert list(options)[:4] == ["noise", "times", "tasks", "edition"]
    assert (options["noise"].default, options["times"].default) == (Parameter.empty, 3)
    assert options["times"].annotation is int
    assert "the tracks of the mini edition" in options["mini_scale"].annotation.__metadata__[0].help
    assert not STUDY.keeps


def test_what_a_request_adds_is_no_argument_of_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cmbench.benchmark import run as run_module

    asked: dict[str, object] = {}
    monkeypatch.setattr(run_module, "run", lambda models, **given: asked.update(given, models=models))
    observer = Observer()
    Request(noise=0.1, tasks=["lyra"], edition="mini", seeds=2).run(["mfcc"], tmp_path, observer)
    assert "noise" not in asked
    assert asked["models"] == ["mfcc"]
    assert asked["observer"] is observer
    assert (asked["tasks"], asked["edition"], asked["seeds"], asked["out"]) == (["lyra"], "mini", 2, tmp_path)


def test_the_context_tells_the_observer_and_refuses_a_root_that_is_none(own_cache: Path, tmp_path: Path) -> None:
    observer = Observer()
    context = load_context(observer, tmp_path, workers=2, scale=0.5, seed=7)
    assert (context.data_root, context.cache_root, context.workers) == (tmp_path, own_cache, 2)
    assert (context.mini_scale, context.mini_seed) == (0.5, 7)
    assert context.progress == observer.preparing
    with pytest.raises(UsageError, match="is not a folder"):
        load_context(observer, tmp_path / "nowhere")


def test_what_brings_bars_of_its_own_has_the_observers_console_or_a_quiet_one() -> None:
    console = Console(file=io.StringIO())
    assert screen_of(TerminalObserver(console)) is console
    assert screen_of(Observer()).quiet
