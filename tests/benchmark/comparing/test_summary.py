"""One number over tasks: 0 at chance, 1 when perfect, each tradition once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cmbench.benchmark.comparing.summary import (
    centred_replicates,
    centred_score,
    chance_precision,
    mean_over_traditions,
    tradition_replicates,
)
from cmbench.benchmark.records.evidence import Evidence

Build = Callable[..., Evidence]
TARGETS = np.random.default_rng(0).random((300, 4)) < [0.1, 0.2, 0.3, 0.4]
GROUPS = [f"g{i // 3}" for i in range(300)]


def test_perfect_is_one_and_chance_is_about_zero(build_evidence: Build) -> None:
    perfect = build_evidence("A", TARGETS, TARGETS.astype(float), GROUPS)
    labels = tuple(
        label.model_copy(update={"prevalence": float(TARGETS[:, k].mean())})
        for k, label in enumerate(perfect.record.labels)
    )
    record = perfect.record.model_copy(update={"labels": labels})
    perfect = Evidence(record, perfect.path, perfect.track_ids, perfect.groups, TARGETS, perfect.probabilities)
    assert chance_precision(record) == pytest.approx(TARGETS.mean())
    assert centred_replicates(perfect, 50) == pytest.approx(np.ones(52))
    constant = Evidence(record, perfect.path, perfect.track_ids, perfect.groups, TARGETS, np.full((2, 300, 4), 0.5))
    assert centred_replicates(constant, 50) == pytest.approx(np.zeros(52))
    guess = np.random.default_rng(1).random((20, *TARGETS.shape))
    chance = Evidence(record, perfect.path, perfect.track_ids, perfect.groups, TARGETS, guess.astype(np.float32))
    assert abs(centred_replicates(chance, 50)[0]) < 0.03


def test_the_same_as_from_the_record(build_evidence: Build) -> None:
    record = build_evidence("A", TARGETS, np.full(TARGETS.shape, 0.5), GROUPS).record
    half = record.metrics["roc_auc"].model_copy(update={"value": 0.5})
    record = record.model_copy(update={"metrics": record.metrics | {"roc_auc": half, "average_precision": half}})
    chance = chance_precision(record)
    assert chance is not None
    assert centred_score(record) == pytest.approx((0.5 - chance) / (1 - chance) / 2)
    undefined = record.metrics["roc_auc"].model_copy(update={"value": None})
    assert centred_score(record.model_copy(update={"metrics": record.metrics | {"roc_auc": undefined}})) is None


def test_two_western_tasks_count_once(build_evidence: Build) -> None:
    strengths = {"lyra": 1.0, "fma_medium": 2.0, "magnatagatune": 0.5}
    noise = np.random.default_rng(2).standard_normal(TARGETS.shape)
    found = [
        build_evidence("A", TARGETS, 1 / (1 + np.exp(-(s * TARGETS + noise))), GROUPS, task=t)
        for t, s in strengths.items()
    ]
    scores = tradition_replicates(found, 20)
    alone = [centred_replicates(e, 20) for e in found]
    assert list(scores) == ["greek", "western"]
    assert scores["western"] == pytest.approx((alone[1] + alone[2]) / 2)
    assert mean_over_traditions(scores) == pytest.approx((alone[0] + (alone[1] + alone[2]) / 2) / 2)
