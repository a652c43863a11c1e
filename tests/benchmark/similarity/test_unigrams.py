"""Token distributions: bounds and identities of the distances, counts without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import cosine
from scipy.spatial.distance import jensenshannon as scipy_jensen_shannon

from cmbench.benchmark.similarity.unigrams import UnigramGroups, cosine_distance, count_tokens, jensen_shannon

Counts = NDArray[np.float64]
histograms = arrays(np.float64, (2, 6), elements=st.integers(0, 1000)).filter(lambda c: bool(c.sum(axis=1).all()))


@given(histograms)
def test_distances_are_symmetric_bounded_and_those_of_scipy(counts: Counts) -> None:
    one, two = counts / counts.sum(axis=1, keepdims=True)
    for distance in (jensen_shannon, cosine_distance):
        assert distance(one, one) == pytest.approx(0, abs=1e-12)
        assert distance(one, two) == distance(two, one)
        assert 0 <= distance(one, two) <= 1
    assert jensen_shannon(one, two) == pytest.approx(scipy_jensen_shannon(one, two, 2) ** 2, abs=1e-7)
    assert cosine_distance(one, two) == pytest.approx(cosine(one, two), abs=1e-9)


def test_disjoint_distributions_are_one_apart() -> None:
    one, two = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0]]), np.array([[0, 0, 0.2, 0.8], [0, 0, 0, 1]])
    assert jensen_shannon(one, two) == pytest.approx([1, 1])
    assert cosine_distance(one, two) == pytest.approx([1, 1])


def test_jensen_shannon_by_hand() -> None:
    # H(3/4, 1/4) - (H(1, 0) + H(1/2, 1/2)) / 2 in bits
    expected = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5
    assert jensen_shannon(np.array([1.0, 0]), np.array([0.5, 0.5])) == pytest.approx(expected)


def test_tokens_are_counted_by_codebook_and_pooled_by_group() -> None:
    tokens = [np.array([[0, 0, 2], [1, 1, 1]]), np.array([[2], [0]]), np.array([[1, 1], [2, 2]])]
    counts = count_tokens(tokens, 3)
    assert counts.tolist() == [[[2, 0, 1], [0, 3, 0]], [[0, 0, 1], [1, 0, 0]], [[0, 2, 0], [0, 0, 2]]]
    grouped = UnigramGroups.of(counts, np.array([1, 1, 0]))
    assert grouped.counts.tolist() == [[[0, 2, 0], [0, 0, 2]], [[2, 0, 2], [1, 3, 0]]]
    left = np.array([[1.0, 0.0]])
    assert grouped.by_codebook(left, 1 - left)[0] == pytest.approx(np.ones((2, 2)))
    assert grouped.distances(left, left)[0] == pytest.approx([0, 0], abs=1e-12)


def test_many_rows_are_those_of_one_at_a_time() -> None:
    draw = np.random.default_rng(0)
    grouped = UnigramGroups(draw.integers(1, 50, (9, 8, 1024)).astype(np.float32))
    weights = draw.integers(1, 4, (2, 1100, 9)).astype(np.float64)
    many = grouped.distances(*weights)
    assert many.shape == (1100, 2)
    for row in (0, 1023, 1024, 1099):
        np.testing.assert_allclose(many[row], grouped.distances(*weights[:, [row]])[0], rtol=1e-5)
    picked = grouped.only(np.array([4, 2]))
    np.testing.assert_array_equal(picked.counts, grouped.counts[[4, 2]])
