"""What the comparison of hashes costs, beside the run that it belongs to: `make bench`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import cmbench
from cmbench import files

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds spent in hashing files and in seals, by what is done."""
    found = {"files": 0.0, "seals": 0.0}

    def timed(name: str, plain: Any) -> Any:
        def call(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return plain(*arguments)
            finally:
                found[name] += time.perf_counter() - started

        return call

    monkeypatch.setattr(files, "file_sha256", timed("files", files.file_sha256))
    monkeypatch.setattr(files, "seal", timed("seals", files.seal))
    return found


@pytest.mark.benchmark(group="a nano model on one mini task: share of hashes")
@pytest.mark.parametrize("state", ["rendered", "features stored"])
def test_share_of_hashes(
    benchmark: BenchmarkFixture, spent: dict[str, float], state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run on rendered audio, and one whose features are stored; ``extra_info`` has the shares, percent."""
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "cache"))

    def run(model: str, out: str) -> None:
        files._version_sha256.cache_clear()  # as in a process of its own
        cmbench.run(model, "lyra", edition="mini", mini_scale=0.1, workers=1, out=tmp_path / out)

    run("constant", "rendered")
    if state == "features stored":
        run("MERT-nano", "first")
    spent.update(files=0.0, seals=0.0)
    benchmark.pedantic(run, args=("MERT-nano", "timed"), rounds=1)  # type: ignore[no-untyped-call]
    whole = benchmark.stats.stats.total  # type: ignore[union-attr]
    benchmark.extra_info.update({f"{name} %": round(100 * seconds / whole, 2) for name, seconds in spent.items()})
    print(f"\n{state}: " + ", ".join(f"{name} {100 * seconds / whole:.2f} %" for name, seconds in spent.items()))
