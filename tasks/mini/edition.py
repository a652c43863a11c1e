"""The ``mini`` edition on disk: rendered once into a cache by several processes, then only read.

Layout: ``<cache>/mini/<version>-<seed>-<scale>/<task>/<track id>.flac`` and, written last, ``tracks.json`` with the
hash of every file and its own. A track's samples depend on version, seed, task and track id alone, so neither the
number of processes nor an interruption can change a byte; files are written under a temporary name and renamed. Each is
hashed once by every process that uses it, and rendered again if it has changed.
"""

from __future__ import annotations

import errno
import importlib
import io
import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CmbenchError
from ...files import SEAL, current_sha256, seal_is_broken, sealed, write_atomically
from ...processes import no_main_module, processes
from ..base import LoadContext, Track
from ..splits.names import SPLITS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .corpus import TrackSpec, Tradition
    from .oscillator import Audio

logger = logging.getLogger(__name__)

MANIFEST = "tracks.json"
CHUNK = 4
"""Tracks that a process renders before it reports."""
UNLABELLED = "unlabelled"
BLOCK = 60
"""Unlabelled tracks that are drawn together; more music is further blocks, so that the first tracks stay the same."""
_MODULES = {
    "turkish_makam": "turkish",
    "carnatic": "carnatic",
    "hindustani": "hindustani",
    "lyra": "greek",
    "magnatagatune": "magnatagatune",
    "fma_medium": "fma_medium",
    "carnatic_raga": "world.carnatic_raga",
    "hindustani_raga": "world.hindustani_raga",
    "chinese_modes": "world.chinese",
    "brazilian_rhythms": "world.brazilian",
}


def edition_folder(task: str, context: LoadContext) -> Path:
    """Folder of a task's rendered tracks."""
    return context.cache_root / "mini" / f"{context.mini_version}-{context.mini_seed}-{context.mini_scale:g}" / task


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
    import numpy as np
    import soundfile

    from .oscillator import RATE

    samples = np.round(render_track(spec) * 32767.0).astype(np.int16)
    # In memory first: libsndfile has no words for a full disk.
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format="FLAC", subtype="PCM_16")
    write_atomically(folder / f"{spec.id}.flac", content.getvalue())


def _write_all(folder: Path, specs: Sequence[TrackSpec]) -> int:
    for spec in specs:
        _write(folder, spec)
    return len(specs)


def _rendered(folder: Path, specs: Sequence[TrackSpec], context: LoadContext) -> Iterator[int]:
    """Render tracks, yielding how many each step finished; in this process if one worker is allowed."""
    if context.workers <= 1 or len(specs) <= CHUNK:
        for spec in specs:
            _write(folder, spec)
            yield 1
        return
    chunks = [specs[i : i + CHUNK] for i in range(0, len(specs), CHUNK)]
    with nullcontext(context.pool) if context.pool else processes(min(context.workers, len(chunks))) as pool:
        with no_main_module():
            waiting: set[Future[int]] = {pool.submit(_write_all, folder, chunk) for chunk in chunks}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()


Row = Mapping[str, Any]
"""A track of a manifest: id, split, group, seconds, labels and the hash of its file."""


def _save_manifest(folder: Path, specs: Iterable[TrackSpec]) -> None:
    rows = [
        {
            "id": s.id,
            "split": s.split,
            "group": s.group,
            "seconds": s.seconds,
            "labels": list(s.content.labels),
            "sha256": current_sha256(folder / f"{s.id}.flac"),
        }
        for s in specs
    ]
    text = json.dumps(sealed({"tracks": rows}), ensure_ascii=False, indent=1) + "\n"
    write_atomically(folder / MANIFEST, text.encode())


