"""From tracks to stored features: decoding, encoding and writing overlap; memory does not grow with the tracks.

The windows of a long track are encoded while it is decoded (see :mod:`.windows`).

Tracks are cut into shards by a fixed rule, and batches never cross shards: a feature does not depend on what was
interrupted, resumed, or done by another process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import CmbenchError, UnusableAudio
from .batches import Ahead, batches
from .store import FeatureStore, ShardTrack, shard_name
from .stored import StoredTrack, identify
from .windows import AudioWindows, read_windows

if TYPE_CHECKING:
    from filelock import FileLock
    from numpy.typing import NDArray

    from ...baselines.base import Encoder
    from ...tasks.base import Track
    from ..protocol import Windowing

logger = logging.getLogger(__name__)

SHARD_SECONDS = 1920.0
"""Audio of one shard at most: 64 windows of 30 s. What a killed run loses, and what is held in memory twice."""
SHARD_TRACKS = 64
_BYTES_PER_SECOND = 16_000.0
"""Of a 128 kbit/s file: the guess for a track of unknown length. A wav is overestimated: its shards are smaller."""


@dataclass(frozen=True)
class Extracted:
    """How far an extraction is."""

    tracks: int  # done so far
    total: int  # of all
    audio_seconds: float  # encoded in this call
    share: float  # of the expected audio that is done, 0 to 1


OnExtracted = Callable[[Extracted], None]


def expected_seconds(track: Track, max_seconds: float | None) -> float:
    """Guess how much audio of a track will be used, seconds, without opening the file."""
    if track.end is not None:
        known = track.end - track.start
    else:
        try:
            known = track.path.stat().st_size / _BYTES_PER_SECOND
        except OSError:
            known = 0.0
    return min(known, max_seconds) if max_seconds is not None else known


def plan_shards(tracks: Sequence[Track], max_seconds: float | None) -> list[Shard]:
    """Cut tracks, sorted by id, into shards of at most :data:`SHARD_SECONDS` or one track."""
    shards: list[Shard] = []
    current: list[Track] = []
    filled = 0.0
    for track in sorted(tracks, key=lambda t: t.id):
        seconds = expected_seconds(track, max_seconds)
        if current and (filled + seconds > SHARD_SECONDS or len(current) >= SHARD_TRACKS):
            shards.append(tuple(current))
            current, filled = [], 0.0
        current.append(track)
        filled += seconds
    if current:
        shards.append(tuple(current))
    return shards


Shard = tuple["Track", ...]
"""Tracks that are stored together."""
Decoded = tuple[StoredTrack, "AudioWindows | None"]
"""One track, decoded or known to be unusable."""


def _decode(track: Track, rate: int, min_seconds: float, windowing: Windowing, cap: float | None) -> Decoded:
    stored = identify(track)
    try:
        audio = read_windows(track.path, track.start, track.end, cap, rate, windowing, min_seconds)
    except UnusableAudio as error:
        return replace(stored, failure=error.reason), None
    return replace(stored, seconds=audio.seconds, warnings=audio.warnings), audio


@dataclass
class BatchSize:
    """How much audio is encoded at once; halved for good where a device has no room for it."""

    seconds: float  # audio of one batch at most, seconds
    fixed: bool = True  # whether it stays so: on a processor, where it would change bits


def encode_windows(
    encoder: Encoder,  # the model
    # each ``[samples]``; lengths may differ between windows, never within a batch
    windows: Iterable[NDArray[np.float32]],
    batch: BatchSize,  # audio of one batch, of one window at least; smaller afterwards if the device had no room for it
    # held while the encoder computes, and not while windows are waited for; entered again for each batch
    turn: AbstractContextManager[object] | None = None,
) -> NDArray[np.float16]:
    """Encode windows in batches of equal length, each as soon as it is full.

    Returns:
        ``[windows, layers, dim]`` float16, in the order given.

    Raises:
        CmbenchError: the encoder returned another shape than its card says, NaN, or values beyond float16; or a device
            has no room for a single window.
    """
    card = encoder.card
    found: list[tuple[list[int], NDArray[np.float16]]] = []

    def size(samples: int) -> int:
        return max(1, int(batch.seconds * card.sample_rate) // samples)

    for rows, audio in batches(windows, size):
        low = 0
        while low < len(rows):
            part = slice(low, low + size(audio.shape[1]))
            with turn or nullcontext():
                features = _encode_batch(encoder, audio[part], batch)
            if features is not None:
                with np.errstate(over="ignore"):
                    found.append((rows[part], features.astype(np.float16)))
                low = part.stop
    out = np.empty((sum(len(rows) for rows, _ in found), card.layers, card.dim), dtype=np.float16)
    for rows, half in found:
        out[rows] = half
    if not np.isfinite(out).all():
        raise CmbenchError(f"Model {card.name} returns features beyond the range of float16 (65504); scale them down.")
    return out


def _encode_batch(encoder: Encoder, audio: NDArray[np.float32], batch: BatchSize) -> NDArray[np.float32] | None:
    """Encode one batch ``[windows, samples]``; ``None`` if the device had no room, and the batch is smaller now."""
    card, seconds = encoder.card, audio.shape[1] / encoder.card.sample_rate
    try:
        features = encoder.encode(audio)
    except RuntimeError as error:
        import torch

        if batch.fixed or not isinstance(error, torch.OutOfMemoryError):
            raise
        if len(audio) == 1:
            raise CmbenchError(
                f"Model {card.name}: the device has no room for one window of {seconds:g} s. Free its memory, take "
                "another, or --device cpu."
            ) from error
        batch.seconds = len(audio) // 2 * seconds
        logger.warning("Model %s: the device is out of memory; batches of %g s from here", card.name, batch.seconds)
        torch.cuda.empty_cache()
        return None
    if not isinstance(features, np.ndarray) or not np.issubdtype(features.dtype, np.floating):
        kind = features.dtype if isinstance(features, np.ndarray) else type(features).__name__
        raise CmbenchError(f"Model {card.name} returned {kind} where a float32 array is expected.")
    expected = (len(audio), card.layers, card.dim)
    if features.shape != expected:
        raise CmbenchError(f"Model {card.name} returned features of shape {features.shape}; its card says {expected}.")
    if not np.isfinite(features).all():
        raise CmbenchError(
            f"Model {card.name} returned NaN or infinity for finite audio; its weights or its precision are broken."
        )
    return features


@dataclass(frozen=True)
class Extraction:
    """How shards become features, whoever does it."""

    store: FeatureStore  # where features go
    windowing: Windowing  # of the protocol
    max_seconds: float | None  # cap of the task on each track, seconds
    workers: int  # decoding threads of one process


@dataclass(frozen=True)
class StoredShard:
    """One shard that is in the store now."""

    shard: Shard  # its tracks
    entries: dict[str, ShardTrack]  # of these tracks, by id
    # audio of one batch at most, seconds; ``None`` if another process had encoded the shard
    batch_seconds: float | None


def extract(
    tracks: Sequence[Track],  # of all splits
    how: Extraction,  # shards become features
    # brings shards into the store and yields each once, in any order; see :func:`encode_shards`
    encode: Callable[[Sequence[Shard]], Iterator[StoredShard]],
    progress: OnExtracted,  # called after each shard, and at the start
) -> tuple[dict[str, ShardTrack], float | None]:
    """Bring the features of every track into the store; what the store has already is not computed again.

    Returns:
        The entries of the tracks by id, failures included, and the smallest batch of this call, seconds; ``None`` if
        nothing was encoded.

    Raises:
        CmbenchError: the encoder misbehaves; see :func:`encode_windows`.
    """
    entries = how.store.valid_entries(tracks)
    expected = {t.id: max(expected_seconds(t, how.max_seconds), 1e-3) for t in tracks}
    whole = sum(expected.values())
    share = sum(expected[i] for i in entries) / whole
    audio_seconds, batches = 0.0, []
    progress(Extracted(len(entries), len(tracks), audio_seconds, share))
    # Cut before what is stored is left out, so that a resumed run cuts alike.
    lacking = (tuple(t for t in shard if t.id not in entries) for shard in plan_shards(tracks, how.max_seconds))
    for done in encode([shard for shard in lacking if shard]):
        entries.update(done.entries)
        if done.batch_seconds is not None:
            audio_seconds += sum(e.track.seconds for e in done.entries.values())
            batches.append(done.batch_seconds)
        share += sum(expected[t.id] for t in done.shard) / whole
        progress(Extracted(len(entries), len(tracks), audio_seconds, min(share, 1.0)))
    return entries, min(batches, default=None)


def encode_shards(
    encoder: Encoder,  # the model
    shards: Sequence[Shard],  # see :func:`plan_shards`
    how: Extraction,  # they become features
    batch: BatchSize,  # audio of one batch; smaller afterwards if the device had no room for it
    turn: AbstractContextManager[object],  # held while the encoder computes, where several threads share it
) -> Iterator[StoredShard]:
    """Bring shards into the store, and yield each once it is there.

    Decoding runs in threads one shard ahead of the encoder (the decoder and the resampler release the interpreter
    lock).

    Raises:
        CmbenchError: the encoder misbehaves; see :func:`encode_windows`.
    """
    card = encoder.card
    with ThreadPoolExecutor(max_workers=how.workers, thread_name_prefix="decode") as pool:

        def start(shard: Shard) -> list[Future[Decoded]]:
            given = (card.sample_rate, card.min_seconds, how.windowing, how.max_seconds)
            return [pool.submit(_decode, track, *given) for track in shard]

        try:
            for work in _in_turn(how.store, shards, start):
                if work.found:
                    yield StoredShard(work.shard, work.found, None)
                else:
                    fresh = _encode_shard(encoder, how.store, work, batch, turn)
                    yield StoredShard(work.shard, fresh, batch.seconds)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass(frozen=True)
class _Work:
    """One shard whose lock this process holds: already stored by another process, or being decoded."""

    shard: Shard
    lock: FileLock
    found: dict[str, ShardTrack]
    decoded: list[Future[Decoded]]


def _in_turn(
    store: FeatureStore,
    shards: Sequence[Shard],
    start: Callable[[Shard], list[Future[Decoded]]],
) -> Iterator[_Work]:
    """Yield every shard once, its decoding started one shard ahead; what another process is at comes last."""
    from filelock import Timeout

    postponed: list[Shard] = []
    ahead: list[_Work] = []
    for shard in shards:
        lock = store.lock(shard_name(shard))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            postponed.append(shard)
            continue
        ahead.append(_begin(store, shard, lock, start))
        if len(ahead) > 1:
            yield from _released(ahead.pop(0))
    for work in ahead:
        yield from _released(work)
    # Nothing is held here, so that two processes can never wait for each other.
    for shard in postponed:
        lock = store.lock(shard_name(shard))
        lock.acquire()
        yield from _released(_begin(store, shard, lock, start))


def _begin(
    store: FeatureStore,
    shard: Shard,
    lock: FileLock,
    start: Callable[[Shard], list[Future[Decoded]]],
) -> _Work:
    """Take what another process has stored since the plan was made, or start to decode."""
    index = store.folder / f"{shard_name(shard)}.index.json"
    found = store.valid_entries(shard) if index.exists() else {}
    if len(found) == len(shard):
        return _Work(shard, lock, found, [])
    return _Work(shard, lock, {}, start(shard))


def _released(work: _Work) -> Iterator[_Work]:
    try:
        yield work
    finally:
        work.lock.release()


def _encode_shard(
    encoder: Encoder, store: FeatureStore, work: _Work, batch: BatchSize, turn: AbstractContextManager[object]
) -> dict[str, ShardTrack]:
    tracks: list[StoredTrack] = []

    def windows() -> Iterator[NDArray[np.float32]]:
        row = 0
        while work.decoded:  # what is encoded is let go of
            stored, audio = work.decoded.pop(0).result()
            count = len(audio.windows) if audio is not None else 0
            tracks.append(replace(stored, rows=(row, row + count)))
            row += count
            if audio is not None:
                yield from audio.windows

    started, ahead = time.perf_counter(), Ahead(windows(), int(batch.seconds * encoder.card.sample_rate))
    features = encode_windows(encoder, ahead, batch, turn)
    seconds = time.perf_counter() - started - ahead.waited
    piece = store.write(shard_name(work.shard), features, tracks, seconds)
    return {t.id: ShardTrack(t, piece) for t in piece.tracks}
