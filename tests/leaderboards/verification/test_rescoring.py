"""Scores are computed again; whatever is changed by more than a billionth is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.benchmark.records.record import Interval, Metric
from cmbench.errors import CmbenchError
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.verification.rescoring import (
    TOLERANCE,
    check_identities,
    check_scores,
    difference,
    rankable_protocol,
)

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry

scores = st.floats(0, 1)


@given(scores, scores)
def test_numbers_agree_to_a_billionth(first: float, second: float) -> None:
    one = Metric(value=first, interval=Interval(low=first, high=first), per_seed=(first, None))
    other = Metric(value=second, interval=Interval(low=second, high=second), per_seed=(second, None))
    assert (difference(one, other) is None) == (abs(first - second) <= TOLERANCE)


@pytest.mark.parametrize(
    ("claimed", "computed", "said"),
    [
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, " has other entries"),
        ((1.0,), (1.0, 2.0), " has 1 entries and not 2"),
        ((1.0, None), (1.0, 0.5), "[1] is None and not 0.5"),
        ({"a": {"b": 0.5}}, {"a": {"b": 0.6}}, ".a.b is 0.5 and not 0.6"),
        ("raga", "tala", " is 'raga' and not 'tala'"),
        ({"reason": "because"}, {"reason": "for"}, None),
    ],
)
def test_a_difference_names_its_place(claimed: Any, computed: Any, said: str | None) -> None:
    assert difference(claimed, computed) == said


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: r["labels"][3].__setitem__("roc_auc", 0.123), "labels[3].roc_auc"),
        (lambda r: r["labels"][3].__setitem__("support", 1), "labels[3].support"),
        (lambda r: r["labels"][3].__setitem__("prevalence", 0.9), "labels[3].prevalence"),
        (lambda r: r["families"][0].__setitem__("average_precision", 0.9), "families[0].average_precision"),
        (lambda r: r.__setitem__("defined_labels", 1), "defined_labels"),
        (lambda r: r["labels"].reverse(), "in an order that is not the task's"),
        (lambda r: r["undefined_labels"].__setitem__(r["labels"][0]["label"], "too hard"), "labels without a score"),
    ],
)
def test_every_score_of_a_record_is_compared(make_entry: MakeEntry, change: Any, word: str) -> None:
    forged = make_entry()
    change(forged.record)
    evidence = read_entry(forged.save()).evidence[0]
    found = [*check_scores(evidence, rankable_protocol(evidence.record)), *check_identities(evidence.record)]
    assert any(word in f.message for f in found), found


def test_fewer_seeds_than_the_protocols(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.arrays["probabilities"] = forged.arrays["probabilities"][:4]
    forged.score_again()
    evidence = read_entry(forged.save()).evidence[0]
    (finding,) = check_scores(evidence, rankable_protocol(evidence.record))
    assert finding.message == "predictions of 4 seeds; cmbench-1 has 5."


def test_a_layer_that_was_not_tried(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.record["selection"]["layer"] = "hidden_9"
    (finding,) = check_identities(read_entry(forged.save()).evidence[0].record)
    assert "hidden_9" in finding.message


def test_protocols_that_have_a_board(make_entry: MakeEntry) -> None:
    record = read_entry(make_entry().save()).evidence[0].record
    assert rankable_protocol(record).name == "cmbench-1"
    changes: list[dict[str, object]] = [{"name": "mine"}, {"sha256": "0" * 64}, {"settings": {}}]
    for change in changes:
        part = record.protocol.model_copy(update=change)
        with pytest.raises(CmbenchError, match=r"no board|not those of the protocol"):
            rankable_protocol(record.model_copy(update={"protocol": part}))
