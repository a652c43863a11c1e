"""The methods on vectors, beside independent and slower ways to compute the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cmbench.pretraining.merging.task_vectors import drop_and_rescale, elected_mean, trim, trim_limit, weighted_sum

vectors = arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32))


def in_parts(values: NDArray[np.float32], size: int = 7) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


@given(vectors, st.floats(0.01, 1.0))
def test_the_limit_is_the_kth_largest_magnitude(values: NDArray[np.float32], density: float) -> None:
    magnitudes = np.abs(values)
    keep = max(1, int(density * len(values)))
    assert trim_limit(lambda: in_parts(magnitudes), density) == np.sort(magnitudes)[::-1][keep - 1]


@given(vectors, st.floats(0.01, 1.0))
def test_trimming_keeps_the_largest_and_zeroes_the_rest(values: NDArray[np.float32], density: float) -> None:
    trimmed = trim(torch.from_numpy(values), trim_limit(lambda: in_parts(np.abs(values)), density)).numpy()
    kept = trimmed != 0
    assert np.array_equal(trimmed[kept], values[kept])
    assert kept.sum() >= min((values != 0).sum(), max(1, int(density * len(values))))
    if kept.any() and not kept.all():
        assert np.abs(values[kept]).min() >= np.abs(values[~kept]).max()


def test_the_example_of_the_ties_paper() -> None:
    # One parameter a column: agreement, a minority against, a small value trimmed before, an exact tie, nothing.
    stacked = [[1.0, 3.0, 0.0, 2.0, 0.0], [3.0, -1.0, -2.0, -2.0, 0.0], [2.0, 1.0, 0.0, 0.0, 0.0]]
    merged = elected_mean([torch.tensor(row) for row in stacked])
    assert merged.tolist() == [2.0, 2.0, -2.0, 0.0, 0.0]


@given(arrays(np.float64, (4, 9), elements=st.integers(-3, 3).map(float)))
def test_the_elected_mean_parameter_by_parameter(values: NDArray[np.float64]) -> None:
    expected = []
    for column in values.T:
        sign = np.sign(column.sum())
        agreeing = [v for v in column if sign != 0 and np.sign(v) == sign]
        expected.append(sum(agreeing) / len(agreeing) if agreeing else 0.0)
    np.testing.assert_allclose(elected_mean([torch.from_numpy(v) for v in values]), expected)


def test_dropping_keeps_the_share_and_the_expectation() -> None:
    vector = torch.ones(200_000, dtype=torch.float64)
    dropped = drop_and_rescale(vector, 0.1, (0, "model", "tensor", 0))
    kept = float((dropped != 0).double().mean())
    # Four standard errors of a share of 0.1 among 200,000.
    assert kept == pytest.approx(0.1, abs=4 * (0.09 / 200_000) ** 0.5)
    assert set(dropped.tolist()) == {0.0, 10.0}
    assert torch.equal(drop_and_rescale(vector, 1.0, (0, "model", "tensor", 0)), vector)


def test_what_is_dropped_depends_on_every_part_of_the_seed() -> None:
    vector = torch.ones(1000)
    seeds = [(0, "m", 0, "t", 0), (1, "m", 0, "t", 0), (0, "n", 0, "t", 0), (0, "m", 1, "t", 0), (0, "m", 0, "t", 9)]
    drawn = [tuple((drop_and_rescale(vector, 0.5, seed) != 0).tolist()) for seed in seeds]
    assert len(set(drawn)) == len(seeds)
    assert drawn[0] == tuple((drop_and_rescale(vector, 0.5, seeds[0]) != 0).tolist())


def test_a_weighted_sum_leaves_its_vectors_alone() -> None:
    first, second = torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0])
    assert weighted_sum([first, second], [2.0, 0.5]).tolist() == [7.0, 14.0]
    assert first.tolist() == [1.0, 2.0]
