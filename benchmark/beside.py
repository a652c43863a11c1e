"""What lies beside a record for people: an answer for each recording, and the trained heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import sha256_of, write_atomically
from ..tasks.base import TaskData
from .records.answers import write_answers

if TYPE_CHECKING:
    from ..baselines.base import EncoderCard
    from .features.store import ShardTrack
    from .probing.heads import Heads
    from .protocol import Protocol

LEARNED_FROM = ("train", "valid")
"""The splits that a probe is made with; their recordings are known again when it tags."""


def write_beside(
    path: Path,
    card: EncoderCard,
    data: TaskData,
    protocol: Protocol,
    entries: Mapping[str, ShardTrack],
    heads: Heads,
    predictions: bytes,
) -> None:
    """Write what a record has beside it, apart from its predictions, which must be there.

    Args:
        path: of the record.
        card: of the encoder.
        data: the task's tracks.
        protocol: of the record.
        entries: of the tracks in the feature store.
        heads: the chosen probes.
        predictions: the predictions file.
    """
    from .probing.heads import heads_bytes, heads_path, short_hashes

    write_answers(path, card.name, data)
    about = {
        "model": card.name,
        "fingerprint": card.fingerprint,
        "task": data.task.name,
        "edition": data.edition,
        "split": data.split_name,
        "protocol": protocol.name,
        "labels": data.labels,
        "windowing": asdict(protocol.windowing),
        "max_track_seconds": data.task.max_track_seconds,
        "predictions_sha256": sha256_of(predictions),
    }
    audio = {split: short_hashes([entries[t.id].track.sha256 for t in data.splits[split]]) for split in LEARNED_FROM}
    write_atomically(heads_path(path), heads_bytes(heads, about, audio))