def _read_manifest(folder: Path) -> list[Row]:
    """Tracks that were rendered, with their hashes; none if there is no manifest, or one that is damaged."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.keys() != {"tracks", SEAL} or seal_is_broken(content):
        logger.warning("%s is damaged and is written again", path)
        return []
    rows: list[Row] = content["tracks"]
    return rows


def _broken(folder: Path, rows: Sequence[Row], workers: int) -> list[Path]:
    """Files that have changed since they were rendered, each named in a warning, and those that are gone."""

    def is_whole(row: Row) -> bool:
        path = folder / f"{row['id']}.flac"
        try:
            whole = current_sha256(path) == str(row["sha256"])
        except FileNotFoundError:
            return False
        if not whole:
            logger.warning("%s has changed since it was rendered; it is rendered again", path)
        return whole

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="hash") as pool:
        return [
            folder / f"{r['id']}.flac" for r, whole in zip(rows, pool.map(is_whole, rows), strict=True) if not whole
        ]


def _by_split(folder: Path, rows: Sequence[Row]) -> dict[str, list[Track]]:
    return {
        split: [
            Track(r["id"], folder / f"{r['id']}.flac", tuple(r["labels"]), r["group"])
            for r in rows
            if r["split"] == split
        ]
        for split in SPLITS
    }


def _render_missing(
    what: str, folder: Path, specs: Sequence[TrackSpec], broken: Iterable[Path], context: LoadContext
) -> None:
    """Render the tracks that a folder lacks or that are broken, and write the manifest."""
    again = set(broken)
    paths = [folder / f"{s.id}.flac" for s in specs]
    missing = [s for s, path in zip(specs, paths, strict=True) if path in again or not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = len(specs) - len(missing)
        context.progress(what, done, len(specs))
        for count in _rendered(folder, missing, context):
            done += count
            context.progress(what, done, len(specs))
        try:
            _save_manifest(folder, specs)
        except OSError as error:
            # A whole edition of an earlier version, in a cache for reading only, is as good without.
            if missing or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
    except OSError as error:
        raise CmbenchError(
            f"{what}: it cannot be written to {folder}: {error}. "
            "Free some space, or set CMBENCH_CACHE to a folder that can be written."
        ) from error


def load_mini(task: str, context: LoadContext) -> dict[str, list[Track]]:
    """Return the tracks of a task's ``mini`` edition; those that are not in the cache are rendered first.

    Returns:
        split -> tracks.

    Raises:
        CmbenchError: the cache folder cannot be written.
    """
    folder = edition_folder(task, context)
    rows = _read_manifest(folder)
    broken = _broken(folder, rows, context.workers) if context.needs_audio else []
    if rows and not broken:
        return _by_split(folder, rows)
    from .corpus import counts, plan

    version = context.mini_version
    specs = plan(task, tradition(task), context.mini_seed, counts(context.mini_scale, version), version)
    if context.needs_audio:
        _render_missing(f"Rendering {task} (mini)", folder, specs, broken, context)
    return {
        split: [Track(s.id, folder / f"{s.id}.flac", s.content.labels, s.group) for s in specs if s.split == split]
        for split in SPLITS
    }


def load_unlabelled(task: str, context: LoadContext, seconds: float, telling: int = 0) -> list[Track]:
    """Return music of a task's tradition that is in none of its splits: what a model is pre-trained on.

    More of it begins with the same tracks, and a track does not depend on how much is asked for. ``telling`` is 0, or
    the number of another telling of the same melodies, under the same ids: by other instruments, in another key and
    room.

    Returns:
        Tracks without labels, with their lengths.

    Raises:
        CmbenchError: the cache folder cannot be written.
    """
    from .corpus import FORMER, plan

    folder = (
        context.cache_root
        / "mini"
        / f"{FORMER}-{context.mini_seed}-{UNLABELLED}{f'-telling{telling}' if telling else ''}"
        / task
    )
    specs: list[TrackSpec] = []
    there = 0.0
    for block in itertools.count():
        for spec in plan(task, tradition(task), context.mini_seed, {f"{UNLABELLED}{block}": BLOCK}, FORMER):
            if there < seconds:
                specs.append(replace(spec, telling=telling))
                there += spec.seconds
        if there >= seconds:
            break
    if context.needs_audio:
        _render_unlabelled(f"Rendering {task} (mini, unlabelled)", folder, specs, context)
    return [Track(s.id, folder / f"{s.id}.flac", (), s.group, seconds=float(s.seconds)) for s in specs]


def _render_unlabelled(what: str, folder: Path, specs: Sequence[TrackSpec], context: LoadContext) -> None:
    """Render what a folder lacks of some tracks; one that holds more of them keeps their manifest."""
    rows = _read_manifest(folder)
    ids = {s.id for s in specs}
    asked = [row for row in rows if row["id"] in ids]
    broken = _broken(folder, asked, context.workers)
    if broken or len(asked) < len(specs):
        _render_missing(what, folder, specs, broken, context)
