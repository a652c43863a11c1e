"""Which version of a model stands: nobody takes a place by calling an entry as another is called.

All that an entry says of itself was typed, its contact and the hash of its weights among it, so nothing in it can show
that a new version is by those who sent the version before. It stands beside that one, as a *claimed successor*, until a
maintainer confirms it in ``successors.json``, a file beside the folder of entries that no entry can write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..errors import CmbenchError, UsageError
from ..files import canonical, sha256_of, write_atomically
from ..untrusted import LARGEST_TEXT
from .entry import Entry, Submission, Successor, Successors, name_key
from .reading import entry_folders, parse, read_entry
from .untrusted import read_bytes

FILE = "successors.json"


@dataclass(frozen=True)
class Version:
    """What succession needs to know of an entry."""

    submission: Submission  # what the submitter says
    manifest_sha256: str  # identifies its content
    withdrawn: bool = False  # whether it no longer stands

    @property
    def key(self) -> str:
        """``name/version``."""
        return f"{self.submission.name}/{self.submission.version}"


Lineage = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class Succession:
    """How the versions of every model stand to one another."""

    superseded: Mapping[str, str]  # entry -> the confirmed successor that stands in its place
    claims: Mapping[str, str]  # entry -> the version before, whose successor it claims to be and is not confirmed as
    # lineage -> the version that stands for the model: the first one, or its last confirmed successor
    heads: Mapping[Lineage, str]


def version_order(version: str) -> list[tuple[int, str]]:
    """Return what versions are sorted by: numbers as numbers, so that 10 comes after 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", version)]


def lineage(said: Submission, name: str) -> Lineage:
    """Return what the versions of one model on one board have in common."""
    board = said.board
    return (name_key(name), board.edition, board.split, board.protocol, board.protocol_sha256)


def successors_file(root: Path) -> Path:
    """Return the maintainers' file of a folder of entries; it lies beside the folder, where no entry can."""
    return root.absolute().parent / FILE


def read_successors(root: Path) -> tuple[Successor, ...]:
    """Return what the maintainers confirmed for a folder of entries; nothing where there is no such file.

    Raises:
        CmbenchError: the file is not such a file.
    """
    file = successors_file(root)
    return parse(Successors, file).successors if file.is_symlink() or file.exists() else ()


def versions(root: Path) -> Iterator[Version]:
    """Yield every version below a folder of entries; predictions are not read.

    Raises:
        CmbenchError: a submission cannot be read, or a manifest is missing.
    """
    for folder in entry_folders(root):
        yield Version(
            parse(Submission, folder / "submission.json"),
            sha256_of(read_bytes(folder / "manifest.json", LARGEST_TEXT)),
            (folder / "withdrawal.json").exists(),
        )


def version_of(entry: Entry) -> Version:
    """Return what succession needs to know of an entry."""
    return Version(entry.submission, entry.manifest_sha256, not entry.ranked)


def standing(found: Iterable[Version], confirmed: Sequence[Successor] = ()) -> Succession:
    """Return how versions stand to one another.

    Raises:
        CmbenchError: a confirmation is not of these versions.
    """
    by_key = {one.key: one for one in found}
    after = _edges(by_key, confirmed)
    superseded: dict[str, str] = {}
    for key, one in by_key.items():
        top = _top(key, after, by_key)
        if top != key and not one.withdrawn:
            superseded[key] = top
    lines: dict[Lineage, list[Version]] = {}
    for one in by_key.values():
        lines.setdefault(lineage(one.submission, one.submission.name), []).append(one)
    claims: dict[str, str] = {}
    heads: dict[Lineage, str] = {}
    accepted = {key for successors in after.values() for key in successors}
    for line, members in lines.items():
        order = sorted(members, key=lambda one: (version_order(one.submission.version), one.key))
        standing_ones = [one for one in order if not one.withdrawn]
        for before, one in pairwise(order):
            if one.key not in accepted and not one.withdrawn:
                claims[one.key] = before.key
        if standing_ones:
            first = next((one for one in standing_ones if one.key not in claims), standing_ones[0])
            heads[line] = superseded.get(first.key, first.key)
    return Succession(superseded, claims, heads)


def _edges(by_key: Mapping[str, Version], confirmed: Sequence[Successor]) -> dict[str, list[str]]:
    """Return entry -> confirmed successors; raise for one that is not there, has changed, or is of another model."""
    after: dict[str, list[str]] = {}
    for edge in confirmed:
        one, before = by_key.get(edge.entry), by_key.get(edge.after)
        if one is None or before is None:
            raise CmbenchError(f"{FILE} confirms {edge.entry} after {edge.after}; one of the two is not there.")
        if one.manifest_sha256 != edge.manifest_sha256:
            raise CmbenchError(
                f"{FILE} confirms another {edge.entry} than the one that is there: its manifest differs."
            )
        lines = [lineage(v.submission, v.submission.name) for v in (one, before)]
        orders = [version_order(v.submission.version) for v in (one, before)]
        if lines[0] != lines[1] or orders[0] <= orders[1]:
            raise CmbenchError(f"{FILE}: {edge.entry} is no later version of {edge.after} on its board.")
        after.setdefault(edge.after, []).append(edge.entry)
    return after


def _top(key: str, after: Mapping[str, Sequence[str]], by_key: Mapping[str, Version]) -> str:
    """Return the last standing version that was confirmed after one, itself if there is none."""
    found, waiting = key, list(after.get(key, ()))
    while waiting:
        one = waiting.pop()
        waiting += after.get(one, ())
        newer = version_order(by_key[one].submission.version) > version_order(by_key[found].submission.version)
        if newer and not by_key[one].withdrawn:
            found = one
    return found


def confirm(folder: Path) -> Successor:
    """Write into the maintainers' file that an entry is the successor that it claims to be.

    Raises:
        UsageError: it claims nothing, or was confirmed already.
        CmbenchError: an entry cannot be read.
    """
    entry = read_entry(folder)
    root = folder.resolve().parents[1]
    confirmed = read_successors(root)
    before = standing(versions(root), confirmed).claims.get(entry.key)
    if before is None:
        raise UsageError(f"{entry.key} claims no succession that could be confirmed; it stands for itself.")
    made = Successor(entry=entry.key, after=before, manifest_sha256=entry.manifest_sha256)
    write_atomically(successors_file(root), canonical(Successors(successors=(*confirmed, made))))
    return made
