"""The description of the machine."""

from __future__ import annotations

from datetime import datetime

from cmbench.benchmark.environment import describe_environment, peak_memory_mib


def test_the_environment_names_machine_and_moment() -> None:
    environment = describe_environment("cpu")
    assert datetime.fromisoformat(environment.created).tzinfo is not None
    assert environment.threads >= 1
    assert environment.device_name
    assert environment.packages["numpy"][0].isdigit()


def test_peak_memory_is_plausible() -> None:
    assert 20 < peak_memory_mib() < 100_000
