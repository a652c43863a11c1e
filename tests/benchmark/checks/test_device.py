"""Whether a device's check would notice what it is there for. No accelerator is needed, and none is claimed."""

from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from cmbench.baselines.anchors import NANO
from cmbench.baselines.mert.network import pooled_states, prepare, random_weights
from cmbench.benchmark.checks import device as device_module
from cmbench.benchmark.checks import machine
from cmbench.benchmark.checks.check import Check
from cmbench.benchmark.checks.device import (
    FLOAT32_TOLERANCE,
    batched,
    check_device,
    memory,
    parity,
    refused,
    repeated,
    report,
)
from cmbench.benchmark.checks.machine import Speed
from cmbench.cli import app

Array = NDArray[np.float32]
TRUTH: Array = np.random.default_rng(0).standard_normal((8, 3, 5)).astype(np.float32)
SOUNDS: Array = np.random.default_rng(1).standard_normal((8, 50)).astype(np.float32)


def honest(sounds: Array) -> Array:
    """A network of which every row is of its sound alone."""
    return np.tanh(sounds[:, :15]).reshape(-1, 3, 5).astype(np.float32)


@pytest.mark.parametrize(("off", "well"), [(0.0, True), (5e-4, True), (5e-3, False), (float("nan"), False)])
def test_parity_is_a_share_of_the_spread_between_sounds(off: float, well: bool) -> None:
    check = parity("float32", (TRUTH + np.float32(off)).astype(np.float32), TRUTH, FLOAT32_TOLERANCE)
    assert check.well is well
    scaled = parity("float32", ((TRUTH + np.float32(off)) * 1000).astype(np.float32), TRUTH * 1000, FLOAT32_TOLERANCE)
    assert scaled.well is well, "a share does not change with the scale"


def test_one_hidden_state_that_is_off_is_enough() -> None:
    found = TRUTH.copy()
    found[:, 2] += 0.01
    assert parity("float32", found, TRUTH, FLOAT32_TOLERANCE).well is False


def test_a_device_that_does_not_repeat_itself_is_found_out() -> None:
    assert repeated(honest, SOUNDS).well is True
    passes = iter((0.0, 0.0, 1e-7))

    def wavering(sounds: Array) -> Array:
        return honest(sounds) + np.float32(next(passes))

    check = repeated(wavering, SOUNDS)
    assert (check.well, check.text) == (False, "2 different results of three passes")


@pytest.mark.parametrize(("leak", "well"), [(0.0, True), (1e-5, True), (1.0, False)])
def test_a_row_that_depends_on_its_batch_is_found_out(leak: float, well: bool) -> None:
    def leaking(sounds: Array) -> Array:
        return honest(sounds) + np.float32(leak * float(sounds.std()) * (len(sounds) > 1))

    assert batched(leaking, SOUNDS).well is well


class Card:
    """A device with so much memory, of which a process may have a share."""

    def __init__(self, needs: float, recovers: bool = True, enforces: bool = True) -> None:
        self.needs, self.recovers, self.enforces = needs, recovers, enforces
        self.share, self.shares, self.refusals = 1.0, [], 0  # type: float, list[float], int

    def limit(self, share: float) -> None:
        self.share = share
        self.shares.append(share)

    def forward(self, sounds: Array) -> Array:
        if self.needs > (self.share if self.enforces else 1.0):
            self.refusals += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB.\nmore words")
        return honest(sounds) + np.float32(self.refusals * (not self.recovers))

    def checks(self) -> list[Check]:
        return list(refused(self.forward, SOUNDS, lambda: 3.0, self.limit, 0.01))


def test_a_refusal_leaves_the_device_as_it_was() -> None:
    card = Card(needs=0.5)
    fits, out = card.checks()
    assert (fits.well, out.well) == (True, True)
    assert "8 windows of 30 s fit, 3.0 GiB at most" in fits.text
    assert "was refused with 1.0% of the memory; afterwards it gives the same bits" in out.text
    assert card.shares == [0.01, 1.0], "the process may have all of the memory again"


def test_a_batch_that_does_not_fit_and_a_refusal_that_goes_wrong_are_found_out() -> None:
    (check,) = Card(needs=2.0).checks()
    assert (check.well, check.text) == (
        False,
        "8 windows of 30 s do not fit: CUDA out of memory. Tried to allocate 4.00 GiB.",
    )
    assert [check.well for check in Card(needs=0.5, recovers=False).checks()] == [True, False]
    unlimited = Card(needs=0.5, enforces=False).checks()
    assert unlimited[1].well is False
    assert "was not refused" in unlimited[1].text


