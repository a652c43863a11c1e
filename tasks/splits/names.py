"""The splits of a task by name, and the groups that must not be in two of them."""

from __future__ import annotations

SPLITS = ("train", "valid", "test")

GROUP_SAFE = "group-safe"
"""Name of the split that :mod:`.group_safe` draws; a task's own split is ``official`` or ``own``."""


def memberships(group: str | None) -> tuple[str, ...]:
    """Return the groups that a track's ``group`` names; none if it is unknown."""
    return tuple(dict.fromkeys(part for name in (group or "").split("|") if (part := name.strip())))
