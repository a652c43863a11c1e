"""Cluster bootstrap: what is drawn, and the interval that the draws give."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t

from cmbench.benchmark.scoring.bootstrap import cluster_count, cluster_weights, interval, offset


def test_weights_count_whole_groups() -> None:
    groups = ["a", None, "b", "a", "", "b", "", "a"]
    weights = cluster_weights(groups, 500, seed=7)
    assert weights.shape == (500, 8)
    assert (weights[:, 0] == weights[:, 3]).all()
    assert (weights[:, 0] == weights[:, 7]).all()
    assert (weights[:, 2] == weights[:, 5]).all()
    clusters = weights[:, [0, 1, 2, 4, 6]]
    assert (clusters.sum(axis=1) == 5).all()
    assert (clusters >= 0).all()
    # Unknown groups are not one group: their multiplicities differ.
    assert (clusters[:, 1] != clusters[:, 3]).any()
    assert (clusters[:, 3] != clusters[:, 4]).any()
    # Each multiplicity is binomial(5, 1/5).
    np.testing.assert_allclose(clusters.mean(axis=0), 1.0, atol=0.15)
    np.testing.assert_allclose(clusters.var(axis=0), 0.8, atol=0.2)


def test_weights_are_fixed_by_the_seed() -> None:
    groups = ["a", None, "b", "a", None]
    assert (cluster_weights(groups, 3, seed=1) == cluster_weights(groups, 5, seed=1)[:3]).all()
    assert (cluster_weights(groups, 20, seed=1) != cluster_weights(groups, 20, seed=2)).any()
    # The draws belong to published results: these numbers must never change.
    assert cluster_weights(groups, 3, seed=1).tolist() == [[0, 1, 2, 0, 1], [2, 1, 1, 2, 0], [1, 1, 2, 1, 0]]
    assert cluster_weights([], 3, seed=1).shape == (3, 0)


def test_tracks_of_several_groups_join_them() -> None:
    joined = cluster_weights(["a", "a|b", "b", "c", None], 50, seed=1)
    assert (joined == cluster_weights(["x", "x", "x", "c", None], 50, seed=1)).all()
    assert cluster_count(["a", "a|b", "b", "c", None, ""]) == 4


def test_no_track_is_no_group() -> None:
    assert cluster_count([]) == 0
    assert cluster_weights([], 3, seed=1).shape == (3, 0)


def test_interval_is_moved_to_the_value() -> None:
    samples = np.linspace(0.0, 1.0, 1001)
    assert interval(samples, 0.5, 0.95) == pytest.approx((0.025, 0.975), abs=1e-12)
    assert interval(samples, 0.5, 0.5) == pytest.approx((0.25, 0.75), abs=1e-12)
    normal = NormalDist()
    low, high = interval(samples, 0.2, 0.95)
    assert low == pytest.approx(normal.cdf(normal.inv_cdf(0.2) - normal.inv_cdf(0.975)), abs=2e-3)
    assert high == pytest.approx(normal.cdf(normal.inv_cdf(0.2) + normal.inv_cdf(0.975)), abs=2e-3)
    # Monotone transforms carry over.
    squared = interval(samples**2, 0.04, 0.95)
    assert squared == pytest.approx((low**2, high**2), abs=2e-3)


def test_interval_is_widened_for_few_groups() -> None:
    samples = np.random.default_rng(0).standard_normal(200_000)
    for groups in (5, 20, 1000):
        low, high = interval(samples, 0.0, 0.95, groups)
        reach = t.ppf(0.975, groups - 1) * np.sqrt(groups / (groups - 1))
        assert (low, high) == pytest.approx((-reach, reach), rel=0.03)


def test_interval_of_equal_or_onesided_samples_holds_the_value() -> None:
    assert interval(np.full(100, 0.5), 0.5, 0.95) == (0.5, 0.5)
    assert interval(np.linspace(0.4, 0.5, 100), 0.3, 0.95)[0] == 0.3
    assert interval(np.linspace(0.4, 0.5, 100), 0.6, 0.95)[1] == 0.6


def test_the_offset_of_samples_on_one_side_is_that_of_half_a_rank() -> None:
    for value, share in ((-1.0, 0.1), (2.0, 0.9), (0.25, 3 / 9)):
        assert offset(np.arange(9) / 9, value) == pytest.approx(NormalDist().inv_cdf(share), abs=1e-12)
