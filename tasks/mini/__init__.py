"""The embedded edition: a small synthetic corpus of each tradition, rendered on this machine from music theory.

``mini_edition(task)`` is all that a task file needs; nothing heavy is imported before its loader runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import unknown_name
from ..base import Edition, LoadContext, Splits, Task
from .labels import HAS_SCALE, LEFT_OUT, WHOLE, kept

__all__ = ["mini_edition"]


def mini_edition(task_name: str, labels: Sequence[str]) -> Edition:
    """Return the ``mini`` edition of a built-in task.

    Its labels are an ordered subset of the task's. Its loader renders what the cache lacks: 100, 60 and 80 tracks of
    6 to 10 s at scale 1, 24 kHz mono FLAC.

    Raises:
        UsageError: no such task has a ``mini`` edition.
    """
    if task_name not in (known := (*LEFT_OUT, *HAS_SCALE, *WHOLE)):
        raise unknown_name("mini edition", task_name, known, "cmbench tasks")

    def load(_task: Task, context: LoadContext) -> Splits:
        from .edition import load_mini

        return load_mini(task_name, context)

    return Edition("mini", kept(task_name, labels), load)
