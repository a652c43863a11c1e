"""Rules of intervals: what each version does, by hand and for any draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from cmbench.benchmark.scoring.bootstrap import interval
from cmbench.benchmark.scoring.intervals import (
    Sample,
    fewest,
    label_groups,
    mean_groups,
    missing,
    rules_of,
    span,
    training_spread,
    training_turns,
)
from cmbench.errors import CmbenchError

ROWS = {"roc_auc", "average_precision"}
shares = st.floats(0, 1)


def test_a_record_names_its_rules() -> None:
    assert [rules_of(p) for p in ({}, {"intervals": 1}, {"intervals": 2})] == [1, 1, 2]
    for other in (0, 3, "2", True + 1.5):
        with pytest.raises(CmbenchError, match="rules"):
            rules_of({"intervals": other})


def test_the_first_rules_are_the_bootstraps_own() -> None:
    draws = np.random.default_rng(0).beta(8, 2, 500)
    for metric in (*ROWS, "f1"):
        assert span(1, metric, draws, 0.8, 0.95, 12) == interval(draws, 0.8, 0.95, 12)
    assert span(2, "f1", draws, 0.8, 0.95, 12) == interval(draws, 0.8, 0.95, 12)


def test_the_second_rules_by_hand() -> None:
    # Draws 0.7 and 0.9 deviate by 0.1; five groups widen that by sqrt(5 / 4).
    draws = np.array([0.7, 0.9] * 50)
    for metric, reach in (("roc_auc", t.ppf(0.975, 4)), ("average_precision", norm.ppf(0.975))):
        away = reach * math.sqrt(5 / 4) * 0.1 / (0.8 * 0.2)
        expected = [1 / (1 + math.exp(-(math.log(0.8 / 0.2) + side * away))) for side in (-1, 1)]
        assert span(2, metric, draws, 0.8, 0.95, 5) == pytest.approx(expected)


def test_many_positives_in_few_groups_have_the_reach_of_few_groups() -> None:
    draws = np.array([0.7, 0.9] * 50)

    def width(metric: str, positives: int | None) -> float:
        low, high = span(2, metric, draws, 0.8, 0.95, 6, positives)
        return float(np.log(high / (1 - high)) - np.log(low / (1 - low)))

    one_each = width("average_precision", 6)
    assert width("average_precision", None) == one_each == width("average_precision", 3)
    assert width("roc_auc", 6) == width("roc_auc", 5000) == pytest.approx(one_each * t.ppf(0.975, 5) / norm.ppf(0.975))
    assert one_each < width("average_precision", 20) < width("average_precision", 5000)
    assert width("average_precision", 5000) == pytest.approx(width("roc_auc", 5000), rel=1e-3)


def test_a_perfect_ranking_is_no_certainty() -> None:
    # Ten of ten: 0.025 ** (1 / 10) is the lower end of Clopper and Pearson.
    assert span(2, "roc_auc", np.ones(100), 1.0, 0.95, 10) == pytest.approx((0.691503, 1.0), abs=1e-6)
    assert span(2, "average_precision", np.zeros(100), 0.0, 0.95, 10) == pytest.approx((0.0, 0.308497), abs=1e-6)
    # Draws that another training moves may lie further off.
    low, high = span(2, "roc_auc", np.array([0.5, 1.0] * 50), 1.0, 0.95, 1000)
    assert low == pytest.approx(1 - t.ppf(0.975, 999) * math.sqrt(1000 / 999) * 0.25)
    assert high == 1.0


def test_a_constant_score_has_no_width() -> None:
    assert span(2, "roc_auc", np.full(100, 0.5), 0.5, 0.95, 10) == (0.5, 0.5)


@given(st.lists(shares, min_size=2, max_size=40), shares, st.floats(5, 500), st.sampled_from(sorted(ROWS)))
def test_an_interval_holds_its_score_and_lies_within_bounds(
    draws: list[float], value: float, groups: float, metric: str
) -> None:
    for version in (1, 2):
        low, high = span(version, metric, np.array(draws), value, 0.95, groups)
        assert 0 <= low <= value <= high <= 1
    wider = span(2, metric, np.array(draws), value, 0.95, groups / 2 + 2)
    narrow = span(2, metric, np.array(draws), value, 0.95, groups)
    if groups > 5:
        assert wider[0] <= narrow[0] + 1e-12
        assert wider[1] >= narrow[1] - 1e-12


def test_groups_that_speak_of_a_label() -> None:
    groups = ["a", "a", "b", "b", "c", "c", "d", "d"]
    targets = np.zeros((8, 4), dtype=bool)
    targets[[0, 2, 4], 0] = True  # one positive in each of three groups
    targets[[0, 1, 2], 1] = True  # two and one: 9 / 5
    targets[:, 2] = True
    targets[[1, 3], 2] = False  # negatives in two groups
    assert label_groups(1, targets, groups).tolist() == [4, 4, 4, 4]
    assert label_groups(2, targets, groups) == pytest.approx([3, 9 / 5, 2, 0])
    # Tracks without a group are groups of their own.
    assert label_groups(2, targets, [None] * 8) == pytest.approx([3, 3, 2, 0])


def test_a_mean_is_as_uncertain_as_what_varies_most() -> None:
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4000, 3)) * [1.0, 1.0, 0.0]
    # Satterthwaite: (1 + 1)**2 / (1 / 9 + 1 / 9) = 18 degrees of freedom.
    assert mean_groups(2, draws, np.array([10.0, 10.0, 2.0]), 100) == pytest.approx(19, rel=0.01)
    assert mean_groups(2, draws, np.array([10.0, 10.0, 2.0]), 15) == 15
    assert mean_groups(1, draws, np.array([10.0, 10.0, 2.0]), 100) == 100
    draws[::2, 0] = np.nan
    assert mean_groups(2, draws, np.array([10.0, 10.0, 2.0]), 100) == pytest.approx(19, rel=0.05)
    assert mean_groups(2, np.ones((10, 2)), np.array([6.0, 8.0]), 7) == 7


@pytest.mark.parametrize(("groups", "kept", "told"), [(5, 90, False), (4.9, 100, True), (5, 89, True), (50, 0, True)])
def test_no_interval_is_given_without_enough(groups: float, kept: int, told: bool) -> None:
    draws = np.where(np.arange(100) < kept, 0.5, np.nan)
    assert (missing(draws, groups) is not None) is told
    assert missing(np.array([]), 50) is not None


def test_the_spread_of_trainings_is_without_bias() -> None:
    scores = np.random.default_rng(1).normal(0.7, 0.02, (12, 5))
    spread = training_spread(scores)
    assert spread.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-15)
    assert (spread**2).mean(axis=0) == pytest.approx(scores.var(axis=0, ddof=1))


def test_every_training_has_its_turn_as_often_as_any_other() -> None:
    turns = training_turns(1000, 20, 7)
    assert np.bincount(turns).tolist() == [50] * 20
    assert (turns == training_turns(1000, 20, 7)).all()
    # Two tasks take their turns independently: their trainings have nothing to do with each other.
    assert (turns == training_turns(1000, 20, 8)).mean() < 0.1
    # These belong to published results, and must never change.
    assert training_turns(8, 3, 1).tolist() == TURNS


TURNS = [2, 1, 1, 2, 0, 0, 0, 1]


def test_a_mean_over_splits_tells_no_more_than_the_poorest() -> None:
    assert fewest([Sample(30, 20), Sample(12, 20), Sample(50, 0)]) == Sample(12, 0)
