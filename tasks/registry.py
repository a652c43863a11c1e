"""Every task by name: the files of this folder, then the entry points of other distributions."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from ..errors import UsageError
from .base import TASK_WORDS, Task

ENTRY_POINTS = "cmbench.tasks"


@cache
def built_in() -> Mapping[str, Task]:
    """Return the tasks of this folder by name; what other distributions offer is not even imported."""
    found: dict[str, Task] = {}
    package = importlib.import_module(__package__)
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        task = getattr(importlib.import_module(f".{module}", __package__), "TASK", None)
        if isinstance(task, Task):
            found[task.name] = task
    return found


@cache
def registry() -> Mapping[str, Task]:
    """Every task by name: the files of this folder, then the entry points of other distributions.

    Raises:
        UsageError: two tasks share a name, a task is named as a word of ``--tasks``, or an entry point does not give a
            :class:`Task`.
    """
    found = dict(built_in())
    for point in entry_points(group=ENTRY_POINTS):
        task = point.load()
        if not isinstance(task, Task):
            raise UsageError(
                f"Entry point {point.value!r} of group {ENTRY_POINTS} gives {type(task).__name__}, not a Task."
            )
        if task.name in TASK_WORDS:
            raise UsageError(f"Entry point {point.value!r} names a task {task.name!r}, which is a word of --tasks.")
        if task.name in found:
            raise UsageError(f"Entry point {point.value!r} names a task {task.name!r}, which exists already.")
        found[task.name] = task
    return found
