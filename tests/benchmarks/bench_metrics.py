"""Speed of metrics and intervals: `make bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from cmbench.benchmark.protocol import get_protocol
from cmbench.benchmark.records.scores import score_predictions
from cmbench.benchmark.scoring import metrics
from cmbench.benchmark.scoring.bootstrap import cluster_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytest_benchmark.fixture import BenchmarkFixture

    Split = tuple[NDArray[np.bool_], NDArray[np.float32]]

REPLICATES = 24


@pytest.fixture(scope="module")
def magnatagatune() -> Split:
    """A test split of MagnaTagATune's size: 5329 tracks, 50 labels."""
    return made(5329, 50)


def made(tracks: int, labels: int, seeds: int | None = None) -> Split:
    generator = np.random.default_rng(0)
    targets = generator.random((tracks, labels)) < np.geomspace(0.005, 0.2, labels)
    shape = (tracks, labels) if seeds is None else (seeds, tracks, labels)
    return targets, (generator.random(shape) + 0.2 * targets).astype(np.float32)


@pytest.mark.benchmark(group="ROC-AUC and AP once, 5329 x 50")
def test_once_scikit_learn(benchmark: BenchmarkFixture, magnatagatune: Split) -> None:
    def loop() -> list[tuple[float, float]]:
        pairs = zip(magnatagatune[0].T, magnatagatune[1].T, strict=True)
        return [(roc_auc_score(t, s), average_precision_score(t, s)) for t, s in pairs]

    expected = benchmark(loop)
    np.testing.assert_allclose(np.transpose(metrics.ranking_scores(*magnatagatune)), expected, rtol=0, atol=1e-12)


@pytest.mark.benchmark(group="ROC-AUC and AP once, 5329 x 50")
def test_once_torchmetrics(benchmark: BenchmarkFixture, magnatagatune: Split) -> None:
    import torch
    from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

    targets, scores = torch.from_numpy(magnatagatune[0]).int(), torch.from_numpy(magnatagatune[1] / 2)
    both = (multilabel_auroc, multilabel_average_precision)
    found = benchmark(lambda: [one(scores, targets, num_labels=50, average="none").numpy() for one in both])
    np.testing.assert_allclose(found, metrics.ranking_scores(*magnatagatune), rtol=0, atol=1e-5)


@pytest.mark.benchmark(group="ROC-AUC and AP once, 5329 x 50")
def test_once_cmbench(benchmark: BenchmarkFixture, magnatagatune: Split) -> None:
    benchmark(metrics.ranking_scores, *magnatagatune)


@pytest.mark.benchmark(group=f"{REPLICATES} bootstrap replicates, 5329 x 50")
def test_replicates_midranks(benchmark: BenchmarkFixture, magnatagatune: Split) -> None:
    """ROC-AUC alone, from the mid-ranks of the drawn tracks."""
    targets, scores = magnatagatune
    drawn = np.random.default_rng(1).integers(0, len(targets), (REPLICATES, len(targets)))

    def replicate(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        truth = targets[rows]
        count = truth.sum(axis=0)
        ranks = np.where(truth, rankdata(scores[rows], axis=0), 0.0).sum(axis=0)
        area: NDArray[np.float64] = (ranks - count * (count + 1) / 2) / (count * (len(truth) - count))
        return area

    got = benchmark(lambda: [replicate(rows) for rows in drawn])
    weights = np.stack([np.bincount(rows, minlength=len(targets)) for rows in drawn])
    expected = metrics.weighted_scores(metrics.sort_scores(targets, scores), weights)[0]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.benchmark(group=f"{REPLICATES} bootstrap replicates, 5329 x 50")
def test_replicates_ranked_anew(benchmark: BenchmarkFixture, magnatagatune: Split) -> None:
    """ROC-AUC and average precision."""
    weights = cluster_weights([None] * len(magnatagatune[0]), REPLICATES, seed=1).astype(np.float64)
    benchmark(lambda: [metrics.ranking_scores(*magnatagatune, row) for row in weights])


@pytest.mark.benchmark(group=f"{REPLICATES} bootstrap replicates, 5329 x 50")
def test_replicates_sorted_once(benchmark: BenchmarkFixture, magnatagatune: Split) -> None:
    """ROC-AUC and average precision."""
    prepared = metrics.sort_scores(*magnatagatune)
    benchmark(metrics.weighted_scores, prepared, cluster_weights([None] * prepared.tracks, REPLICATES, seed=1))


@pytest.mark.benchmark(group="intervals of a cell")
@pytest.mark.parametrize(("tracks", "labels"), [(1060, 30), (5329, 50)])
def test_intervals(benchmark: BenchmarkFixture, tracks: int, labels: int) -> None:
    """Five seeds, 1000 resamples, every metric."""
    targets, probabilities = made(tracks, labels, seeds=5)
    groups = [f"group {k // 3}" for k in range(tracks)]
    names = [f"label {k}" for k in range(labels)]
    given = (names, dict.fromkeys(names, "all"), [0] * labels, get_protocol("cmbench-1"))
    benchmark.pedantic(score_predictions, (targets, probabilities, groups, *given), rounds=1)  # type: ignore[no-untyped-call]
