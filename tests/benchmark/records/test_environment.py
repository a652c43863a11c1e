"""The description of the machine."""

from __future__ import annotations

from datetime import datetime

from cmbench.benchmark.records.environment import describe_environment


def test_the_environment_names_machine_and_moment() -> None:
    environment = describe_environment("cpu")
    assert datetime.fromisoformat(environment.created).tzinfo is not None
    assert environment.threads >= 1
    assert environment.device_name
    assert environment.packages["numpy"][0].isdigit()


def test_decoders_of_their_own_stand_among_the_packages() -> None:
    plain = describe_environment("cpu").packages
    assert describe_environment("cpu", {"ffmpeg": "8.1"}).packages == plain | {"ffmpeg": "8.1"}
