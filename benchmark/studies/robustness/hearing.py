"""The test tracks of a cell, heard as they are and altered by the same probes, which were trained on audio as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ....errors import CmbenchError
from ..base import Evaluation
from ..cells import Cell, chosen_probe
from .alterations import Alteration, Altered, altered_card

if TYPE_CHECKING:
    from ...features.extract import Shard, StoredShard
    from ...features.store import FeatureStore, ShardTrack
    from ...models import Encoders
    from ...observer import Observer
    from ...records.evidence import Evidence
    from .alterations import Each

CLEAN = "as it is"
"""Name of the form in which nothing is done to a track."""


def hear(
    cell: Cell,
    name: str,
    encoders: Encoders,
    alterations: Sequence[Alteration],
    how: Evaluation,
    observer: Observer,
    each: Each = map,
) -> Mapping[str, Evidence]:
    """Encode the test tracks of a cell in every form, and train its chosen probes once to judge them all.

    Hidden state and learning rate are those that validation chose; seeds and resamples of the training tracks are the
    protocol's.

    Args:
        cell: whose tracks.
        name: of its encoder on the encoders.
        encoders: has the encoder.
        alterations: what is done to the tracks.
        how: device and workers.
        observer: hears how it goes.
        each: alters every window of a batch, as ``map`` does.

    Returns:
        By the name of the form, :data:`CLEAN` first, on the tracks that could be used in every one.

    Raises:
        CmbenchError: the encoder misbehaves on what it hears, or no track can be heard in every form.
    """
    from ....baselines.device import choose_device
    from ...features.store import FeatureView
    from ...probing.resampling import training_draws
    from ...probing.search import ProbeSplit, run_probes

    forms = [_stored(cell, name, encoders, one, how.workers, observer, each) for one in (None, *alterations)]
    ids = tuple(i for i in cell.shared if all(i in entries for _, entries in forms))
    if not ids:
        raise CmbenchError(
            f"{cell.model} can hear no test track of {cell.task} in every form: altered tracks may be too short. "
            "Leave this task or this model out."
        )
    view = FeatureView(forms[0][0], [entries[i] for _, entries in forms for i in ids])
    own = cell.evidence.rows(ids)
    heard = ProbeSplit(view, np.tile(own.targets, (len(forms), 1)))
    (train, valid, test), settings, states = chosen_probe(replace(cell, splits={**cell.splits, "test": heard}))
    settings = replace(settings, seeds=cell.protocol.probe.seeds)
    progress = partial(observer.probing, cell.model, cell.task)
    drawn = training_draws(cell.data, cell.usable, cell.protocol.train_resamples)
    probed = run_probes(train, valid, test, settings, states, str(choose_device(how.device)), progress, resamples=drawn)
    parts = (np.split(made, len(forms), axis=1) for made in (probed.probabilities, probed.resampled))
    found = [replace(own, probabilities=p, resampled=r if len(r) else None) for p, r in zip(*parts, strict=True)]
    return dict(zip((CLEAN, *(one.name for one in alterations)), found, strict=True))


def _stored(
    cell: Cell,
    name: str,
    encoders: Encoders,
    alteration: Alteration | None,
    workers: int | None,
    observer: Observer,
    each: Each,
) -> tuple[FeatureStore, dict[str, ShardTrack]]:
    """Return a store and its entries of the test tracks in one form, by id; what it lacks is encoded first."""
    from ...cell import open_store
    from ...executors.base import WorkerSettings
    from ...executors.local import Local
    from ...features.extract import Extraction, encode_shards, extract

    card, tracks = encoders.card(name), cell.data.splits["test"]
    windowing = cell.protocol.windowing.of(card.max_seconds)
    card = card if alteration is None else altered_card(card, alteration)
    store = open_store(card, cell.data, windowing)
    store.describe(card, cell.data.task, cell.data.edition, windowing)
    how = Extraction(
        store, windowing, cell.data.task.max_track_seconds, Local(encoders, WorkerSettings(workers)).threads
    )

    def encode(shards: Sequence[Shard]) -> Iterator[StoredShard]:
        if shards:
            encoder = encoders.encoder(name)
            heard = encoder if alteration is None else Altered(encoder, alteration, each)
            yield from encode_shards(heard, shards, how, encoders.batch(name), encoders.turn)

    entries, _ = extract(tracks, how, encode, partial(observer.extracting, card.name, cell.task))
    return store, {track: entry for track, entry in entries.items() if entry.track.failure is None}
