"""From samples of tracks to distances between their tasks, and to how alike two encoders hear each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...baselines.tokens.kmeans import ResidualKMeans
from ...files import safe_name
from ..scoring.bootstrap import cluster_numbers
from ..scoring.metrics import Doubles
from .distance import RESAMPLES, Collection, Distances, Grouped, Groups, PairDistance, all_pairs
from .kernels import KernelGroups, cka_interval, debiased_cka, median_distance, standardised
from .samples import FeatureSample, Sample, collection, number_groups
from .unigrams import UnigramGroups

if TYPE_CHECKING:
    from ...baselines.tokens.base import Tokeniser
    from ...tasks.base import Track
    from .tokens import Counted

MIN_CKA_TRACKS = 4


@dataclass(frozen=True)
class Agreement:
    """How alike two encoders hear the same tracks of a task.

    Attributes:
        task: name of the task.
        first: name of an encoder, with its hidden state.
        second: of the other.
        tracks: that both could use.
        groups: they belong to.
        value: debiased linear CKA: 1 for the same geometry, about 0 for none in common; ``None`` where not defined.
        low: lower end of the 95 % jackknife interval; ``None`` where there is none.
        high: upper end.
        reason: why something is ``None``.
    """

    task: str
    first: str
    second: str
    tracks: int
    groups: int
    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Heard:
    """One encoder's features of the samples.

    Attributes:
        model: its name.
        fingerprint: of its card.
        state: name of the hidden state.
        why: that state, in words.
        sample: the features.
    """

    model: str
    fingerprint: str
    state: str
    why: str
    sample: FeatureSample


def feature_distances(heard: Heard, samples: Sequence[Sample], resamples: int = RESAMPLES) -> Distances:
    """Measure the squared maximum mean discrepancy between the tasks.

    Args:
        heard: features of one encoder.
        samples: the tasks, in the same order.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: features do not differ between tracks, or a task has a single group.
    """
    features = standardised(np.concatenate(heard.sample.features))
    bandwidth = median_distance(features)
    groups, members = number_groups(heard.sample.tracks)
    collections = _collections(samples, heard.sample.tracks)
    definition = (
        f"Squared maximum mean discrepancy between tracks (mean over windows of hidden state {heard.state} of "
        f"{heard.model} {heard.fingerprint}: {heard.why}). Features scaled to mean 0 and deviation 1 over all tracks; "
        f"RBF kernel, bandwidth {bandwidth:.4g}, the median distance over all tracks; unbiased estimate, without pairs "
        "of tracks of one group."
    )
    return _distances(
        KernelGroups.of(features, groups, bandwidth),
        members,
        collections,
        Named(f"features of {heard.model}, {heard.state}", safe_name(heard.model), samples[0].data.edition, definition),
        resamples,
    )[0]


def token_distances(
    tokeniser: Tokeniser, counted: Sequence[Counted], samples: Sequence[Sample], seconds: float, resamples: int
) -> tuple[Distances, ...]:
    """Measure Jensen-Shannon divergence and cosine distance between the unigrams of the tasks, mean over codebooks.

    Args:
        tokeniser: what made the tokens.
        counted: the tokens of each task.
        samples: the tasks, in the same order.
        seconds: audio of each track, for the definition.
        resamples: of the bootstrap, and permutations of the test.

    Raises:
        UsageError: a task has a single group.
    """
    tracks = [c.tracks for c in counted]
    groups, members = number_groups(tracks)
    grouped = UnigramGroups.of(np.concatenate([c.counts for c in counted]), groups)
    stand_in = isinstance(tokeniser, ResidualKMeans)
    definition = (
        f"Unigrams of the tokens in the middle {seconds:g} s of each track, pooled over tracks; per codebook, then "
        f"mean over {grouped.counts.shape[1]} codebooks of {tokeniser.codebook_size} tokens. "
        f"Tokeniser: {tokeniser.name}. "
        "Jensen-Shannon divergence in bits, 0 to 1; cosine distance, 0 to 1."
    )
    named = Named(
        f"tokens of {tokeniser.name}",
        "stand-in" if stand_in else "tokens",
        samples[0].data.edition,
        definition,
        stand_in,
    )
    return _distances(grouped, members, _collections(samples, tracks), named, resamples)


@dataclass(frozen=True)
class Named:
    """What the distances of one source have in common.

    Attributes:
        source: whose features or tokens.
        slug: the same as part of a file name.
        edition: of the tasks.
        definition: what is computed.
        stand_in: whether the tokeniser was fitted here.
    """

    source: str
    slug: str
    edition: str
    definition: str
    stand_in: bool = False


def _collections(samples: Sequence[Sample], tracks: Sequence[Sequence[Track]]) -> tuple[Collection, ...]:
    found = []
    for sample, used in zip(samples, tracks, strict=True):
        found.append(collection(sample.data, used, len(sample.tracks) - len(used)))
    return tuple(found)


def _distances(
    grouped: Grouped, members: Sequence[Groups], collections: tuple[Collection, ...], named: Named, resamples: int
) -> tuple[Distances, ...]:
    found = all_pairs(grouped, members, [c.task for c in collections], resamples)
    return tuple(
        Distances(
            measure=measure,
            source=named.source,
            slug=f"{measure.replace('_', '-')}-{named.slug}",
            edition=named.edition,
            stand_in=named.stand_in,
            collections=collections,
            pairs=pairs,
            definition=named.definition,
            by_codebook=_by_codebook(grouped, members, collections, pairs, k),
        )
        for k, (measure, pairs) in enumerate(found.items())
    )


def _by_codebook(
    grouped: Grouped,
    members: Sequence[Groups],
    collections: Sequence[Collection],
    pairs: Sequence[PairDistance],
    measure: int,
) -> Mapping[tuple[str, str], tuple[float, ...]]:
    if not isinstance(grouped, UnigramGroups):
        return {}
    shares = np.zeros((len(members), sum(map(len, members))))
    for row, groups in zip(shares, members, strict=True):
        row[groups] = 1.0
    place = {c.task: i for i, c in enumerate(collections)}
    found = {}
    for pair in pairs:
        one, two = (shares[[place[task]]] for task in (pair.first, pair.second))
        found[pair.first, pair.second] = tuple(grouped.by_codebook(one, two)[0, :, measure].tolist())
    return found


def agreements(first: Heard, second: Heard, samples: Sequence[Sample]) -> tuple[Agreement, ...]:
    """Align two encoders' features of the same tracks, task by task.

    Args:
        first: features of an encoder.
        second: of another.
        samples: the tasks, in the same order.
    """
    found = []
    for k, sample in enumerate(samples):
        rows = [{t.id: i for i, t in enumerate(heard.sample.tracks[k])} for heard in (first, second)]
        shared = [t for t in first.sample.tracks[k] if t.id in rows[1]]
        groups = cluster_numbers([t.group for t in shared])
        one, two = (
            heard.sample.features[k][[where[t.id] for t in shared]]
            for heard, where in zip((first, second), rows, strict=True)
        )
        named = Agreement(
            task=sample.data.task.name,
            first=f"{first.model} {first.state}",
            second=f"{second.model} {second.state}",
            tracks=len(shared),
            groups=len(set(groups.tolist())),
            value=None,
        )
        found.append(_aligned(named, one, two, groups))
    return tuple(found)


def _aligned(agreement: Agreement, first: Doubles, second: Doubles, groups: Groups) -> Agreement:
    """Fill in the alignment of the features ``[tracks, dim]`` of two encoders, or why there is none."""
    if len(first) < MIN_CKA_TRACKS:
        return replace(agreement, reason=f"fewer than {MIN_CKA_TRACKS} tracks that both could use")
    value = debiased_cka(first, second)
    if value is None:
        return replace(agreement, reason="the features of an encoder do not differ between tracks")
    span = cka_interval(first, second, groups)
    if span is None:
        reason = f"no interval: too few groups ({agreement.groups}) to leave one out"
        return replace(agreement, value=value, reason=reason)
    return replace(agreement, value=value, low=span[0], high=span[1])
