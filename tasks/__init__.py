"""Tasks: what is asked about the world's music. One file = one task."""

from .base import TRADITIONS, Edition, LoadContext, Task, TaskData, Track
from .choice import get_task, select_tasks
from .registry import registry
from .splits.names import SPLITS

__all__ = [
    "SPLITS",
    "TRADITIONS",
    "Edition",
    "LoadContext",
    "Task",
    "TaskData",
    "Track",
    "get_task",
    "registry",
    "select_tasks",
]
