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
from typing import TYPE_CHECKING

import numpy as np

from ....errors import Missing, MissingError, UsageError
from ....tasks.base import TaskData, Track
from ...features.store import FeatureStore, ShardTrack, store_folder
from ...records.record import Record
from ...scoring.bootstrap import cluster_count, cluster_numbers
from ...scoring.metrics import Doubles
from .distance import Collection, Groups

if TYPE_CHECKING:
    from ....baselines.base import EncoderCard
    from ...protocol import Windowing

LAST = "last"


@dataclass(frozen=True)
class Sample:
    """Training tracks of one task.

    Attributes:
        data: the task.
        tracks: drawn from its training split.
    """

    data: TaskData
    tracks: tuple[Track, ...]


@dataclass(frozen=True, eq=False)
class FeatureSample:
    """One encoder's features of the samples.

    Attributes:
        model: its name.
        fingerprint: of its card.
        state: name of the hidden state.
        why: that state, in words.
        features: of each task, mean over the windows of each track, ``[tracks, dim]``.
        tracks: of each task, those that could be used.
    """

    model: str
    fingerprint: str
    state: str
    why: str
    features: tuple[Doubles, ...]
    tracks: tuple[tuple[Track, ...], ...]


def draw_samples(data: Sequence[TaskData], count: int, seed: int) -> list[Sample]:
    """Draw as many training tracks of each task, or all where there are fewer.

    No group gives a second track before every group has given one.

    Args:
        data: the tasks, all of one edition.
        count: tracks of each task at most.
        seed: of the draw.

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


def number_groups(tracks: Sequence[Sequence[Track]]) -> tuple[Groups, list[Groups]]:
    """Give the groups of all tasks numbers, from 0 without gaps; no group is in two tasks.

    Args:
        tracks: of each task.

    Returns:
        The number of each track's group, tasks one after the other ``[all tracks]``, and the numbers of each task.
    """
    of_tracks: list[Groups] = []
    before = [0]
    for some in tracks:
        groups = [t.group for t in some]
        of_tracks.append(cluster_numbers(groups) + before[-1])
        before.append(before[-1] + cluster_count(groups))
    return np.concatenate(of_tracks), [np.arange(first, end) for first, end in pairwise(before)]


def collections(samples: Sequence[Sample], tracks: Sequence[Sequence[Track]]) -> tuple[Collection, ...]:
    """Say which tracks of the tasks a distance was measured on.

    Args:
        samples: the tasks.
        tracks: those used of each.
    """
    return tuple(
        Collection(
            task=sample.data.task.name,
            tradition=sample.data.task.tradition,
            tracks=len(used),
            failed=len(sample.tracks) - len(used),
            groups=cluster_count([t.group for t in used]),
            groups_known=all(t.group for t in used),
            split_sha256=sample.data.split_sha256,
        )
        for sample, used in zip(samples, tracks, strict=True)
    )


def choose_state(
    card: EncoderCard, asked: str | None, records: Sequence[Record], tasks: Sequence[str]
) -> tuple[int, str]:
    """Choose a hidden state and say why.

    Args:
        card: of the encoder.
        asked: its name, ``last``, or ``None`` for the best by validation.
        records: any; those of this encoder on every one of the tasks tell what validation found.
        tasks: names of the tasks.

    Returns:
        Position among the encoder's hidden states, and the reason in words.

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
    state: tuple[int, str],
    samples: Sequence[Sample],
    windowing: Windowing,
    root: Path,
    remedy: Callable[[Sequence[str]], str],
) -> FeatureSample:
    """Read the stored features of one encoder.

    Args:
        card: of the encoder.
        state: position of the hidden state, and why that one (:func:`choose_state`).
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
        missing = Missing(
            f"stored features of {card.name} on {', '.join(absent)} ({samples[0].data.edition} edition)",
            str(root / "features" / card.fingerprint),
            "computed on this machine from the tasks' audio",
            "that of the audio",
            remedy(absent),
        )
        raise MissingError([missing])
    features, tracks = [], []
    for sample, store, known in found:
        usable = tuple(t for t in sample.tracks if known[t.id].track.failure is None)
        if not usable:
            raise UsageError(f"{sample.data.task.name}: none of the {len(sample.tracks)} tracks could be used.")
        features.append(np.stack([_track_mean(store, known[t.id], state[0]) for t in usable]))
        tracks.append(usable)
    named = card.name, card.fingerprint, card.layer_names[state[0]], state[1]
    return FeatureSample(*named, tuple(features), tuple(tracks))


def _track_mean(store: FeatureStore, entry: ShardTrack, state: int) -> Doubles:
    view = store.view([entry])
    windows = view.take(np.arange(len(view.track_of_window)))
    mean: Doubles = windows[:, state].astype(np.float64).mean(axis=0)
    return mean
