"""Every task by name: the files of this folder, then the entry points of other distributions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..errors import UsageError
from ..plugins import of_folder, of_others
from .base import TASK_WORDS, Task

ENTRY_POINTS = "cmbench.tasks"


@cache
def built_in() -> Mapping[str, Task]:
    """Return the tasks of this folder by name; what other distributions offer is not even imported."""
    return {task.name: task for task in of_folder(__package__, "TASK")}


@cache
def registry() -> Mapping[str, Task]:
    """Every task by name: the files of this folder, then what :func:`..plugins.of_others` finds."""
    return {**built_in(), **of_others(ENTRY_POINTS, Task, built_in(), _adopt)}


def _adopt(task: Task, _: str) -> Task:
    if task.name in TASK_WORDS:
        raise UsageError(f"{task.name!r} is a word of --tasks")
    return task
