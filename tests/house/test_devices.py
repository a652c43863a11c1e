"""Device correctness without a device: nothing mixes devices, and no batch or step makes the processor wait for one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

WAITS = {
    # Each answer is brought to the processor once it is there; musicnn has four.
    "a_batch_of_mert": 1,
    "a_clip_of_wav2vec2": 1,
    "a_clip_of_musicnn": 4,
    "a_step_of_the_bank": 0,
    "all_merges": 0,
    "a_step_of_pretraining": 0,  # beside its three masks, whose rows are counted, and which the case replaces
}
"""How often the processor waits, at most."""


@pytest.fixture(scope="module")
def pretended() -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "cmbench.tests.house.pretended"]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=280)
    found: dict[str, dict[str, Any]] = json.loads(out.stdout)
    return found


@pytest.mark.parametrize("case", [*WAITS, "all_probes_and_scores"])
def test_everything_is_on_one_device(pretended: dict[str, dict[str, Any]], case: str) -> None:
    assert "error" not in pretended[case], pretended[case]
    assert pretended[case]["operations"] > 20


@pytest.mark.parametrize("case", WAITS)
def test_no_batch_and_no_step_waits_for_its_device(pretended: dict[str, dict[str, Any]], case: str) -> None:
    waits = pretended[case]["waits"]
    assert len(waits) == WAITS[case], waits
    assert all("to the processor" in one for one in waits)


def test_the_guard_bites(pretended: dict[str, dict[str, Any]]) -> None:
    assert pretended["mixed_devices"]["error"].startswith("FakeTensorDeviceMismatchError")
    assert pretended["an_item"]["waits"] == ["aten._local_scalar_dense.default"]
