"""One cell: one model on one task under one protocol, from features to the record."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CmbenchError
from ..files import remove_held, safe_name, sha256_of, write_atomically
from ..paths import cache_root
from ..tasks.base import TaskData, Track
from ..tasks.splits.names import SPLITS, is_sample
from .features.extract import Extraction, Shard, StoredShard, encode_shards, extract
from .features.looks import looks_sha256, note_audio, noted_audio
from .features.store import FeatureStore, ShardTrack, audio_sha256, store_folder, touch_store
from .judge import CellWork, Judged, judge_cell, model_part, task_part
from .records.answers import write_answers
from .records.evidence import read_evidence
from .records.record import Coverage, FailedTrack, Record, cell_stem, hashed, read_record, write_record
from .scoring.metrics import defined_labels

if TYPE_CHECKING:
    from filelock import FileLock

    from ..baselines.base import EncoderCard
    from .executors.base import Executor
    from .models import Encoders
    from .observer import Observer
    from .protocol import Protocol, Windowing

logger = logging.getLogger(__name__)


def begin_cell(
    encoders: Encoders,
    name: str,
    data: TaskData,
    protocol: Protocol,
    watch: Observer,
    executor: Executor,
    *,
    out: Path,
    force: bool,
) -> Callable[[], Record]:
    """Return what gives the record of one cell: the finished one if there is one, else a new one.

    Its features are in the store when this returns; its probes may still be trained.

    Raises:
        CmbenchError: too few tracks are usable, the encoder misbehaves, or no label can be judged; also by what is
            returned.
    """
    data, card = data.read_as(protocol.unknown), encoders.card(name)
    windowing = protocol.windowing.of(card.max_seconds)
    store = open_store(card, data, windowing)
    tracks = [t for split in SPLITS for t in data.splits[split]]
    path, entries = record_path(out, card, data, protocol), {}

    def find(audio: str) -> Record | None:
        return None if force else find_finished(path, cell_sha256(card, data, protocol, audio))

    note, looks = audio_note(data), looks_sha256(tracks)
    audio = noted_audio(note, looks)
    finished = find(audio) if audio else None
    if finished is None:
        # Their shards are looked at only if the cell is not finished.
        entries = store.valid_entries(tracks, sound=False)
        noted, audio = audio, audio_sha256(tracks, entries)
        if len(entries) == len(tracks):
            note_audio(note, looks, audio, (entry.track for entry in entries.values()))
        finished = find(audio) if audio != noted else None
    if finished:
        write_answers(path, card.name, data, again=False)
        watch.failed_tracks(data.task.name, data.edition, finished.coverage.failed)
        watch.finished(finished, was_there=True)
        return lambda: finished
    assert audio is not None, "it was hashed above"
    require_judgeable(data)
    store.describe(card, data.task, data.edition, windowing)
    entries, batch = store.sound(entries), None
    if len(entries) < len(tracks):
        entries, batch = extract_all(encoders, name, data, store, windowing, executor, watch)
        note_audio(note, looks, audio, (entry.track for entry in entries.values()))
    touch_store(store.folder)
    coverage = count_coverage(data, entries)
    watch.failed_tracks(data.task.name, data.edition, coverage.failed)
    require_coverage(data, coverage, protocol)
    key = cell_sha256(card, data, protocol, audio)
    parts = {"cell_sha256": key, "task": task_part(data, audio), "coverage": coverage}
    work = CellWork(card, data, protocol, store, entries, encoders.options.device, batch, parts)
    probing = _begin_probing(work, path, out, executor, watch, force)
    again = partial(begin_cell, encoders, name, data, protocol, watch, executor, out=out, force=force)
    return probing or partial(_after_another, path, again)


def _begin_probing(
    work: CellWork, path: Path, out: Path, executor: Executor, watch: Observer, force: bool
) -> Callable[[], Record] | None:
    """Return what gives the record at ``path`` once the probes are trained; ``None`` if another process is at it."""
    from filelock import Timeout

    lock = _lock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    # Another process may have finished it since this one looked.
    if not force and (finished := find_finished(path, work.parts["cell_sha256"])):
        _remove(lock)
        lock.release()
        watch.finished(finished, was_there=True)
        return lambda: finished

    def finish(judged: Judged) -> Record:
        record = _write(judged, path, work.card, work.data, out)
        _remove(lock)
        lock.release()
        watch.finished(record, was_there=False)
        return record

    try:
        progress = partial(watch.probing, work.card.name, work.data.task.name)
        return executor.start(partial(judge_cell, work), finish, progress)
    except BaseException:
        lock.release()
        raise


def _after_another(path: Path, begin: Callable[[], Callable[[], Record]]) -> Record:
    """Return the record at ``path`` once no other process is at it: read, or computed if that process died."""
    with _lock(path) as lock:
        if path.is_file():
            _remove(lock)
    return begin()()


def _lock(path: Path) -> FileLock:
    """Return the lock of the record at ``path``; the operating system frees it when its holder dies."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def _remove(lock: FileLock) -> None:
    """Remove the file of a lock that is held, once its record is there.

    Whoever waits for it, or makes a new one, holds a lock that others may not see; but all look for the record next.
    """
    remove_held(Path(lock.lock_file))


def audio_note(data: TaskData) -> Path:
    """Return where the hash of a task's audio is noted."""
    return cache_root() / "audio" / f"{safe_name(f'{data.task.name}-{data.edition}-{data.split_name}')}.json"


