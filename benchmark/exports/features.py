"""``cmbench features export``: what a model makes of a task's tracks, for other tools.

A row is a window or a whole track; of a track it is the mean over its windows. Values are what the feature store holds
(float16), so that the probes of a run saw the same.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError, UsageError
from ...files import safe_name
from ...tasks.splits.names import SPLITS
from ..cell import extract_all, open_store
from ..executors.base import WorkerSettings
from ..executors.local import Local
from ..features.windows import window_spans
from ..records.setting import warning_of

if TYPE_CHECKING:
    from ...baselines.base import EncoderCard
    from ...tasks.base import TaskData, Track
    from ..features.store import ShardTrack
    from ..models import Encoders
    from ..observer import Observer
    from ..protocol import Windowing

FORMATS = ("npz", "parquet")


@dataclass(frozen=True)
class FeatureTable:
    """Features of the usable tracks of a task."""

    facts: Mapping[str, str]  # what they are of: model, task, edition and what identifies both
    layer_names: tuple[str, ...]  # of the hidden states
    # by name, one value a row: ``id``, ``split``, ``group``, ``labels``, ``window`` (-1 for a whole track), ``start``
    # and ``end`` in the file, seconds
    columns: Mapping[str, NDArray[Any]]
    features: NDArray[np.float16]  # float16 ``[rows, layers, dim]``


def stored_features(
    encoders: Encoders,
    name: str,
    data: TaskData,
    windowing: Windowing,
    workers: int,
    watch: Observer,
    *,
    by_track: bool,
) -> FeatureTable:
    """Return the features of every usable track, in the order of the splits; what is not in the store is encoded.

    Raises:
        CmbenchError: no track is usable, the encoder misbehaves, or the store holds other windows than the windowing
            makes.
    """
    card, task = encoders.card(name), data.task
    windowing = windowing.of(card.max_seconds)
    store = open_store(card, data, windowing)
    store.describe(card, task, data.edition, windowing)
    entries, _ = extract_all(encoders, name, data, store, windowing, Local(encoders, WorkerSettings(workers)), watch)
    usable = [(split, t) for split in SPLITS for t in data.splits[split] if entries[t.id].track.failure is None]
    if not usable:
        raise CmbenchError(f"Task {task.name} ({data.edition}): no track can be used; there is nothing to export.")
    rows: list[tuple[str, str, str, str, int, float, float]] = []
    parts: list[NDArray[np.float16]] = []
    for split, track in usable:
        view = store.view([entries[track.id]])
        features = view.take(np.arange(len(view.track_of_window)))
        spans = _spans(track, entries[track.id], card, windowing, len(features))
        facts = (track.id, split, track.group or "", "|".join(track.labels))
        if by_track:
            features = features.astype(np.float64).mean(axis=0, keepdims=True).astype(np.float16)
            rows.append((*facts, -1, spans[0][0], spans[-1][1]))
        else:
            rows += [(*facts, window, *span) for window, span in enumerate(spans)]
        parts.append(features)
    names = ("id", "split", "group", "labels", "window", "start", "end")
    columns = {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return FeatureTable(_facts(card, data), card.layer_names, columns, np.concatenate(parts))


def _spans(
    track: Track, entry: ShardTrack, card: EncoderCard, windowing: Windowing, count: int
) -> list[tuple[float, float]]:
    samples = round(entry.track.seconds * card.sample_rate)
    spans = window_spans(samples, card.sample_rate, windowing, card.min_seconds)
    if len(spans) != count:
        raise CmbenchError(
            f"The feature store holds {count} windows of {track.id}, where {len(spans)} belong: `cmbench cache verify`."
        )
    return [(track.start + first / card.sample_rate, track.start + stop / card.sample_rate) for first, stop in spans]


def _facts(card: EncoderCard, data: TaskData) -> dict[str, str]:
    return {
        "model": card.name,
        "fingerprint": card.fingerprint,
        "task": data.task.name,
        "edition": data.edition,
        "split": data.split_name,
        "split_sha256": data.split_sha256,
        "licence": data.task.licence,
        "warning": warning_of(data.edition, data.split_name),
    }


def features_bytes(table: FeatureTable, form: str) -> bytes:
    """Return the file of some features.

    ``npz``: ``features`` ``[rows, layers, dim]``, ``layer_names``, a column for each fact of a row, and what they are
    of under ``about_…``; no pickle. ``parquet``: a column for each fact, and a list of float32 for each hidden state;
    what they are of is the file's metadata.

    Raises:
        UsageError: there is no such format, or its package is not installed.
    """
    if form == "npz":
        about = {f"about_{name}": np.array(value) for name, value in table.facts.items()}
        buffer = io.BytesIO()
        names = np.array(table.layer_names)
        np.savez_compressed(buffer, features=table.features, layer_names=names, **table.columns, **about)  # type: ignore[arg-type]
        return buffer.getvalue()
    if form == "parquet":
        return _parquet(table)
    raise UsageError(f"There is no format {form!r} of features; choose {' or '.join(FORMATS)}.")


def _parquet(table: FeatureTable) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            '--format parquet needs pyarrow: `pip install "cmbench[parquet]"`; npz needs nothing.'
        ) from error
    columns: dict[str, Any] = {name: pyarrow.array(values.tolist()) for name, values in table.columns.items()}
    for layer, name in enumerate(table.layer_names):
        flat = pyarrow.array(table.features[:, layer].astype(np.float32).ravel())
        columns[name] = pyarrow.FixedSizeListArray.from_arrays(flat, table.features.shape[2])
    made = pyarrow.table(columns).replace_schema_metadata(dict(table.facts))
    buffer = io.BytesIO()
    parquet.write_table(made, buffer)
    return buffer.getvalue()


def file_name(table: FeatureTable, form: str, by: str) -> str:
    """Return what the file of some features is called."""
    facts = table.facts
    return f"{safe_name(facts['model'])}.{facts['task']}.{facts['edition']}.{facts['split']}.{by}s.{form}"
