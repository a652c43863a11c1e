"""What the page says of changes: the numbers of the views, labelled, escaped, small, and absent where they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.benchmark.pages.page import write_page
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import Metric, Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views import forgetting, transfer
from cmbench.benchmark.views.scope import scope_of
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Evidence]
GROUPS = [f"g{i // 2}" for i in range(80)]
TASKS = ("turkish_makam", "lyra", "fma_medium")


def made(build: Build, model: str, strength: float, tasks: Sequence[str] = TASKS, **settings: Any) -> list[Evidence]:
    found = []
    for i, task in enumerate(tasks):
        targets = np.random.default_rng(i).random((80, settings.pop("labels", 6))) < 0.3
        noise = np.random.default_rng(50 + i).standard_normal(targets.shape)
        scores = 1 / (1 + np.exp(-(strength * targets + noise)))
        e = build(model, targets, scores, GROUPS, task=task, families=["makam", "usul"] * 3, **settings)
        predictions = e.record.predictions.model_copy(update={"sha256": f"{model}{task}"})
        cell = f"{model}{task}{settings.get('edition', '')}{settings.get('fingerprint', '')}"
        found.append(replace(e, record=e.record.model_copy(update={"predictions": predictions, "cell_sha256": cell})))
    return found


def page_of(found: Sequence[Evidence], folder: Path, **settings: Any) -> str:
    records = [e.record for e in found]
    out = write_page(sections(records), folder / "page.html", found, resamples=100, **settings)
    return out.read_text(encoding="utf-8")


def test_four_models_are_few_and_have_figures_of_their_own(build_record: Callable[..., Record]) -> None:
    for models, few in ((4, True), (5, False)):
        (section,) = sections([build_record(f"model {i}", "lyra") for i in range(models)])
        assert scope_of(section, (), None, 100).few is few


def test_every_view_is_on_the_page(build_evidence: Build, tmp_path: Path) -> None:
    found = [*made(build_evidence, "before", 0.5), *made(build_evidence, "after", 3.0)]
    page = page_of(found, tmp_path, base="before")
    for title in ("Transfer</h3>", "Equity over traditions</h3>", "What changed, label by label</h3>", "Places on"):
        assert title in page
    (section,) = sections([e.record for e in found])
    scope = scope_of(section, found, "before", 100)
    (moved,), (changed,) = (list(view.VIEW.page(scope)) for view in (transfer, forgetting))
    matrix, ((report, _),) = moved.data["matrix"], changed.data
    assert matrix.base == "before"
    for task in TASKS:
        change = matrix.cells["after", task].change
        assert change is not None
        assert change.change is not None
        assert f"{100 * change.change:+.1f}" in page
    assert 'class="why v gained">gained' in page
    assert f"{report.count('gained')} labels gained" in page
    # The heat map in two forms, the change, hidden states, reliability of three tasks, cost.
    assert page.count("<svg") == 8
    for title in ("Families side by side</h3>", "Calibration</h3>", "Cost against score</h4>", "Where each family"):
        assert title in page
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL))


@pytest.mark.usefixtures("without_pictures")
def test_without_predictions_nothing_is_claimed(build_evidence: Build, tmp_path: Path) -> None:
    found = [*made(build_evidence, "before", 0.5), *made(build_evidence, "after", 3.0)]
    records = [e.record for e in found]
    bare = write_page(sections(records), tmp_path / "bare.html").read_text(encoding="utf-8")
    assert "-transfer" not in bare
    assert "Equity" not in bare
    half = write_page(sections(records), tmp_path / "half.html", found[:3], resamples=100).read_text(encoding="utf-8")
    assert "Without predictions beside their records, so not compared: after." in half
    assert "-transfer" not in half
    assert "Equity over traditions" in half


@pytest.mark.usefixtures("without_pictures")
def test_mini_is_labelled_and_apart(build_evidence: Build, tmp_path: Path) -> None:
    found = [*made(build_evidence, "a", 0.5), *made(build_evidence, "b", 3.0)]
    mini = [e for name in "ab" for e in made(build_evidence, name, 1.0 + (name == "b"), edition="mini")]
    page = page_of([*found, *mini], tmp_path)
    real, synthetic = page.split('<section class="report" id="s2"')
    assert MINI_LABEL not in real.split("<main")[1]
    assert synthetic.count(f'<p class="mini">{MINI_LABEL}</p>') == 1
    assert 'id="s2-transfer"' in synthetic


@pytest.mark.usefixtures("without_pictures")
def test_two_models_of_one_name_stay_two(build_evidence: Build, tmp_path: Path) -> None:
    one, other = (made(build_evidence, "m", s, fingerprint=f * 16) for s, f in ((0.5, "a"), (3.0, "b")))
    page = page_of([*one, *other], tmp_path)
    assert "m#aaaaaa" in page
    assert "What changed" in page


@pytest.mark.usefixtures("without_pictures")
def test_models_without_a_common_task_are_not_compared(build_evidence: Build, tmp_path: Path) -> None:
    found = [*made(build_evidence, "a", 0.5, TASKS[:2]), *made(build_evidence, "b", 0.5, TASKS[2:])]
    page = page_of(found, tmp_path)
    assert "Places on" not in page
    assert "What changed, label by label" not in page


def test_names_are_escaped(build_evidence: Build, tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    found = [*made(build_evidence, evil, 0.5), *made(build_evidence, "b", 3.0)]
    page = page_of(found, tmp_path)
    assert "<script>alert" not in page


def test_twenty_models_stay_under_two_mebibytes(build_evidence: Build, tmp_path: Path) -> None:
    tasks = {"turkish_makam": 30, "hindustani": 20, "carnatic": 20, "lyra": 30, "fma_medium": 20, "magnatagatune": 50}
    found = []
    for m in range(20):
        for i, (task, labels) in enumerate(tasks.items()):
            targets = np.random.default_rng(i).random((60, labels)) < 0.3
            noise = np.random.default_rng(50 + i).standard_normal(targets.shape)
            scores = 1 / (1 + np.exp(-(3.0 * (m > 0) * targets + noise)))
            families = [f"family {k % 3}" for k in range(labels)]
            e = build_evidence(
                f"some-model-{m:02d}-330M", targets, scores, GROUPS[:60], task=task, families=families, hidden_states=25
            )
            record = e.record.model_copy(update={"cell_sha256": f"{m} {task}"})
            found.append(replace(e, record=record))
    page = page_of(found, tmp_path)
    assert page.count("labels gained") == 19
    # More labels changed than a page of this size can hold: the largest are listed, and that is said.
    assert page.count("largest of") == 19
    assert len(page.encode()) < 2 * 2**20


@pytest.mark.usefixtures("without_pictures")
def test_a_task_without_any_score_is_not_ranked(build_evidence: Build, tmp_path: Path) -> None:
    found = [*made(build_evidence, "a", 0.5), *made(build_evidence, "b", 3.0)]
    nothing = Metric(value=None, interval=None, per_seed=(None,), reason="no label is defined")
    empty = []
    for e in found:
        if e.record.task.name == "lyra":
            record = e.record.model_copy(update={"metrics": dict.fromkeys(e.record.metrics, nothing)})
            e = replace(e, record=record, targets=np.zeros_like(e.targets))
        empty.append(e)
    page = page_of(empty, tmp_path)
    assert "Places on turkish_makam, fma_medium:" in page
    (section,) = sections([e.record for e in empty])
    (moved,) = transfer.VIEW.page(scope_of(section, empty, "a", 100))
    assert moved.data["ranked"] == ["turkish_makam", "fma_medium"]


@pytest.mark.usefixtures("without_pictures")
def test_one_contradicting_record_does_not_take_the_page_down(build_evidence: Build, tmp_path: Path) -> None:
    found = [*made(build_evidence, "a", 0.5), *made(build_evidence, "b", 3.0)]
    found[-1] = replace(found[-1], groups=(None,) * 80)
    page = page_of(found, tmp_path, base="a")
    assert "Not compared:" in page
    assert "b on fma_medium: " in page
    assert "different labels or groups" in page
    assert "Places on turkish_makam, lyra:" in page


def test_two_versions_of_a_task_are_not_counted_twice(build_evidence: Build) -> None:
    old = [*made(build_evidence, "a", 0.5), *made(build_evidence, "b", 3.0)]
    new = [*made(build_evidence, "a", 0.5), *made(build_evidence, "b", 3.0)]
    for i, e in enumerate(old):
        task = e.record.task.model_copy(update={"split_sha256": "0" * 64})
        moment = e.record.environment.model_copy(update={"created": "1999-01-01T00:00:00+00:00"})
        other = {"task": task, "environment": moment, "cell_sha256": f"{i:064x}"}
        old[i] = replace(e, record=e.record.model_copy(update=other))
    found = [*old, *new]
    (section,) = sections([e.record for e in found])
    assert len(section.columns) == 2 * len(TASKS)
    scope = scope_of(section, found, "a", 100)
    assert len(scope.alike) == len(new)
    assert {e.record.task.split_sha256 for e in scope.alike}.isdisjoint({"0" * 64})
    assert len(scope.unlike) == len(old)
    assert "stands here on several splits" in scope.unlike[0]
