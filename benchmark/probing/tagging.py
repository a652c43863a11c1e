"""New recordings tagged with the heads of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError, UnusableAudio, UsageError
from ...files import file_sha256
from ..features.extract import BatchSize, encode_windows
from ..features.windows import read_windows
from ..protocol import Windowing
from .heads import Heads, read_heads, short_hashes

if TYPE_CHECKING:
    from ...baselines.base import Encoder
    from ..records.record import Record


@dataclass(frozen=True)
class Tagger:
    """The heads of a record with what is needed to use them.

    Attributes:
        heads: the probes.
        labels: of the task.
        families: of the labels.
        windowing: of the protocol.
        max_seconds: what is used of a recording; ``None`` for all of it.
        known: hashes of the recordings that the heads were made with, by split.
    """

    heads: Heads
    labels: tuple[str, ...]
    families: tuple[str, ...]
    windowing: Windowing
    max_seconds: float | None
    known: Mapping[str, frozenset[bytes]]


@dataclass(frozen=True)
class Tagged:
    """One recording.

    Attributes:
        path: of the file.
        probabilities: ``[labels]``; ``None`` if it could not be used.
        seconds: that were heard.
        known: split in which the heads have met this very file; empty if in none.
        notes: warnings, or why it could not be used.
    """

    path: Path
    probabilities: NDArray[np.float64] | None
    seconds: float
    known: str
    notes: tuple[str, ...]


def open_tagger(path: Path, record: Record) -> Tagger:
    """Read the heads of a record.

    Args:
        path: of the heads.
        record: that they lie beside.

    Raises:
        UsageError: there are none, or they belong to another record.
        CmbenchError: the file is damaged.
    """
    heads, about, audio = read_heads(path)
    if about.get("predictions_sha256") != record.predictions.sha256:
        raise UsageError(
            f"{path}: these heads are not those of the record beside them. The same `cmbench run` with --force "
            "makes both."
        )
    known = {split: frozenset(row.tobytes() for row in hashes) for split, hashes in audio.items()}
    families = tuple(record.task.families[label] for label in record.task.labels)
    try:
        cap: Any = about["max_track_seconds"]
        return Tagger(heads, record.task.labels, families, Windowing(**about["windowing"]), cap, known)
    except (KeyError, TypeError) as error:
        raise CmbenchError(f"{path}: this is no file of heads ({type(error).__name__}: {error}).") from error


def tag(tagger: Tagger, encoder: Encoder, paths: Sequence[Path], device: str, batch: BatchSize) -> Iterator[Tagged]:
    """Yield what the heads say of every recording, in order; one that cannot be used says why.

    Args:
        tagger: the heads.
        encoder: whose features they were trained on.
        paths: of the recordings.
        device: that the probes compute on.
        batch: audio of one batch.
    """
    card = encoder.card
    for path in paths:
        try:
            audio = read_windows(
                path, 0.0, None, tagger.max_seconds, card.sample_rate, tagger.windowing, card.min_seconds
            )
        except UnusableAudio as error:
            yield Tagged(path, None, 0.0, "", (error.reason,))
            continue
        logits = tagger.heads.logits(encode_windows(encoder, audio.windows, batch), device)
        short = short_hashes([file_sha256(path)])[0].tobytes()
        known = next((split for split, hashes in tagger.known.items() if short in hashes), "")
        yield Tagged(path, tagger.heads.probabilities(logits), audio.seconds, known, audio.warnings)
