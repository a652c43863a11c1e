"""Entries are append-only: nothing that a base revision of the repository has may change or go."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

from ...errors import CmbenchError, UsageError
from ..entry import LARGEST_ENTRY, Successor, Successors
from ..succession import read_successors, successors_file, version_order
from ..untrusted import read_bytes
from .findings import Finding

_ENTRY_FILE = "submission.json"


def check_history(place: Path, base: str) -> Iterator[Finding]:
    """Compare the entries in a folder with those that a revision has there.

    Raises:
        UsageError: the folder is in no checkout, or there is no such revision.
    """
    place, top = _in_checkout(place)
    commit = _git(top, "rev-parse", "--verify", "--end-of-options", f"{base}^{{commit}}").decode().strip()
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", f"{place.relative_to(top).as_posix()}/")
    known: dict[Path, str] = {}
    for line in filter(None, listed.split(b"\0")):
        facts, _, name = line.partition(b"\t")
        known[top / name.decode()] = facts.split()[2].decode()
    entries = {path.parent for path in known if path.name == _ENTRY_FILE}
    for entry in sorted(entries):
        changes = [
            f"{path.relative_to(entry).as_posix()} {problem}"
            for path, blob in sorted(known.items())
            if path.is_relative_to(entry) and (problem := _changed(path, blob))
        ]
        if changes:
            more = f" and {len(changes) - 1} more files changed or removed" if len(changes) > 1 else ""
            yield Finding(
                "error",
                "history",
                f"{entry.parent.name}/{entry.name}",
                f"{changes[0]}{more} since {base}. Entries never change: submit a new version, or `cmbench leaderboard "
                "withdraw` this one.",
            )
    yield from _check_versions(place, entries)
    yield from _check_confirmed(place, base, commit, entries)
    later = {
        "reproduction.json": ("reproduction", 1, "if it is a maintainer's"),
        "withdrawal.json": ("withdrawal", 0, "if the submitter or a maintainer asks for it"),
    }
    for file, (what, depth, when) in later.items():
        for path in sorted(place.rglob(file)):
            if path not in known:
                entry = path.parents[depth]
                key = f"{entry.parent.name}/{entry.name}"
                yield Finding("flag", what, key, f"a {what} was added since {base}: to be merged only {when}.")


def _check_versions(place: Path, entries: Collection[Path]) -> Iterator[Finding]:
    """Yield new versions that are not above all that the revision has: the first to come stays the first."""
    highest: dict[Path, str] = {}
    for entry in entries:
        highest[entry.parent] = max(highest.get(entry.parent, entry.name), entry.name, key=version_order)
    for file in sorted(place.rglob(_ENTRY_FILE)):
        entry = file.parent
        top = highest.get(entry.parent)
        if top is not None and entry not in entries and version_order(entry.name) <= version_order(top):
            key = f"{entry.parent.name}/{entry.name}"
            yield Finding("error", "history", key, f"version {top} was there before; a new version is above it.")


def _check_confirmed(root: Path, base: str, commit: str, entries: Collection[Path]) -> Iterator[Finding]:
    """Yield confirmations of successors that came since a revision: never with the entry that they are of.

    Beside the folder of one entry there is no such file.
    """
    file = successors_file(root)
    top = _top(root)
    if top is None or not file.is_file():
        return
    listed = _git(top, "ls-tree", "-z", "--full-tree", commit, "--", file.relative_to(top).as_posix())
    known: tuple[Successor, ...] = ()
    if listed:
        blob = listed.partition(b"\t")[0].split()[2].decode()
        known = Successors.model_validate_json(_git(top, "cat-file", "blob", blob)).successors
    for one in read_successors(root):
        if one in known:
            continue
        if root / one.entry not in entries:
            said = (
                f"the entry and its confirmation came together since {base}; a maintainer confirms by a change alone."
            )
            yield Finding("error", "successor", one.entry, said)
        else:
            said = f"its confirmation as a successor was added since {base}: to be merged only if it is a maintainer's."
            yield Finding("flag", "successor", one.entry, said)


def _in_checkout(place: Path) -> tuple[Path, Path]:
    """Return a folder's absolute path and its checkout; raise where it is in none, or behind a link."""
    # Not `resolve`: a link in the place of the entries' folder would lead away from what must not change.
    path = Path(os.path.abspath(place))  # noqa: PTH100
    top = _top(path)
    if top is None:
        raise UsageError(f"{place} is in no git checkout; `--base` compares with a revision of one.")
    for folder in (path, *path.parents):
        if folder == top:
            break
        if folder.is_symlink():
            raise UsageError(f"{folder} is a link; the entries' folder must be a folder.")
    return path, top


def _top(path: Path) -> Path | None:
    return next((folder for folder in (path, *path.parents) if (folder / ".git").exists()), None)


def _changed(path: Path, blob: str) -> str | None:
    if path.is_symlink() or not path.is_file():
        return "was removed"
    try:
        content = read_bytes(path, LARGEST_ENTRY)
    except CmbenchError:
        return "was changed"
    # Git's own hash of a file: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    algorithm = hashlib.sha1 if len(blob) == 40 else hashlib.sha256
    return None if algorithm(b"blob %d\0" % len(content) + content).hexdigest() == blob else "was changed"


def _git(folder: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True, timeout=60)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise UsageError("`--base` needs git, which is not installed.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"git {words[0]} in {folder}: {said[-1] if said else 'failed'}") from error
    return done.stdout