def test_memory_is_tried_with_a_little_more_than_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(needs=0.5)
    pretended = {
        "reset_peak_memory_stats": lambda place: None,
        "max_memory_allocated": lambda place: 2**30,
        "memory_allocated": lambda place: 4 * 2**20,
        "empty_cache": lambda: None,
        "set_per_process_memory_fraction": lambda share, place: card.limit(share),
        "get_device_properties": lambda place: SimpleNamespace(total_memory=2**30),
    }
    for name, function in pretended.items():
        monkeypatch.setattr(torch.cuda, name, function)
    monkeypatch.setattr(device_module, "forward_on", lambda *_: card.forward)
    fits, out = memory(torch.device("cuda"), {}, NANO)
    assert (fits.well, out.well) == (True, True)
    assert "16 windows of 30 s fit, 1.0 GiB at most" in fits.text
    assert card.shares == [1.5 * 4 / 1024, 1.0]


def test_the_network_stays_on_its_device_in_both_precisions() -> None:
    """On torch's ``meta`` device, which has shapes and no numbers: a tensor made elsewhere would show."""
    place = torch.device("meta")
    ready = prepare(random_weights(NANO, 0), NANO, place)
    for dtype in (torch.float32, torch.bfloat16):
        weights = {name: tensor.to(dtype) for name, tensor in ready.items()}
        states = pooled_states(weights, NANO, torch.empty(2, 24_000, device=place))
        assert states.device == place
        assert states.shape == (2, NANO.layers + 1, NANO.hidden)
    ready["encoder.layer_norm.weight"] = torch.empty(NANO.hidden)
    with pytest.raises(RuntimeError, match="device"):
        pooled_states(ready, NANO, torch.empty(2, 24_000, device=place))


def test_a_processor_is_the_reference_and_says_what_it_could_not_try() -> None:
    found = {check.subject: check for check in check_device("cpu", NANO)}
    assert [check.well for check in found.values()] == [None, None, True, True, None]
    assert "the processor, which others are compared with" in found["float32 against the processor"].text
    assert "a run refuses it" in found["bfloat16 against the processor"].text


def test_another_device_is_compared_in_both_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second "device" that is this processor under another name: the comparison runs, and a wrong one shows."""
    place: Any = SimpleNamespace(type="twin")
    monkeypatch.setattr("cmbench.baselines.device.choose_device", lambda name: place)
    monkeypatch.setattr("cmbench.baselines.device.gains_from_bfloat16", lambda place: True)
    made = device_module.forward_on
    off = {"by": 0.0}

    def forward_on(ready: Any, shape: Any, where: Any) -> Any:
        twin = where is place
        real = made(ready, shape, torch.device("cpu"))
        return lambda sounds: real(sounds) + np.float32(off["by"] * twin)

    monkeypatch.setattr(device_module, "forward_on", forward_on)
    monkeypatch.setattr(
        "cmbench.baselines.mert.network.prepare", lambda w, s, where: prepare(w, s, torch.device("cpu"))
    )
    checks = list(check_device("twin", NANO))
    assert [check.well for check in checks[:2]] == [True, True]
    exact, rough = (float(check.text.split()[1]) for check in checks[:2])
    assert exact == 0.0
    assert 1e-4 < rough < 0.05, "bfloat16 is not float32, and near it"
    off["by"] = 10.0
    assert [check.well for check in check_device("twin", NANO)][:2] == [False, False]


def test_the_report_is_markdown_that_says_what_is_wrong() -> None:
    speed = Speed("cpu", "float32", ceiling=1e12, seconds=2.0, operations=10**12, windows=16)
    text = report([Check("determinism", "2 results", False), Check("out of memory", "no", None)], [speed], "cpu")
    assert text.startswith("### cmbench on ")
    assert "| determinism | **NOT OK** | 2 results |" in text
    assert "| out of memory | not tried | no |" in text
    assert "16 windows in 2.00 s = 240 x real time; 500 of 1000 GFLOP/s of a matrix product (50%)" in text
    assert f"torch {version('torch')}" in text


@pytest.mark.parametrize(("well", "code"), [(True, 0), (None, 0), (False, 1)])
def test_the_command_ends_in_the_report_keeps_the_speeds_and_tells_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, well: bool | None, code: int
) -> None:
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(device_module, "check_device", lambda device: iter([Check("determinism", "x", well)]))
    monkeypatch.setattr(machine, "measure", lambda device: iter([Speed("cpu", "float32", 1e12, 1.0, 10**9)]))
    done = CliRunner().invoke(app, ["doctor", "--benchmark", "--device", "cpu"])
    assert done.exit_code == code, done.output
    assert "To paste into an issue:\n\n### cmbench on" in done.output
    assert (tmp_path / "doctor.json").is_file()
