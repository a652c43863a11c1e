"""What the choice of an input may cost: by hand, by chance, and only where few groups chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cmbench.benchmark.comparing.choice import FEW_GROUPS, choice_cost, choice_error
from cmbench.benchmark.comparing.paired import difference, level, replicate
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.scoring.metrics import Doubles

Build = Callable[..., Evidence]


def test_by_hand() -> None:
    assert choice_error([0.7], 0.1) == 0, "nothing to choose"
    assert choice_error([0.7, 0.6], 0.0) == 0
    assert choice_error([0.7, 0.7], 0.1) == pytest.approx(0.1 * 2**0.5), "at most the variance of a difference"
    assert choice_error([0.9, 0.5, 0.4], 0.01) == pytest.approx(0, abs=1e-12)
    # A lead of one deviation of the difference: (1 + 1) * 0.158655 - 0.241971 = 0.075340 of its variance, twice.
    assert choice_error([0.5, 0.7], 0.2 / 2**0.5) == pytest.approx(0.2 * (2 * 0.075340) ** 0.5, rel=1e-4)
    assert choice_error([0.5, 0.7, 0.1], 0.2 / 2**0.5) == choice_error([0.7, 0.5], 0.2 / 2**0.5), "the nearest rival"


def test_it_is_the_cost_of_a_wrong_choice() -> None:
    drawn = np.random.default_rng(1).normal([0.72, 0.7], 0.05, size=(200_000, 2))
    cost = np.maximum(drawn[:, 1] - drawn[:, 0], 0)
    assert choice_error([0.72, 0.7], 0.05) == pytest.approx(np.sqrt(2 * (cost**2).mean()), rel=0.01)


@pytest.fixture
def model(build_evidence: Build) -> Callable[..., Evidence]:
    draw = np.random.default_rng(2)
    targets = draw.random((90, 3)) < 0.4

    def made(name: str, groups: int | None, tracks: int = 400, states: tuple[float, ...] = (0.7, 0.69)) -> Evidence:
        e = build_evidence(name, targets, draw.random((2, 90, 3)), [f"g{i // 3}" for i in range(90)])
        (first, *_) = e.record.layers
        layers = tuple(first.model_copy(update={"score": score}) for score in states)
        counts = {"groups": {"valid": groups, "test": 30}, "tracks": e.record.task.tracks | {"valid": tracks}}
        task = e.record.task.model_copy(update=counts)
        card = e.record.model.model_copy(update={"fingerprint": name * 8})
        record = e.record.model_copy(update={"layers": layers, "task": task, "model": card})
        return replace(e, record=record, resampled=e.probabilities[[0, 0]])

    return made


DRAWN: Doubles = np.random.default_rng(3).normal(0.7, 0.02, 500)


def test_few_groups_make_a_choice_uncertain(model: Callable[..., Evidence]) -> None:
    cost = choice_cost(model("a", 10), DRAWN)
    assert cost == pytest.approx(choice_error([0.7, 0.69], float(DRAWN.std()) * 3**0.5))
    assert choice_cost(model("a", None, tracks=10), DRAWN) == pytest.approx(cost), "tracks, where groups are unknown"
    assert choice_cost(model("a", FEW_GROUPS - 1), DRAWN) > 0
    assert choice_cost(model("a", FEW_GROUPS), DRAWN) == 0
    assert choice_cost(model("a", None), DRAWN) == 0, "every track is a group of its own"
    assert choice_cost(model("a", 10, states=(0.7,)), DRAWN) == 0, "one state"
    assert choice_cost(replace(model("a", 10), models=2), DRAWN) == 0, "their own choices show"
    assert choice_cost(replace(model("a", 10), resampled=None), DRAWN) == 0, "the first rules"
    assert choice_cost(model("a", 10), np.array([np.nan])) == 0


def test_a_difference_takes_in_the_cost_of_the_model_that_scores_less(model: Callable[..., Evidence]) -> None:
    few, many = ([model(name, groups) for name in "ab"] for groups in (8, 40))
    few[1] = replace(few[1], record=model("b", 8, states=(0.7,)).record)
    first = [replicate(e, 400).macro("roc_auc") for e in few]
    alike = [
        replicate(replace(e, record=other.record), 400).macro("roc_auc") for e, other in zip(few, many, strict=True)
    ]
    costs = [found[-1] - found[0] for found in first]
    assert costs[0] > 0
    assert costs[1] == 0
    assert [found[-1] - found[0] for found in alike] == [0, 0]
    sample = few[0].sample
    up = np.abs(first[1][0] - first[0][0])
    for gain, added in ((2 * up, costs[0]), (-2 * up, 0.0)):
        found = difference(first[0], first[1] + gain, sample, 0.01)
        without = difference(alike[0], alike[1] + gain, sample, 0.01)
        assert found.change == without.change
        assert found.rules == 2
        assert found.standard_error is not None
        assert without.standard_error is not None
        assert found.standard_error**2 == pytest.approx(without.standard_error**2 + added**2)
        assert found.low is not None
        assert found.change is not None
        assert without.change is not None
        assert without.low is not None
        wider = found.standard_error / without.standard_error
        assert found.low - found.change == pytest.approx(wider * (without.low - without.change))
    same = difference(first[0], first[0], sample, 0.01)
    assert (same.standard_error, same.p_value) == (0, 1), "the same model has made the same choice"
    assert level(first[0], sample) == level(alike[0], sample), "a score is that of the chosen state"
