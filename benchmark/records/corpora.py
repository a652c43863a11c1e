"""Whose results a folder holds, where users name their own corpora: two of one name never replace each other's.

The folder of a run keeps, beside its records, which ``task.yaml`` each custom task was read from, and a hash of what is
in the corpus. Its name does not end in ``.json``: what does is a record.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from ...errors import UsageError, quoted
from ...files import write_atomically
from ...tasks.base import LoadContext, Task
from ...tasks.splits.names import SPLITS
from .folder import record_files

FILE = "corpora.jsonl"

_SAMPLED = 2**16
"""Bytes of the beginning and the end of a recording that tell it from another of its size."""

_log = logging.getLogger(__name__)


Corpus = tuple[str, str]
"""A corpus: its ``task.yaml``, and a hash of its content, empty where none was noted."""


def claim(out: Path, tasks: Iterable[Task]) -> None:
    """Note that a folder's records of custom tasks are of these corpora.

    A corpus is the same at the same place, whatever was changed in it, and elsewhere if its content is the same: moved
    or copied, it takes its results along. Tasks without a description of the user's own are left out. What a corpus
    holds is read again only where results came since it was noted: called before a run and after it, a run that finds
    all done reads no recording.

    Raises:
        UsageError: the folder holds results of another corpus of one of these names.
    """
    noted, settled = _read(out / FILE), _is_newest(out)
    after = dict(noted)
    for task in tasks:
        if task.described_in is None:
            continue
        place = str(task.described_in.resolve())
        if settled and all(noted.get(task.name, ("", ""))) and noted[task.name][0] == place:
            continue
        here = (place, content_sha256(task))
        other = noted.get(task.name, here)
        if other[0] != here[0]:
            _require_same(out, task.name, here, other)
        after[task.name] = here
    if after != noted or (after and not settled):
        rows = ({"name": name, "file": file, "content": content} for name, (file, content) in sorted(after.items()))
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        write_atomically(out / FILE, "".join(f"{line}\n" for line in lines).encode())


def _is_newest(out: Path) -> bool:
    """Whether a folder holds results, and what is noted of their corpora came after them."""
    made = [file.stat().st_mtime_ns for file in record_files(out)] if out.is_dir() else []
    return bool(made) and (out / FILE).is_file() and (out / FILE).stat().st_mtime_ns > max(made)


def _require_same(out: Path, name: str, here: Corpus, other: Corpus) -> None:
    """Raise :class:`UsageError` unless a corpus at another place than the one noted is the same."""
    (file, content), (there, noted) = here, other
    if noted == content:
        return
    gone = not Path(there).is_file()
    if gone and not noted:
        _log.warning("%s: the corpus %s was at %s, and is now taken to be %s.", out, quoted(name), there, file)
        return
    moved = (
        f" If it is the same one, moved and changed since, remove {out / FILE}, and its results are replaced."
        if gone
        else ""
    )
    raise UsageError(
        f"{out} holds results of another corpus that is named {quoted(name)} too, {there}; they would be "
        f"replaced. Give one of the two another `name:` ({file}), or write to another folder with --out.{moved}"
    )


def content_sha256(task: Task) -> str:
    """Hash of what is in a corpus: labels, tracks and splits, and of each file its size, first and last bytes."""
    data = task.load("custom", LoadContext(None, Path(), writes=False))
    digest = hashlib.sha256(f"{data.label_sha256}\n{data.split_sha256}\n{data.unknown_sha256}".encode())
    for path in dict.fromkeys(track.path for split in SPLITS for track in data.splits[split]):
        digest.update(_sample(path))
    return digest.hexdigest()


def _sample(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b"-"
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            first = file.read(_SAMPLED)
            file.seek(max(0, size - _SAMPLED))
            return hashlib.sha256(b"%d\n" % size + first + file.read(_SAMPLED)).digest()
    except (OSError, ValueError):  # told as an unusable track
        return b"-"


def _read(file: Path) -> dict[str, Corpus]:
    if not file.is_file():
        return {}
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {str(row["name"]): (str(row["file"]), str(row.get("content", ""))) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{file}: this should tell which corpora the results are of, and cannot be read ({error}). Remove it "
            "if the folder's results of your own corpora may be replaced."
        ) from error
