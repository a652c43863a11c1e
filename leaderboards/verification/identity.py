"""Who an entry claims to be: names that are another's to a reader, and versions that nobody confirmed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import CmbenchError
from ..entry import Entry
from ..reading import SAME_NAME, same_names
from ..succession import read_successors, standing, version_of
from .findings import Finding


def check_names(root: Path, folders: Sequence[Path], known: Sequence[Entry]) -> Iterator[Finding]:
    """Check the names of entries against one another, and their versions against what maintainers confirmed."""
    for key, other in same_names(f"{path.parent.name}/{path.name}" for path in folders).items():
        yield Finding("error", "form", key, f"{key} and {other} {SAME_NAME}; one of the two must go.")
    try:
        stand = standing(map(version_of, known), read_successors(root))
    except CmbenchError as error:
        yield Finding("error", "successor", str(root), str(error))
        return
    by_key = {entry.key: entry for entry in known}
    for key, before in stand.claims.items():
        yield claim(by_key[key], by_key[before])


def claim(entry: Entry, before: Entry) -> Finding:
    """Return what is to be said of a version that nobody confirmed."""
    one, other = ({e.record.model.weights_sha256 for e in side.evidence} for side in (entry, before))
    weights = "says that its weights are the same" if one == other else "its weights are others"
    return Finding(
        "flag",
        "successor",
        entry.key,
        f"it claims to succeed {before.key}, and {weights}; a contact that was typed proves nothing about who sent it. "
        "It stands beside that version until a maintainer confirms it (`cmbench leaderboard confirm`).",
    )
