"""The paper's claims, judged on records with known truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cmbench.baselines.nano import NANO, NANO_BASE
from cmbench.benchmark.cli import app
from cmbench.benchmark.evidence import Evidence
from cmbench.benchmark.reproduction import MODELS, VARIATIONS, Claim, claims, judge, mean_change, reported_change
from cmbench.benchmark.reproduction_report import (
    curves_figure,
    facts,
    findings_figure,
    markdown_findings,
    print_reproduction,
    read_curve,
    write_reproduction,
)
from cmbench.errors import CmbenchError
from cmbench.pretraining.family import MERGED, MULTI
from cmbench.pretraining.recipe_reading import open_recipe

Build = Callable[..., Evidence]
TRACKS, LABELS = 160, 5
GROUPS = [f"g{i // 2}" for i in range(TRACKS)]
TASKS = {"turkish_makam": False, "lyra": False, "fma_medium": True}
# Strength of the labels' signal on the traditions' and on Western tasks.
KNOWS = dict.fromkeys(MODELS, (1.0, 1.5)) | {MULTI: (2.0, 1.5), MERGED: (2.0, 1.0), "no-replay-nano": (2.0, 0.5)}


def measured(build: Build) -> list[Evidence]:
    targets = np.random.default_rng(0).random((TRACKS, LABELS)) < 0.3
    noise = np.random.default_rng(1).standard_normal(targets.shape)
    found = []
    for model, strengths in KNOWS.items():
        for task, western in TASKS.items():
            probabilities = 1 / (1 + np.exp(-(strengths[western] * targets + noise)))
            found.append(build(model, targets, probabilities, GROUPS, task=task, edition="mini"))
    return found


def test_every_claim_of_the_family_comes_out_as_it_was_planted(build_evidence: Build) -> None:
    found = judge(measured(build_evidence), 200)
    verdicts = {(f.claim.key, f.claim.after, f.claim.western): f.change.verdict for f in found.findings}
    assert verdicts["a", MULTI, False] == "gained"
    assert verdicts["b", MULTI, True] == "kept"
    assert verdicts["c", MERGED, True] == "lost"
    assert verdicts["e", "no-replay-nano", False] == "kept"
    assert verdicts["e", "no-replay-nano", True] == "lost"
    assert found.missing == ("not-rewarmed-nano", "one-stage-nano", "western-nano")
    assert found.matrix.models == (NANO_BASE, *(m for m in found.matrix.models if m != NANO_BASE))
    assert set(found.matrix.models) == set(MODELS)
    assert found.seeds == 1


def test_a_model_of_the_family_may_not_be_missing(build_evidence: Build) -> None:
    rest = [e for e in measured(build_evidence) if e.record.model.name != MERGED]
    with pytest.raises(CmbenchError, match=f"no record of {MERGED}"):
        judge(rest, 100)


def test_the_mean_change_counts_each_task_and_metric_once(build_evidence: Build) -> None:
    from cmbench.benchmark.compare import compare

    found = measured(build_evidence)
    before, after = ([e for e in found if e.record.model.name == name] for name in (NANO_BASE, MULTI))
    tasks = [t for t in compare(before, after, resamples=100, labels=False).tasks if t.tradition != "western"]
    metrics = ("roc_auc", "average_precision")
    values = [[e.record.metrics[m].value or 0 for e in side if e.record.task.tradition != "western" for m in metrics]
              for side in (before, after)]  # fmt: skip
    assert mean_change(tasks).change == pytest.approx(np.mean(values[1]) - np.mean(values[0]))


def test_the_papers_changes_stand_beside_ours() -> None:
    reported = {(c.key, c.after, c.western): reported_change(c) for c in claims()}
    assert round(100 * (reported["a", MULTI, False] or 0), 1) == 4.9
    assert round(100 * (reported["b", MULTI, True] or 0), 2) == -0.05
    assert reported["e", "one-stage-nano", False] is None
    assert reported_change(Claim("x", "", NANO_BASE, MERGED, True)) == pytest.approx(0.004, abs=1e-4)


def test_the_variations_are_recipes() -> None:
    culture = open_recipe("culturemert-nano").recipe
    for variation in VARIATIONS:
        recipe = open_recipe(variation.member.recipe, variation.member.changes).recipe
        assert recipe.steps == culture.steps
        assert recipe.start == culture.start == NANO_BASE
    quiet = open_recipe("culturemert-nano", VARIATIONS[1].member.changes).recipe
    for name, stage in quiet.stages.items():
        last = culture.stages[name].schedule.rate(culture.stages[name].steps - 1)
        assert stage.schedule.rate(0) == stage.schedule.rate(stage.steps - 1) == pytest.approx(last, rel=0.01)
    western = open_recipe("culturemert-nano", VARIATIONS[3].member.changes).recipe
    assert all([t for t, hours in stage.hours.items() if hours] == ["western"] for stage in western.stages.values())


def test_table_data_and_figures(build_evidence: Build, tmp_path: Path) -> None:
    found = judge(measured(build_evidence), 100)
    text = markdown_findings(found)
    assert text.count("\n| a |") == text.count("\n| b |") == 1
    assert "mini: synthetic" in text
    console = Console(width=200, record=True)
    print_reproduction(found, console)
    assert "gained" in console.export_text()
    said = json.loads(json.dumps(facts(found, "cmbench reproduce nano"), allow_nan=False))
    assert said["edition"] == "mini"
    assert {row["key"] for row in said["findings"]} == {"a", "b", "c", "e"}
    model = tmp_path / "model"
    model.mkdir()
    (model / "held_out.csv").write_text(
        "step,stage,tradition,loss,mean_accuracy,cqt_error\n0,only,greek,3.0,0,0\n5,only,greek,2.5,0.1,0\n"
    )
    assert read_curve(model) == {"greek": [(0, 3.0), (5, 2.5)]}
    assert len(curves_figure({"one": model, "two": model}).axes) == 2
    assert len(findings_figure(found).axes[0].lines) > len(found.findings)
    written = write_reproduction(found, {"one": model}, tmp_path / "out", "cmbench reproduce nano")
    assert {"findings.json", "findings.md", "findings.svg", "held_out.png", "transfer.svg"} <= {p.name for p in written}
    assert all(path.stat().st_size for path in written)


def test_the_commands_explain_themselves() -> None:
    for name in ("family", "nano"):
        shown = CliRunner().invoke(app, ["reproduce", name, "--help"])
        assert shown.exit_code == 0
        assert f"cmbench reproduce {name}" in shown.output.replace("\n", " ")
    assert set(MODELS) == set(NANO)
