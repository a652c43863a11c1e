"""The test tracks of a cell, heard as they are and altered by the same probes, which were trained on audio as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ....errors import CmbenchError
from ..base import Evaluation
from ..cells import Cell, chosen_probe
from .alterations import Alteration, Altered, Altering, altered_card

if TYPE_CHECKING:
    from ....baselines.base import EncoderCard
    from ....tasks.base import Track
    from ...features.extract import Shard, StoredShard
    from ...features.store import FeatureStore, ShardTrack
    from ...models import Encoders
    from ...observer import Observer
    from ...records.evidence import Evidence
    from .alterations import Each

CLEAN = "as it is"
"""Name of the form in which nothing is done to a track."""


def hear(
    cells: Sequence[Cell],
    names: Mapping[str, str],
    encoders: Encoders,
    alterations: Sequence[Alteration],
    how: Evaluation,
    observer: Observer,
    each: Each = map,
) -> Mapping[str, Evidence]:
    """Encode the test tracks of a task in every form, and train the chosen probes of its first cell once to judge them.

    Hidden state and learning rate are those that validation chose; seeds and resamples of the training tracks are the
    protocol's.

    Args:
        cells: of one task; the first is judged, and the others are encoded with it, so that audio is altered once.
        names: of their encoders on the encoders, by model.
        encoders: has the encoders.
        alterations: what is done to the tracks.
        how: device and workers.
        observer: hears how it goes.
        each: alters every window of a batch, as ``map`` does.

    Returns:
        By the name of the form, :data:`CLEAN` first, on the tracks that could be used in every one.

    Raises:
        CmbenchError: an encoder misbehaves on what it hears, or no track can be heard in every form.
    """
    from ....baselines.device import choose_device
    from ...features.store import FeatureView
    from ...probing.resampling import training_draws
    from ...probing.search import ProbeSplit, run_probes

    _encode(cells, names, encoders, alterations, how, observer, each)
    cell, card = cells[0], encoders.card(names[cells[0].model])
    cards = [card, *(altered_card(card, one) for one in alterations)]
    stores = [_store(cell, one) for one in cards]
    entries = [_usable(store, cell.data.splits["test"]) for store in stores]
    ids = tuple(i for i in cell.shared if all(i in found for found in entries))
    if not ids:
        raise CmbenchError(
            f"{cell.model} can hear no test track of {cell.task} in every form: altered tracks may be too short. "
            "Leave this task or this model out."
        )
    view = FeatureView(stores[0], [found[i] for found in entries for i in ids])
    own = cell.evidence.rows(ids)
    heard = ProbeSplit(view, np.tile(own.targets, (len(cards), 1)))
    (train, valid, test), settings, states = chosen_probe(replace(cell, splits={**cell.splits, "test": heard}))
    settings = replace(settings, seeds=cell.protocol.probe.seeds)
    progress = partial(observer.probing, cell.model, cell.task)
    drawn = training_draws(cell.data, cell.usable, cell.protocol.train_resamples)
    probed = run_probes(train, valid, test, settings, states, str(choose_device(how.device)), progress, resamples=drawn)
    parts = (np.split(made, len(cards), axis=1) for made in (probed.probabilities, probed.resampled))
    found = [replace(own, probabilities=p, resampled=r if len(r) else None) for p, r in zip(*parts, strict=True)]
    return dict(zip((CLEAN, *(one.name for one in alterations)), found, strict=True))


def _store(cell: Cell, card: EncoderCard) -> FeatureStore:
    from ...cell import open_store

    return open_store(card, cell.data, cell.protocol.windowing.of(card.max_seconds))


def _usable(store: FeatureStore, tracks: Sequence[Track]) -> dict[str, ShardTrack]:
    """Return the entries of the tracks that could be encoded, by id."""
    return {track: entry for track, entry in store.valid_entries(tracks).items() if entry.track.failure is None}


def _encode(
    cells: Sequence[Cell],
    names: Mapping[str, str],
    encoders: Encoders,
    alterations: Sequence[Alteration],
    how: Evaluation,
    observer: Observer,
    each: Each,
) -> None:
    """Encode the test tracks of a task altered, shard by shard; what a store has already is not encoded again."""
    from ...executors.base import WorkerSettings
    from ...executors.local import Local
    from ...features.extract import Extraction, encode_shards, extract, plan_shards

    data, threads = cells[0].data, Local(encoders, WorkerSettings(how.workers)).threads
    cap = data.task.max_track_seconds

    def encode(
        shards: Sequence[Shard], name: str, form: Alteration, altering: Altering, to: Extraction
    ) -> Iterator[StoredShard]:
        if shards:
            heard = Altered(encoders.encoder(name), form, altering)
            yield from encode_shards(heard, shards, to, encoders.batch(name), encoders.turn)

    for shard in plan_shards(data.splits["test"], cap):
        with TemporaryDirectory(prefix="cmbench-") as folder:
            altering = Altering(Path(folder), alterations, each)
            # Models outermost: at most one is in memory.
            for cell, form in product(cells, alterations):
                name = names[cell.model]
                card = altered_card(encoders.card(name), form)
                windowing, store = cell.protocol.windowing.of(card.max_seconds), _store(cell, card)
                store.describe(card, data.task, data.edition, windowing)
                to = Extraction(store, windowing, cap, threads)
                make = partial(encode, name=name, form=form, altering=altering, to=to)
                extract(shard, to, make, partial(observer.extracting, card.name, cell.task))
