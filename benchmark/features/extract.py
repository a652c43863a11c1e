"""From tracks to stored features: decoding, encoding and writing overlap; memory does not grow with the tracks.

The windows of a long track are encoded while it is decoded (see :mod:`.windows`).

Tracks are cut into shards by a fixed rule, and batches never cross shards: a feature does not depend on what was
interrupted, resumed, or done by another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

SHARD_SECONDS = 1920.0
"""Audio of one shard at most: 64 windows of 30 s. What a killed run loses, and what is held in memory twice."""
SHARD_TRACKS = 64
_BYTES_PER_SECOND = 16_000.0
"""Of a 128 kbit/s file: the guess for a track of unknown length. A wav is overestimated: its shards are smaller."""


@dataclass(frozen=True)
class Extracted:
    """How far an extraction is.

    Attributes:
        tracks: done so far.
        total: of all.
        audio_seconds: encoded in this call.
        share: of the expected audio that is done, 0 to 1.
    """

    tracks: int
    total: int
    audio_seconds: float
    share: float


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


def plan_shards(tracks: Sequence[Track], max_seconds: float | None) -> list[tuple[Track, ...]]:
    """Cut tracks, sorted by id, into shards of at most :data:`SHARD_SECONDS` or one track."""
    shards: list[tuple[Track, ...]] = []
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


Decoded = tuple[StoredTrack, "AudioWindows | None"]
"""One track, decoded or known to be unusable."""


def _decode(track: Track, rate: int, min_seconds: float, windowing: Windowing, cap: float | None) -> Decoded:
    stored = identify(track)
    try:
        audio = read_windows(track.path, track.start, track.end, cap, rate, windowing, min_seconds)
    except UnusableAudio as error:
        return replace(stored, failure=error.reason), None
    return replace(stored, seconds=audio.seconds, warnings=audio.warnings), audio


def encode_windows(
    encoder: Encoder, windows: Iterable[NDArray[np.float32]], batch_seconds: float
) -> NDArray[np.float16]:
    """Encode windows in batches of equal length, each as soon as it is full.

    Args:
        encoder: the model.
        windows: each ``[samples]``; lengths may differ between windows, never within a batch.
        batch_seconds: audio of one batch at most, seconds.

    Returns:
        ``[windows, layers, dim]`` float16, in the order given.

    Raises:
        CmbenchError: the encoder returned another shape than its card says, NaN, or values beyond float16.
    """
    card = encoder.card
    most = int(batch_seconds * card.sample_rate)
    found: list[tuple[list[int], NDArray[np.float16]]] = []
    for rows, audio in batches(windows, lambda samples: max(1, most // samples)):
        batch = encoder.encode(audio)
        if not isinstance(batch, np.ndarray) or not np.issubdtype(batch.dtype, np.floating):
            kind = batch.dtype if isinstance(batch, np.ndarray) else type(batch).__name__
            raise CmbenchError(f"Model {card.name} returned {kind} where a float32 array is expected.")
        expected = (len(rows), card.layers, card.dim)
        if batch.shape != expected:
            raise CmbenchError(f"Model {card.name} returned features of shape {batch.shape}; its card says {expected}.")
        if not np.isfinite(batch).all():
            raise CmbenchError(
                f"Model {card.name} returned NaN or infinity for finite audio; its weights or its precision are broken."
            )
        with np.errstate(over="ignore"):
            found.append((rows, batch.astype(np.float16)))
    out = np.empty((sum(len(rows) for rows, _ in found), card.layers, card.dim), dtype=np.float16)
    for rows, half in found:
        out[rows] = half
    if not np.isfinite(out).all():
        raise CmbenchError(f"Model {card.name} returns features beyond the range of float16 (65504); scale them down.")
    return out


def extract(
    encoder: Encoder,
    tracks: Sequence[Track],
    store: FeatureStore,
    windowing: Windowing,
    max_seconds: float | None,
    *,
    batch_seconds: float,
    workers: int,
    progress: OnExtracted,
) -> dict[str, ShardTrack]:
    """Bring the features of every track into the store and return its entries by track id, failures included.

    What the store has already is not computed again. Decoding runs in ``workers`` threads one shard ahead of the
    encoder (the decoder and the resampler release the interpreter lock).

    Args:
        encoder: the model.
        tracks: of all splits.
        store: where features go.
        windowing: of the protocol.
        max_seconds: cap of the task on each track, seconds.
        batch_seconds: audio of one batch, seconds.
        workers: decoding threads.
        progress: called after each shard, and at the start.

    Raises:
        CmbenchError: the encoder misbehaves; see :func:`encode_windows`.
    """
    entries = store.valid_entries(tracks)
    expected = {t.id: max(expected_seconds(t, max_seconds), 1e-3) for t in tracks}
    whole = sum(expected.values())
    share = sum(expected[i] for i in entries) / whole
    audio_seconds = 0.0
    progress(Extracted(len(entries), len(tracks), audio_seconds, share))
    card = encoder.card
    # Cut before what is stored is left out, so that a resumed run cuts alike.
    lacking = (tuple(t for t in shard if t.id not in entries) for shard in plan_shards(tracks, max_seconds))
    todo = [shard for shard in lacking if shard]
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="decode") as pool:

        def start(shard: tuple[Track, ...]) -> list[Future[Decoded]]:
            return [pool.submit(_decode, t, card.sample_rate, card.min_seconds, windowing, max_seconds) for t in shard]

        try:
            for work in _in_turn(store, todo, start):
                fresh = work.found or _encode_shard(encoder, store, work, batch_seconds)
                entries.update(fresh)
                audio_seconds += 0.0 if work.found else sum(e.track.seconds for e in fresh.values())
                share += sum(expected[t.id] for t in work.shard) / whole
                progress(Extracted(len(entries), len(tracks), audio_seconds, min(share, 1.0)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return entries


@dataclass(frozen=True)
class _Work:
    """One shard whose lock this process holds: already stored by another process, or being decoded."""

    shard: tuple[Track, ...]
    lock: FileLock
    found: dict[str, ShardTrack]
    decoded: list[Future[Decoded]]


def _in_turn(
    store: FeatureStore,
    shards: Sequence[tuple[Track, ...]],
    start: Callable[[tuple[Track, ...]], list[Future[Decoded]]],
) -> Iterator[_Work]:
    """Yield every shard once, its decoding started one shard ahead; what another process is at comes last."""
    from filelock import Timeout

    postponed: list[tuple[Track, ...]] = []
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
    shard: tuple[Track, ...],
    lock: FileLock,
    start: Callable[[tuple[Track, ...]], list[Future[Decoded]]],
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


def _encode_shard(encoder: Encoder, store: FeatureStore, work: _Work, batch_seconds: float) -> dict[str, ShardTrack]:
    """Encode one decoded shard and write it."""
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

    started, ahead = time.perf_counter(), Ahead(windows(), int(batch_seconds * encoder.card.sample_rate))
    features = encode_windows(encoder, ahead, batch_seconds)
    seconds = time.perf_counter() - started - ahead.waited
    piece = store.write(shard_name(work.shard), features, tracks, seconds)
    return {t.id: ShardTrack(t, piece) for t in piece.tracks}
