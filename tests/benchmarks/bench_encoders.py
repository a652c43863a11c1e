"""Speed and memory of the MERT network against ``transformers``'s eager HuBERT, each in a process of its own.

Not collected by a normal test run. Run it on an idle machine with

    python -m pytest tests/benchmarks/bench_encoders.py -s

``CMBENCH_BENCH_THREADS`` sets the threads (2). Speed is held against what stands beside it by :mod:`.ratios` alone:
``transformers`` eager, and the same number of operations at the speed of the largest matrix product.
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
import json, resource, sys, time
import numpy as np, torch
from cmbench.baselines.mert.network import HubertShape, pooled_states, prepare, random_weights
who, seconds, threads = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
shape = HubertShape()
weights = random_weights(shape, 0)
audio = torch.from_numpy(np.random.default_rng(0).standard_normal((1, round(24000 * seconds)), dtype=np.float32))
if who == "cmbench":
    from cmbench.baselines.device import choose_device
    weights = prepare(weights, shape, choose_device("cpu"))
    run = lambda: pooled_states(weights, shape, audio)
else:
    from transformers import HubertConfig, HubertModel
    config = HubertConfig(
        hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate, conv_dim=list(shape.conv_dim), mask_time_prob=0.0,
        num_conv_pos_embeddings=shape.position_kernel, num_conv_pos_embedding_groups=shape.position_groups,
        attn_implementation=who,
    )
    model = HubertModel(config).eval()
    model.load_state_dict(weights)
    def run():
        with torch.no_grad():
            states = model(audio, output_hidden_states=True).hidden_states
            return torch.stack([state.mean(1) for state in states], 1)
def clock(call, times):
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        spans.append(time.perf_counter() - start)
    return min(spans)
run()
left, right = torch.randn(2249, 768), torch.randn(768, 3072)
def product():
    return 2 * 2249 * 768 * 3072 / clock(lambda: left @ right, 20)
# Before and after, because what other machines' guests leave of the processor drifts within a minute.
ceiling = product()
seconds = clock(run, 3)
ceiling = max(ceiling, product())
print(json.dumps({
    "seconds": seconds, "ceiling": ceiling, "operations": shape.operations(audio.shape[1]),
    "sum": float(run().double().abs().sum()),
    "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
}))
"""


def measure(who: str, seconds: float) -> dict[str, float]:
    """Time one window in a fresh process; ``who`` is ``cmbench``, ``eager`` or ``sdpa``."""
    threads = os.environ.get("CMBENCH_BENCH_THREADS", "2")
    command = [sys.executable, "-c", MEASURE, who, str(seconds), threads]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": threads}
    )
    result: dict[str, float] = json.loads(done.stdout)
    print(who, f"{seconds:g} s:", {key: f"{value:.4g}" for key, value in result.items()})
    return result


def test_95m_on_30_seconds(benchmark: BenchmarkFixture) -> None:
    eager = benchmark.pedantic(measure, ("eager", 30), rounds=1)  # type: ignore[no-untyped-call]
    ours = measure("cmbench", 30)
    benchmark.extra_info["seconds"] = {
        "95m, cmbench": ours["seconds"],
        "95m, eager": eager["seconds"],
        "95m, matrix product": ours["operations"] / ours["ceiling"],
    }
    assert ours["sum"] == pytest.approx(eager["sum"], rel=1e-5)
    assert ours["peak_gib"] < 3.5
