"""Both measures: against a double loop and scipy, right on average, blind to what they must not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon as scipy_jensen_shannon

from cmbench.benchmark.studies.similarity.measures import (
    KernelGroups,
    UnigramGroups,
    feature_distances,
    jensen_shannon,
    median_distance,
    token_distances,
)
from cmbench.benchmark.studies.similarity.samples import Measured, Sample
from cmbench.errors import UsageError
from cmbench.tasks.base import LoadContext, Task, TaskData, Track

Counts = NDArray[np.float64]
histograms = arrays(np.float64, (2, 6), elements=st.integers(0, 1000)).filter(lambda c: bool(c.sum(axis=1).all()))


@given(histograms)
def test_the_divergence_is_symmetric_bounded_and_that_of_scipy(counts: Counts) -> None:
    one, two = counts / counts.sum(axis=1, keepdims=True)
    assert jensen_shannon(one, one) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(one, two) == jensen_shannon(two, one)
    assert 0 <= jensen_shannon(one, two) <= 1
    if not np.allclose(one, two):
        assert jensen_shannon(one, two) == pytest.approx(scipy_jensen_shannon(one, two, 2) ** 2, abs=1e-7)


def test_disjoint_distributions_are_one_apart() -> None:
    one, two = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0]]), np.array([[0, 0, 0.2, 0.8], [0, 0, 0, 1]])
    assert jensen_shannon(one, two) == pytest.approx([1, 1])


def test_jensen_shannon_by_hand() -> None:
    # H(3/4, 1/4) - (H(1, 0) + H(1/2, 1/2)) / 2 in bits
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5
    assert jensen_shannon(np.array([1.0, 0]), np.array([0.5, 0.5])) == pytest.approx(expected)


def test_counts_are_pooled_by_group() -> None:
    counts = np.array([[[2, 0, 1], [0, 3, 0]], [[0, 0, 1], [1, 0, 0]], [[0, 2, 0], [0, 0, 2]]])
    grouped = UnigramGroups.of(counts, np.array([1, 1, 0]))
    assert grouped.counts.tolist() == [[[0, 2, 0], [0, 0, 2]], [[2, 0, 2], [1, 3, 0]]]
    left = np.array([[1.0, 0.0]])
    assert grouped.by_codebook(left, 1 - left)[0] == pytest.approx([1, 1])
    assert grouped.distances(left, left)[0] == pytest.approx(0, abs=1e-12)


def test_many_rows_are_those_of_one_at_a_time() -> None:
    draw = np.random.default_rng(0)
    grouped = UnigramGroups(draw.integers(1, 50, (9, 8, 1024)).astype(np.float32))
    weights = draw.integers(1, 4, (2, 1100, 9)).astype(np.float64)
    many = grouped.distances(*weights)
    assert many.shape == (1100,)
    for row in (0, 1023, 1024, 1099):
        np.testing.assert_allclose(many[row], grouped.distances(*weights[:, [row]])[0], rtol=1e-5)
    picked = grouped.only(np.array([4, 2]))
    np.testing.assert_array_equal(picked.counts, grouped.counts[[4, 2]])


def sides(first: int, second: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left = np.repeat([[1.0, 0.0]], [first, second], axis=1)
    return left, 1 - left


def mmd2(features: NDArray[np.float64], groups: NDArray[np.intp], first: int, bandwidth: float = 1.5) -> float:
    count = int(groups.max()) + 1
    return float(KernelGroups.of(features, groups, bandwidth).distances(*sides(first, count - first))[0])


def brute_force(features: NDArray[np.float64], groups: NDArray[np.intp], first: int, bandwidth: float) -> float:
    def mean(left: bool, right: bool) -> float:
        values = []
        for i, j in product(range(len(features)), repeat=2):
            apart = (groups[i] < first) == left and (groups[j] < first) == right and groups[i] != groups[j]
            if apart:
                values.append(np.exp(-np.sum((features[i] - features[j]) ** 2) / (2 * bandwidth**2)))
        return float(np.mean(values))

    return mean(True, True) + mean(False, False) - 2 * mean(True, False)


@pytest.mark.parametrize("groups", [np.arange(17), np.array([3, 0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 6, 6, 6, 6, 5, 1])])
def test_against_a_double_loop(groups: NDArray[np.intp]) -> None:
    draw = np.random.default_rng(0)
    features = draw.standard_normal((17, 3)) + 0.5 * (groups[:, None] < 4)
    assert mmd2(features, groups, 4) == pytest.approx(brute_force(features, groups, 4, 1.5), abs=1e-12)


def test_sides_are_interchangeable_and_groups_can_be_picked() -> None:
    draw = np.random.default_rng(1)
    kernel = KernelGroups.of(draw.standard_normal((24, 2)), np.repeat(np.arange(12), 2), 1.0)
    left, right = sides(5, 7)
    assert kernel.distances(left, right)[0] == pytest.approx(kernel.distances(right, left)[0], abs=1e-14)
    turned = kernel.only(np.r_[5:12, 0:5])
    assert turned.distances(*sides(7, 5))[0] == pytest.approx(kernel.distances(left, right)[0], abs=1e-14)
    alone = np.eye(12)[:1]
    assert np.isnan(kernel.distances(alone, 1 - alone)[0])


def clustered(draw: np.random.Generator, groups: int, size: int) -> NDArray[np.float64]:
    centres = draw.standard_normal((groups, 3))
    return np.repeat(centres, size, axis=0) + 0.3 * draw.standard_normal((groups * size, 3))


def test_equal_distributions_have_no_distance_on_average_even_in_clusters() -> None:
    draw = np.random.default_rng(2)
    groups = np.repeat(np.arange(12), 4)
    found = [mmd2(clustered(draw, 12, 4), groups, 6) for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    # Were tracks of one group taken for independent, the estimate would be too large by far.
    naive = [mmd2(clustered(draw, 12, 4), np.arange(48), 24) for _ in range(100)]
    assert np.mean(naive) > 0.05 > 5 * abs(np.mean(found))


def test_the_bandwidth_is_the_median_distance() -> None:
    line = np.array([[0.0], [1.0], [3.0]])
    assert median_distance(line) == 2.0
    assert median_distance(np.arange(4000.0)[:, None]) == pytest.approx(4000 * (1 - np.sqrt(0.5)), rel=0.03)
    with pytest.raises(UsageError, match="no bandwidth"):
        median_distance(np.ones((5, 2)))


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


CARD: Any = type("Card", (), {"name": "m", "fingerprint": "f" * 16, "layer_names": ("L0", "L1")})
STATE = (1, "as asked for")


def features_of(samples: list[Sample], used: int) -> list[Measured]:
    draw = np.random.default_rng(0)
    return [Measured(s, s.tracks[:used], draw.standard_normal((used, 4)) + k) for k, s in enumerate(samples)]


def test_no_feature_weighs_more_for_its_unit_and_constant_ones_weigh_nothing(samples: list[Sample]) -> None:
    plain = features_of(samples, 14)
    others = [
        replace(one, values=np.column_stack([one.values * [1e6, 1, 1, 1e-3], np.full(len(one.values), 7.1)]))
        for one in plain
    ]
    found = [feature_distances(one, CARD, STATE, 100).pairs[0] for one in (plain, others)]
    assert found[1].corrected == pytest.approx(found[0].corrected)
    with pytest.raises(UsageError, match="have the same features"):
        feature_distances([replace(one, values=np.full((14, 4), 0.1)) for one in plain], CARD, STATE, 100)


def test_the_definition_names_encoder_state_and_kernel(samples: list[Sample]) -> None:
    found = feature_distances(features_of(samples, 14), CARD, STATE, 100)
    assert (found.measure, found.slug, found.edition, found.stand_in) == ("mmd2", "mmd2-m", "custom", False)
    for words in ("hidden state L1 of m ffffffffffffffff: as asked for", "bandwidth", "pairs of tracks of one group"):
        assert words in found.definition
    assert [(c.tracks, c.failed, c.groups) for c in found.collections] == [(14, 2, 7)] * 2
    assert found.pairs[0].separable


def test_the_token_distance_is_that_of_the_pooled_shares(samples: list[Sample]) -> None:
    draw = np.random.default_rng(0)
    counted = [Measured(s, s.tracks, draw.integers(1, 30, (16, 2, 3))) for s in samples]
    found = token_distances(counted, Pairs(), 30.0, 100)
    one, two = (c.values.sum(axis=0) / c.values.sum(axis=(0, 2))[:, None] for c in counted)
    expected = jensen_shannon(one, two)
    assert found.pairs[0].by_codebook == pytest.approx(expected, rel=1e-4)
    assert found.pairs[0].value == pytest.approx(expected.mean(), rel=1e-4)
    assert (found.slug, found.stand_in) == ("jensen-shannon-tokens", False)
