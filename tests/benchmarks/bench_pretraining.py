"""What the CQT costs beside the rest of a training step.

Not collected by a normal test run. Run it on an idle machine with

    python -m pytest tests/benchmarks/bench_pretraining.py -s

``CMBENCH_BENCH_THREADS`` sets the threads (2). The acceptance: at most a quarter of a step at nano size, at most a
hundredth at the 95M size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

MEASURE = """
import json, sys, time
import numpy as np, torch
from cmbench.baselines.device import keep_freed_memory
from cmbench.pretraining.objective.cqt import CqtShape, cqt_magnitudes
from cmbench.pretraining.learner import SHAPES
from cmbench.pretraining.objective.masking import SpanMasking, span_masks
from cmbench.baselines.mert.heads import HeadShape
from cmbench.pretraining.objective.model import from_shape
from cmbench.pretraining.objective.loss import pretraining_loss
from cmbench.pretraining.recipes.recipe import Loss
size, clips, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
keep_freed_memory()
shape = SHAPES[size]
model = from_shape(shape, HeadShape(), 0).train()
optimiser = torch.optim.AdamW(model.parameters(), 1e-4)
draw = np.random.default_rng(0)
audio = torch.from_numpy(0.1 * draw.standard_normal((clips, 120_000), dtype=np.float32))
frames = shape.frames(120_000)
tokens = torch.from_numpy(draw.integers(0, 1024, (clips, 8, frames)))
mask = torch.from_numpy(span_masks(clips, frames, SpanMasking(), draw))
spans = {"cqt": [], "step": []}
for _ in range(3):
    start = time.perf_counter()
    cqt = cqt_magnitudes(audio, CqtShape())
    spans["cqt"].append(time.perf_counter() - start)
    losses = pretraining_loss(model(audio, mask), tokens, cqt, mask, Loss())
    optimiser.zero_grad()
    losses.total.backward()
    optimiser.step()
    spans["step"].append(time.perf_counter() - start)
print(json.dumps({name: min(times) for name, times in spans.items()}))
"""


@pytest.mark.parametrize(("size", "clips", "share"), [("nano", 16, 0.25), ("95m", 2, 0.01)])
def test_share_of_the_cqt(benchmark: BenchmarkFixture, size: str, clips: int, share: float) -> None:
    threads = os.environ.get("CMBENCH_BENCH_THREADS", "2")
    command = [sys.executable, "-c", MEASURE, size, str(clips), threads]

    def measure() -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"OMP_NUM_THREADS": threads}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment)

    done = benchmark.pedantic(measure, rounds=1)  # type: ignore[no-untyped-call]
    spans: dict[str, float] = json.loads(done.stdout)
    print(size, f"{clips} clips of 5 s:", {name: f"{seconds:.3g} s" for name, seconds in spans.items()})
    benchmark.extra_info["seconds"] = {f"{size}, {name}": seconds for name, seconds in spans.items()}
    assert spans["cqt"] / spans["step"] <= share
