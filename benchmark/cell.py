"""One cell: one model on one task under one protocol, from features to the record."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CmbenchError
from ..files import safe_name, sha256_of, write_atomically
from ..paths import cache_root
from ..processes import peak_memory_mib
from ..tasks.base import TaskData, Track
from ..tasks.splits.names import SPLITS, is_sample
from .features.extract import Extraction, Shard, StoredShard, encode_shards, extract
from .features.store import FeatureStore, ShardTrack, audio_sha256, store_folder, touch_store, used_decoders
from .records.answers import write_answers
from .records.environment import describe_environment
from .records.evidence import read_evidence
from .records.predictions import predictions_bytes
from .records.record import (
    CostPart,
    Coverage,
    FailedTrack,
    ModelPart,
    PredictionsPart,
    ProtocolPart,
    Record,
    TaskPart,
    cell_stem,
    read_record,
    write_record,
)
from .records.scores import score_predictions
from .scoring.bootstrap import cluster_count

if TYPE_CHECKING:
    from ..baselines.base import EncoderCard
    from .executors.base import Executor
    from .models import Encoders
    from .observer import Observer
    from .probing.heads import Heads
    from .probing.search import ProbeSplit
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

    Args:
        encoders: has the encoder.
        name: of the encoder on the encoders.
        data: the task's tracks.
        protocol: the evaluation protocol.
        watch: notified of how it goes.
        executor: encodes and probes.
        out: folder of the records.
        force: compute a finished cell again.

    Raises:
        CmbenchError: too few tracks are usable, the encoder misbehaves, or no label can be judged; also by what is
            returned.
    """
    card, store = encoders.card(name), open_store(encoders.card(name), data, protocol.windowing)
    tracks = [t for split in SPLITS for t in data.splits[split]]
    # Their shards are looked at only if the cell is not finished.
    entries = store.valid_entries(tracks, sound=False)
    audio = audio_sha256(tracks, entries)
    key = cell_sha256(card, data, protocol, audio)
    path = record_path(out, card, data, protocol)
    if not force and (finished := find_finished(path, key)):
        write_answers(path, card.name, data, again=False)
        watch.failed_tracks(data.task.name, data.edition, finished.coverage.failed)
        watch.finished(finished, was_there=True)
        return lambda: finished
    require_judgeable(data)
    store.describe(card, data.task, data.edition, protocol.windowing)
    entries, batch = store.sound(entries), None
    if len(entries) < len(tracks):
        entries, batch = extract_all(encoders, name, data, store, protocol.windowing, executor, watch)
    touch_store(store.folder)
    coverage = count_coverage(data, entries)
    watch.failed_tracks(data.task.name, data.edition, coverage.failed)
    require_coverage(data, coverage, protocol)
    parts = {"cell_sha256": key, "task": _task_part(data, audio), "coverage": coverage}
    work = CellWork(card, data, protocol, store, entries, encoders.options.device, batch, parts)

    def finish(judged: Judged) -> Record:
        record = _write(judged, path, card, data, out)
        watch.finished(record, was_there=False)
        return record

    progress = partial(watch.probing, card.name, data.task.name)
    return executor.start(partial(judge_cell, work), finish, progress)


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
    """Hash of everything that a cell's record says or depends on, results aside.

    Args:
        card: of the encoder.
        data: the task's tracks and labels.
        protocol: the evaluation protocol.
        audio: hash of the audio of all tracks.
    """
    facts = [
        _model_part(card).model_dump(mode="json"),
        _task_part(data, audio).model_dump(mode="json"),
        protocol.windowing.sha256(data.task.max_track_seconds),
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
    labels = data.label_matrix("valid")
    remedy = "Take a larger --limit." if is_sample(data.split_name) else "Move tracks between the splits."
    if not (labels.any(axis=0) & ~labels.all(axis=0)).any():
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


def _probe_split(
    data: TaskData, split: str, store: FeatureStore, entries: Mapping[str, ShardTrack]
) -> tuple[list[Track], ProbeSplit]:
    """Usable tracks of a split and what the probes see of them."""
    from .probing.search import ProbeSplit

    usable = [entries[t.id].track.failure is None for t in data.splits[split]]
    tracks = [t for t, ok in zip(data.splits[split], usable, strict=True) if ok]
    return tracks, ProbeSplit(store.view([entries[t.id] for t in tracks]), data.label_matrix(split)[np.array(usable)])


def _refuse_constant(card: EncoderCard, split: ProbeSplit) -> None:
    """Raise if an encoder that does not declare it gives the same features for every window."""
    windows = len(split.features.track_of_window)
    sample = split.features.take(np.unique(np.linspace(0, windows - 1, 64).astype(np.int64)))
    if windows > 1 and not card.constant and (sample == sample[0]).all():
        raise CmbenchError(
            f"Model {card.name} gives the same features for every window: its weights are broken, or it does not hear "
            "the audio. An anchor that is meant to be constant says so in its card."
        )


@dataclass(frozen=True)
class CellWork:
    """What the probes of a cell are made from, wherever they are trained.

    Attributes:
        card: of the encoder.
        data: the task's tracks.
        protocol: the evaluation protocol.
        store: has the features.
        entries: of the tracks, by id.
        device: asked for; resolved where the probes are trained.
        batch_seconds: smallest batch of the encoder in this run, seconds; ``None`` if all features were there.
        parts: of the record that are known already.
    """

    card: EncoderCard
    data: TaskData
    protocol: Protocol
    store: FeatureStore
    entries: Mapping[str, ShardTrack]
    device: str
    batch_seconds: float | None
    parts: Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What becomes of it: the record, and the files that lie beside it."""

    record: Record
    predictions: bytes
    heads: bytes


def judge_cell(work: CellWork, progress: Callable[[int, int], None]) -> Judged:
    """Train and score the probes of a cell; nothing is written."""
    from ..baselines.device import choose_device
    from .probing.search import run_probes

    card, data, protocol, entries = work.card, work.data, work.protocol, work.entries
    device = str(choose_device(work.device))
    (_, train), (_, valid), (tracks, test) = (_probe_split(data, split, work.store, entries) for split in SPLITS)
    _refuse_constant(card, train)
    started = time.perf_counter()
    families = [data.task.families[label] for label in data.labels]
    probed = run_probes(train, valid, test, protocol.probe, card.layer_names, device, progress, families)
    seconds = time.perf_counter() - started
    groups = [t.group for t in tracks]
    predictions = predictions_bytes((t.id for t in tracks), groups, data.labels, test.labels, probed.probabilities)
    support = train.labels.sum(axis=0).tolist()
    scores = score_predictions(
        test.labels, probed.probabilities, groups, data.labels, data.task.families, support, protocol
    )
    record = Record(
        model=_model_part(card),
        protocol=_protocol_part(protocol),
        selection=probed.selection,
        layers=probed.layers,
        predictions=PredictionsPart(
            file=f"{cell_stem(data.task.name, data.edition, data.split_name, protocol.name)}.npz",
            sha256=sha256_of(predictions),
        ),
        environment=describe_environment(device, used_decoders(entries.values())),
        cost=_cost(entries.values(), seconds),
        **work.parts,
        **vars(scores),
    )
    return Judged(record, predictions, _heads(work, probed.heads, predictions))


def _write(judged: Judged, path: Path, card: EncoderCard, data: TaskData, out: Path) -> Record:
    """Write the record of a cell and what lies beside it; what is returned, and shown, is what was written."""
    from .probing.heads import heads_path

    write_atomically(path.with_suffix(".npz"), judged.predictions)
    write_answers(path, card.name, data)
    write_atomically(heads_path(path), judged.heads)
    return read_record(write_record(judged.record, out))


def _heads(work: CellWork, heads: Heads, predictions: bytes) -> bytes:
    """Return the file of the trained heads, with what they were trained on."""
    from .probing.heads import heads_bytes, short_hashes

    card, data = work.card, work.data
    about = {
        "model": card.name,
        "fingerprint": card.fingerprint,
        "task": data.task.name,
        "edition": data.edition,
        "split": data.split_name,
        "protocol": work.protocol.name,
        "labels": data.labels,
        "windowing": work.protocol.windowing.settings,
        "max_track_seconds": data.task.max_track_seconds,
        "predictions_sha256": sha256_of(predictions),
    }
    # Their recordings are known again when the heads tag them.
    learned = ("train", "valid")
    audio = {split: short_hashes([work.entries[t.id].track.sha256 for t in data.splits[split]]) for split in learned}
    return heads_bytes(heads, about, audio)


def _protocol_part(protocol: Protocol) -> ProtocolPart:
    settings = json.loads(json.dumps(protocol.settings))
    return ProtocolPart(name=protocol.name, sha256=protocol.sha256, settings=settings)


def _model_part(card: EncoderCard) -> ModelPart:
    facts = asdict(card)
    del facts["min_seconds"], facts["constant"]
    return ModelPart(fingerprint=card.fingerprint, **facts)


def _task_part(data: TaskData, audio: str) -> TaskPart:
    groups = {split: [t.group for t in data.splits[split]] for split in SPLITS}
    return TaskPart(
        name=data.task.name,
        title=data.task.title,
        tradition=data.task.tradition,
        edition=data.edition,
        split=data.split_name,
        labels=data.labels,
        families={label: data.task.families[label] for label in data.labels},
        split_sha256=data.split_sha256,
        label_sha256=data.label_sha256,
        audio_sha256=audio,
        tracks={split: len(data.splits[split]) for split in SPLITS},
        groups={split: cluster_count(names) if all(names) else None for split, names in groups.items()},
        licence=data.task.licence,
        citation=data.task.citation,
        notes=data.task.notes,
    )


def _cost(entries: Iterable[ShardTrack], probe_seconds: float) -> CostPart:
    entries = list(entries)
    pieces = {e.piece.path: e.piece for e in entries}
    return CostPart(
        audio_seconds=sum(e.track.seconds for e in entries),
        encode_seconds=sum(p.encode_seconds for p in pieces.values()),
        probe_seconds=probe_seconds,
        peak_memory_mib=peak_memory_mib(),
    )
