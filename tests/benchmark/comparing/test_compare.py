"""Comparisons and forgetting reports: planted changes are found, unlike measurements are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import roc_auc_score

from cmbench.benchmark.comparing.compare import compare
from cmbench.benchmark.comparing.delong import delong_test
from cmbench.benchmark.comparing.forgetting import forgetting
from cmbench.benchmark.comparing.paired import replicate
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.views.changes import change_rows, print_comparison
from cmbench.benchmark.views.forgetting import print_forgetting
from cmbench.errors import UsageError

Build = Callable[..., Evidence]
TRACKS, LABELS = 300, 10
GROUPS = [f"g{i // 3}" for i in range(TRACKS)]
FAMILIES = ["raga"] * 5 + ["instrument"] * 5


def population(strengths: list[float], seed: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Targets, and scores whose signal has a strength of its own for each label."""
    draw = np.random.default_rng(seed)
    targets = draw.random((TRACKS, LABELS)) < 0.3
    shared = np.random.default_rng(seed + 1).standard_normal((TRACKS, LABELS))
    return targets, 1 / (1 + np.exp(-(np.array(strengths) * targets + shared)))


def pair(build: Build, change: list[float], task: str = "lyra", **settings: Any) -> tuple[Evidence, Evidence]:
    targets, before = population([1.5] * LABELS)
    _, after = population([1.5 + c for c in change])
    made = [
        build(m, targets, p, GROUPS, task=task, families=FAMILIES, **settings) for m, p in (("A", before), ("B", after))
    ]
    return made[0], made[1]


def test_planted_changes_of_single_labels_are_found(build_evidence: Build) -> None:
    change = [0.0] * LABELS
    change[2], change[7] = 1.5, -1.5
    report = forgetting(*([e] for e in pair(build_evidence, change)))
    (task,) = report.comparison.tasks
    verdicts = [label.roc_auc.verdict for label in task.labels]
    assert verdicts[2] == "gained"
    assert verdicts[7] == "lost"
    assert [v for k, v in enumerate(verdicts) if k not in (2, 7)] == ["kept"] * 8
    assert [label.label for _, label in report.lost] == ["instrument--7"]
    assert [label.label for _, label in report.gained] == ["raga--2"]
    assert (task.labels[2].delong_p_value or 1) < 1e-3
    assert task.labels[0].roc_auc.change == 0
    assert task.families["raga"]["roc_auc"].verdict == "gained"
    assert task.families["instrument"]["roc_auc"].verdict == "lost"


def test_a_missing_difference_is_not_enough_to_be_kept(build_evidence: Build) -> None:
    targets, before = population([0.8] * LABELS)
    _, after = population([0.8] * LABELS, seed=0)
    noise = np.random.default_rng(9).standard_normal(after.shape)
    after = 1 / (1 + np.exp(-(0.8 * targets + noise)))
    one, other = (build_evidence(m, targets, p, GROUPS) for m, p in (("A", before), ("B", after)))
    (task,) = compare([one], [other]).tasks
    verdicts = {label.roc_auc.verdict for label in task.labels}
    assert "kept" not in verdicts
    assert "cannot tell" in verdicts
    (wide,) = compare([one], [other], bound=0.5).tasks
    assert wide.metrics["roc_auc"].verdict == "kept"


def test_a_track_that_only_one_could_use_is_left_out_and_said(build_evidence: Build) -> None:
    one, other = pair(build_evidence, [0.5] * LABELS)
    fewer = other.rows(other.track_ids[1:])
    (task,) = compare([one], [fewer]).tasks
    assert task.tracks == TRACKS - 1
    assert task.notes == ("1 test track of A could not be used by B",)
    (same,) = compare([one.rows(fewer.track_ids)], [fewer]).tasks
    assert same.metrics == task.metrics


def with_task(evidence: Evidence, **changes: Any) -> Evidence:
    task = evidence.record.task.model_copy(update=changes)
    return replace(evidence, record=evidence.record.model_copy(update={"task": task}))


