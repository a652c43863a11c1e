"""The bank of probes against the same probes trained one after the other.

Run with ``pytest tests/benchmarks/bench_probe.py``; the report shows both side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from cmbench.benchmark.probing.search import ProbeSplit, run_probes
from cmbench.benchmark.protocol import PROTOCOLS
from cmbench.benchmark.scoring.metrics import ranking_scores

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

LAYERS, DIM, LABELS, TRAIN, VALID = 13, 768, 30, 2000, 400
ONE_EPOCH = replace(PROTOCOLS["cmbench-1"].probe, max_epochs=1, seeds=(1,))


@dataclass(frozen=True)
class ArrayFeatures:
    """Features in an array; every window is a track of its own."""

    values: NDArray[np.float16]

    @property
    def layers(self) -> int:
        return LAYERS

    @property
    def dim(self) -> int:
        return DIM

    @property
    def track_of_window(self) -> NDArray[np.int64]:
        return np.arange(len(self.values))

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        return self.values[rows]


@pytest.fixture(scope="module")
def splits() -> tuple[ProbeSplit, ProbeSplit, ProbeSplit]:
    random = np.random.default_rng(0)

    def split(windows: int) -> ProbeSplit:
        values = random.normal(size=(windows, LAYERS, DIM)).astype(np.float16)
        return ProbeSplit(ArrayFeatures(values), random.random((windows, LABELS)) < 0.2)

    return split(TRAIN), split(VALID), split(64)


def train_bank(splits: tuple[ProbeSplit, ProbeSplit, ProbeSplit]) -> None:
    names = [str(i) for i in range(LAYERS)]
    run_probes(*splits, ONE_EPOCH, names, "cpu", lambda done, total: None)


class PlainProbe(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.zeros(LAYERS)) if fused else None
        self.head = nn.Sequential(nn.Linear(DIM, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, LABELS))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        seen = windows if self.mix is None else torch.einsum("l,bld->bd", self.mix.softmax(0), windows)
        logits: torch.Tensor = self.head(seen)
        return logits


def train_one_by_one(splits: tuple[ProbeSplit, ProbeSplit, ProbeSplit]) -> None:
    rows = [split.features.take(split.features.track_of_window) for split in splits[:2]]
    mean, deviation = rows[0].mean(axis=0, dtype=np.float64), rows[0].std(axis=0, dtype=np.float64)
    train, valid = (torch.from_numpy(((r - mean) / deviation).astype(np.float32)) for r in rows)
    targets = torch.from_numpy(splits[0].labels.astype(np.float32))
    for layer in [*range(LAYERS), None]:
        for rate in ONE_EPOCH.learning_rates:
            inputs, held_out = (train, valid) if layer is None else (train[:, layer], valid[:, layer])
            train_alone(inputs, targets, held_out, splits[1].labels, rate, fused=layer is None)


def train_alone(
    inputs: torch.Tensor,
    targets: torch.Tensor,
    held_out: torch.Tensor,
    labels: NDArray[np.bool_],
    rate: float,
    fused: bool,
) -> None:
    module = PlainProbe(fused)
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)
    for rows in torch.split(torch.randperm(len(inputs)), ONE_EPOCH.batch):
        optimiser.zero_grad()
        nn.BCEWithLogitsLoss()(module(inputs[rows]), targets[rows]).backward()
        optimiser.step()
    module.eval()
    with torch.no_grad():
        ranking_scores(labels, module(held_out).numpy())


@pytest.mark.parametrize("way", [train_one_by_one, train_bank], ids=["one by one", "bank"])
def test_one_epoch_of_the_search(
    benchmark: BenchmarkFixture,
    splits: tuple[ProbeSplit, ProbeSplit, ProbeSplit],
    way: Callable[[tuple[ProbeSplit, ProbeSplit, ProbeSplit]], None],
) -> None:
    """13 hidden states and their sum, 5 learning rates, 2,000 windows: 70 probes, one epoch."""
    benchmark.extra_info["threads"] = torch.get_num_threads()
    benchmark.pedantic(way, (splits,), rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
