"""From stored features to a record: probes trained and scored, wherever that is done; nothing is written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CmbenchError
from ..files import sha256_of
from ..processes import peak_memory_mib
from ..tasks.base import TaskData, Track
from ..tasks.splits.names import SPLITS
from .features.store import FeatureStore, ShardTrack, used_decoders
from .records.environment import describe_environment
from .records.predictions import predictions_bytes
from .records.record import CostPart, ModelPart, PredictionsPart, ProtocolPart, Record, TaskPart, cell_stem
from .records.scores import score_predictions
from .scoring.bootstrap import cluster_count

if TYPE_CHECKING:
    from ..baselines.base import EncoderCard
    from .probing.heads import Heads
    from .probing.search import ProbeSplit
    from .protocol import Protocol


@dataclass(frozen=True)
class CellWork:
    """What the probes of a cell are made from, wherever they are trained."""

    card: EncoderCard  # of the encoder
    data: TaskData  # the task's tracks
    protocol: Protocol  # the evaluation protocol
    store: FeatureStore  # has the features
    entries: Mapping[str, ShardTrack]  # of the tracks, by id
    device: str  # asked for; resolved where the probes are trained
    # smallest batch of the encoder in this run, seconds; ``None`` if all features were there
    batch_seconds: float | None
    parts: Mapping[str, Any]  # of the record that are known already


@dataclass(frozen=True)
class Judged:
    """What becomes of it: the record, and the files that lie beside it."""

    record: Record
    predictions: bytes
    heads: bytes


def judge_cell(work: CellWork, progress: Callable[[int, int], None]) -> Judged:
    """Train and score the probes of a cell; nothing is written."""
    from ..baselines.device import choose_device
    from .probing.resampling import training_draws
    from .probing.search import run_probes

    card, data, protocol, entries = work.card, work.data, work.protocol, work.entries
    device = str(choose_device(work.device))
    splits = (probe_split(data, split, work.store, entries) for split in SPLITS)
    (train_tracks, train), (_, valid), (tracks, test) = splits
    _refuse_constant(card, train)
    started = time.perf_counter()
    families = [data.task.families[label] for label in data.labels]
    drawn = training_draws(data, train_tracks, protocol.train_resamples)
    probed = run_probes(train, valid, test, protocol.probe, card.layer_names, device, progress, families, drawn)
    seconds = time.perf_counter() - started
    groups = [t.group for t in tracks]
    predictions = predictions_bytes(
        (t.id for t in tracks), groups, data.labels, test.labels, probed.probabilities, probed.resampled, test.known
    )
    support = train.labels.sum(axis=0).tolist()
    scores = score_predictions(
        test.labels,
        probed.probabilities,
        groups,
        data.labels,
        data.task.families,
        support,
        protocol,
        resampled=probed.resampled,
        known=test.known,
        single_label=data.task.single_label,
    )
    record = Record(
        model=model_part(card),
        protocol=_protocol_part(protocol),
        selection=probed.selection,
        layers=probed.layers,
        predictions=PredictionsPart(
            file=f"{cell_stem(data.task.name, data.edition, data.split_name, protocol.name)}.npz",
            sha256=sha256_of(predictions),
        ),
        environment=describe_environment(device, used_decoders(entries.values()), work.batch_seconds),
        cost=_cost(entries.values(), seconds),
        **work.parts,
        **vars(scores),
    )
    return Judged(record, predictions, _heads(work, probed.heads, predictions))


def probe_split(
    data: TaskData, split: str, store: FeatureStore, entries: Mapping[str, ShardTrack]
) -> tuple[list[Track], ProbeSplit]:
    """Return the usable tracks of a split, and what the probes see of them."""
    from .probing.search import ProbeSplit

    usable = np.array([entries[t.id].track.failure is None for t in data.splits[split]])
    tracks = [t for t, ok in zip(data.splits[split], usable, strict=True) if ok]
    labels, known = data.label_matrix(split)[usable], data.known_matrix(split)
    features = store.view([entries[t.id] for t in tracks])
    return tracks, ProbeSplit(features, labels, None if known is None else known[usable])


def _refuse_constant(card: EncoderCard, split: ProbeSplit) -> None:
    """Raise if an encoder that does not declare it gives the same features for every window."""
    windows = len(split.features.track_of_window)
    sample = split.features.take(np.unique(np.linspace(0, windows - 1, 64).astype(np.int64)))
    if windows > 1 and not card.constant and (sample == sample[0]).all():
        raise CmbenchError(
            f"Model {card.name} gives the same features for every window: its weights are broken, or it does not hear "
            "the audio. An anchor that is meant to be constant says so in its card."
        )


def _heads(work: CellWork, heads: Heads, predictions: bytes) -> bytes:
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
        "windowing": work.protocol.windowing.of(card.max_seconds).settings,
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


def model_part(card: EncoderCard) -> ModelPart:
    """Return what a record says of its encoder."""
    facts = asdict(card)
    del facts["min_seconds"], facts["constant"]
    return ModelPart(fingerprint=card.fingerprint, **facts)


def task_part(data: TaskData, audio: str) -> TaskPart:
    """Return what a record says of its task; ``audio`` is the hash of the audio of all tracks."""
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
        unknown_sha256=data.unknown_sha256 or None,
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
