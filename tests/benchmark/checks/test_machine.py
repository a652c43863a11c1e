"""The examination of the machine, and the arithmetic of the measured share."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from cmbench.baselines.mert.network import HubertShape
from cmbench.benchmark.checks.machine import Speed, examine


def findings() -> dict[str, tuple[str, bool | None]]:
    return {finding.subject: (finding.text, finding.well) for finding in examine()}


def test_a_sound_machine_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CMBENCH_DATA", raising=False)
    found = findings()
    assert all(well for _, well in found.values()), found
    assert "not made yet" in found["cache (CMBENCH_CACHE)"][0]
    assert found["torch"][0][0].isdigit()


def test_a_file_in_place_of_the_cache_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "cache"))
    text, well = findings()["cache (CMBENCH_CACHE)"]
    assert not well
    assert "is a file" in text


def test_a_missing_core_package_is_bad_and_an_optional_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package in ("soxr", "av"):
            raise PackageNotFoundError(package)
        return importlib.metadata.version(package)

    monkeypatch.setattr("cmbench.benchmark.records.environment.version", version)
    found = findings()
    assert not found["soxr"][1]
    assert found["av"][1]
    assert "cmbench[av]" in found["av"][0]


def test_share_of_the_ceiling() -> None:
    speed = Speed("cpu", "float32", ceiling=100e9, seconds=10.0, operations=750 * 10**9)
    assert speed.share == pytest.approx(0.75)
    assert speed.times_real_time == pytest.approx(3.0)


def test_operations_follow_a_count_by_torch() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from cmbench.baselines.anchors import NANO
    from cmbench.baselines.mert.network import pooled_states, prepare, random_weights

    weights = prepare(random_weights(NANO, 0), NANO, torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        pooled_states(weights, NANO, torch.randn(1, 24_000))
    # The counter does not look into fused attention on a processor: two products of all frames with all frames.
    attention = NANO.layers * 2 * 2 * NANO.frames(24_000) ** 2 * NANO.hidden
    # The positional convolution computes one frame that is thrown away.
    thrown_away = 2 * NANO.hidden * (NANO.hidden // NANO.position_groups) * NANO.position_kernel
    assert NANO.operations(24_000) == counter.get_total_flops() + attention - thrown_away
    # The figure of the base size that others have counted: 812 GFLOP for 30 s.
    assert HubertShape().operations(720_000) == pytest.approx(812e9, rel=0.001)
