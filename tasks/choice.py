"""Which tasks a name, a tradition, a file or a list of these means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError, unknown_name
from ..written import split_list
from .base import TRADITIONS
from .registry import registry

if TYPE_CHECKING:
    from .base import Task


def get_task(name: str) -> Task:
    """Return the task of that name, or the one that a ``task.yaml``, or the one in a folder, describes.

    Raises:
        UsageError: there is no such task or file; the closest names are in the message.
    """
    from .custom import load_task, task_file

    tasks = registry()
    file = task_file(name, tasks)
    if file is not None:
        return load_task(file)
    if name not in tasks:
        raise unknown_name("task", name, [*tasks, *TRADITIONS, "all"], "cmbench tasks")
    return tasks[name]


def select_tasks(spec: str | Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks that a specification means, each once, in its order.

    Args:
        spec: ``all``, a task's name, a tradition, a path to a ``task.yaml``, or several of these
            (comma-separated, or as a sequence). A path with a comma in it is one part if it exists.

    Raises:
        UsageError: a part means nothing.
    """
    parts = split_list(spec) if isinstance(spec, str) else list(spec)
    chosen: dict[str, Task] = {}
    for part in dict.fromkeys(p.strip() for p in parts):
        if not part:
            continue
        if part == "all":
            tasks = tuple(registry().values())
        elif part in TRADITIONS:
            tasks = tuple(t for t in registry().values() if t.tradition == part)
        else:
            tasks = (get_task(part),)
        for task in tasks:
            if task.name in chosen and chosen[task.name] is not task:
                raise UsageError(f"Two different tasks are named {task.name!r}; rename one of them.")
            chosen[task.name] = task
    if not chosen:
        raise UsageError("No task was named. Try `--tasks all`, or `cmbench tasks` for the list.")
    return tuple(chosen.values())
