"""Cluster bootstrap: what is drawn, what is reported, and whether the intervals cover."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from cmbench.benchmark.scoring import bootstrap
from cmbench.benchmark.scoring.bootstrap import (
    Estimate,
    Scores,
    cluster_count,
    cluster_weights,
    interval,
    offset,
    score_with_intervals,
)
from cmbench.errors import CmbenchError


@dataclass(frozen=True)
class Split:
    """A made test split."""

    targets: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    groups: tuple[str | None, ...]

    def score(self, **settings: int | float) -> Scores:
        return score_with_intervals(self.targets, self.probabilities, self.groups, **settings)  # type: ignore[arg-type]


def made(seed: int = 0, tracks: int = 240, labels: int = 4, seeds: int = 3, group: int = 4) -> Split:
    generator = np.random.default_rng(seed)
    targets = generator.random((tracks, labels)) < np.linspace(0.1, 0.5, labels)
    logits = generator.normal(size=(seeds, tracks, labels)) + 1.5 * targets - 0.7
    groups = tuple(None if k % 11 == 0 else f"album {k // group}" for k in range(tracks))
    return Split(targets, (1.0 / (1.0 + np.exp(-logits))).astype(np.float32), groups)


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


def test_values_equal_scikit_learn() -> None:
    split = made()
    scores = split.score(resamples=20)
    seeds, labels = split.probabilities.shape[0], split.targets.shape[1]
    roc_auc, precision, f1 = np.empty((3, seeds, labels))
    for s in range(seeds):
        for k in range(labels):
            truth, values = split.targets[:, k], split.probabilities[s, :, k]
            roc_auc[s, k] = roc_auc_score(truth, values)
            precision[s, k] = average_precision_score(truth, values)
            f1[s, k] = f1_score(truth, values >= 0.5)
    micro = [f1_score(split.targets, p >= 0.5, average="micro", zero_division=0) for p in split.probabilities]
    for name, table in (("roc_auc", roc_auc), ("average_precision", precision), ("f1_macro", f1)):
        assert scores.metrics[name].per_seed == pytest.approx(table.mean(axis=1), abs=1e-12)
        assert scores.metrics[name].value == pytest.approx(table.mean(), abs=1e-12)
    assert scores.metrics["f1_micro"].per_seed == pytest.approx(micro, abs=1e-12)
    for k, label in enumerate(scores.labels):
        assert label.roc_auc.value == pytest.approx(roc_auc[:, k].mean(), abs=1e-12)
        assert label.average_precision.value == pytest.approx(precision[:, k].mean(), abs=1e-12)
        assert label.f1.value == pytest.approx(f1[:, k].mean(), abs=1e-12)
        assert (label.support, label.prevalence) == (split.targets[:, k].sum(), split.targets[:, k].mean())
        assert label.reason is None


def test_intervals_equal_scoring_every_resample_anew() -> None:
    """Resamples are built track by track and scored by scikit-learn."""
    split = made(tracks=60, labels=2, seeds=2)
    scores = split.score(resamples=40, seed=5, level=0.8)
    drawn = []
    for weights in cluster_weights(split.groups, 40, seed=5):
        rows = np.repeat(np.arange(60), weights)
        per_seed = [[roc_auc_score(split.targets[rows, k], p[rows, k]) for k in range(2)] for p in split.probabilities]
        drawn.append(np.mean(per_seed, axis=0))
    samples = np.array(drawn)
    macro = scores.metrics["roc_auc"]
    assert macro.value is not None
    groups = scores.clusters
    assert macro.interval == pytest.approx(interval(samples.mean(axis=1), macro.value, 0.8, groups), abs=1e-12)
    for k, label in enumerate(scores.labels):
        assert label.roc_auc.value is not None
        expected = interval(samples[:, k], label.roc_auc.value, 0.8, groups)
        assert label.roc_auc.interval == pytest.approx(expected, abs=1e-12)


def test_intervals_hold_their_value_and_nest() -> None:
    def estimates(level: float) -> list[Estimate]:
        scores = made().score(resamples=300, level=level)
        return [*scores.metrics.values(), *(x for k in scores.labels for x in (k.roc_auc, k.average_precision))]

    inner, outer = estimates(0.5), estimates(0.95)
    assert len(inner) == 12
    for small, large in zip(inner, outer, strict=True):
        assert small.interval is not None
        assert large.interval is not None
        assert small.value is not None
        assert 0.0 <= large.interval[0] < small.interval[0] < small.value < small.interval[1] < large.interval[1] <= 1.0


def test_the_same_input_gives_the_same_scores() -> None:
    assert made().score(resamples=100) == made().score(resamples=100)
    assert made().score(resamples=100) != made().score(resamples=100, seed=2)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made().score(resamples=50)
    monkeypatch.setattr(bootstrap, "_BLOCK", 240 * 7)
    assert made().score(resamples=50) == whole


def test_constant_predictions_score_exactly_one_half() -> None:
    split = made()
    constant = np.full_like(split.probabilities, np.float32(0.1))
    scores = score_with_intervals(split.targets, constant, split.groups, resamples=200)
    for estimate in (scores.metrics["roc_auc"], *(label.roc_auc for label in scores.labels)):
        assert (estimate.value, estimate.interval) == (0.5, (0.5, 0.5))
    assert scores.metrics["f1_micro"].value == 0.0


def test_a_probability_at_the_threshold_is_a_prediction() -> None:
    split = made()
    scores = score_with_intervals(split.targets, np.full_like(split.probabilities, 0.5), split.groups, resamples=9)
    share = split.targets.mean()
    assert scores.metrics["f1_micro"].value == pytest.approx(2 * share / (1 + share), abs=1e-12)


def test_undefined_labels_are_left_out_by_name() -> None:
    split = made(labels=4)
    targets = split.targets.copy()
    targets[:, 1], targets[:, 3] = False, True
    families = {0: "makam", 1: "makam", 2: "usul", 3: "raga"}
    scores = score_with_intervals(targets, split.probabilities, split.groups, families=families, resamples=100)
    assert (scores.defined, dict(scores.undefined)) == (
        2,
        {1: "no positive in the test split", 3: "no negative in the test split"},
    )
    kept = score_with_intervals(targets[:, [0, 2]], split.probabilities[:, :, [0, 2]], split.groups, resamples=100)
    for name in ("roc_auc", "average_precision", "f1_macro"):
        assert scores.metrics[name] == kept.metrics[name]
    # False alarms on a label that no track has are still wrong.
    assert scores.metrics["f1_micro"].value != kept.metrics["f1_micro"].value
    assert scores.labels[1].roc_auc.value is None
    assert scores.labels[1].f1.per_seed == (None, None, None)
    assert scores.labels[3].average_precision.value is None
    assert scores.labels[3].reason == "no negative in the test split"
    makam, usul, raga = scores.families
    assert (makam.family, makam.labels, makam.defined) == ("makam", 2, 1)
    assert makam.roc_auc == scores.labels[0].roc_auc
    assert usul.average_precision == scores.labels[2].average_precision
    assert (raga.family, raga.defined, raga.roc_auc.value, raga.roc_auc.interval) == ("raga", 0, None, None)


def test_no_defined_label_gives_a_reason() -> None:
    split = made()
    scores = score_with_intervals(np.zeros_like(split.targets), split.probabilities, split.groups, resamples=10)
    assert scores.defined == 0
    for estimate in scores.metrics.values():
        assert (estimate.value, estimate.interval, estimate.per_seed) == (None, None, (None, None, None))
        assert estimate.reason == bootstrap.NOTHING_DEFINED


def test_a_family_is_the_mean_of_its_labels() -> None:
    split = made(labels=4)
    families = {0: "makam", 1: "usul", 2: "makam", 3: "usul"}
    scores = score_with_intervals(split.targets, split.probabilities, split.groups, families=families, resamples=80)
    pair = score_with_intervals(split.targets[:, [0, 2]], split.probabilities[:, :, [0, 2]], split.groups, resamples=80)
    assert scores.families[0].roc_auc == pair.metrics["roc_auc"]
    assert scores.families[0].average_precision == pair.metrics["average_precision"]
    assert [family.family for family in scores.families] == ["makam", "usul"]


@pytest.mark.parametrize(("holders", "has_interval"), [(1, False), (2, False), (4, True)])
def test_a_label_of_few_groups_has_no_interval(holders: int, has_interval: bool) -> None:
    split = made(labels=2)
    targets = split.targets.copy()
    groups = tuple(f"album {k // 4}" for k in range(240))
    targets[:, 0] = False
    targets[: 4 * holders, 0] = True
    label = score_with_intervals(targets, split.probabilities, groups, resamples=400).labels[0]
    assert label.roc_auc.value is not None
    for estimate in (label.roc_auc, label.average_precision, label.f1):
        assert (estimate.interval is not None) is has_interval
        assert estimate.value == pytest.approx(np.mean(np.asarray(estimate.per_seed, float)), abs=1e-12)
    if not has_interval:
        assert label.reason is not None
        assert "of 400 resamples" in label.reason


@pytest.mark.parametrize(("defined", "has_interval"), [(89, False), (90, True)])
def test_an_interval_needs_a_share_of_the_resamples(defined: int, has_interval: bool) -> None:
    samples = np.full((1, 101), np.nan)
    samples[:, : defined + 1] = 0.5
    estimate = bootstrap._Draws(9, 0.95).estimate(samples, None)
    assert (estimate.interval is not None) is has_interval


def test_the_offset_of_samples_on_one_side_is_that_of_half_a_rank() -> None:
    for value, share in ((-1.0, 0.1), (2.0, 0.9), (0.25, 3 / 9)):
        assert offset(np.arange(9) / 9, value) == pytest.approx(NormalDist().inv_cdf(share), abs=1e-12)


def test_a_mean_of_nothing_is_not_a_number() -> None:
    rows = np.where(np.arange(4000) % 2, 0.5, np.nan)[:, None] * [1.0, 1.0]
    np.testing.assert_array_equal(bootstrap.mean_of_defined(rows), rows[:, 0])


@pytest.mark.parametrize("clusters", [1, 4, 5])
def test_few_groups_give_no_interval_at_all(clusters: int) -> None:
    split = made()
    groups = [f"album {k % clusters}" for k in range(240)]
    estimate = score_with_intervals(split.targets, split.probabilities, groups, resamples=50).metrics["roc_auc"]
    assert estimate.value == pytest.approx(np.mean(np.asarray(estimate.per_seed, float)), abs=1e-12)
    assert (estimate.interval is None) is (clusters < 5)
    if clusters < 5:
        assert estimate.reason == f"no interval: the test split has fewer than 5 groups ({clusters})"


def test_what_cannot_be_scored_is_refused() -> None:
    split = made()
    with pytest.raises(CmbenchError, match=r"groups \(239\)"):
        score_with_intervals(split.targets, split.probabilities, split.groups[1:])
    for targets, values in ((split.targets[:, 0], split.probabilities), (split.targets, split.probabilities[0])):
        with pytest.raises(CmbenchError, match=r"must be \[tracks, labels\]"):
            score_with_intervals(targets, values, split.groups)
    with pytest.raises(CmbenchError, match=r"0 seeds"):
        score_with_intervals(split.targets, split.probabilities[:0], split.groups)
    broken = split.probabilities.copy()
    broken[1, 3, 2] = np.nan
    with pytest.raises(CmbenchError, match=r"1 scores of label 'c' are NaN"):
        score_with_intervals(split.targets, broken, split.groups, labels="abcd")


def test_intervals_cover_the_population_score() -> None:
    """200 data sets of 40 albums x 5 tracks; tracks of an album share half of the variance of label and score."""
    generator = np.random.default_rng(2024)
    clusters, size, shift = 40, 5, 1.0
    # Positives and negatives have normal scores of variance 1 whose means differ by the shift.
    population = NormalDist().cdf(shift / np.sqrt(2.0))
    groups = [f"album {k // size}" for k in range(clusters * size)]
    covered = {"albums": 0, "tracks": 0}

    def shared() -> NDArray[np.float64]:
        album = np.repeat(generator.normal(size=clusters), size)
        mixed: NDArray[np.float64] = np.sqrt(0.5) * (album + generator.normal(size=clusters * size))
        return mixed

    for _ in range(200):
        targets = (shared() > 0.3)[:, None]
        values = (shared() + shift * targets[:, 0])[None, :, None]
        for unit, names in (("albums", groups), ("tracks", [None] * len(groups))):
            found = score_with_intervals(targets, values, names, resamples=200).metrics["roc_auc"].interval
            assert found is not None
            covered[unit] += found[0] <= population <= found[1]
    assert 0.88 <= covered["albums"] / 200 <= 0.99
    # Tracks as units look more certain than they are: the simulation tells the two apart.
    assert covered["tracks"] < covered["albums"] - 10
