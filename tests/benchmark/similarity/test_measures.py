"""From samples to numbers: who was measured, what is said where there is no number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.similarity.measures import Heard, agreements, feature_distances, token_distances
from cmbench.benchmark.similarity.samples import FeatureSample, Sample
from cmbench.benchmark.similarity.tokens import Counted
from cmbench.benchmark.similarity.unigrams import cosine_distance, jensen_shannon
from cmbench.tasks.base import LoadContext, Task, TaskData, Track


class Pairs:
    """A codec of two codebooks of three tokens."""

    name, fingerprint, sample_rate, hop, levels, codebook_size = "pairs", "0", 8000, 1, 2, 3

    def tokens(self, audio: NDArray[np.float32]) -> NDArray[np.int64]:
        raise NotImplementedError


@pytest.fixture
def samples(make_task: Callable[..., Task], tmp_path: Path) -> list[Sample]:
    found = []
    for name in ("a", "b"):
        data: TaskData = make_task(name).load("custom", LoadContext(None, tmp_path))
        tracks = tuple(Track(f"{name}{i}", tmp_path / "x.wav", (), group=f"g{i // 2}") for i in range(16))
        found.append(Sample(replace(data, splits={**data.splits, "train": tracks}), tracks))
    return found


def heard(samples: list[Sample], seed: int, dim: int, used: int = 16) -> Heard:
    draw = np.random.default_rng(seed)
    features = tuple(draw.standard_normal((used, dim)) + k for k in range(len(samples)))
    return Heard(
        f"m{seed}", "f" * 16, "L1", "as asked for", FeatureSample(features, tuple(s.tracks[:used] for s in samples))
    )


def test_the_definition_names_encoder_state_and_kernel(samples: list[Sample]) -> None:
    found = feature_distances(heard(samples, 0, 4, used=14), samples, 100)
    assert (found.measure, found.slug, found.edition, found.stand_in) == ("mmd2", "mmd2-m0", "custom", False)
    for words in ("hidden state L1 of m0 ffffffffffffffff: as asked for", "bandwidth", "pairs of tracks of one group"):
        assert words in found.definition
    assert [(c.tracks, c.failed, c.groups) for c in found.collections] == [(14, 2, 7)] * 2
    assert found.pairs[0].separable


def test_token_distances_are_those_of_the_pooled_shares(samples: list[Sample]) -> None:
    draw = np.random.default_rng(0)
    counted = [Counted(s.tracks, 0, draw.integers(1, 30, (16, 2, 3))) for s in samples]
    found = token_distances(Pairs(), counted, samples, 30.0, 100)
    one, two = (c.counts.sum(axis=0) / c.counts.sum(axis=(0, 2))[:, None] for c in counted)
    for distances, measure in zip(found, (jensen_shannon, cosine_distance), strict=True):
        expected = measure(one, two)
        assert distances.by_codebook["a", "b"] == pytest.approx(expected, rel=1e-4)
        assert distances.pairs[0].value == pytest.approx(expected.mean(), rel=1e-4)
        assert not distances.stand_in
    assert [d.slug for d in found] == ["jensen-shannon-tokens", "cosine-tokens"]


def test_agreement_is_on_shared_tracks_or_says_why_there_is_none(samples: list[Sample]) -> None:
    one, two = heard(samples, 1, 5), heard(samples, 1, 5, used=12)
    same = agreements(one, one, samples)
    assert [a.value for a in same] == pytest.approx([1, 1])
    assert [(a.tracks, a.groups, a.reason) for a in agreements(one, two, samples)] == [(12, 6, None)] * 2
    few = agreements(one, heard(samples, 2, 3, used=3), samples)[0]
    assert (few.value, few.reason) == (None, "fewer than 4 tracks that both could use")
    some = agreements(one, heard(samples, 2, 3, used=8), samples)[0]
    assert some.value is not None
    assert (some.low, some.reason) == (None, "no interval: too few groups (4) to leave one out")
    flat = replace(two, sample=FeatureSample((np.ones((12, 2)),) * 2, two.sample.tracks))
    assert agreements(one, flat, samples)[0].reason == "the features of an encoder do not differ between tracks"
