"""Distances between collections: intervals and tests that hold in the long run, whatever is alike within groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.studies.similarity.distance import (
    Collection,
    Distances,
    Grouped,
    PairDistance,
    all_pairs,
    measure_pair,
)
from cmbench.benchmark.studies.similarity.measures import KernelGroups, UnigramGroups, jensen_shannon
from cmbench.errors import UsageError

Draw = Callable[[np.random.Generator], Grouped]
GROUPS, SIZE = 12, 4


def alike_in_groups(draw: np.random.Generator, shift: float = 0.0) -> KernelGroups:
    """Two collections of twelve groups of four tracks that hardly differ within a group."""
    groups = np.repeat(np.arange(2 * GROUPS), SIZE)
    features = draw.standard_normal((2 * GROUPS, 3))[groups] + 0.2 * draw.standard_normal((len(groups), 3))
    features[groups >= GROUPS] += shift
    return KernelGroups.of(features, groups, 2.0)


def bursty(draw: np.random.Generator, first: NDArray[np.float64], second: NDArray[np.float64]) -> UnigramGroups:
    """Two collections of groups that each prefer some tokens."""
    shares = [draw.dirichlet(20 * p + 1e-9) for p in (first, second) for _ in range(GROUPS)]
    return UnigramGroups(np.stack([draw.multinomial(300, share) for share in shares])[:, None].astype(np.float32))


def test_the_test_is_right_as_often_as_it_says_in_clusters() -> None:
    draw, runs = np.random.default_rng(0), 200
    same = np.full(32, 1 / 32)
    p_values = []
    for run in range(runs):
        names = (f"a{run}", f"b{run}")
        for grouped in (alike_in_groups(draw), bursty(draw, same, same)):
            p_values.append(measure_pair(grouped, (GROUPS, GROUPS), names, 100).p_value)  # noqa: PERF401
    for measured in (p_values[::2], p_values[1::2]):
        rejected = np.mean([p is not None and p <= 0.05 for p in measured])
        # Bounds are four standard errors wide.
        assert rejected <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / runs)
    # Taken for independent, the same tracks are "different" most of the time.
    naive = []
    for run in range(30):
        groups = np.repeat(np.arange(2 * GROUPS), SIZE)
        features = draw.standard_normal((2 * GROUPS, 3))[groups] + 0.2 * draw.standard_normal((len(groups), 3))
        kernel = KernelGroups.of(features, np.arange(len(groups)), 2.0)
        half = GROUPS * SIZE
        naive.append((measure_pair(kernel, (half, half), (f"a{run}", "b"), 100).p_value or 1) <= 0.05)
    assert np.mean(naive) > 0.5


def test_the_interval_holds_the_true_distance_and_the_correction_finds_it() -> None:
    draw, runs = np.random.default_rng(1), 100
    first, second = np.random.default_rng(2).dirichlet(np.ones(32), 2)
    true = float(jensen_shannon(first, second))
    found = [measure_pair(bursty(draw, first, second), (GROUPS, GROUPS), ("a", f"b{i}"), 100) for i in range(runs)]
    inside = [p.low is not None and p.high is not None and p.low <= true <= p.high for p in found]
    assert np.mean(inside) >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / runs)
    excess = np.mean([p.value - true for p in found])
    left = np.mean([p.corrected - true for p in found])
    assert excess > 0.01
    assert abs(left) < 0.25 * excess


def test_a_planted_difference_is_found_and_its_interval_is_that_of_the_estimate() -> None:
    found = measure_pair(alike_in_groups(np.random.default_rng(3), 1.5), (GROUPS, GROUPS), ("a", "b"), 500)
    assert found.p_value == 1 / 501
    assert found.low is not None
    assert found.high is not None
    assert found.null_high is not None
    assert 0 < found.low < found.corrected == found.value < found.high
    assert found.null_high < found.value


def test_draws_are_the_same_every_time_and_another_pair_has_others() -> None:
    grouped = alike_in_groups(np.random.default_rng(4), 0.5)
    one, same, other = (
        measure_pair(grouped, (GROUPS, GROUPS), names, 100) for names in (("a", "b"), ("a", "b"), ("a", "c"))
    )
    assert one == same
    assert one.low != other.low


def test_few_groups_give_a_distance_alone() -> None:
    grouped = alike_in_groups(np.random.default_rng(5)).only(np.arange(10))
    found = measure_pair(grouped, (4, 6), ("few", "more"), 100)
    assert found.value == pytest.approx(
        grouped.distances(np.repeat([[1.0, 0]], [4, 6], 1), np.repeat([[0.0, 1]], [4, 6], 1))
    )
    assert (found.low, found.p_value, found.null_high) == (None, None, None)
    assert found.reason == "no interval and no test: few has fewer than 5 groups (4)"
    assert found.separable is None


def test_pairs_are_judged_together() -> None:
    draw = np.random.default_rng(6)
    groups = np.arange(40)
    features = np.tile(draw.standard_normal((10, 2)), (4, 1))
    features[30:] += 2
    members = [np.arange(i, i + 10) for i in range(0, 40, 10)]
    found = all_pairs(KernelGroups.of(features, groups, 2.0), members, "abcd", 200)
    assert [(p.first, p.second) for p in found] == [tuple(x) for x in ("ab", "ac", "ad", "bc", "bd", "cd")]
    assert {p.second for p in found if p.separable} == {"d"}
    assert all(p.q_value is not None and p.p_value is not None and p.q_value >= p.p_value for p in found)
    with pytest.raises(UsageError, match="two tasks"):
        all_pairs(KernelGroups.of(features, groups, 2.0), members[:1], "a", 100)
    with pytest.raises(UsageError, match="b: its sample has 1 group"):
        all_pairs(KernelGroups.of(features, groups, 2.0), [members[0], np.array([20])], "ab", 100)


def test_a_matrix_is_symmetric_with_nothing_on_its_diagonal() -> None:
    collections = tuple(Collection(task, "greek", 9, 0, 5, True, "0") for task in "abc")
    pairs = (PairDistance("a", "b", 0.3, 0.2), PairDistance("a", "c", 0.5, 0.4), PairDistance("b", "c", 0.7, 0.6))
    found = Distances("mmd2", "x", "x", "full", False, collections, pairs, "")
    assert found.pair("c", "a") is pairs[1]
    assert found.pair("a", "a") is None
    assert found.matrix().tolist() == [[0, 0.2, 0.4], [0.2, 0, 0.6], [0.4, 0.6, 0]]
