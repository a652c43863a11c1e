"""Kernel distances: against a double loop, right on average, blind to what they must not see."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ortho_group

from cmbench.benchmark.similarity.kernels import KernelGroups, cka_interval, debiased_cka, median_distance, standardised
from cmbench.errors import UsageError


def sides(first: int, second: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left = np.repeat([[1.0, 0.0]], [first, second], axis=1)
    return left, 1 - left


def mmd2(features: NDArray[np.float64], groups: NDArray[np.intp], first: int, bandwidth: float = 1.5) -> float:
    count = int(groups.max()) + 1
    return float(KernelGroups.of(features, groups, bandwidth).distances(*sides(first, count - first))[0, 0])


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
    assert kernel.distances(left, right)[0, 0] == pytest.approx(kernel.distances(right, left)[0, 0], abs=1e-14)
    turned = kernel.only(np.r_[5:12, 0:5])
    assert turned.distances(*sides(7, 5))[0, 0] == pytest.approx(kernel.distances(left, right)[0, 0], abs=1e-14)
    alone = np.eye(12)[:1]
    assert np.isnan(kernel.distances(alone, 1 - alone)[0, 0])


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


def test_features_are_scaled_and_constant_ones_left_out() -> None:
    draw = np.random.default_rng(3)
    scaled = standardised(np.column_stack([draw.standard_normal(50) * 1e6, np.full(50, 7.1), draw.standard_normal(50)]))
    assert scaled.shape == (50, 2)
    np.testing.assert_allclose(scaled.std(axis=0), 1)
    with pytest.raises(UsageError, match="same for every track"):
        standardised(np.full((4, 2), 0.1))


def test_alignment_ignores_rotation_and_scale_and_nothing_else() -> None:
    draw = np.random.default_rng(4)
    one = draw.standard_normal((30, 6))
    rotation = ortho_group.rvs(6, random_state=0)
    assert debiased_cka(one, one) == pytest.approx(1)
    assert debiased_cka(one, 1e-3 * one @ rotation + 5) == pytest.approx(1)
    other = draw.standard_normal((30, 9))
    value = debiased_cka(one, other)
    assert value is not None
    assert value < 0.9
    assert debiased_cka(other, one) == pytest.approx(value)
    assert debiased_cka(one @ rotation, 4 * other) == pytest.approx(value)
    assert debiased_cka(one, one @ np.diag([9.0, 1, 1, 1, 1, 1])) != pytest.approx(1, abs=0.05)
    assert debiased_cka(one, np.ones((30, 2))) is None
    with pytest.raises(ValueError, match="four or more"):
        debiased_cka(one[:3], one[:3])


def test_unrelated_features_align_at_zero_where_the_plain_estimate_does_not() -> None:
    draw = np.random.default_rng(5)
    found, plain = [], []
    for _ in range(150):
        one, two = draw.standard_normal((20, 40)), draw.standard_normal((20, 40))
        found.append(debiased_cka(one, two) or 0.0)
        one, two = one - one.mean(axis=0), two - two.mean(axis=0)
        norms = np.linalg.norm(one.T @ one) * np.linalg.norm(two.T @ two)
        plain.append(np.linalg.norm(one.T @ two) ** 2 / norms)
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(150)
    assert np.mean(plain) > 0.5


def test_the_criterion_is_the_mean_over_quadruples() -> None:
    """Song et al. 2012, section 2.2: the estimate is a U-statistic of degree four."""
    draw = np.random.default_rng(6)
    one, two = draw.standard_normal((6, 2)), draw.standard_normal((6, 3))
    grams = [f @ f.T for f in (one, two)]

    def criterion(k: NDArray[np.float64], m: NDArray[np.float64]) -> float:
        found = []
        for i, j, q, r in product(range(6), repeat=4):
            if len({i, j, q, r}) == 4:
                found.append(k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]))
        return float(np.mean(found))

    cross, first, second = criterion(*grams), criterion(grams[0], grams[0]), criterion(grams[1], grams[1])
    assert debiased_cka(one, two) == pytest.approx(cross / np.sqrt(first * second))


def test_the_jackknife_interval_holds_the_value_and_needs_groups() -> None:
    draw = np.random.default_rng(7)
    one = draw.standard_normal((40, 4))
    two = one @ draw.standard_normal((4, 4)) + draw.standard_normal((40, 4))
    value = debiased_cka(one, two)
    assert value is not None
    spans = [cka_interval(one, two, np.arange(40) // size) for size in (1, 4)]
    for span in spans:
        assert span is not None
        assert -1 <= span[0] < value < span[1] <= 1
    assert cka_interval(one, two, np.arange(40) // 10) is None
    assert cka_interval(one, np.ones((40, 2)), np.arange(40)) is None
