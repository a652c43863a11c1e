"""Places of models: groups that cannot be told apart, and an order that no other model can change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.benchmark.comparing.ties import standings
from cmbench.benchmark.records.evidence import Evidence
from cmbench.errors import UsageError

Build = Callable[..., Evidence]
GROUPS = [f"g{i // 2}" for i in range(160)]
TARGETS = np.random.default_rng(0).random((160, 5)) < 0.3
COMMON = np.random.default_rng(1).standard_normal(TARGETS.shape)


def side(build: Build, name: str, strength: float, tasks: Sequence[str] = ("lyra", "fma_medium")) -> list[Evidence]:
    own = np.random.default_rng(sum(map(ord, name))).standard_normal(TARGETS.shape)
    logits = strength * TARGETS + COMMON + 0.3 * own
    return [build(name, TARGETS, 1 / (1 + np.exp(-logits)), GROUPS, task=task) for task in tasks]


def test_equals_tie_and_unequals_do_not(build_evidence: Build) -> None:
    found = standings([side(build_evidence, *m) for m in (("a", 0.5), ("b", 2.0), ("c", 2.01), ("d", 4.0))])
    assert (found[0].model, found[-1].model) == ("d", "a")
    by_name = {one.model: one for one in found}
    assert set(by_name["b"].tied) == {"b", "c"}
    assert by_name["d"].tied == ("d",)
    assert (by_name["d"].first, by_name["d"].last) == (1, 1)
    assert (by_name["b"].first, by_name["b"].last) == (2, 3)
    assert (by_name["a"].first, by_name["a"].last) == (4, 4)
    assert by_name["d"].score.low is not None


@settings(max_examples=8, deadline=None, derandomize=True)
@given(strength=st.floats(0.0, 4.0))
def test_another_model_never_swaps_two(build_evidence: Build, strength: float) -> None:
    others = [side(build_evidence, *m) for m in (("a", 0.5), ("b", 2.0), ("c", 2.01))]
    before = [one.model for one in standings(others, resamples=100)]
    after = [one.model for one in standings([*others, side(build_evidence, "x", strength)], resamples=100)]
    assert [name for name in after if name != "x"] == before


def test_only_common_tasks_and_tracks_count(build_evidence: Build) -> None:
    a, b = side(build_evidence, "a", 1.0), side(build_evidence, "b", 2.0, ("lyra",))
    fewer = [e.rows(e.track_ids[10:]) for e in b]
    (first, second) = standings([a, fewer], resamples=100)
    assert first.model == "b"
    (alone, _) = standings([[a[0].rows(fewer[0].track_ids)], fewer], resamples=100)
    assert alone.score == first.score
    assert second.model == "a"


def test_what_cannot_be_ranked_is_refused(build_evidence: Build) -> None:
    a = side(build_evidence, "a", 1.0)
    with pytest.raises(UsageError, match="two models or more"):
        standings([a])
    with pytest.raises(UsageError, match="no task in common"):
        standings([a, side(build_evidence, "b", 1.0, ("carnatic",))])
    nothing = [build_evidence("b", np.zeros_like(TARGETS), TARGETS * 0.5, GROUPS, split_sha256="0" * 64)]
    same = [build_evidence("c", np.zeros_like(TARGETS), TARGETS * 0.5, GROUPS, split_sha256="0" * 64)]
    with pytest.raises(UsageError, match="no label is defined"):
        standings([nothing, same])
