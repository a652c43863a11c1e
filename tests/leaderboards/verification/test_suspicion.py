"""Flags: raised by what is unlikely, and only by that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import Interval
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.verification.suspicion import check_ceiling, check_order

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry


@pytest.fixture
def evidence(make_entry: MakeEntry) -> Evidence:
    return read_entry(make_entry().save()).evidence[0]


def on_real_data(evidence: Evidence, value: float, half: float) -> Evidence:
    """The same with another ROC-AUC, as if it were of the real edition."""
    record = evidence.record
    metric = record.metrics["roc_auc"].model_copy(
        update={"value": value, "interval": Interval(low=value - half, high=value + half)}
    )
    task = record.task.model_copy(update={"edition": "full"})
    weak = {name: one.model_copy(update={"value": 0.3}) for name, one in record.metrics.items()}
    return replace(evidence, record=record.model_copy(update={"metrics": weak | {"roc_auc": metric}, "task": task}))


@pytest.mark.parametrize(
    ("value", "half", "flagged"),
    # The best published ROC-AUC of Lyra is 0.873.
    [(0.95, 0.01, True), (0.95, 0.04, False), (0.88, 0.01, False), (0.70, 0.001, False)],
)
def test_a_result_above_the_ceiling(evidence: Evidence, value: float, half: float, flagged: bool) -> None:
    found = list(check_ceiling(on_real_data(evidence, value, half)))
    assert bool(found) == flagged, found


def test_mini_has_no_ceiling(evidence: Evidence) -> None:
    assert list(check_ceiling(evidence)) == []


def test_labels_that_the_order_of_tracks_gives_away(evidence: Evidence) -> None:
    assert list(check_order(evidence)) == []
    label = int(evidence.targets.sum(axis=0).argmax())
    targets = evidence.targets.copy()
    targets[:, label] = np.sort(targets[:, label])
    (found,) = check_order(replace(evidence, targets=targets))
    assert evidence.record.labels[label].label in found.message
    assert "1 labels are predicted better from track order" in found.message
