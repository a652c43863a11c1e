"""Tasks: what is asked about the world's music. One file = one task."""

from .base import (
    SPLITS,
    TRADITIONS,
    Edition,
    LoadContext,
    Task,
    TaskData,
    Track,
    get_task,
    registry,
    select_tasks,
)

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
