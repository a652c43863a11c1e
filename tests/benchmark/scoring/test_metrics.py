"""Exactness of the metrics; scikit-learn, one label at a time, is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from cmbench.benchmark.scoring import metrics
from cmbench.errors import CmbenchError

Bools: TypeAlias = NDArray[np.bool_]
Doubles: TypeAlias = NDArray[np.float64]
Case: TypeAlias = tuple[Bools, NDArray[np.float32], Doubles]

exact = settings(deadline=None, max_examples=60, derandomize=True)


@st.composite
def cases(draw: st.DrawFn, least: int = 1) -> Case:
    """Targets, float32 scores with many ties or few, and weights with zeros."""
    shape = (draw(st.integers(least, 30)), draw(st.integers(1, 3)))
    coarse = st.sampled_from([np.float32(0.1), np.float32(0.1) + np.float32(1e-8), np.float32(0.5), np.float32(2.0)])
    fine = st.floats(-1e3, 1e3, width=32)
    scores = draw(arrays(np.float32, shape, elements=draw(st.sampled_from([coarse, fine]))))
    weights = draw(arrays(np.float64, shape[0], elements=st.sampled_from([0.0, 0.25, 1.0, 1.1, 2.0, 37.3])))
    return draw(arrays(np.bool_, shape)), scores, weights


def oracle(targets: Bools, scores: NDArray[np.float32], weights: Doubles) -> tuple[Doubles, Doubles]:
    roc_auc, precision = [], []
    for truth, score in zip(targets.T, scores.T, strict=True):
        positive, negative = weights[truth].sum() > 0, weights[~truth].sum() > 0
        roc_auc.append(roc_auc_score(truth, score, sample_weight=weights) if positive and negative else np.nan)
        precision.append(average_precision_score(truth, score, sample_weight=weights) if positive else np.nan)
    return np.array(roc_auc), np.array(precision)


def assert_equal(got: tuple[Doubles, Doubles], expected: tuple[Doubles, Doubles], tolerance: float = 1e-12) -> None:
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@exact
@given(cases())
def test_equal_to_scikit_learn(case: Case) -> None:
    targets, scores, _ = case
    expected = oracle(targets, scores, np.ones(len(targets)))
    assert_equal(metrics.ranking_scores(targets, scores), expected)


@exact
@given(cases())
def test_equal_to_scikit_learn_with_weights(case: Case) -> None:
    assert_equal(metrics.ranking_scores(*case), oracle(*case))


@exact
@given(cases())
def test_presorted_scores_give_the_same(case: Case) -> None:
    targets, scores, weights = case
    rows = np.stack([np.ones(len(targets)), weights, weights[::-1]])
    roc_auc, precision = metrics.weighted_scores(metrics.sort_scores(targets, scores), rows)
    for k, row in enumerate(rows):
        assert_equal((roc_auc[k], precision[k]), oracle(targets, scores, row))


@given(cases(), st.integers(0, 2**32 - 1))
@exact
def test_what_is_not_known_counts_as_absent(case: Case, seed: int) -> None:
    """Label by label, scikit-learn without the tracks of which the label is not known is the oracle."""
    targets, scores, weights = case
    known = np.random.default_rng(seed).random(targets.shape) < 0.6
    whole = np.array([oracle(targets[k][:, i : i + 1], scores[k][:, i : i + 1], weights[k])
                      for i, k in enumerate(known.T)])[:, :, 0].T  # fmt: skip
    found = metrics.ranking_scores(targets, scores, weights, known=known)
    assert_equal(found, (whole[0], whole[1]))
    many = metrics.weighted_scores(metrics.sort_scores(targets, scores, known=known), np.stack([weights, weights]))
    for one, other in zip(many, whole, strict=True):
        np.testing.assert_allclose(one, np.stack([other, other]), rtol=0, atol=1e-12)
    # Weighed with ones the figures of cells and of the board are the same to the bit, mask or none.
    plain = metrics.ranking_scores(targets, scores)
    for one, other in zip(metrics.ranking_scores(targets, scores, known=np.ones_like(targets)), plain, strict=True):
        np.testing.assert_array_equal(one, other)
    predicted = scores > 0.3
    by_label = metrics.f1(targets, predicted, known=known)
    for k, here in enumerate(known.T):
        expected = f1_score(targets[here, k], predicted[here, k], zero_division=0.0) if here.any() else 0.0
        assert by_label[k] == pytest.approx(expected, abs=1e-12)
    pooled = f1_score(targets[known], predicted[known], zero_division=0.0) if known.any() else 0.0
    assert metrics.f1_micro(targets, predicted, known=known) == pytest.approx(pooled, abs=1e-12)


def test_a_label_is_defined_by_the_tracks_of_which_it_is_known() -> None:
    targets = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [1, 0, 1, 0]], dtype=np.bool_)
    known = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]], dtype=np.bool_)
    defined, reasons = metrics.defined_labels(targets, known)
    assert not defined.any()
    assert reasons == ["no negative in the test split", *["no positive in the test split"] * 2, metrics.NOBODY_KNOWS]
    assert metrics.defined_labels(targets)[0].all()


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    targets, scores = draw.random((30, 7)) < 0.4, draw.random((30, 7))
    weights = draw.integers(0, 3, (11, 30))

    def both() -> list[Doubles]:
        prepared = metrics.sort_scores(targets, scores)
        return [*metrics.ranking_scores(targets, scores), *metrics.weighted_scores(prepared, weights)]

    whole = both()
    monkeypatch.setattr(metrics, "_RANK_BLOCK", 30 * 3)
    monkeypatch.setattr(metrics, "_WEIGHT_BLOCK", 30 * 4)
    for one, other in zip(both(), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@exact
@given(cases())
def test_a_repeated_track_is_a_weight(case: Case) -> None:
    targets, scores, weights = case
    times = np.floor(np.minimum(weights, 3.0)).astype(np.int64)
    if not times.any():
        times[0] = 1
    repeated = metrics.ranking_scores(np.repeat(targets, times, axis=0), np.repeat(scores, times, axis=0))
    assert_equal(metrics.ranking_scores(targets, scores, times.astype(np.float64)), repeated)
    presorted = metrics.weighted_scores(metrics.sort_scores(targets, scores), times[None].astype(np.uint8))
    assert_equal((presorted[0][0], presorted[1][0]), repeated)


@exact
@given(cases())
def test_monotone_transforms_change_nothing(case: Case) -> None:
    targets, scores, weights = case
    # Ranks keep the order and every tie.
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in scores.T], axis=1).astype(np.float64)
    expected = metrics.ranking_scores(targets, scores, weights)
    for moved in (ranks, 3.0 * ranks - 7.0, np.exp(ranks)):
        assert_equal(metrics.ranking_scores(targets, moved, weights), expected, tolerance=1e-14)


@exact
@given(cases(), st.integers(0, 1000))
def test_labels_and_tracks_may_be_permuted(case: Case, seed: int) -> None:
    targets, scores, weights = case
    generator = np.random.default_rng(seed)
    rows, columns = generator.permutation(targets.shape[0]), generator.permutation(targets.shape[1])
    roc_auc, precision = metrics.ranking_scores(targets, scores, weights)
    moved = metrics.ranking_scores(targets[rows][:, columns], scores[rows][:, columns], weights[rows])
    assert_equal(moved, (roc_auc[columns], precision[columns]))


@exact
@given(cases())
def test_reversed_scores_reverse_roc_auc(case: Case) -> None:
    targets, scores, weights = case
    np.testing.assert_allclose(
        metrics.ranking_scores(targets, -scores, weights)[0],
        1.0 - metrics.ranking_scores(targets, scores, weights)[0],
        rtol=0,
        atol=1e-12,
    )


@exact
@given(arrays(np.bool_, st.tuples(st.integers(2, 20), st.integers(1, 3))))
def test_perfect_and_constant_rankings_are_exact(targets: Bools) -> None:
    defined, _ = metrics.defined_labels(targets)
    for scores, roc_auc in ((targets * 0.3, 1.0), (np.full(targets.shape, 0.1), 0.5), (targets * -0.3, 0.0)):
        got, precision = metrics.ranking_scores(targets, scores)
        assert (got[defined] == roc_auc).all()
        expected = {1.0: np.ones(targets.shape[1]), 0.5: targets.mean(axis=0)}.get(roc_auc)
        if expected is not None:
            np.testing.assert_allclose(precision[defined], expected[defined], rtol=0, atol=1e-15)


def test_many_labels_pass_through_several_blocks() -> None:
    generator = np.random.default_rng(3)
    targets = generator.random((5000, 20)) < np.geomspace(0.001, 0.5, 20)
    scores = np.round(generator.random((5000, 20)) + 0.3 * targets, 2).astype(np.float32)
    weights = generator.integers(1, 4, (60, 5000))
    assert 2 * metrics._RANK_BLOCK < 5000 * 20
    assert 2 * metrics._WEIGHT_BLOCK < 5000 * 60
    assert_equal(metrics.ranking_scores(targets, scores), oracle(targets, scores, np.ones(5000)))
    roc_auc, precision = metrics.weighted_scores(metrics.sort_scores(targets, scores), weights)
    assert not np.isnan(roc_auc).any()
    for row in (0, 31, 59):
        expected = oracle(targets, scores, weights[row].astype(np.float64))
        assert_equal((roc_auc[row], precision[row]), expected)


def test_rounding_of_weights_never_leaves_the_unit_interval() -> None:
    generator = np.random.default_rng(0)
    targets = np.repeat([[True], [False]], 40, axis=0)
    scores = -np.arange(80.0)[:, None]
    weights = generator.random((300, 80))
    presorted = metrics.weighted_scores(metrics.sort_scores(targets, scores), weights)
    anew = [metrics.ranking_scores(targets, scores, row) for row in weights]
    for got in (np.concatenate(presorted), np.concatenate(anew)):
        np.testing.assert_allclose(got, 1.0, rtol=0, atol=1e-12)
        assert got.max() <= 1.0


def test_ties_are_those_of_the_stored_numbers() -> None:
    targets = np.array([[True], [False]])
    close = np.array([[0.1 + 1e-12], [0.1]])
    assert metrics.ranking_scores(targets, close)[0][0] == 1.0
    assert metrics.ranking_scores(targets, close.astype(np.float32))[0][0] == 0.5
    zeros = np.array([[0.0], [-0.0]], dtype=np.float32)
    assert metrics.ranking_scores(targets, zeros)[0][0] == 0.5
    counts = np.array([[2], [0]], dtype=np.uint8)
    assert metrics.ranking_scores(targets, counts)[0][0] == 1.0  # type: ignore[arg-type]
    assert metrics.ranking_scores(~targets, np.array([[np.inf], [-np.inf]]))[0][0] == 0.0


def test_undefined_labels_are_named_with_the_reason() -> None:
    targets = np.array([[True, False, True], [True, False, False]])
    defined, reasons = metrics.defined_labels(targets)
    assert defined.tolist() == [False, False, True]
    assert reasons == ["no negative in the test split", "no positive in the test split", None]
    roc_auc, precision = metrics.ranking_scores(targets, np.array([[0.1, 0.1, 0.9], [0.2, 0.2, 0.1]]))
    np.testing.assert_array_equal(roc_auc, [np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(precision, [1.0, np.nan, 1.0])
    assert roc_auc[defined].mean() == 1.0


@pytest.mark.parametrize("score", [metrics.ranking_scores, metrics.sort_scores])
def test_nan_is_refused_by_label(score: Callable[..., object]) -> None:
    targets, scores = np.eye(3, dtype=np.bool_), np.eye(3)
    scores[0, 1] = scores[2, 1] = np.nan
    with pytest.raises(CmbenchError, match=r"^2 scores of label 'makam--Hicaz' are NaN \(1 of 3 labels"):
        score(targets, scores, labels=["usul--Düyek", "makam--Hicaz", "makam--Rast"])
    with pytest.raises(CmbenchError, match=r"label number 1 are NaN"):
        score(targets, scores)


def test_shapes_must_agree() -> None:
    with pytest.raises(CmbenchError, match=r"\(3, 2\) and scores \(2, 3\)"):
        metrics.ranking_scores(np.ones((3, 2), dtype=np.bool_), np.ones((2, 3)))[0]
    prepared = metrics.sort_scores(np.eye(3, dtype=np.bool_), np.eye(3))
    with pytest.raises(CmbenchError, match=r"Weights \(5, 2\) must be \[resamples, 3 tracks\]"):
        metrics.weighted_scores(prepared, np.ones((5, 2)))


def test_nothing_in_nothing_out() -> None:
    assert np.isnan(metrics.ranking_scores(np.ones((0, 2), dtype=np.bool_), np.ones((0, 2)))[0]).all()
    assert metrics.ranking_scores(np.ones((4, 0), dtype=np.bool_), np.ones((4, 0)))[0].shape == (0,)


@exact
@given(cases(), st.floats(-2.0, 2.0))
def test_f1_equal_to_scikit_learn(case: Case, threshold: float) -> None:
    targets, scores, weights = case
    predicted = scores >= threshold
    if weights.sum() == 0:
        weights = np.ones_like(weights)
    both = np.stack([np.ones_like(weights), weights])
    per_label, pooled = metrics.f1(targets, predicted, both), metrics.f1_micro(targets, predicted, both)
    for row, weight in enumerate(both):
        for k in range(targets.shape[1]):
            expected = f1_score(targets[:, k], predicted[:, k], sample_weight=weight, zero_division=0)
            assert per_label[row, k] == pytest.approx(expected, abs=1e-12)
        # The weights of a pooled decision are those of its track.
        spread = np.repeat(weight, targets.shape[1])
        micro = f1_score(targets.ravel(), predicted.ravel(), sample_weight=spread, zero_division=0)
        assert pooled[row] == pytest.approx(micro, abs=1e-12)
    np.testing.assert_array_equal(metrics.f1(targets, predicted), per_label[0])
    assert float(metrics.f1_micro(targets, predicted)) == float(pooled[0])


def test_f1_of_tables_equal_to_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    targets, predicted = generator.random((200, 6)) < 0.3, generator.random((200, 6)) < 0.4
    everything = np.ones(6, dtype=np.bool_)
    micro, macro = (f1_score(targets, predicted, average=how, zero_division=0) for how in ("micro", "macro"))
    assert float(metrics.f1_micro(targets, predicted)) == pytest.approx(micro, abs=1e-15)
    assert metrics.f1(targets, predicted)[everything].mean() == pytest.approx(macro, abs=1e-15)


def test_a_mean_of_nothing_is_not_a_number() -> None:
    rows = np.where(np.arange(4000) % 2, 0.5, np.nan)[:, None] * [1.0, 1.0]
    np.testing.assert_array_equal(metrics.mean_of_defined(rows), rows[:, 0])
