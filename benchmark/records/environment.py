"""The machine and the moment of a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .record import EnvironmentPart

_PACKAGES = ("numpy", "scipy", "torch", "soundfile", "soxr", "safetensors", "transformers")


def installed(package: str) -> str | None:
    """Return the version of a package; ``None`` if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Name of the processor, from the kernel where it tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def describe_environment(
    device: str, decoders: Mapping[str, str] | None = None, batch_seconds: float | None = None
) -> EnvironmentPart:
    """Describe where and when a cell was computed; ``decoders`` are those that gave other samples than libsndfile."""
    import torch

    from ...version import __version__

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    return EnvironmentPart(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        cmbench=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={p: installed(p) or "not installed" for p in _PACKAGES} | dict(decoders or {}),
        device=device,
        device_name=name,
        threads=torch.get_num_threads() if device == "cpu" else os.cpu_count() or 1,
        batch_seconds=batch_seconds,
    )


def device_words(environment: EnvironmentPart) -> str:
    """Say what something was measured on: processors by their number of threads, which set their speed."""
    if environment.device == "cpu":
        return f"{environment.device_name}, {environment.threads} thread{'s' * (environment.threads != 1)}"
    return f"{environment.device_name} ({environment.device.partition(':')[0]})"
