"""One cell: one model on one task under one protocol, from features to the record."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CmbenchError
from ..files import safe_name, sha256_of, write_atomically
from ..paths import cache_root
from ..processes import peak_memory_mib
from ..tasks.base import TaskData, Track
from ..tasks.splits.names import SPLITS, is_sample
from .features.extract import extract
from .features.looks import looks_sha256, note_audio, noted_audio
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
    from .models import Encoders
    from .observer import Observer
    from .probing.heads import Heads
    from .probing.search import ProbeSplit
    from .protocol import Protocol, Windowing

logger = logging.getLogger(__name__)


def compute_cell(
    encoders: Encoders,
    name: str,
    data: TaskData,
    protocol: Protocol,
    watch: Observer,
    *,
    out: Path,
    force: bool,
    workers: int,
) -> Record:
    """Return the record of one cell: the finished one if there is one, else a new one.

    Args:
        encoders: has the encoder.
        name: of the encoder on the encoders.
        data: the task's tracks.
        protocol: the evaluation protocol.
        watch: notified of how it goes.
        out: folder of the records.
        force: compute a finished cell again.
        workers: decoding threads.

    Raises:
        CmbenchError: too few tracks are usable, the encoder misbehaves, or no label can be judged.
    """
    card, store = encoders.card(name), open_store(encoders.card(name), data, protocol.windowing)
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
        return finished
    assert audio is not None, "it was hashed above"
    require_judgeable(data)
    store.describe(card, data.task, data.edition, protocol.windowing)
    entries = store.sound(entries)
    if len(entries) < len(tracks):
        entries = extract_all(encoders, name, data, store, protocol.windowing, workers, watch)
        note_audio(note, looks, audio, (entry.track for entry in entries.values()))
    touch_store(store.folder)
    coverage = count_coverage(data, entries)
    watch.failed_tracks(data.task.name, data.edition, coverage.failed)
    require_coverage(data, coverage, protocol)
    key = cell_sha256(card, data, protocol, audio)
    parts = {"cell_sha256": key, "task": _task_part(data, audio), "coverage": coverage}
    record = _probe_and_record(encoders, card, data, protocol, watch, store, entries, path, parts)
    # What is shown is what was written.
    record = read_record(write_record(record, out))
    watch.finished(record, was_there=False)
    return record


def batch_seconds(device: str) -> float:
    """Return how much audio one batch has, seconds.

    On a processor the front end of a 95M model already fills its caches with one 30 s window (and needs 0.6 GB for it);
    an accelerator wants more.
    """
    return 30.0 if device == "cpu" else 480.0


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
    workers: int,
    watch: Observer,
) -> dict[str, ShardTrack]:
    """Bring the features of every track of a task into the store; see :func:`.features.extract.extract`."""
    return extract(
        encoders.encoder(name),
        [t for split in SPLITS for t in data.splits[split]],
        store,
        windowing,
        data.task.max_track_seconds,
        batch_seconds=batch_seconds(encoders.device),
        workers=workers,
        progress=lambda state: watch.extracting(encoders.card(name).name, data.task.name, state),
    )


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


def _probe_and_record(
    encoders: Encoders,
    card: EncoderCard,
    data: TaskData,
    protocol: Protocol,
    watch: Observer,
    store: FeatureStore,
    entries: Mapping[str, ShardTrack],
    path: Path,
    parts: Mapping[str, Any],
) -> Record:
    """Train and score the probes, write what lies beside the record at ``path``, and return it with the parts given."""
    from .probing.search import run_probes

    (_, train), (_, valid), (tracks, test) = (_probe_split(data, split, store, entries) for split in SPLITS)
    _refuse_constant(card, train)
    started = time.perf_counter()
    probed = run_probes(
        train,
        valid,
        test,
        protocol.probe,
        card.layer_names,
        encoders.device,
        lambda done, total: watch.probing(card.name, data.task.name, done, total),
        [data.task.families[label] for label in data.labels],
    )
    seconds = time.perf_counter() - started
    groups = [t.group for t in tracks]
    predictions = predictions_bytes((t.id for t in tracks), groups, data.labels, test.labels, probed.probabilities)
    write_atomically(path.with_suffix(".npz"), predictions)
    write_answers(path, card.name, data)
    _write_heads(path, card, data, protocol, entries, probed.heads, predictions)
    support, families = train.labels.sum(axis=0).tolist(), data.task.families
    scores = score_predictions(test.labels, probed.probabilities, groups, data.labels, families, support, protocol)
    settings = json.loads(json.dumps(protocol.settings))
    return Record(
        model=_model_part(card),
        protocol=ProtocolPart(name=protocol.name, sha256=protocol.sha256, settings=settings),
        selection=probed.selection,
        layers=probed.layers,
        predictions=PredictionsPart(file=path.with_suffix(".npz").name, sha256=sha256_of(predictions)),
        environment=describe_environment(encoders.device, used_decoders(entries.values())),
        cost=_cost(entries.values(), seconds),
        **parts,
        **vars(scores),
    )


def _write_heads(
    path: Path,
    card: EncoderCard,
    data: TaskData,
    protocol: Protocol,
    entries: Mapping[str, ShardTrack],
    heads: Heads,
    predictions: bytes,
) -> None:
    """Write the trained heads beside the record at ``path``, with what they were trained on."""
    from .probing.heads import heads_bytes, heads_path, short_hashes

    about = {
        "model": card.name,
        "fingerprint": card.fingerprint,
        "task": data.task.name,
        "edition": data.edition,
        "split": data.split_name,
        "protocol": protocol.name,
        "labels": data.labels,
        "windowing": protocol.windowing.settings,
        "max_track_seconds": data.task.max_track_seconds,
        "predictions_sha256": sha256_of(predictions),
    }
    # Their recordings are known again when the heads tag them.
    learned = ("train", "valid")
    audio = {split: short_hashes([entries[t.id].track.sha256 for t in data.splits[split]]) for split in learned}
    write_atomically(heads_path(path), heads_bytes(heads, about, audio))


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
