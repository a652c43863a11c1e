"""The simulation behind docs/statistics.md, reduced: bounds are four standard errors wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmbench.tests.benchmark.comparing.coverage import HEAD, Seen, judge, tables
from cmbench.tests.benchmark.comparing.encoders import REAL, Bank, compare_equals, linear, real, row
from cmbench.tests.benchmark.comparing.supports import TASKS, world

SMALL = replace(TASKS[0], tracks=150, supports=(6, 9, 14, 30, 60, 100), mean=3.0)


def test_drawn_splits_are_as_large_as_the_published_ones() -> None:
    rng = np.random.default_rng(0)
    assert [task.tracks for task in TASKS] == [240, 522, 330, 1059, 4996, 4332]
    assert [len(task.supports) for task in TASKS] == [20, 20, 30, 30, 20, 50]
    for task in TASKS[:3]:
        pairs = [world(task, 1).draw(rng) for _ in range(20)]
        counts = np.array([pair.targets.sum(axis=0) for pair in pairs])
        assert counts.mean(axis=0) == pytest.approx(task.supports, rel=0.5, abs=3)
        assert (counts.std(axis=0) > 0).all(), "counts are random"
        sizes = np.bincount(pairs[0].groups)
        assert sizes.sum() == task.tracks
        assert len(set(sizes.tolist())) > 3, "groups are unequal"
    assert sorted(np.bincount(world(TASKS[2], 1).draw(rng).groups), reverse=True)[:3] == [33, 30, 30]


@pytest.fixture(scope="module")
def seen() -> list[Seen]:
    return judge(SMALL, 60, 150, 7, known=150)[0]


def held(seen: list[Seen], metric: str, version: int, low: int, high: int) -> tuple[float, int]:
    found = [s.held for s in seen if (s.metric, s.version) == (metric, version) and low <= s.support < high]
    given = [one for one in found if one is not None]
    return float(np.mean(given)), len(given)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_labels_are_covered_by_the_second_rules(seen: list[Seen], metric: str) -> None:
    share, count = held(seen, metric, 2, 1, 1000)
    assert count > 200
    assert 0.94 - 4 * 0.24 / count**0.5 < share < 0.97 + 4 * 0.17 / count**0.5
    assert held(seen, "roc_auc", 1, 5, 20)[0] < held(seen, "roc_auc", 2, 5, 20)[0]


def test_fewer_than_five_positives_get_no_interval_by_the_second_rules(seen: list[Seen]) -> None:
    few = [s.held for s in seen if 0 < s.support < 5]
    assert {s.held for s in seen if 0 < s.support < 5 and s.version == 2} == {None}
    assert set(few) != {None}, "the first rules gave some"


def test_the_table_has_a_row_for_each_class_and_task() -> None:
    lines = list(tables(*judge(SMALL, 2, 40, 3, known=5)))
    assert len(lines) == 2 + 5 + 2
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}


@pytest.mark.parametrize("bank", [linear, pytest.param(real, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_equal_encoders_are_seldom_told_apart_by_both_samples(bank: Bank) -> None:
    found = [compare_equals(bank, REAL[0], seed, 8, 100) for seed in range(20)]
    told = [sum((one.rules[i].p_value or 0.0) < 0.05 for one in found) for i in range(3)]
    assert told[2] <= 4
    assert told[0] >= told[1] >= told[2]
    assert told[0] > told[2], "the test sample alone knows too little"
    assert row("", found).startswith("|  | 20 | ")
