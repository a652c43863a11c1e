"""Accuracy and F1 of the most probable label, against scikit-learn and by resampling tracks for real."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from cmbench.benchmark.scoring.single_label import decision_scores


def test_the_split_and_each_resample_score_as_the_tracks_that_are_in_them() -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 4, 60)
    probabilities = generator.random((2, 60, 4)).astype(np.float32)
    weights = np.stack([np.bincount(generator.integers(0, 60, 60), minlength=60) for _ in range(5)]).astype(np.int32)
    accuracy, by_label = decision_scores(np.eye(4, dtype=bool)[truth], probabilities, weights, step=2)
    assert accuracy.shape == (2, 6)
    assert by_label.shape == (2, 6, 4)
    for seed, values in enumerate(probabilities):
        for row, weight in enumerate([np.ones(60, int), *weights]):
            drawn = np.repeat(np.arange(60), weight)
            chosen = values.argmax(axis=1)[drawn]
            assert accuracy[seed, row] == pytest.approx(accuracy_score(truth[drawn], chosen))
            expected = f1_score(truth[drawn], chosen, average=None, labels=range(4), zero_division=0)
            assert by_label[seed, row] == pytest.approx(expected)


def test_a_label_that_a_resample_lacks_has_no_f1_there() -> None:
    truth = np.eye(2, dtype=bool)[[0, 0, 1]]
    values = np.array([[[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]], np.float32)
    accuracy, by_label = decision_scores(truth, values, np.array([[1, 2, 0]], np.int32))
    assert accuracy.tolist() == [[2 / 3, 1 / 3]]
    assert np.isnan(by_label[0, 1]).tolist() == [False, True]


def test_of_equal_probabilities_the_first_label_is_taken() -> None:
    accuracy, _ = decision_scores(np.eye(2, dtype=bool), np.full((1, 2, 2), 0.5, np.float32), np.ones((0, 2), np.int32))
    assert accuracy.tolist() == [[0.5]]