def open_store(card: EncoderCard, data: TaskData, windowing: Windowing) -> FeatureStore:
    """Return the feature store of a model on a task."""
    # Shards are cut from all tracks: those of a sample would be others, and are kept apart.
    edition = f"{data.edition}-{data.split_name}" if is_sample(data.split_name) else data.edition
    return FeatureStore(store_folder(cache_root(), card, data.task, edition, windowing), card.layers, card.dim)


def extract_all(
    encoders: Encoders,
    name: str,
    data: TaskData,
    store: FeatureStore,
    windowing: Windowing,
    executor: Executor,
    watch: Observer,
) -> tuple[dict[str, ShardTrack], float | None]:
    """Bring the features of every track of a task into the store; see :func:`.features.extract.extract`."""
    how = Extraction(store, windowing, data.task.max_track_seconds, executor.threads)
    return extract(
        [t for split in SPLITS for t in data.splits[split]],
        how,
        lambda shards: executor.each(partial(encode, name=name, how=how), shards),
        lambda state: watch.extracting(encoders.card(name).name, data.task.name, state),
    )


def encode(encoders: Encoders, shards: Sequence[Shard], *, name: str, how: Extraction) -> Iterator[StoredShard]:
    """Bring shards into the store by an encoder by name: what an executor hands out."""
    if shards:
        with encoders.turn:
            encoder, batch = encoders.encoder(name), encoders.batch(name)
        yield from encode_shards(encoder, shards, how, batch, encoders.turn)


def record_path(out: Path, card: EncoderCard, data: TaskData, protocol: Protocol) -> Path:
    """Return where the record of a cell is."""
    stem = cell_stem(data.task.name, data.edition, data.split_name, protocol.name)
    return out / safe_name(card.name) / f"{stem}.json"


def cell_sha256(card: EncoderCard, data: TaskData, protocol: Protocol, audio: str) -> str:
    """Hash of everything that a cell's record says or depends on, results aside."""
    facts = [
        hashed(model_part(card)),
        hashed(task_part(data.read_as(protocol.unknown), audio)),
        protocol.windowing.of(card.max_seconds).sha256(data.task.max_track_seconds),
        protocol.sha256,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def find_finished(path: Path, key: str) -> Record | None:
    """Return the record at ``path`` if it is of this very cell and whole, its predictions beside it.

    What is damaged is named in a warning before it is computed again. Records of schema 1.0 and 1.1 state no hash of
    their own: their scores are held against their predictions.
    """
    if not path.is_file():
        return None
    try:
        record = read_record(path)
        if record.cell_sha256 != key:
            return None
        if record.content_sha256 is None:
            return read_evidence(path).record
        predictions = path.parent / Path(record.predictions.file).name
        if sha256_of(predictions.read_bytes()) == record.predictions.sha256:
            return record
        logger.warning("%s has changed since it was written; the cell is computed again", predictions)
    except (CmbenchError, FileNotFoundError) as error:
        logger.warning("A finished cell cannot be used and is computed again: %s", error)
    return None


def count_coverage(data: TaskData, entries: Mapping[str, ShardTrack]) -> Coverage:
    """Count the usable tracks of each split and name the others."""
    found = [(split, track, entries[track.id].track) for split in SPLITS for track in data.splits[split]]
    usable = [(split, track, stored) for split, track, stored in found if stored.failure is None]
    return Coverage(
        asked={split: len(data.splits[split]) for split in SPLITS},
        used={split: sum(where == split for where, _, _ in usable) for split in SPLITS},
        failed=tuple(
            _about(track, split, stored.failure) for split, track, stored in found if stored.failure is not None
        ),
        warnings=tuple(_about(track, split, one) for split, track, stored in usable for one in stored.warnings),
    )


def _about(track: Track, split: str, reason: str) -> FailedTrack:
    return FailedTrack(id=track.id, split=split, file=track.path.name, reason=reason)


def require_judgeable(data: TaskData) -> None:
    """Check, before anything is computed, that the validation split can choose a probe.

    Raises:
        CmbenchError: no label has both a track that carries it and one that does not.
    """
    labels, known = data.label_matrix("valid"), data.known_matrix("valid")
    remedy = "Take a larger --limit." if is_sample(data.split_name) else "Move tracks between the splits."
    if not defined_labels(labels, known)[0].any():
        raise CmbenchError(
            f"Task {data.task.name} ({data.edition}): no label has both a track that carries it and one that does not "
            f"among the {len(labels)} of the valid split, so no probe can be chosen. {remedy}"
        )


def require_coverage(data: TaskData, coverage: Coverage, protocol: Protocol) -> None:
    """Check that enough tracks are usable.

    Raises:
        CmbenchError: fewer than the protocol's share of all tracks, or none of a split.
    """
    asked, used = sum(coverage.asked.values()), sum(coverage.used.values())
    empty = [split for split in SPLITS if not coverage.used[split]]
    if used >= protocol.min_coverage * asked and not empty:
        return
    what = f"no track of the {empty[0]} split" if empty else f"only {used} of {asked} tracks"
    listed = "".join(f"\n  {f.file}: {f.reason}" for f in coverage.failed[:10])
    more = f"\n  … and {len(coverage.failed) - 10} more" if len(coverage.failed) > 10 else ""
    raise CmbenchError(
        f"Task {data.task.name} ({data.edition}): {what} can be used; protocol {protocol.name} needs "
        f"{protocol.min_coverage:.0%} of all tracks and some of each split. Mend or replace these files:{listed}{more}"
    )


def _write(judged: Judged, path: Path, card: EncoderCard, data: TaskData, out: Path) -> Record:
    from .probing.heads import heads_path

    write_atomically(path.with_suffix(".npz"), judged.predictions)
    write_answers(path, card.name, data)
    write_atomically(heads_path(path), judged.heads)
    return read_record(write_record(judged.record, out))
