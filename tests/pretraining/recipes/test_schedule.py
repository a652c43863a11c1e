"""The learning rate at the corners of its curve, and what holds between them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.pretraining.recipes.schedule import DECAYS, Schedule


def schedule(decay: str = "cosine", warmup: int = 10, steps: int = 110) -> Schedule:
    return Schedule(peak=5e-4, start=0.02, floor=0.1, warmup=warmup, steps=steps, decay=decay)


@pytest.mark.parametrize("decay", ["cosine", "linear"])
def test_corners(decay: str) -> None:
    curve = schedule(decay)
    assert curve.rate(0) == pytest.approx(0.02 * 5e-4)
    assert curve.rate(5) == pytest.approx((0.02 + 0.98 / 2) * 5e-4)
    assert curve.rate(10) == 5e-4
    assert curve.rate(60) == pytest.approx(5e-4 * (0.1 + 0.9 / 2))
    assert curve.rate(110) == pytest.approx(0.1 * 5e-4)


def test_cosine_and_linear_differ_where_they_should() -> None:
    quarter = 10 + 25
    assert schedule("cosine").rate(quarter) == pytest.approx(5e-4 * (0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2))
    assert schedule("linear").rate(quarter) == pytest.approx(5e-4 * (0.1 + 0.9 * 0.75))


def test_without_rewarming_it_begins_at_the_peak() -> None:
    assert schedule(warmup=0).rate(0) == 5e-4


def test_without_redecaying_it_stays_there() -> None:
    assert schedule("constant").rate(110) == 5e-4


def test_a_stage_may_be_warm_up_alone() -> None:
    curve = schedule(warmup=110)
    assert curve.rate(109) < curve.rate(110) == 5e-4


def test_mert_schedule() -> None:
    mert = Schedule(peak=5e-4, start=0.0, floor=0.0, warmup=32_000, steps=400_000, decay="linear")
    assert mert.rate(0) == 0.0
    assert mert.rate(16_000) == pytest.approx(2.5e-4)
    assert mert.rate(216_000) == pytest.approx(2.5e-4)
    assert mert.rate(400_000) == 0.0


@given(
    st.sampled_from(DECAYS),
    st.floats(1e-8, 1.0),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 400),
    st.integers(0, 400),
)
def test_rises_then_falls_within_its_bounds(
    decay: str, peak: float, start: float, floor: float, steps: int, warmup: int
) -> None:
    warmup = min(warmup, steps)
    curve = Schedule(peak, start, floor, warmup, steps, decay)
    rates = [curve.rate(step) for step in range(steps + 1)]
    tiny = 1e-9 * peak
    assert all(b >= a - tiny for a, b in pairwise(rates[: warmup + 1]))
    assert all(b <= a + tiny for a, b in pairwise(rates[warmup:]))
    assert max(rates) == rates[warmup] == peak
    assert min(rates) >= min(start, floor) * peak - tiny


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"decay": "cosin"}, "decay"),
        ({"steps": 0, "warmup": 0}, "steps"),
        ({"warmup": 111}, "warmup"),
        ({"peak": float("nan")}, "peak"),
        ({"peak": 0.0}, "peak"),
        ({"start": -0.1}, "start"),
        ({"floor": 1.1}, "floor"),
    ],
)
def test_wrong_values_are_named(changed: dict[str, float | str], named: str) -> None:
    values: dict[str, object] = {"peak": 1e-3, "start": 0.0, "floor": 0.1, "warmup": 1, "steps": 110, "decay": "linear"}
    with pytest.raises(UsageError, match=named):
        Schedule(**(values | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [-1, 111])
def test_there_is_no_rate_outside_of_the_stage(step: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        schedule().rate(step)
