"""What this machine is and what it can do: the first thing to look at when something is missing or slow."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import timeit
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...paths import cache_root, data_root, models_root
from ..records.environment import installed
from .check import Check

if TYPE_CHECKING:
    import torch
    from rich.console import Console

CORE = (
    "numpy",
    "scipy",
    "torch",
    "soundfile",
    "soxr",
    "safetensors",
    "huggingface_hub",
    "transformers",
    "torchmetrics",
    "scikit-learn",
)
OPTIONAL = {
    "av": 'audio that libsndfile does not read (m4a, mp4, webm, wma): pip install "cmbench[av]"',
}
WINDOW_SECONDS = 30.0


@dataclass(frozen=True)
class Speed:
    """How fast the MERT network runs here, beside what the machine's matrix products allow."""

    device: str  # for example ``cpu`` or ``cuda:0``
    precision: str  # of the arithmetic
    ceiling: float  # of one large matrix product, operations per second
    seconds: float  # of one forward pass over a 30 s window at the 95M size, or over several together
    operations: int  # of that pass
    windows: int = 1  # in that pass: one on a processor, as many as a run takes together on an accelerator

    @property
    def share(self) -> float:
        """Share of the ceiling that the forward pass reaches."""
        return self.operations / self.seconds / self.ceiling

    @property
    def times_real_time(self) -> float:
        """Seconds of audio per second."""
        return self.windows * WINDOW_SECONDS / self.seconds


def examine() -> Iterator[Check]:
    """Yield what a run depends on: interpreter, packages, devices, folders."""
    from ...version import __version__

    yield Check("cmbench", f"{__version__}, Python {platform.python_version()} ({sys.executable})")
    yield Check("platform", platform.platform())
    for package in CORE:
        found = installed(package)
        yield Check(package, found or "not installed: install cmbench again", bool(found))
    for package, purpose in OPTIONAL.items():
        yield Check(package, installed(package) or f"not installed; only for {purpose}")
    yield from _devices()
    yield _folder("cache (CMBENCH_CACHE)", cache_root(), needed=True)
    yield _folder("models (CMBENCH_MODELS)", models_root(), needed=False)
    data = data_root()
    yield (
        _folder("data (CMBENCH_DATA)", data, needed=False)
        if data
        else Check("data (CMBENCH_DATA)", "not set; only the real data sets need it")
    )


def _devices() -> Iterator[Check]:
    import torch

    yield Check("processor", f"{os.cpu_count()} processors, {torch.get_num_threads()} threads of torch")
    for i in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(i)
        yield Check(f"cuda:{i}", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Check("mps", "Apple GPU")
    if not torch.accelerator.is_available():
        yield Check("accelerator", "none found: encoders and probes compute on the processor")


def _folder(subject: str, folder: Path, needed: bool) -> Check:
    """Say whether a folder is there and writable, and how much space is left on its disk."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    space = f"{shutil.disk_usage(there).free / 1e9:.0f} GB free"
    if there != folder:
        return Check(subject, f"{folder} (not made yet), {space}", os.access(there, os.W_OK) or not needed)
    if not folder.is_dir():
        return Check(subject, f"{folder} is a file, where a folder is needed", False)
    writable = os.access(folder, os.W_OK)
    return Check(subject, f"{folder}, {space}" + ("" if writable else ", not writable"), writable or not needed)


def measure(device: str = "auto") -> Iterator[Speed]:
    """Measure matrix products and the 95M-sized network, in float32 and, where the device gains from it, bfloat16.

    Weights are random: they do not change the time. Each figure is the best of several passes.

    Raises:
        UsageError: there is no such device.
    """
    import torch

    from ...baselines.device import choose_device, gains_from_bfloat16
    from ...baselines.mert.network import HubertShape, pooled_states, prepare, random_weights

    place = choose_device(device)
    shape = HubertShape()
    samples = round(WINDOW_SECONDS * 24_000)
    exact = prepare(random_weights(shape, 0), shape, place)
    windows = windows_together(place)
    audio = torch.randn(windows, samples, device=place)
    for dtype in (torch.float32, torch.bfloat16) if gains_from_bfloat16(place) else (torch.float32,):
        weights = {name: tensor.to(dtype) for name, tensor in exact.items()}
        yield Speed(
            device=str(place),
            precision=str(dtype).removeprefix("torch."),
            ceiling=_matrix_ceiling(place, dtype),
            seconds=_best(partial(pooled_states, weights, shape, audio), place, 3),
            operations=windows * shape.operations(samples),
            windows=windows,
        )


def windows_together(place: torch.device) -> int:
    """Windows of 30 s that a run encodes together on a device."""
    from ..models import batch_seconds

    return max(1, round(batch_seconds(place.type) / WINDOW_SECONDS))


def _matrix_ceiling(place: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of the largest product of the network; of a larger one on an accelerator."""
    import torch

    rows, inner, columns = (2249, 768, 3072) if place.type == "cpu" else (8192, 8192, 8192)
    left = torch.randn(rows, inner, device=place, dtype=dtype)
    right = torch.randn(inner, columns, device=place, dtype=dtype)
    return 2 * rows * inner * columns / _best(lambda: left @ right, place, 20)


def _best(call: Callable[[], object], place: torch.device, times: int) -> float:
    """Shortest of several passes after one that is not counted, seconds."""
    import torch

    def timed() -> None:
        call()
        if place.type != "cpu":
            torch.accelerator.synchronize(place)

    return min(timeit.repeat(timed, number=1, repeat=times + 1)[1:])


def print_speeds(speeds: Iterator[Speed], console: Console) -> None:
    """Print measured speeds."""
    console.print("\nMERT at the 95M size, windows of 30 s (random weights, best of three passes):")
    for speed in speeds:
        console.print(f"  {speed_line(speed)}", highlight=False, soft_wrap=True)


def speed_line(speed: Speed) -> str:
    """Return a measured speed in one line."""
    windows = f"{speed.windows} window{'s' * (speed.windows != 1)}"
    reached = speed.operations / speed.seconds
    return (
        f"{speed.device} {speed.precision:<9} {windows} in {speed.seconds:.2f} s = {speed.times_real_time:.3g} x real "
        f"time; {reached / 1e9:.0f} of {speed.ceiling / 1e9:.0f} GFLOP/s of a matrix product ({speed.share:.0%})"
    )
