"""Paired differences: exact where they must be, right in the long run where they are estimates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from cmbench.benchmark.comparing.compare import compare
from cmbench.benchmark.comparing.delong import delong_test
from cmbench.benchmark.comparing.paired import Difference, control_false_discoveries, difference, level, replicate
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.scoring.metrics import ranking_scores
from cmbench.tests.benchmark.comparing.simulation import draw_pair, simulate

Build = Callable[..., Evidence]


def test_replicates_begin_with_the_scores_of_the_split(build_evidence: Build) -> None:
    draw = np.random.default_rng(0)
    targets, values = draw.random((60, 4)) < 0.3, draw.random((3, 60, 4)).astype(np.float32)
    targets[:, 3] = False
    found = replicate(build_evidence("a", targets, values, [f"g{i // 4}" for i in range(60)]), 50)
    assert found.sample == Sample(15, choice=True)
    assert found.defined == (True, True, True, False)
    scores = np.mean([ranking_scores(targets, v) for v in values], axis=0)
    for metric, expected in zip(("roc_auc", "average_precision"), scores, strict=True):
        np.testing.assert_allclose(found.scores[metric][0, :3], expected[:3], atol=1e-12)
        assert found.macro(metric)[0] == pytest.approx(expected[:3].mean())
        assert found.macro(metric, [1, 3])[0] == pytest.approx(expected[1])
    assert found.scores["roc_auc"].shape == (52, 4)


def test_models_share_their_resamples(build_evidence: Build) -> None:
    draw = np.random.default_rng(0)
    targets, values = draw.random((40, 2)) < 0.4, draw.random((40, 2))
    groups = [f"g{i // 2}" for i in range(40)]
    same = [replicate(build_evidence(name, targets, values, groups), 30) for name in ("a", "b")]
    assert np.array_equal(same[0].scores["roc_auc"], same[1].scores["roc_auc"], equal_nan=True)
    other = replicate(build_evidence("a", targets, values, groups, task="carnatic"), 30)
    assert not np.array_equal(same[0].scores["roc_auc"][1:], other.scores["roc_auc"][1:], equal_nan=True)


def test_identical_models_are_kept_exactly(build_evidence: Build) -> None:
    draw = np.random.default_rng(0)
    one = replicate(build_evidence("a", draw.random((40, 2)) < 0.4, draw.random((40, 2)), [None] * 40), 100)
    found = difference(one.macro("roc_auc"), one.macro("roc_auc"), one.sample, 0.01)
    assert (found.change, found.low, found.high, found.p_value, found.detectable) == (0, 0, 0, 1.0, 0)
    assert control_false_discoveries([found])[0].verdict == "kept"


def test_a_perfect_model_gains_on_a_constant_one(build_evidence: Build) -> None:
    targets = np.random.default_rng(0).random((60, 2)) < 0.4
    constant, perfect = (
        replicate(build_evidence(name, targets, scores, [None] * 60), 100).macro("roc_auc")
        for name, scores in (("constant", np.full(targets.shape, 0.3)), ("perfect", np.where(targets, 0.9, 0.1)))
    )
    (gain,) = control_false_discoveries([difference(constant, perfect, Sample(60), 0.01)])
    assert (gain.change, gain.low, gain.high, gain.verdict) == (0.5, 0.5, 0.5, "gained")
    (loss,) = control_false_discoveries([difference(perfect, constant, Sample(60), 0.01)])
    assert (loss.verdict, loss.equivalent) == ("lost", False)


def test_too_few_groups_tell_nothing(build_evidence: Build) -> None:
    draw = np.random.default_rng(0)
    targets = draw.random((40, 2)) < 0.4
    few = [replicate(build_evidence(m, targets, draw.random((40, 2)), list("abcd") * 10), 100) for m in "xy"]
    found = difference(few[0].macro("roc_auc"), few[1].macro("roc_auc"), few[0].sample, 0.01)
    assert found.low is None
    assert found.p_value is None
    assert found.verdict == "cannot tell"
    assert "fewer than 5 groups" in (found.reason or "")


def normal(change: float, spread: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    noise = np.random.default_rng(seed).standard_normal(2001) * spread
    noise[0] = 0
    return np.full(2001, 0.7), 0.7 + change + noise


@pytest.mark.parametrize(("change", "cautious"), [(0.006, "student"), (-0.018, "resamples")])
def test_a_difference_needs_both_the_resamples_and_student(change: float, cautious: str) -> None:
    """With skewed resamples the two disagree, one way for a gain and the other way for a loss."""
    skewed = np.random.default_rng(0).exponential(size=4001) * 0.01
    skewed[0] = np.median(skewed[1:])
    after = 0.7 + change + skewed - skewed[0]
    found = difference(np.full(4001, 0.7), after, Sample(100_000), 0.01)
    drawn = (after - 0.7)[1:]
    normal_law = NormalDist()
    share = float((drawn < 0).mean())
    told = {
        "student": 2 * (1 - normal_law.cdf(abs(change) / drawn.std())),
        "resamples": 2 * (1 - normal_law.cdf(abs(normal_law.inv_cdf(share)))),
    }
    assert max(told, key=lambda name: told[name]) == cautious
    assert max(told.values()) - min(told.values()) > 0.02
    assert found.p_value == pytest.approx(told[cautious], abs=2e-3)


def test_numbers_of_a_normal_difference() -> None:
    found = difference(*normal(0.02, 0.01), Sample(100_000), bound=0.01)
    assert found.change == pytest.approx(0.02)
    assert found.standard_error == pytest.approx(0.01, rel=0.05)
    assert found.low == pytest.approx(0.02 - 0.0196, abs=0.002)
    assert found.high == pytest.approx(0.02 + 0.0196, abs=0.002)
    assert found.p_value == pytest.approx(0.0455, abs=0.02)
    assert found.detectable == pytest.approx(1.05 * 0.028, rel=0.06)
    # The announced effect carries a margin of 5 %: normal quantiles of 97.5 and 80 %, times the error, times 1.05.
    assert found.standard_error is not None
    assert found.detectable == pytest.approx(1.05 * found.standard_error * (1.95996 + 0.84162), rel=1e-3)
    assert not found.equivalent
    assert difference(*normal(0.0, 0.002), Sample(1000), bound=0.01).equivalent
    assert not difference(*normal(0.008, 0.002), Sample(1000), bound=0.01).equivalent


def test_few_groups_widen_the_interval() -> None:
    many, few = (difference(*normal(0.02, 0.01), Sample(g), bound=0.01) for g in (10_000, 10))
    assert many.low is not None
    assert few.low is not None
    assert few.low < many.low
    assert (few.p_value or 0) > (many.p_value or 1)
    assert (few.detectable or 0) > (many.detectable or 1)


def test_a_change_beyond_every_resample_is_not_capped_by_their_number() -> None:
    found = difference(*normal(0.1, 0.01), Sample(500), bound=0.01)
    assert found.p_value is not None
    assert found.p_value < 1e-12


@pytest.mark.parametrize("change", np.linspace(-0.05, 0.05, 11))
def test_interval_and_p_value_agree(change: float) -> None:
    found = difference(*normal(float(change), 0.012, 3), Sample(40), bound=0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.p_value is not None
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_benjamini_and_hochberg_by_hand() -> None:
    base = Difference(0.5, 0.6, 0.1)
    tested = [replace(base, p_value=p) for p in (0.01, 0.04, 0.03, 0.20)]
    found = control_false_discoveries([tested[0], base, *tested[1:]])
    assert found[1].q_value is None
    assert [d.q_value for d in found if d.q_value is not None] == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.20])
    assert [d.verdict for d in found] == ["gained", "cannot tell", "cannot tell", "cannot tell", "cannot tell"]
    assert replace(found[0], change=-0.1).verdict == "lost"


def test_delong_against_a_count_of_pairs() -> None:
    draw = np.random.default_rng(0)
    truth = draw.random(50) < 0.4
    first, second = np.round(draw.random(50), 1), np.round(draw.random(50) + 0.4 * truth, 1)

    def wins(scores: NDArray[np.floating]) -> NDArray[np.float64]:
        gap = scores[truth][:, None] - scores[~truth][None]
        return np.asarray((gap > 0) + 0.5 * (gap == 0), np.float64)

    one, two = wins(first), wins(second)
    found = delong_test(truth, first, second)
    assert found is not None
    assert found[0] == pytest.approx(two.mean() - one.mean())
    delta = two - one
    variance = delta.mean(1).var(ddof=1) / truth.sum() + delta.mean(0).var(ddof=1) / (~truth).sum()
    assert found[1] == pytest.approx(np.sqrt(variance))
    assert found[2] == pytest.approx(2 * (1 - NormalDist().cdf(abs(found[0]) / found[1])))
    assert delong_test(truth, first, first) == (0.0, 0.0, 1.0)
    assert delong_test(np.arange(50) == 3, first, second) is None


def test_delong_agrees_with_the_bootstrap_on_independent_tracks(build_evidence: Build) -> None:
    targets, before, after = draw_pair(np.random.default_rng(5), groups=400, tracks=1, labels=1, gain=0.4)
    pair = [replicate(build_evidence(m, targets, p, [None] * 400), 2000) for m, p in (("a", before), ("b", after))]
    found = difference(pair[0].scores["roc_auc"][:, 0], pair[1].scores["roc_auc"][:, 0], Sample(400), 0.01)
    tested = delong_test(targets[:, 0], before[:, 0], after[:, 0])
    assert tested is not None
    assert found.standard_error == pytest.approx(tested[1], rel=0.1)


def test_in_the_long_run() -> None:
    """Reduced: docs/statistics.md has the full simulation. Bounds are four standard errors wide."""
    null = simulate(groups=40, tracks=3, labels=4, gain=0.0, draws=150, resamples=200, seed=1)
    assert null.false_positives <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 150)
    planted = simulate(groups=40, tracks=3, labels=4, gain=0.5, draws=150, resamples=200, seed=2)
    assert 0.95 - 4 * np.sqrt(0.05 * 0.95 / 150) <= planted.coverage <= 1


def test_what_another_training_changes_widens_an_error(build_evidence: Build) -> None:
    draw = np.random.default_rng(5)
    groups = [f"g{i // 3}" for i in range(240)]
    targets = draw.random((240, 4)) < 0.3

    def model(name: str, wobble: float) -> Evidence:
        again = [targets * (1 + wobble * k) + draw.normal(size=targets.shape) for k in np.linspace(-1, 1, 20)]
        made = build_evidence(name, targets, expit(targets + draw.normal(size=(3, 240, 4))), groups)
        return replace(made, resampled=expit(np.array(again)).astype(np.float32))

    def judged(one: Evidence, other: Evidence) -> Difference:
        first, second = (replicate(side, 1000).macro("roc_auc") for side in (one, other))
        return difference(first, second, one.sample, 0.01)

    a, b = model("a", 0.0), model("b", 0.9)
    alone = judged(replace(a, resampled=None), replace(b, resampled=None))
    firm, shaken = judged(a, a), judged(a, b)
    assert (alone.trainings, firm.trainings, shaken.trainings) == (0, 20, 20)
    assert alone.judgement.endswith(", test sample only")
    assert firm.change == firm.standard_error == 0, "the same model shares its trainings"
    assert alone.change == shaken.change
    assert shaken.standard_error is not None
    assert alone.standard_error is not None
    # By hand: the variances of the two samples add up; the trainings count as twenty groups.
    a, b = model("a", 0.0), model("b", 0.9)
    scores = [
        [ranking_scores(targets, p)[0].mean() for p in one.resampled] for one in (a, b) if one.resampled is not None
    ]
    off = np.subtract(scores[1], scores[0]).var(ddof=1)
    assert shaken.standard_error**2 * 19 / 20 == pytest.approx(alone.standard_error**2 * 79 / 80 + off, rel=0.35)


def test_a_label_of_few_groups_is_not_judged_by_the_second_rules(build_evidence: Build) -> None:
    draw = np.random.default_rng(6)
    targets = draw.random((60, 2)) < 0.4
    targets[:, 1] = np.arange(60) < 3
    sides = [build_evidence(name, targets, draw.random((1, 60, 2)), [None] * 60) for name in "ab"]

    def judged(version: int) -> list[Difference]:
        found = []
        for side in sides:
            settings = {**side.record.protocol.settings, "intervals": version}
            part = side.record.protocol.model_copy(update={"settings": settings})
            found.append(replace(side, record=side.record.model_copy(update={"protocol": part})))
        return [label.roc_auc for label in compare(found[:1], found[1:], resamples=400).tasks[0].labels]

    first, second = judged(1), judged(2)
    assert first[0] == second[0]
    assert first[1].low is not None
    assert (second[1].low, second[1].p_value, second[1].verdict) == (None, None, "cannot tell")
    assert second[1].reason == "no interval: fewer than 5 groups (3)"


def test_only_a_score_has_an_end() -> None:
    samples = np.r_[0.95, np.random.default_rng(0).normal(0.95, 0.1, 400)]
    free, score = level(samples, Sample(20)), level(samples, Sample(20), most=1.0)
    assert free.high is not None
    assert free.high > 1.0
    assert (score.low, score.high) == (free.low, 1.0)
    share = level(samples + 0.1, Sample(20))
    assert share.high is not None
    assert share.high > 1.05, "a share of another score may be above 1"
