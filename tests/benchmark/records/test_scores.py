"""From predictions to scores: values, intervals, reasons, and whether the intervals cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from cmbench.benchmark.protocol import PROTOCOLS, get_protocol
from cmbench.benchmark.records import scores as rescoring
from cmbench.benchmark.records.record import Interval
from cmbench.benchmark.records.scores import RecordScores, score_predictions
from cmbench.benchmark.scoring.bootstrap import cluster_count, cluster_weights, interval
from cmbench.errors import CmbenchError

NAMES = {"level": "interval_level", "seed": "bootstrap_seed"}


def score(
    targets: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    groups: Sequence[str | None],
    families: Sequence[str] | None = None,
    **settings: float,
) -> RecordScores:
    """Scores of labels a, b, … under cmbench-1, with other settings."""
    labels = "abcdefgh"[: np.shape(targets)[-1]]
    protocol = replace(get_protocol("cmbench-1"), **{NAMES.get(k, k): value for k, value in settings.items()})  # type: ignore[arg-type]
    kinds = dict(zip(labels, families or ["all"] * len(labels), strict=True))
    return score_predictions(targets, probabilities, groups, labels, kinds, [0] * len(labels), protocol)


def ends(found: Interval | None) -> tuple[float, float]:
    assert found is not None
    return found.low, found.high


@dataclass(frozen=True)
class Split:
    """A made test split."""

    targets: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    groups: tuple[str | None, ...]

    def score(self, **settings: float) -> RecordScores:
        return score(self.targets, self.probabilities, self.groups, None, **settings)


def made(seed: int = 0, tracks: int = 240, labels: int = 4, seeds: int = 3, group: int = 4) -> Split:
    generator = np.random.default_rng(seed)
    targets = generator.random((tracks, labels)) < np.linspace(0.1, 0.5, labels)
    logits = generator.normal(size=(seeds, tracks, labels)) + 1.5 * targets - 0.7
    groups = tuple(None if k % 11 == 0 else f"album {k // group}" for k in range(tracks))
    return Split(targets, (1.0 / (1.0 + np.exp(-logits))).astype(np.float32), groups)


def test_tasks_with_one_label_a_track_have_accuracy_besides() -> None:
    generator = np.random.default_rng(5)
    truth = generator.integers(0, 3, 120)
    values = (generator.random((2, 120, 3)) + 0.4 * np.eye(3)[truth]).astype(np.float32)
    families = dict.fromkeys("abc", "all")
    groups = [f"g{k // 3}" for k in range(120)]
    protocol = replace(get_protocol("cmbench-1"), resamples=200)
    targets = np.eye(3, dtype=bool)[truth]

    def scores_of(single: bool) -> RecordScores:
        return score_predictions(targets, values, groups, "abc", families, [0] * 3, protocol, single_label=single)

    single, usual = scores_of(True), scores_of(False)
    assert set(single.metrics) - set(usual.metrics) == {"accuracy", "argmax_f1_macro"}
    assert all(single.metrics[name] == metric for name, metric in usual.metrics.items())
    right = [(seed.argmax(1) == truth).mean() for seed in values]
    assert single.metrics["accuracy"].per_seed == pytest.approx(right)
    expected = [f1_score(truth, seed.argmax(1), average="macro") for seed in values]
    assert single.metrics["argmax_f1_macro"].per_seed == pytest.approx(expected)
    low, high = ends(single.metrics["accuracy"].interval)
    assert low < np.mean(right) < high


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
        assert label.roc_auc == pytest.approx(roc_auc[:, k].mean(), abs=1e-12)
        assert label.average_precision == pytest.approx(precision[:, k].mean(), abs=1e-12)
        assert label.f1 == pytest.approx(f1[:, k].mean(), abs=1e-12)
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
    groups = cluster_count(split.groups)
    assert ends(macro.interval) == pytest.approx(interval(samples.mean(axis=1), macro.value, 0.8, groups), abs=1e-12)
    for k, label in enumerate(scores.labels):
        assert label.roc_auc is not None
        expected = interval(samples[:, k], label.roc_auc, 0.8, groups)
        assert ends(label.roc_auc_interval) == pytest.approx(expected, abs=1e-12)


def test_intervals_hold_their_value_and_nest() -> None:
    def found(level: float) -> list[tuple[float | None, Interval | None]]:
        scores = made().score(resamples=300, level=level)
        metrics = [(one.value, one.interval) for one in scores.metrics.values()]
        return metrics + [label.ranked(m) for label in scores.labels for m in ("roc_auc", "average_precision")]

    inner, outer = found(0.5), found(0.95)
    assert len(inner) == 12
    for (value, small), (_, large) in zip(inner, outer, strict=True):
        (low, high), (lowest, highest) = ends(small), ends(large)
        assert value is not None
        assert 0.0 <= lowest < low < value < high < highest <= 1.0


def test_the_same_input_gives_the_same_scores() -> None:
    assert made().score(resamples=100) == made().score(resamples=100)
    assert made().score(resamples=100) != made().score(resamples=100, seed=2)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made().score(resamples=50)
    monkeypatch.setattr(rescoring, "_BLOCK", 240 * 7)
    assert made().score(resamples=50) == whole


def test_constant_predictions_score_exactly_one_half() -> None:
    split = made()
    constant = np.full_like(split.probabilities, np.float32(0.1))
    scores = score(split.targets, constant, split.groups, resamples=200)
    assert (scores.metrics["roc_auc"].value, ends(scores.metrics["roc_auc"].interval)) == (0.5, (0.5, 0.5))
    for label in scores.labels:
        assert (label.roc_auc, ends(label.roc_auc_interval)) == (0.5, (0.5, 0.5))
    assert scores.metrics["f1_micro"].value == 0.0


def test_a_probability_at_the_threshold_is_a_prediction() -> None:
    split = made()
    scores = score(split.targets, np.full_like(split.probabilities, 0.5), split.groups, resamples=9)
    share = split.targets.mean()
    assert scores.metrics["f1_micro"].value == pytest.approx(2 * share / (1 + share), abs=1e-12)


def test_undefined_labels_are_left_out_by_name() -> None:
    split = made(labels=4)
    targets = split.targets.copy()
    targets[:, 1], targets[:, 3] = False, True
    families = ["makam", "makam", "usul", "raga"]
    scores = score(targets, split.probabilities, split.groups, families=families, resamples=100)
    reasons = {"b": "no positive in the test split", "d": "no negative in the test split"}
    assert (scores.defined_labels, scores.total_labels, scores.undefined_labels) == (2, 4, reasons)
    kept = score(targets[:, [0, 2]], split.probabilities[:, :, [0, 2]], split.groups, resamples=100)
    for name in ("roc_auc", "average_precision", "f1_macro"):
        assert scores.metrics[name] == kept.metrics[name]
    # False alarms on a label that no track has are still wrong.
    assert scores.metrics["f1_micro"].value != kept.metrics["f1_micro"].value
    assert (scores.labels[1].roc_auc, scores.labels[1].f1) == (None, None)
    assert scores.labels[3].average_precision is None
    assert scores.labels[3].reason == "no negative in the test split"
    makam, usul, raga = scores.families
    assert (makam.family, makam.labels, makam.defined) == ("makam", 2, 1)
    assert makam.ranked("roc_auc") == scores.labels[0].ranked("roc_auc")
    assert usul.ranked("average_precision") == scores.labels[2].ranked("average_precision")
    assert (raga.family, raga.defined, raga.roc_auc, raga.roc_auc_interval) == ("raga", 0, None, None)


def test_no_defined_label_gives_a_reason() -> None:
    split = made()
    scores = score(np.zeros_like(split.targets), split.probabilities, split.groups, resamples=10)
    assert scores.defined_labels == 0
    for estimate in scores.metrics.values():
        assert (estimate.value, estimate.interval, estimate.per_seed) == (None, None, (None, None, None))
        assert estimate.reason == rescoring.NOTHING_DEFINED


def test_a_family_is_the_mean_of_its_labels() -> None:
    split = made(labels=4)
    families = ["makam", "usul", "makam", "usul"]
    scores = score(split.targets, split.probabilities, split.groups, families=families, resamples=80)
    pair = score(split.targets[:, [0, 2]], split.probabilities[:, :, [0, 2]], split.groups, resamples=80)
    for metric in ("roc_auc", "average_precision"):
        mean = pair.metrics[metric]
        assert scores.families[0].ranked(metric) == (mean.value, mean.interval)
    assert [family.family for family in scores.families] == ["makam", "usul"]


@pytest.mark.parametrize(("holders", "has_interval"), [(1, False), (2, False), (4, True)])
def test_a_label_of_few_groups_has_no_interval(holders: int, has_interval: bool) -> None:
    split = made(labels=2)
    targets = split.targets.copy()
    groups = tuple(f"album {k // 4}" for k in range(240))
    targets[:, 0] = False
    targets[: 4 * holders, 0] = True
    label = score(targets, split.probabilities, groups, resamples=400).labels[0]
    for metric in ("roc_auc", "average_precision"):
        value, found = label.ranked(metric)
        assert value is not None
        assert (found is not None) is has_interval
    if not has_interval:
        assert label.reason is not None
        assert "of 400 resamples" in label.reason


@pytest.mark.parametrize(("defined", "has_interval"), [(89, False), (90, True)])
def test_an_interval_needs_a_share_of_the_resamples(defined: int, has_interval: bool) -> None:
    samples = np.full((1, 101), np.nan)
    samples[:, : defined + 1] = 0.5
    estimate = rescoring._Draws(1, np.full(1, 9.0), 9, 0, PROTOCOLS["cmbench-1"]).estimate("f1", samples, None, 9)
    assert (estimate.interval is not None) is has_interval


@pytest.mark.parametrize("clusters", [1, 4, 5])
def test_few_groups_give_no_interval_at_all(clusters: int) -> None:
    split = made()
    groups = [f"album {k % clusters}" for k in range(240)]
    estimate = score(split.targets, split.probabilities, groups, resamples=50).metrics["roc_auc"]
    assert estimate.value == pytest.approx(np.mean(np.asarray(estimate.per_seed, float)), abs=1e-12)
    assert (estimate.interval is None) is (clusters < 5)
    if clusters < 5:
        assert estimate.reason == f"no interval: the test split has fewer than 5 groups ({clusters})"


def test_what_cannot_be_scored_is_refused() -> None:
    split = made()
    with pytest.raises(CmbenchError, match=r"groups \(239\)"):
        score(split.targets, split.probabilities, split.groups[1:])
    for targets, values in ((split.targets[:, 0], split.probabilities), (split.targets, split.probabilities[0])):
        with pytest.raises(CmbenchError, match=r"must be \[tracks, labels\]"):
            score(targets, values, split.groups)
    with pytest.raises(CmbenchError, match=r"0 seeds"):
        score(split.targets, split.probabilities[:0], split.groups)
    broken = split.probabilities.copy()
    broken[1, 3, 2] = np.nan
    with pytest.raises(CmbenchError, match=r"1 scores of label 'c' are NaN"):
        score(split.targets, broken, split.groups)


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
            found = score(targets, values, names, resamples=200).metrics["roc_auc"].interval
            low, high = ends(found)
            covered[unit] += low <= population <= high
    assert 0.88 <= covered["albums"] / 200 <= 0.99
    # Tracks as units look more certain than they are: the simulation tells the two apart.
    assert covered["tracks"] < covered["albums"] - 10


def test_six_tracks_by_hand() -> None:
    """Label a: tracks in the order of their scores are yes, ?, no, yes, ?, no; of label b all is known.

    Of the four tracks of which a is known, three of the four pairs are in the right order, and the precision is 1 at
    the first positive and 2/3 at the second. As negatives, the unknown come between: six of eight pairs, 1 and 2/4.
    """
    truth = np.array([[1, 1], [0, 1], [0, 1], [1, 0], [0, 0], [0, 0]], dtype=np.bool_)
    known = np.array([[1, 1], [0, 1], [1, 1], [1, 1], [0, 1], [1, 1]], dtype=np.bool_)
    said = np.repeat(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], dtype=np.float32)[:, None], 2, axis=1)[None]
    protocol = replace(get_protocol("cmbench-1"), unknown="masked")
    kinds = {"a": "raga", "b": "raga"}
    masked = score_predictions(truth, said, [None] * 6, "ab", kinds, [0, 0], protocol, known=known)
    one, other = masked.labels
    assert (one.support, one.known, one.prevalence) == (2, 4, 0.5)
    assert one.roc_auc == pytest.approx(3 / 4)
    assert one.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert one.f1 == pytest.approx(2 * 2 / (2 * 2 + 1)), "0.7 is a false alarm; 0.8 and 0.5 are not judged"
    assert (other.support, other.known, other.prevalence, other.roc_auc) == (3, 6, 0.5, 1.0)
    assert masked.metrics["f1_micro"].value == pytest.approx(2 * 5 / (2 * 5 + 1 + 2))
    negative = score_predictions(truth, said, [None] * 6, "ab", kinds, [0, 0], protocol)
    assert (negative.labels[0].support, negative.labels[0].known) == (2, None)
    assert negative.labels[0].prevalence == pytest.approx(2 / 6)
    assert negative.labels[0].roc_auc == pytest.approx(6 / 8)
    assert negative.labels[0].average_precision == pytest.approx((1 + 2 / 4) / 2)
    lied = score_predictions(truth | ~known, said, [None] * 6, "ab", kinds, [0, 0], protocol, known=known)
    assert lied == masked, "what stands there where it is not known is not looked at"


def test_resamples_leave_out_what_is_not_known() -> None:
    split = made(tracks=120)
    known = np.random.default_rng(5).random(split.targets.shape) < 0.7
    labels, kinds = "abcd", dict.fromkeys("abcd", "all")
    protocol = get_protocol("cmbench-1")

    def scored(targets: NDArray[np.bool_], known: NDArray[np.bool_] | None) -> RecordScores:
        groups = [f"g{k // 2}" for k in range(len(targets))]
        return score_predictions(targets, split.probabilities, groups, labels, kinds, [0] * 4, protocol, known=known)

    whole, masked = scored(split.targets, None), scored(split.targets, known)
    assert scored(split.targets, np.ones_like(known)).metrics == whole.metrics
    assert masked.metrics["roc_auc"].interval != whole.metrics["roc_auc"].interval
    # A label alone, on the tracks of which it is known, each a group by itself: the same interval as by dropping them.
    alone = [track for track in range(120) if known[track, 0]]
    dropped = rescoring._resample(
        split.targets[alone][:, :1], split.probabilities[:, alone][:, :, :1],
        cluster_weights([None] * 120, 50, 1)[:, alone], "a", 0.5, None, False,
    )[0]["roc_auc"]  # fmt: skip
    kept = rescoring._resample(
        split.targets[:, :1],
        split.probabilities[:, :, :1],
        cluster_weights([None] * 120, 50, 1),
        "a",
        0.5,
        known[:, :1],
        False,
    )[0]["roc_auc"]
    np.testing.assert_allclose(kept, dropped, rtol=0, atol=1e-12)
