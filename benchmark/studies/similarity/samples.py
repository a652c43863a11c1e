"""What distances between traditions are measured on: a sample of each task's training tracks, and their features.

Features are those that `cmbench run` has stored; nothing is encoded here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....errors import Missing, MissingError, UsageError
from ....tasks.base import TaskData, Track
from ...features.store import FeatureStore, ShardTrack, store_folder
from ...records.record import Record
from ...scoring.bootstrap import cluster_numbers
from .distance import Collection, Groups

if TYPE_CHECKING:
    from ....baselines.base import EncoderCard
    from ...protocol import Windowing

LAST = "last"


@dataclass(frozen=True)
class Sample:
    """Training tracks that were drawn of one task."""

    data: TaskData
    tracks: tuple[Track, ...]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a sample.

    Attributes:
        sample: what was drawn.
        tracks: those of it that could be used.
        values: a row for each: features ``[tracks, dim]``, or counts of tokens ``[tracks, codebooks, size]``.
    """

    sample: Sample
    tracks: tuple[Track, ...]
    values: NDArray[Any]

    @property
    def groups(self) -> Groups:
        """The number of each track's group, from 0 without gaps."""
        return cluster_numbers([t.group for t in self.tracks])

    @property
    def collection(self) -> Collection:
        """Which tracks of the task a distance is measured on."""
        data, used, groups = self.sample.data, len(self.tracks), int(self.groups.max()) + 1
        known, failed = all(t.group for t in self.tracks), len(self.sample.tracks) - used
        return Collection(data.task.name, data.task.tradition, used, failed, groups, known, data.split_sha256)


def draw_samples(data: Sequence[TaskData], count: int, seed: int) -> list[Sample]:
    """Draw as many training tracks of each task, or all where there are fewer.

    No group gives a second track before every group has given one.

    Raises:
        UsageError: there are fewer than two tasks, or editions are mixed.
    """
    if len(data) < 2:
        raise UsageError("A distance needs two tasks; name several with --tasks.")
    editions = {d.task.name: d.edition for d in data}
    if len(set(editions.values())) > 1:
        shown = ", ".join(f"{task} ({edition})" for task, edition in editions.items())
        raise UsageError(f"Editions are never mixed: {shown}. Name tasks of one edition with --tasks and --edition.")
    return [Sample(d, _spread_over_groups(d.splits["train"], count, seed)) for d in data]


def _spread_over_groups(tracks: Sequence[Track], count: int, seed: int) -> tuple[Track, ...]:
    shuffled = [tracks[i] for i in np.random.default_rng(seed).permutation(len(tracks))]
    seen: Counter[int] = Counter()
    turns = []
    for number in cluster_numbers([t.group for t in shuffled]).tolist():
        turns.append(seen[number])
        seen[number] += 1
    return tuple(sorted((shuffled[i] for i in np.argsort(turns, kind="stable")[:count]), key=lambda t: t.id))


def number_groups(measured: Sequence[Measured]) -> tuple[Groups, list[Groups]]:
    """Give the groups of all tasks numbers, from 0 without gaps; no group is in two tasks.

    Returns:
        The number of each track's group, tasks one after the other ``[all tracks]``, and the numbers of each task.
    """
    before = [0, *np.cumsum([one.collection.groups for one in measured]).tolist()]
    of_tracks = np.concatenate([one.groups + first for one, first in zip(measured, before, strict=False)])
    return of_tracks, [np.arange(first, end) for first, end in pairwise(before)]


def choose_state(
    card: EncoderCard, asked: str | None, records: Sequence[Record], tasks: Sequence[str]
) -> tuple[int, str]:
    """Choose a hidden state; return its position among the encoder's, and in words why that one.

    Args:
        card: of the encoder.
        asked: its name, ``last``, or ``None`` for the best by validation.
        records: any; those of this encoder on every one of the tasks tell what validation found.
        tasks: names of the tasks.

    Raises:
        UsageError: the encoder has no such hidden state.
    """
    if asked is not None:
        if asked == LAST:
            return card.layers - 1, "the last, as asked for"
        if asked not in card.layer_names:
            raise UsageError(f"{card.name} has no hidden state {asked!r}; it has {', '.join(card.layer_names)}.")
        return card.layer_names.index(asked), "as asked for"
    if card.layers == 1:
        return 0, "the only one"
    curves = {
        record.task.name: {s.layer: s.score for s in record.layers}
        for record in records
        if record.model.fingerprint == card.fingerprint
    }
    scores = [[curves.get(task, {}).get(name) for task in tasks] for name in card.layer_names]
    means = [fmean(known) for row in scores if len(known := [s for s in row if s is not None]) == len(tasks)]
    if len(means) < card.layers:
        return card.layers - 1, "the last: no records tell what validation found on every task"
    return means.index(max(means)), f"highest validation score, mean over {len(tasks)} tasks"


def read_features(
    card: EncoderCard,
    state: int,
    samples: Sequence[Sample],
    windowing: Windowing,
    root: Path,
    remedy: Callable[[Sequence[str]], str],
) -> list[Measured]:
    """Read the stored features of an encoder in one hidden state, the mean over the windows of each track.

    Args:
        card: of the encoder.
        state: position of the hidden state.
        samples: tracks of each task.
        windowing: under which the features were stored.
        root: of the cache.
        remedy: returns the command that makes the features of this model on tasks of these names.

    Raises:
        MissingError: features are not in the store; the message has the command that makes them.
        UsageError: none of a task's tracks could be used.
    """
    found: list[tuple[Sample, FeatureStore, Mapping[str, ShardTrack]]] = []
    for sample in samples:
        data = sample.data
        store = FeatureStore(store_folder(root, card, data.task, data.edition, windowing), card.layers, card.dim)
        found.append((sample, store, store.valid_entries(sample.tracks)))
    if absent := [sample.data.task.name for sample, _, known in found if len(known) < len(sample.tracks)]:
        what = f"stored features of {card.name} on {', '.join(absent)} ({samples[0].data.edition} edition)"
        where, source = str(root / "features" / card.fingerprint), "computed on this machine from the tasks' audio"
        raise MissingError([Missing(what, where, source, "that of the audio", remedy(absent))])
    measured = []
    for sample, store, known in found:
        usable = tuple(t for t in sample.tracks if known[t.id].track.failure is None)
        if not usable:
            raise UsageError(f"{sample.data.task.name}: none of the {len(sample.tracks)} tracks could be used.")
        views = (store.view([known[t.id]]) for t in usable)
        windows = [view.take(np.arange(len(view.track_of_window)))[:, state] for view in views]
        measured.append(Measured(sample, usable, np.stack([one.astype(np.float64).mean(axis=0) for one in windows])))
    return measured
