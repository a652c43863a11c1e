"""What a specification of tasks means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmbench.errors import UsageError
from cmbench.tasks import choice
from cmbench.tasks.base import PAPER_TASKS
from cmbench.tasks.choice import get_task, only_if_ready, select_tasks
from cmbench.tests.tasks.test_base import toy_task
from cmbench.tests.tasks.test_registry import OFFICIAL, SHIPPED


def test_a_wrong_name_is_answered_with_the_closest_names() -> None:
    with pytest.raises(UsageError, match=r"no task named 'turkishmakam'\. Did you mean turkish_makam") as caught:
        get_task("turkishmakam")
    assert "cmbench tasks" in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=r"Did you mean lyra\?"):
        select_tasks("Lyra2")


def test_a_name_like_nothing_has_no_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        get_task("zzzzzzzz")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("lyra", ["lyra"]),
        ("lyra,carnatic", ["lyra", "carnatic"]),
        (" carnatic , lyra ,", ["carnatic", "lyra"]),
        (["carnatic", "lyra"], ["carnatic", "lyra"]),
        ("turkish", ["turkish_makam"]),
        ("lyra,greek,lyra", ["lyra"]),
    ],
)
def test_a_specification_selects_each_task_once_in_its_order(spec: str | list[str], names: list[str]) -> None:
    assert [task.name for task in select_tasks(spec)] == names


def test_all_is_the_papers_six_and_a_tradition_every_task_of_its_own() -> None:
    assert {task.name for task in select_tasks("all")} == OFFICIAL == PAPER_TASKS
    assert {task.name for task in select_tasks("western")} == {"fma_medium", "magnatagatune"}


@pytest.mark.parametrize(("part", "names"), [("carnatic", ["carnatic"]), ("chinese", ["chinese_modes"])])
def test_a_tradition_that_is_a_tasks_name_means_that_task_alone(part: str, names: list[str]) -> None:
    assert [task.name for task in select_tasks(part)] == names


def test_the_world_is_every_task_that_ships_and_all_stays_the_six() -> None:
    world = [task.name for task in select_tasks("world")]
    assert set(world) == SHIPPED
    assert len(world) == len(set(world)) == 10
    assert {task.tradition for task in select_tasks("world")} >= {"chinese", "brazilian"}


def test_an_empty_specification_is_refused() -> None:
    with pytest.raises(UsageError, match="No task was named"):
        select_tasks(" , ")


def test_two_different_tasks_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"one": toy_task("one"), "two": toy_task("two")}
    monkeypatch.setattr(choice, "get_task", lambda name: replace(tasks[name], name="same"))
    with pytest.raises(UsageError, match="Two different tasks are named 'same'"):
        select_tasks("one,two")


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("all", set()),
        ("lyra", set()),
        ("ready", OFFICIAL),
        (" ready , ", OFFICIAL),
        (["lyra", "ready"], OFFICIAL - {"lyra"}),
        ("ready,western", OFFICIAL - {"fma_medium", "magnatagatune"}),
        ("ready,all", set()),
    ],
)
def test_what_ready_brings_in_and_nothing_else_names_may_be_absent(spec: str | list[str], names: set[str]) -> None:
    assert only_if_ready(spec) == names
    assert {task.name for task in select_tasks(spec)} >= names