def test_unlike_measurements_are_refused(build_evidence: Build) -> None:
    one, other = pair(build_evidence, [0.0] * LABELS)
    marble = pair(build_evidence, [0.0] * LABELS, protocol="marble-1")[1]
    for changed, word in (
        (with_task(other, edition="mini"), "the edition differs"),
        (with_task(other, split="group-safe"), "the split differs"),
        (with_task(other, split_sha256="0" * 64), "split's content"),
        (with_task(other, label_sha256="0" * 64), "label set"),
        (marble, "the protocol differs"),
    ):
        with pytest.raises(UsageError, match=word):
            compare([one], [changed])
    turned = replace(other, targets=~other.targets)
    with pytest.raises(UsageError, match="different labels or groups"):
        compare([one], [turned])
    hidden = replace(other, known=np.ones_like(other.targets))
    with pytest.raises(UsageError, match="different labels or groups"):
        compare([one], [hidden])
    with pytest.raises(UsageError, match="no task in common"):
        compare([one], [with_task(other, name="carnatic")])
    with pytest.raises(UsageError, match="holds several models"):
        compare([one, other], [other])
    with pytest.raises(UsageError, match="two records of A on lyra"):
        compare([one, one], [other])
    with pytest.raises(UsageError, match="no record of the second"):
        compare([one], [])


def test_summaries_count_each_task_once_and_name_the_others(build_evidence: Build) -> None:
    tasks = ("lyra", "fma_medium", "magnatagatune", "carnatic")
    pairs = [pair(build_evidence, [1.0 if t == "lyra" else 0.0] * LABELS, t) for t in tasks]
    report = forgetting([p[0] for p in pairs], [p[1] for p in pairs[:3]])
    assert report.comparison.only_before == ("carnatic",)
    stability, plasticity, everything = report.balances
    assert stability.tasks == ("fma_medium", "magnatagatune")
    assert stability.changes["roc_auc"].verdict == "kept"
    assert plasticity.tasks == ("lyra",)
    assert plasticity.changes["roc_auc"].verdict == "gained"
    assert report.retention is not None
    assert report.retention.value == pytest.approx(1.0)
    lyra = report.comparison.tasks[0].metrics["roc_auc"].change or 0
    assert everything.changes["roc_auc"].change == pytest.approx(lyra / 3)


def test_western_retention_is_what_is_left_above_chance(build_evidence: Build) -> None:
    one, weaker = pair(build_evidence, [-1.0] * LABELS, "fma_medium")
    report = forgetting([one], [weaker])
    left = report.retention
    assert left is not None
    assert left.low is not None
    assert left.high is not None
    assert 0 < left.low < (left.value or 0) < left.high < 1
    targets, _ = population([0.0] * LABELS)
    (same,) = (build_evidence("B", targets, np.full(targets.shape, 0.5), GROUPS, task="fma_medium", families=FAMILIES),)
    to_chance = forgetting([one], [same]).retention
    assert to_chance is not None
    assert to_chance.value == pytest.approx(0.0, abs=1e-9)
    assert forgetting([same], [one]).retention is None
    assert forgetting(*([e] for e in pair(build_evidence, [0.0] * LABELS))).retention is None


