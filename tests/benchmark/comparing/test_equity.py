"""Equity over traditions: the planted weakness is found, and what was not measured is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cmbench.benchmark.comparing.equity import equities, equity
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.views.equity import VIEW, equity_tables
from cmbench.benchmark.views.tables import print_tables
from cmbench.errors import UsageError

Build = Callable[..., Evidence]
GROUPS = [f"g{i // 2}" for i in range(200)]
UNEVEN = {"turkish_makam": 0.3, "lyra": 1.5, "carnatic": 1.5, "fma_medium": 3.0}


def model(build: Build, strengths: Mapping[str, float], name: str = "A", **settings: Any) -> list[Evidence]:
    found = []
    for i, (task, strength) in enumerate(strengths.items()):
        targets = np.random.default_rng(i).random((200, 5)) < 0.3
        noise = np.random.default_rng(100 + i).standard_normal(targets.shape)
        found.append(
            build(name, targets, 1 / (1 + np.exp(-(strength * targets + noise))), GROUPS, task=task, **settings)
        )
    return found


def test_the_weak_tradition_and_the_lead_of_the_west_are_found(build_evidence: Build) -> None:
    judged = equity(model(build_evidence, UNEVEN))
    assert judged is not None
    assert list(judged.traditions) == ["turkish", "carnatic", "greek", "western"]
    assert judged.worst == "turkish"
    assert judged.worst_share == 1.0
    values = {t: s.value or 0 for t, s in judged.traditions.items()}
    assert judged.spread.value == pytest.approx(values["western"] - values["turkish"])
    others = np.mean([values["turkish"], values["carnatic"], values["greek"]])
    assert judged.gap is not None
    assert judged.gap.value == pytest.approx(others - values["western"])
    assert judged.mean.value == pytest.approx(np.mean(list(values.values())))
    for level in (judged.spread, judged.gap, judged.mean, *judged.traditions.values()):
        assert level.low is not None
        assert level.high is not None
        assert level.low < (level.value or 0) < level.high
    assert (judged.gap.high or 0) < 0
    assert judged.tasks["western"] == ("fma_medium",)


def test_what_was_not_measured_is_not_made_up(build_evidence: Build) -> None:
    assert equity(model(build_evidence, {"lyra": 1.0})) is None
    judged = equity(model(build_evidence, {"lyra": 1.0, "carnatic": 2.0}))
    assert judged is not None
    assert judged.gap is None
    few = equity([e.rows(e.track_ids[:6]) for e in model(build_evidence, {"lyra": 1.0, "carnatic": 2.0})])
    assert few is None or few.mean.low is None
    with pytest.raises(UsageError, match="one model"):
        equity([*model(build_evidence, {"lyra": 1.0}), *model(build_evidence, {"carnatic": 1.0}, "B")])


def test_each_model_and_edition_is_judged_apart(build_evidence: Build) -> None:
    found = [
        *model(build_evidence, UNEVEN),
        *model(build_evidence, UNEVEN, "B"),
        *model(build_evidence, UNEVEN, edition="mini"),
        *model(build_evidence, {"lyra": 1.0}, "C"),
    ]
    judged = equities(found, resamples=50)
    assert [(e.model, e.setting.edition) for e in judged] == [("A", "full"), ("B", "full"), ("A", "mini")]
    out = StringIO()
    print_tables(equity_tables(judged), Console(file=out, width=140))
    text = out.getvalue()
    assert text.count("Equity over traditions") == 2
    assert text.count("mini: synthetic") == 1
    assert "turkish (100 %)" in text
    assert "nan" not in text
    assert equity_tables(()) == []


def test_a_copy_of_a_record_counts_once(build_evidence: Build) -> None:
    found = model(build_evidence, {"lyra": 1.0, "magnatagatune": 0.5, "fma_medium": 3.0})
    copy = model(build_evidence, {"lyra": 1.0, "magnatagatune": 0.5, "fma_medium": 3.0})[2]
    assert equities([*found, copy], 100) == equities(found, 100)


def test_a_model_that_lacks_a_tradition_has_no_mean_beside_the_others(build_evidence: Build) -> None:
    whole = {"turkish_makam": 0.5, "lyra": 1.0, "fma_medium": 2.0}
    less = model(build_evidence, {"turkish_makam": 0.5, "fma_medium": 2.0}, "B")
    judged = equities([*model(build_evidence, whole), *less], 50)
    (table,) = equity_tables(judged)
    rows = {row[0]: row for row in table.rows}
    assert rows["B"][1:] == ("no greek", "2 of 3", "–", "–", "–", "–")
    assert rows["A"][2] == "3"
    assert "–" not in rows["A"]
    assert VIEW.rows is not None
    values = {(r["model"], r["score"]): r["value"] for r in VIEW.rows(judged)[""]}
    assert [values["B", name] for name in ("mean", "spread", "gap", "greek")] == [None] * 4
    assert values["B", "turkish"] is not None
    assert values["A", "mean"] is not None
    (alone,) = equity_tables(equities(less, 50))
    assert alone.rows[0][2] == "2", "alone, it lacks nothing that another has"
