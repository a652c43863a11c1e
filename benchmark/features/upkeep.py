"""Looking after the feature store: what is there, what is broken, what nobody uses."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ...errors import CmbenchError
from .index import forget, read_pieces, read_sums
from .store import damage, read_about
from .stored import read_piece

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreSummary:
    """One store, as ``cmbench cache ls`` shows it."""

    folder: Path
    encoder: str
    task: str
    edition: str
    tracks: int
    windows: int
    bytes: int
    last_used: float


def store_folders(root: Path) -> list[Path]:
    """Folder of every store below the cache root."""
    return sorted(about.parent for about in (root / "features").glob("*/*/about.json"))


def list_stores(root: Path) -> list[StoreSummary]:
    """Summaries of every store below the cache root, by encoder and task."""
    found = []
    for folder in store_folders(root):
        about = folder / "about.json"
        facts = read_about(folder)
        if not facts:
            logger.warning("%s is not readable; the next run that uses the store writes it again", about)
            continue
        card = facts["encoder"]
        sums, problems = read_sums(folder)
        for problem in problems:
            logger.warning("%s", problem)
        used, about_task = about.stat().st_mtime, (card["name"], facts["task"], facts["edition"])
        found.append(StoreSummary(folder, *about_task, sums.tracks, sums.windows, sums.bytes, used))
    return sorted(found, key=lambda s: (s.encoder, s.task, s.edition))


def verify_store(folder: Path) -> list[str]:
    """Hash every shard of a store again and return what is wrong, one line each."""
    return [problem for index in sorted(folder.glob("*.index.json")) if (problem := piece_problem(index))]


def piece_problem(index: Path) -> str | None:
    """Say what is wrong with one index piece and its shard; ``None`` if nothing is."""
    try:
        return damage(read_piece(index))
    except CmbenchError as error:
        return str(error)


def collect_garbage(
    root: Path, *, unused_days: float | None = None, dry_run: bool = False
) -> tuple[tuple[Path, ...], int]:
    """Remove what no run can use: broken shards, leavings of killed runs and, if asked, stores long unused.

    Leavings younger than an hour stay: another process may be about to name them. Stores that no run has touched for
    ``unused_days`` go as a whole; ``None`` keeps them.

    Returns:
        What was removed, or would be, and its bytes.
    """
    doomed: list[Path] = []
    for folder in store_folders(root):
        unused = time.time() - (folder / "about.json").stat().st_mtime
        if unused_days is not None and unused > unused_days * 86400:
            doomed.append(folder)
        else:
            doomed += dict.fromkeys(_broken_files(folder) + _leavings(folder))
    size = sum(f.stat().st_size for p in doomed for f in ([p] if p.is_file() else p.iterdir()))
    if not dry_run:
        for path in doomed:
            if path.is_dir():
                shutil.rmtree(path)
                forget(path)
            else:
                path.unlink()
    return tuple(doomed), size


def _broken_files(folder: Path) -> list[Path]:
    """Index pieces whose shard is missing, changed or unreadable, each followed by its shard if there is one."""
    found: list[Path] = []
    for index in sorted(folder.glob("*.index.json")):
        if piece_problem(index):
            # The piece goes first: without it the shard does not exist.
            found += [index, *sorted(folder.glob(f"{index.name.removesuffix('.index.json')}*.safetensors"))]
    return found


def _leavings(folder: Path) -> list[Path]:
    limit = time.time() - 3600.0
    named = {piece.shard for piece in read_pieces(folder)[0]}
    found = []
    for path in sorted(folder.iterdir()):
        orphan = path.suffix == ".safetensors" and path.name not in named
        if (path.name.startswith(".") or orphan or path.suffix == ".lock") and path.stat().st_mtime < limit:
            found.append(path)
    return found
