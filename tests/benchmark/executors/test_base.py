"""Executors are found by name, and the local one does what it is given at once."""

from __future__ import annotations

import pickle

import pytest

from cmbench.baselines.base import LoadOptions
from cmbench.benchmark.executors.base import OnProgress, WorkerSettings, executors, get_executor
from cmbench.benchmark.executors.local import Local
from cmbench.benchmark.models import Encoders
from cmbench.errors import UsageError

CPU = LoadOptions("cpu", offline=True)


def test_every_file_is_found_by_its_name() -> None:
    assert set(executors()) == {"local", "ray"}
    assert get_executor("local") is Local
    with pytest.raises(UsageError, match="There is no executor 'slurm'; there are local, ray"):
        get_executor("slurm")


def test_the_local_one_does_everything_here_and_now() -> None:
    encoders = Encoders(CPU)
    told: list[object] = []

    def make(progress: OnProgress) -> str:
        progress(1, 2)
        return "made"

    def keep(made: str) -> str:
        told.append(made)
        return made + " and kept"

    with Local(encoders, WorkerSettings(threads=3)) as executor:
        assert executor.threads == 3
        assert list(executor.each(lambda given, items: ((given, item) for item in items), [1, 2])) == [
            (encoders, 1),
            (encoders, 2),
        ]
        result = executor.start(make, keep, lambda *done: told.append(done))
        assert told == [(1, 2), "made"]
        assert result() == "made and kept"


def test_encoders_travel_without_what_they_have_loaded() -> None:
    encoders = Encoders(CPU, batch_seconds=7.0)
    card = encoders.card("random-mert-nano")
    there = pickle.loads(pickle.dumps(encoders))
    assert "_loaded" in vars(there)
    assert vars(there)["_loaded"] == {}
    assert there.card("random-mert-nano") == card
    assert (there.batch("random-mert-nano").seconds, there.batch("random-mert-nano").fixed) == (7.0, True)
    with there.turn:
        assert there.encoder("random-mert-nano").card == card
