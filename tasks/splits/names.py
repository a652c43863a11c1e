"""The splits of a task by name, and the groups that must not be in two of them."""

from __future__ import annotations

import re

SPLITS = ("train", "valid", "test")

_SYNONYMS = {
    "train": "train", "training": "train", "tr": "train",
    "valid": "valid", "validation": "valid", "validate": "valid", "val": "valid", "dev": "valid",
    "development": "valid",
    "test": "test", "testing": "test", "tst": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip


def split_named(written: str) -> str:
    """Return the split that someone means (``Validation``, ``dev``, ``test set``); empty if it is none."""
    plain = written.strip().casefold()
    return _SYNONYMS.get(plain) or _SYNONYMS.get(re.sub(r"[\W_]*(set|split)$", "", plain), "")


GROUP_SAFE = "group-safe"
"""Name of the split that :mod:`.group_safe` draws; a task's own split is ``official`` or ``own``."""

KIND_SAFE = {"work-safe": "work", "performer-safe": "performer"}
"""Splits in which nothing of one kind is in two, by name: what a track says of itself besides its group."""

LIMIT = "-limit-"
"""What the name of a split has before its number of tracks, where it is a sample (:mod:`.sample`)."""

LIMIT_LABEL = "limit: a sample of the tracks for a first look; not comparable with the whole, never ranked"


def is_sample(split: str) -> bool:
    """Whether a split is a sample of another."""
    return LIMIT in split


def memberships(group: str | None) -> tuple[str, ...]:
    """Return the groups that a track's ``group`` names; none if it is unknown."""
    return tuple(dict.fromkeys(part for name in (group or "").split("|") if (part := name.strip())))
