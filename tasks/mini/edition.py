"""The ``mini`` edition on disk: rendered once into a cache by several processes, then only read.

Layout: ``<cache>/mini/<VERSION>-<seed>-<scale>/<task>/<track id>.flac`` and, written last, ``tracks.csv``. A track's
samples depend on seed, task and track id alone, so neither the number of processes nor an interruption can
change a byte; files are written under a temporary name and renamed.
"""

from __future__ import annotations

import csv
import importlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CmbenchError
from ...processes import no_main_module, processes
from ..base import LoadContext, Track
from ..splits.names import SPLITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .corpus import TrackSpec, Tradition
    from .oscillator import Audio

VERSION = "r2"
"""Changes whenever a sample of any track changes."""
MANIFEST = "tracks.csv"
CHUNK = 4
"""Tracks that a process renders before it reports."""
UNLABELLED = "unlabelled"
BLOCK = 60
"""Unlabelled tracks that are drawn together; more music is further blocks, so that the first tracks stay the same."""
_COLUMNS = ("id", "split", "group", "seconds", "labels")
_MODULES = {
    "turkish_makam": "turkish",
    "carnatic": "carnatic",
    "hindustani": "hindustani",
    "lyra": "greek",
    "magnatagatune": "magnatagatune",
    "fma_medium": "fma_medium",
}


def edition_folder(task: str, context: LoadContext) -> Path:
    """Folder of a task's rendered tracks."""
    return context.cache_root / "mini" / f"{VERSION}-{context.mini_seed}-{context.mini_scale:g}" / task


def tradition(task: str) -> Tradition:
    """How a task's corpus is drawn."""
    found: Tradition = importlib.import_module(f".{_MODULES[task]}", __package__).TRADITION
    return found


def render_track(spec: TrackSpec) -> NDArray[np.float32]:
    """Render one track, ``[seconds * 24000]`` samples in [-1, 1], from nothing but its description."""
    import numpy as np

    render: Callable[[TrackSpec], Audio] = importlib.import_module(f".{_MODULES[spec.task]}", __package__).render
    return render(spec).astype(np.float32)


def _write(folder: Path, spec: TrackSpec) -> None:
    """Render a track to 16-bit FLAC: temporary name, then rename."""
    import numpy as np
    import soundfile

    from .oscillator import RATE

    samples = np.round(render_track(spec) * 32767.0).astype(np.int16)
    half = folder / f".{spec.id}.{os.getpid()}.part"
    try:
        soundfile.write(half, samples, RATE, format="FLAC", subtype="PCM_16")
        half.replace(folder / f"{spec.id}.flac")
    finally:
        half.unlink(missing_ok=True)


def _write_all(folder: Path, specs: Sequence[TrackSpec]) -> int:
    for spec in specs:
        _write(folder, spec)
    return len(specs)


def _rendered(folder: Path, specs: Sequence[TrackSpec], workers: int) -> Iterator[int]:
    """Render tracks, yielding how many each step finished; in this process if one worker is allowed."""
    if workers <= 1 or len(specs) <= CHUNK:
        for spec in specs:
            _write(folder, spec)
            yield 1
        return
    chunks = [specs[i : i + CHUNK] for i in range(0, len(specs), CHUNK)]
    with processes(min(workers, len(chunks))) as pool:
        with no_main_module():
            waiting: set[Future[int]] = {pool.submit(_write_all, folder, chunk) for chunk in chunks}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _track(folder: Path, spec: TrackSpec) -> Track:
    return Track(spec.id, folder / f"{spec.id}.flac", spec.content.labels, spec.group)


def _save_manifest(folder: Path, specs: Iterable[TrackSpec]) -> None:
    half = folder / f".{MANIFEST}.{os.getpid()}.part"
    with half.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for s in specs:
            writer.writerow((s.id, s.split, s.group, s.seconds, "|".join(s.content.labels)))
    half.replace(folder / MANIFEST)


def _read_manifest(folder: Path) -> dict[str, list[Track]] | None:
    """Tracks by split if the manifest and every file it names exist, else ``None``."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    present = {entry.name for entry in os.scandir(folder)}
    splits: dict[str, list[Track]] = {split: [] for split in SPLITS}
    with path.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            if f"{row['id']}.flac" not in present:
                return None
            labels = tuple(row["labels"].split("|")) if row["labels"] else ()
            splits[row["split"]].append(Track(row["id"], folder / f"{row['id']}.flac", labels, row["group"]))
    return splits


def _render_missing(what: str, folder: Path, specs: Sequence[TrackSpec], context: LoadContext) -> None:
    """Render the tracks that a folder lacks.

    Raises:
        CmbenchError: it cannot be written.
    """
    with _told_if_full(what, folder):
        folder.mkdir(parents=True, exist_ok=True)
        missing = [s for s in specs if not (folder / f"{s.id}.flac").exists()]
        done = len(specs) - len(missing)
        context.progress(what, done, len(specs))
        for count in _rendered(folder, missing, context.workers):
            done += count
            context.progress(what, done, len(specs))


@contextmanager
def _told_if_full(what: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CmbenchError(
            f"{what}: it cannot be written to {folder}: {error}. "
            "Free some space, or set CMBENCH_CACHE to a folder that can be written."
        ) from error


def load_mini(task: str, context: LoadContext) -> dict[str, list[Track]]:
    """Return the tracks of a task's ``mini`` edition; those that are not in the cache are rendered first.

    Args:
        task: name of a built-in task.
        context: cache folder, processes, progress, scale and seed; without audio, nothing is rendered.

    Returns:
        split -> tracks.

    Raises:
        CmbenchError: the cache folder cannot be written.
    """
    folder = edition_folder(task, context)
    if splits := _read_manifest(folder):
        return splits
    from .corpus import counts, plan

    specs = plan(task, tradition(task), context.mini_seed, counts(context.mini_scale))
    if not context.needs_audio:
        return {split: [_track(folder, s) for s in specs if s.split == split] for split in SPLITS}
    what = f"Rendering {task} (mini)"
    _render_missing(what, folder, specs, context)
    with _told_if_full(what, folder):
        _save_manifest(folder, specs)
    splits = _read_manifest(folder)
    if splits is None:
        raise CmbenchError(
            f"Files vanished from {folder} while the mini edition was being rendered; run the command again."
        )
    return splits


def load_unlabelled(task: str, context: LoadContext, seconds: float) -> list[Track]:
    """Return music of a task's tradition that is in none of its splits: what a model is pre-trained on.

    More of it begins with the same tracks, and a track does not depend on how much is asked for.

    Args:
        task: name of a built-in task.
        context: cache folder, processes, progress and seed; without audio, nothing is rendered.
        seconds: of music at least.

    Returns:
        Tracks without labels, with their lengths.

    Raises:
        CmbenchError: the cache folder cannot be written.
    """
    from .corpus import plan

    folder = context.cache_root / "mini" / f"{VERSION}-{context.mini_seed}-{UNLABELLED}" / task
    specs: list[TrackSpec] = []
    there = 0.0
    for block in itertools.count():
        for spec in plan(task, tradition(task), context.mini_seed, {f"{UNLABELLED}{block}": BLOCK}):
            if there < seconds:
                specs.append(spec)
                there += spec.seconds
        if there >= seconds:
            break
    if context.needs_audio:
        _render_missing(f"Rendering {task} (mini, unlabelled)", folder, specs, context)
    return [Track(s.id, folder / f"{s.id}.flac", (), s.group, seconds=float(s.seconds)) for s in specs]
