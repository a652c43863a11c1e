"""A plan carried out: what is missing is fetched, then every step is done."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...errors import CmbenchError, Missing, MissingError, UsageError
from ..base import Task
from .room import require_room
from .unreachable import UnreachableError

if TYPE_CHECKING:
    from ..preparing import Download, Plan, PrepareContext

LOCK = ".prepare.lock"


def pending(downloads: Iterable[Download]) -> tuple[Download, ...]:
    """Return the downloads that are not there with a receipt, in their order; one without a receipt will be checked."""
    from .download import is_fetched

    return tuple(one for one in downloads if not is_fetched(one))


def require_usual_source(task: Task, context: PrepareContext) -> None:
    """Refuse another source than the usual one, for a task that knows no other.

    Raises:
        UsageError: one was asked for.
    """
    if context.source is not None:
        raise UsageError(f"{task.name} has no source {context.source!r}; leave --source out.")


def carry_out(plan: Plan, context: PrepareContext, folder: Path) -> None:
    """Fetch every download, then do every step; what is finished is kept whatever happens.

    A download that fails does not keep the others from being fetched, but no step is done then. The folder is locked
    against a second preparation.

    Raises:
        CmbenchError: downloads failed; every one of them is named.
        UsageError: another preparation is at work in the folder, or the disk has not enough room.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            require_room(folder, plan.known_bytes - sum(map(_bytes_there, plan.downloads)))
            _fetch_all(plan, context)
            for step in plan.steps:
                context.tell(f"{step.what[:1].upper()}{step.what[1:]} …")
                step.run(context)
    except Timeout as error:
        raise UsageError(f"Another preparation is at work in {folder}; wait for it to end.") from error


def _fetch_all(plan: Plan, context: PrepareContext) -> None:
    """Fetch every download; raise for all that failed together. A server that is not reached is not asked again."""
    from .download import fetch

    failed: list[CmbenchError] = []
    missing: list[Missing] = []
    unreachable: set[str] = set()
    skipped = 0
    for download in plan.downloads:
        server = urlsplit(download.url).netloc
        if server in unreachable:
            skipped += 1
            continue
        try:
            fetch(download, context)
        except MissingError as error:
            missing += error.missing
        except UnreachableError as error:
            unreachable.add(server)
            failed.append(error)
        except UsageError:
            raise
        except CmbenchError as error:
            failed.append(error)
    if missing:
        raise MissingError(missing)
    if failed:
        counted = f"{len(failed) + skipped} of {len(plan.downloads)} downloads failed:"
        raise CmbenchError("\n".join([counted, *map(str, failed)]))


def _bytes_there(download: Download) -> int:
    there = (download.path, download.path.with_name(f"{download.path.name}.part"))
    return min(download.size or 0, sum(path.stat().st_size for path in there if path.is_file()))
