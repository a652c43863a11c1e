"""What `make bench` measured is held against the committed ratios, and the page says what they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cmbench.tests.benchmarks.ratios import (
    BASELINE,
    BEGIN,
    END,
    PAGE,
    ROWS,
    SLOWER,
    ratios_of,
    seconds_of,
    slower,
    table,
    written_into,
)

ONCE = "ROC-AUC and AP once, 5,329 x 50"
MEASURED: dict[str, Any] = {
    "benchmarks": [
        {"name": "test_once_cmbench", "stats": {"min": 0.02}, "extra_info": {}},
        {"name": "test_once_scikit_learn", "stats": {"min": 0.3}, "extra_info": {}},
        {
            "name": "test_95m",
            "stats": {"min": 99.0},
            "extra_info": {"seconds": {"95m, cmbench": 5.0, "95m, eager": 12.0}},
        },
        {"name": "test_differences", "stats": {"min": 0.1}, "extra_info": {}},
    ]
}


def test_ratios_are_of_one_run_side_by_side() -> None:
    found = ratios_of(seconds_of(MEASURED))
    assert list(found) == [ROWS[0].what, ONCE]
    assert found[ONCE]["scikit-learn, label by label"]["ratio"] == pytest.approx(15.0)
    assert found[ROWS[0].what]["`transformers`, eager"]["ratio"] == pytest.approx(2.4)


@pytest.mark.parametrize(("factor", "told"), [(1.0, 0), (0.99 * SLOWER, 2), (1.01 * SLOWER, 0), (2.0, 0)])
def test_what_got_slower_is_told(factor: float, told: int) -> None:
    baseline = ratios_of(seconds_of(MEASURED))
    now = {
        what: {
            title: {**one, "ratio": one["ratio"] * (factor if title != "cmbench" else 1)} for title, one in row.items()
        }
        for what, row in baseline.items()
    }
    lines = list(slower(now, baseline))
    assert len(lines) == told
    assert all(line.startswith("slower: ") for line in lines)


def test_what_was_not_measured_is_told() -> None:
    baseline = ratios_of(seconds_of(MEASURED))
    assert list(slower({}, {ONCE: baseline[ONCE]}))[-1] == f"not measured: {ONCE}, beside scikit-learn, label by label"


def test_the_page_has_the_committed_table() -> None:
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert written_into(page, baseline) == page
    assert page.count(BEGIN) == page.count(END) == 1
    assert set(baseline) == {row.what for row in ROWS}
    assert f"| {ONCE} | 20 ms | scikit-learn, label by label: 300 ms | 15 |" in table(ratios_of(seconds_of(MEASURED)))
