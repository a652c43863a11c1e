"""What must stand beside numbers."""

from __future__ import annotations

import pytest

from cmbench.benchmark.records.setting import Setting, warning_of
from cmbench.tasks.base import MINI_LABEL
from cmbench.tasks.splits.names import LIMIT_LABEL


@pytest.mark.parametrize(
    ("edition", "split", "warning"),
    [
        ("full", "official", ""),
        ("mini", "own", MINI_LABEL),
        ("full", "own-limit-60", LIMIT_LABEL),
        ("mini", "own-limit-60", f"{MINI_LABEL}; {LIMIT_LABEL}"),
    ],
)
def test_what_is_not_the_whole_of_real_data_is_called_so(edition: str, split: str, warning: str) -> None:
    assert warning_of(edition, split) == warning
    assert Setting(edition, split, "cmbench-1").facts.get("warning", "") == warning