def test_what_is_printed(build_evidence: Build) -> None:
    change = [0.0] * LABELS
    change[7] = -1.5
    one, other = pair(build_evidence, change, edition="mini")
    out = StringIO()
    console = Console(file=out, width=140)
    print_comparison(compare([one], [other]), console)
    print_forgetting(forgetting([one], [other]), console, details=True)
    text = out.getvalue()
    assert text.count("mini: synthetic") == 3
    assert "instrument--7" in text
    assert "No labels that gain" in text
    assert text.count("DeLong p") == 4
    assert text.count("AP by label") == 2
    rows = change_rows(compare([one], [other]))
    assert len(rows) == 2 * (1 + 2 + LABELS)
    lost = [row for row in rows if row["name"] == "instrument--7" and row["metric"] == "roc_auc"]
    assert [row["verdict"] for row in lost] == ["lost"]
    assert all("mini" in str(row["warning"]) for row in rows)
    short = StringIO()
    print_forgetting(forgetting([one], [other]), Console(file=short, width=140))
    assert text.index(short.getvalue().partition("Tasks, families")[0]) > 0, "the conclusion stands first"
    assert len(short.getvalue().splitlines()) < 15
    line = r"^Greek +\d+\.\d +\d+\.\d +-\d+\.\d .*(lost|cannot tell), test sample only *$"
    assert re.search(line, short.getvalue(), re.MULTILINE)
    assert "1 of 10 labels lost (ROC-AUC; most: instrument--7 -" in short.getvalue()
    assert "9 of 10 labels kept within 1 point; 0 cannot be told, test sample only." in short.getvalue()
    assert "nan" not in text.lower().replace("finance", "")


def test_labels_that_are_not_defined_say_so(build_evidence: Build) -> None:
    targets, scores = population([1.0] * LABELS)
    targets[:, 3] = False
    one, other = (build_evidence(m, targets, scores, GROUPS) for m in "AB")
    (task,) = compare([one], [other]).tasks
    assert task.labels[3].roc_auc.change is None
    assert task.labels[3].roc_auc.reason
    assert task.labels[3].delong_p_value is None
    assert task.metrics["roc_auc"].change == 0


def test_perfect_on_a_few_positives_is_not_kept(build_evidence: Build) -> None:
    targets = np.zeros((60, 1), dtype=np.bool_)
    targets[::6] = True
    groups = [f"g{i}" for i in range(60)]
    before = build_evidence("a", targets, np.where(targets, 0.9, 0.1), groups)
    after = build_evidence("b", targets, np.where(targets, 0.8, 0.1), groups)
    (label,) = compare([before], [after], resamples=100).tasks[0].labels
    assert (label.roc_auc.change, label.roc_auc.verdict) == (0.0, "cannot tell")
    assert label.roc_auc.reason == "both rank every track right"
    same = build_evidence("b", targets, np.where(targets, 0.9, 0.1), groups)
    assert compare([before], [same], resamples=100).tasks[0].labels[0].roc_auc.verdict == "kept"


def test_models_without_a_common_track_are_refused(build_evidence: Build) -> None:
    draw = np.random.default_rng(0)
    targets, scores = draw.random((40, 2)) < 0.4, draw.random((40, 2))
    first, second = (build_evidence(name, targets, scores, [None] * 40) for name in "ab")
    second = replace(second, track_ids=tuple(f"other{i}" for i in range(40)))
    with pytest.raises(UsageError, match="no test track of lyra in common"):
        compare([first], [second], resamples=100)


def test_tracks_of_which_a_label_is_not_known_are_not_compared_on_it(build_evidence: Build) -> None:
    one, other = pair(build_evidence, [0.4] * LABELS)
    known = np.random.default_rng(9).random(one.targets.shape) < 0.5
    sides = [replace(e, targets=e.targets & known, known=known) for e in (one, other)]
    (task,) = compare([sides[0]], [sides[1]]).tasks
    here = np.flatnonzero(known[:, 0])
    scores = [e.probabilities[:, here, 0].mean(axis=0) for e in sides]
    expected = delong_test(sides[0].targets[here, 0], *scores)
    assert expected is not None
    assert task.labels[0].delong_p_value == pytest.approx(expected[2], abs=1e-12)
    assert task.labels[0].support == int(sides[0].targets[here, 0].sum())
    areas = [roc_auc_score(sides[0].targets[here, 0], e.probabilities[0, here, 0]) for e in sides]
    assert task.labels[0].roc_auc.change == pytest.approx(areas[1] - areas[0], abs=1e-12)
    shares = replicate(sides[0], 100).scores["prevalence"]
    assert shares[0, 0] == pytest.approx(sides[0].targets[here, 0].mean(), abs=1e-12)
