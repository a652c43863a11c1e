"""Rendering beside the cells: the first waits for its own task alone, and nothing goes on that nobody wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import cmbench
from cmbench.benchmark import run as run_module
from cmbench.benchmark.ahead import rendered_ahead
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.records.record import Record
from cmbench.errors import CmbenchError
from cmbench.tasks.base import Edition, LoadContext, Task, TaskData
from cmbench.tests.benchmark.test_run import QUICK
from cmbench.tests.conftest import MakeTask

SECONDS = 60
"""What is never waited for where all is well."""

Render = Callable[[LoadContext], None]


@pytest.fixture
def mini(make_task: MakeTask) -> Callable[[str, Render], Task]:
    """Return a function that makes a task whose mini edition is rendered by a function."""

    def make(name: str, render: Render, edition: str = "mini") -> Task:
        task = make_task(name)
        (whole,) = task.editions.values()

        def load(of: Task, context: LoadContext) -> Any:
            if context.needs_audio:
                render(context)
            return whole.load(of, context)

        return replace(task, editions={edition: Edition(edition, whole.labels, load)})

    return make


def lists(task: Task) -> TaskData:
    (edition,) = task.editions
    return task.load(edition, LoadContext(None, Path(), needs_audio=False))


def nothing(context: LoadContext) -> None:
    """Render nothing."""


def test_a_task_does_not_wait_for_those_after_it_and_only_what_is_awaited_is_told(mini: Any) -> None:
    begun, awaited = Event(), Event()
    told: list[tuple[str, int, int]] = []

    def second(context: LoadContext) -> None:
        context.progress("two", 0, 2)
        begun.set()
        assert awaited.wait(SECONDS)
        while len(told) < 1:
            context.progress("two", 1, 2)

    data = [lists(mini("one", nothing)), lists(mini("two", second))]
    context = LoadContext(None, Path(), progress=lambda *state: told.append(state))
    with rendered_ahead(data, context) as wait_for:
        wait_for(data[0])
        assert begun.wait(SECONDS)
        awaited.set()
        wait_for(data[1])
        wait_for(data[0])
    assert told == [("two", 1, 2)]


def test_leaving_stops_what_is_rendered(mini: Any) -> None:
    begun = Event()
    rendered: list[LoadContext] = []

    def endless(context: LoadContext) -> None:
        begun.set()
        while True:
            context.progress("endless", 0, 1)

    data = [lists(mini("one", endless)), lists(mini("two", rendered.append))]
    with rendered_ahead(data, LoadContext(None, Path())):
        assert begun.wait(SECONDS)
    assert not rendered


def test_all_tasks_are_rendered_by_the_same_processes(mini: Any) -> None:
    pools: list[object] = []

    def render(context: LoadContext) -> None:
        assert context.pool is not None
        pools.append(context.pool)
        assert context.pool.submit(abs, -1).result() == 1

    data = [lists(mini("one", render)), lists(mini("two", render))]
    with rendered_ahead(data, LoadContext(None, Path())) as wait_for:
        for one in data:
            wait_for(one)
    assert len(pools) == 2
    assert pools[0] is pools[1]


def test_an_error_is_told_to_who_waits(mini: Any) -> None:
    def full(context: LoadContext) -> None:
        raise CmbenchError("the disk is full")

    data = lists(mini("one", full))
    with rendered_ahead([data], LoadContext(None, Path())) as wait_for, pytest.raises(CmbenchError, match="full"):
        wait_for(data)


def test_other_editions_are_not_loaded_again(mini: Any) -> None:
    loaded: list[LoadContext] = []
    data = lists(mini("one", loaded.append, "full"))
    with rendered_ahead([data], LoadContext(None, Path())) as wait_for:
        wait_for(data)
    assert not loaded


def test_the_first_cell_of_a_run_is_there_before_the_last_task_is_rendered(
    mini: Any, make_encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = Event()
    there: list[bool] = []

    class Watcher(Observer):
        def finished(self, record: Record, was_there: bool) -> None:
            finished.set()

    chosen = (mini("one", nothing), mini("two", lambda _: there.append(finished.wait(SECONDS))))
    monkeypatch.setattr(run_module, "select_tasks", lambda _: chosen)
    options: dict[str, Any] = {"edition": "mini", "protocol": QUICK, "out": tmp_path / "out", "observer": Watcher()}
    records = cmbench.run([make_encoder(), make_encoder(name="other")], "all", **options)
    assert [(r.model.name, r.task.name) for r in records] == [
        (model, task) for model in ("counting", "other") for task in ("one", "two")
    ]
    assert there == [True], "rendered once for both models, after the first cell"
