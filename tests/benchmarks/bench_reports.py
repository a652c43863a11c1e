"""Speed of what reports are made of: `make bench`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from cmbench.benchmark.comparing import paired
from cmbench.benchmark.comparing.paired import difference, replicate, replicate_all
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.scoring.intervals import Sample

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from cmbench.benchmark.records.record import Record

RESAMPLES = 1000
SIZES = {
    "turkish_makam": (1059, 30),
    "hindustani": (240, 20),
    "carnatic": (522, 20),
    "lyra": (330, 30),
    "fma_medium": (4996, 20),
    "magnatagatune": (4332, 50),
}
"""Test tracks and labels of the six tasks."""


def model_on(tasks: dict[str, tuple[int, int]], seed: int = 0) -> list[Evidence]:
    """Five seeds of a model's predictions on tasks of these sizes, three tracks to a group."""
    found = []
    for task, (tracks, labels) in tasks.items():
        draw = np.random.default_rng(seed)
        targets = draw.random((tracks, labels)) < np.geomspace(0.01, 0.3, labels)
        scores = draw.random((5, tracks, labels)) + 0.2 * targets
        facts = SimpleNamespace(name=task, split_sha256=task, labels=tuple(map(str, range(labels))))
        found.append(
            Evidence(
                record=cast("Record", SimpleNamespace(task=facts)),
                path=Path(task),
                track_ids=tuple(f"t{i}" for i in range(tracks)),
                groups=tuple(f"g{i // 3}" for i in range(tracks)),
                targets=targets,
                probabilities=(scores / scores.max()).astype(np.float32),
            )
        )
    return found


@pytest.mark.benchmark(group="1,000 resamples of a model on six tasks, five seeds")
def test_one_after_the_other(benchmark: BenchmarkFixture) -> None:
    def score() -> None:
        for evidence in model_on(SIZES):
            replicate(evidence, RESAMPLES)

    benchmark.pedantic(score, rounds=2)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group="1,000 resamples of a model on six tasks, five seeds")
def test_in_two_processes(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what starting the processes takes; a report of many models starts them once."""
    monkeypatch.setattr(paired, "_WORTHWHILE", 0)

    def score() -> None:
        replicate_all(model_on(SIZES), RESAMPLES, workers=2)

    benchmark.pedantic(score, rounds=2)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group="judging the 50 labels of MagnaTagATune")
def test_differences(benchmark: BenchmarkFixture) -> None:
    (first,), (second,) = (model_on({"magnatagatune": SIZES["magnatagatune"]}, seed) for seed in (0, 1))
    one, other = replicate(first, RESAMPLES).scores["roc_auc"], replicate(second, RESAMPLES).scores["roc_auc"]
    benchmark(lambda: [difference(one[:, k], other[:, k], Sample(1444), 0.01) for k in range(50)])
