"""Whose results a folder holds, where users name their own corpora: two of one name never replace each other's.

The folder of a run keeps, beside its records, which ``task.yaml`` each custom task was read from. Its name does not end
in ``.json``: what does is a record.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from ...errors import UsageError, quoted
from ...files import write_atomically
from ...tasks.base import Task

FILE = "corpora.jsonl"

_log = logging.getLogger(__name__)


def claim(out: Path, tasks: Iterable[Task]) -> None:
    """Note that a folder's records of custom tasks are of these corpora.

    A corpus that was moved takes its results along: where the earlier place is gone, the new one stands for it, and the
    log says so.

    Args:
        out: folder of the records; made if there is something to note.
        tasks: of a run; those without a description of the user's own are left out.

    Raises:
        UsageError: the folder holds results of another corpus of one of these names.
    """
    noted = _read(out / FILE)
    after = dict(noted)
    for task in tasks:
        if task.described_in is None:
            continue
        here = str(task.described_in.resolve())
        other = noted.get(task.name, here)
        if other != here and Path(other).is_file():
            raise UsageError(
                f"{out} holds results of another corpus that is named {quoted(task.name)} too, {other}; they would be "
                f"replaced. Give one of the two another `name:` ({here}), or write to another folder with --out."
            )
        if other != here:
            _log.warning("%s: the corpus %r was at %s, and is now taken to be %s.", out, task.name, other, here)
        after[task.name] = here
    if after != noted:
        lines = (json.dumps({"name": name, "file": file}, ensure_ascii=False) for name, file in sorted(after.items()))
        write_atomically(out / FILE, "".join(f"{line}\n" for line in lines).encode())


def _read(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {str(row["name"]): str(row["file"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file}: this should tell which corpora the results are of, and cannot be read ({error}). Remove it "
            "if the folder's results of your own corpora may be replaced."
        ) from error
