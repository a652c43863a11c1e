"""Names that a shell completes: models, tasks, and what an option with commas takes."""

from __future__ import annotations

from collections.abc import Iterable


def models(incomplete: str) -> list[str]:
    """Return what the last of some models may be."""
    from ...baselines.registry import registry

    return _last(incomplete, registry())


def tasks(incomplete: str) -> list[str]:
    """Return what the last of some tasks may be: a name, a tradition, or a word for several."""
    from ...tasks.base import TASK_WORDS, TRADITIONS
    from ...tasks.registry import registry

    return _last(incomplete, [*registry(), *TRADITIONS, *TASK_WORDS])


def _last(incomplete: str, names: Iterable[str]) -> list[str]:
    head, comma, begun = incomplete.rpartition(",")
    return [f"{head}{comma}{name}" for name in names if name.startswith(begun)]
