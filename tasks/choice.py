"""Which tasks a name, a tradition, a file or a list of these means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError, quoted, unknown_name
from ..written import split_list
from .base import PAPER_TASKS, TASK_WORDS, TRADITIONS
from .registry import built_in, registry

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
        raise unknown_name("task", name, [*tasks, *TRADITIONS, *TASK_WORDS], "cmbench tasks")
    return tasks[name]


def select_tasks(spec: str | Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks that a specification means, each once, in its order.

    Args:
        spec: ``all`` (the paper's six, whatever else is installed), ``world`` (every task that cmbench ships),
            ``ready`` (those of the six whose data is here: see :func:`only_if_ready`), ``installed`` (every task, also
            of other distributions), a task's name, a tradition (where it is no task's name), a path to a ``task.yaml``,
            or several of these (comma-separated, or as a sequence). A path with a comma in it is one part if it exists.

    Raises:
        UsageError: a part means nothing.
    """
    chosen: dict[str, Task] = {}
    known = {*TRADITIONS, *(task.tradition for task in built_in().values())}
    for part in _parts(spec):
        if part in ("all", "ready"):
            tasks = tuple(t for t in built_in().values() if t.name in PAPER_TASKS)
        elif part == "world":
            tasks = tuple(built_in().values())
        elif part == "installed":
            tasks = tuple(registry().values())
        elif part not in built_in() and part in known:
            tasks = tuple(t for t in registry().values() if t.tradition == part)
        else:
            tasks = (get_task(part),)
        for task in tasks:
            if task.name in chosen and chosen[task.name] is not task:
                raise UsageError(f"Two different tasks are named {quoted(task.name)}; rename one of them.")
            chosen[task.name] = task
    if not chosen:
        raise UsageError("No task was named. Try `--tasks all`, or `cmbench tasks` for the list.")
    return tuple(chosen.values())


def only_if_ready(spec: str | Sequence[str]) -> frozenset[str]:
    """Return the names of the tasks that are wanted only if their data is on this machine.

    These are the ones that ``ready`` brings in and nothing else in the specification names.
    """
    parts = _parts(spec)
    if "ready" not in parts:
        return frozenset()
    others = [part for part in parts if part != "ready"]
    return PAPER_TASKS - ({task.name for task in select_tasks(others)} if others else set())


def _parts(spec: str | Sequence[str]) -> tuple[str, ...]:
    parts = split_list(spec) if isinstance(spec, str) else list(spec)
    return tuple(dict.fromkeys(part for p in parts if (part := p.strip())))
