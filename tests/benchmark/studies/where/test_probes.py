"""Three probes on one hidden state: they find what is there, know what is unknown, and are what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cmbench.benchmark.probing import search
from cmbench.benchmark.probing.linear import linear_probe
from cmbench.benchmark.studies.cells import Cell
from cmbench.benchmark.studies.where.probes import (
    FITS,
    LINEAR,
    NEAREST,
    NEIGHBOURS,
    on_resamples,
    perceptron,
    track_means,
)

Labels = np.ndarray


@pytest.fixture
def music() -> tuple[np.ndarray, Labels, Labels, np.ndarray, Labels]:
    """Training tracks with labels, of which all are known, and test tracks with labels."""
    draw = np.random.default_rng(0)
    labels, others = draw.random((150, 3)) < 0.3, draw.random((80, 3)) < 0.3
    train, test = (draw.standard_normal((len(y), 6)) * 0.3 + np.pad(y, ((0, 0), (0, 3))) for y in (labels, others))
    return train, labels, np.ones_like(labels), test, others


@pytest.mark.parametrize("name", [LINEAR, NEAREST])
def test_a_probe_ranks_what_is_there(name: str, music: tuple[np.ndarray, ...]) -> None:
    train, labels, known, test, truth = music
    (scores,) = FITS[name](train, labels, known, [test])
    assert all(roc_auc_score(truth[:, k], scores[:, k]) > 0.85 for k in range(3))


def test_the_linear_probe_is_the_one_of_the_package(music: tuple[np.ndarray, ...]) -> None:
    train, labels, known, test, _ = music
    (scores,) = FITS[LINEAR](train, labels, known, [test])
    for k in range(3):
        assert np.allclose(scores[:, k], linear_probe().fit(train, labels[:, k]).decision_function(test), atol=1e-3)


def test_neighbours_are_twenty_by_cosine_on_standardised_features_and_near_ones_count_more() -> None:
    draw = np.random.default_rng(3)
    scale = np.array([1.0, 10.0, 0.1])
    train, test = (scale * (draw.standard_normal((count, 3)) + 2) for count in (60, 7))
    labels, known = draw.random((60, 2)) < 0.4, draw.random((60, 2)) < 0.8
    (scores,) = FITS[NEAREST](train, labels & known, known, [test])
    near, far = ((one - train.mean(axis=0)) / train.std(axis=0) for one in (train, test))
    cosine = far @ near.T / np.outer(np.linalg.norm(far, axis=1), np.linalg.norm(near, axis=1))
    for row, found in zip(cosine, scores, strict=True):
        nearest = np.argsort(-row)[:NEIGHBOURS]
        weights = np.exp(row[nearest] / 0.07)[:, None] * known[nearest]
        assert np.allclose(found, (weights * labels[nearest]).sum(axis=0) / weights.sum(axis=0))


def test_where_no_neighbour_is_known_the_usual_share_is_the_score() -> None:
    x = np.repeat([[1.0, 0.1], [-1.0, -0.1]], 30, axis=0) + 0.01 * np.random.default_rng(0).standard_normal((60, 2))
    known = np.arange(60)[:, None] >= 30
    labels = known & (np.arange(60)[:, None] % 3 == 0)
    (scores,) = FITS[NEAREST](x, labels, known, [x[:3]])
    assert scores[:, 0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", [LINEAR, NEAREST])
def test_what_nobody_knows_is_not_learnt_from(name: str, music: tuple[np.ndarray, ...]) -> None:
    train, labels, known, test, truth = music
    known = known.copy()
    # A label that is said the wrong way round wherever it is not known, which is most often.
    known[40:, 1] = False
    labels = np.where(known, labels, ~labels)
    (scores,) = FITS[name](train, labels & known, known, [test])
    assert all(roc_auc_score(truth[:, k], scores[:, k]) > 0.75 for k in range(3))
    (alone,) = FITS[name](train[:40], labels[:40], known[:40], [test])
    if name == LINEAR:
        assert np.allclose(scores[:, 1], alone[:, 1], atol=1e-3)


def test_neighbours_of_whom_nothing_is_known_do_not_count() -> None:
    x = np.repeat([[1.0, 0.1], [-1.0, -0.1]], 10, axis=0) + 0.01 * np.random.default_rng(0).standard_normal((20, 2))
    labels, known = np.zeros((20, 1), bool), np.ones((20, 1), bool)
    # Two of the first ten are known, both with the label; of the others six of ten lack it.
    labels[:2], known[2:10], labels[10:14] = True, False, True
    (scores,) = FITS[NEAREST](x, labels, known, [x[[0, 19]]])
    assert scores[0, 0] > 0.9 > 0.6 > scores[1, 0]


def test_a_label_that_every_track_or_none_has_ranks_nothing(music: tuple[np.ndarray, ...]) -> None:
    train, labels, known, test, _ = music
    labels = labels.copy()
    labels[:, 0], labels[:, 1] = True, False
    for fit in FITS.values():
        (scores,) = fit(train, labels, known, [test])
        assert np.ptp(scores[:, :2], axis=0).max() < 1e-9
        assert np.ptp(scores[:, 2]) > 0
        told = known.copy()
        told[~labels[:, 2], 2] = False
        (scores,) = fit(train, labels, told, [test])
        assert np.ptp(scores, axis=0).max() < 1e-9, "all of whom it is known have it"


def test_neighbours_count_by_their_nearness(music: tuple[np.ndarray, ...]) -> None:
    train, labels, known, _, _ = music
    (scores,) = FITS[NEAREST](train, labels, known, [train])
    assert ((scores > 0.5) == labels).mean() > 0.95, "a track is its own nearest neighbour"
    (few,) = FITS[NEAREST](train[: NEIGHBOURS // 2], labels[: NEIGHBOURS // 2], known[: NEIGHBOURS // 2], [train])
    assert few.shape == labels.shape


def test_a_resample_is_learnt_from_as_often_as_tracks_were_drawn(music: tuple[np.ndarray, ...]) -> None:
    _, _, _, test, _ = music
    seen: list[tuple[int, int]] = []

    def counting(x: np.ndarray, labels: Labels, known: Labels, tests: list[np.ndarray]) -> list[np.ndarray]:
        seen.append((len(x), int(known[:, 0].sum())))
        return [np.full((len(one), 4), x.mean()) for one in tests]

    told = np.array([[True], [True], [False]]) | np.zeros(4, bool)
    double = SimpleNamespace(truth=lambda split: (np.ones((3, 4), dtype=bool), told))
    x = np.array([[1.0], [2.0], [6.0]])
    drawn = np.array([[2, 0, 1], [0, 0, 3]], dtype=np.int32)
    found, other = on_resamples(counting, x, double, drawn, [test, test[:5]])  # type: ignore[arg-type]
    assert seen == [(3, 2), (3, 2), (3, 0)], "tracks, and those of which it is known"
    assert found.scores[0, 0, 0] == 3.0
    assert found.resampled is not None
    assert np.allclose(found.resampled[:, 0, 0], [8 / 3, 6.0])
    assert other.resampled is not None
    assert [len(one) for one in other.resampled] == [5, 5]
    # In single precision, where scores that are the same in exact arithmetic tie.
    assert {one.dtype for one in (found.scores, found.resampled)} == {np.dtype(np.float32)}


def test_the_mean_of_a_track_is_that_of_its_windows(build_cell: Callable[..., Cell]) -> None:
    cell = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 1, 3)))
    split = cell.splits["test"]
    features = split.features
    doubled = type(features)(  # type: ignore[call-arg]
        np.concatenate([features.take(np.arange(80)), features.take(np.arange(80)) + 1]),
        np.tile(np.arange(80), 2),
    )
    means = track_means(replace(split, features=doubled))
    assert means.shape == (80, 3)
    assert np.allclose(means, track_means(split) + 0.5, atol=2e-3)


def test_the_perceptron_sees_one_state_alone(build_cell: Callable[..., Cell]) -> None:
    def second(labels: Labels, draw: np.random.Generator) -> np.ndarray:
        values = draw.standard_normal((len(labels), 3, 6)) * 0.5
        values[:, 1, :4] += 1.5 * labels
        return values

    cell = build_cell("a", second)
    truth = cell.evidence.targets
    for state, least, most in ((0, 0.3, 0.7), (1, 0.85, 1.0)):
        scored = perceptron(cell, state, None, "cpu", lambda *_: None)
        assert scored.resampled is None
        mean = np.mean([roc_auc_score(truth[:, k], scored.scores[0][:, k]) for k in range(4)])
        assert least < mean <= most


def test_the_perceptron_is_the_protocols_trained_on_every_resample(
    build_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 2, 3)))
    summing = replace(cell.protocol.probe, fused=True, each_layer=False)
    drawn, asked = np.ones((4, 120), np.int32), []

    def run(*given: Any, resamples: np.ndarray | None) -> SimpleNamespace:
        asked.append((given[3], given[4], resamples))
        return SimpleNamespace(probabilities=np.ones((1, 80, 4)), logits=np.zeros((4, 80, 4)))

    monkeypatch.setattr(search, "run_probes", run)
    found = perceptron(replace(cell, protocol=replace(cell.protocol, probe=summing)), 1, drawn, "cpu", lambda *_: None)
    (settings, names, resamples), *_ = asked
    assert settings == replace(summing, fused=False, each_layer=True), (
        "one state is seen, and all else is the protocol's"
    )
    assert names == ("L1",)
    assert resamples is drawn
    assert found.resampled is not None
    assert (found.scores.mean(), found.resampled.mean()) == (1.0, 0.0)
