"""The paper's claims, judged on records with known truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cmbench.baselines.hub.about import read_trained_on
from cmbench.baselines.nano import NANO, NANO_BASE, nano_folder
from cmbench.benchmark.comparing.transfer import cultures_of, transfer_matrix
from cmbench.benchmark.records.evidence import Evidence, evidence_of
from cmbench.benchmark.run import run
from cmbench.benchmark.studies.claims import STUDY, Request
from cmbench.benchmark.studies.claims.claims import (
    MODELS,
    VARIATIONS,
    Claim,
    claims,
    evaluate_claims,
    mean_change,
    reported_change,
    reported_models,
)
from cmbench.benchmark.studies.claims.report import (
    cells,
    curves_figure,
    findings_figure,
    findings_json,
    findings_table,
    print_reproduction,
    read_curve,
)
from cmbench.benchmark.views.base import write_view
from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.pretraining.family import MERGED, MULTI
from cmbench.pretraining.recipes.reading import open_recipe
from cmbench.tasks.base import MINI_LABEL

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
    found = evaluate_claims(measured(build_evidence), 200)
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


def test_changes_have_the_sign_and_the_tasks_of_their_claim(build_evidence: Build) -> None:
    evidence = measured(build_evidence)
    for finding in evaluate_claims(evidence, 100).findings:
        claim, change = finding.claim, finding.change
        means = [
            np.mean(
                [
                    e.record.metrics[metric].value or 0
                    for e in evidence
                    for metric in ("roc_auc", "average_precision")
                    if e.record.model.name == model and (e.record.task.name == "fma_medium") == claim.western
                ]
            )
            for model in (claim.before, claim.after)
        ]
        assert (change.before, change.after) == pytest.approx(tuple(means))
        assert change.change == pytest.approx(means[1] - means[0])
        assert change.change is not None
        assert change.low is not None
        assert change.high is not None
        assert change.low <= change.change <= change.high


def test_q_values_are_among_all_claims(build_evidence: Build) -> None:
    """Benjamini and Hochberg (1995), written out: the smallest p m / rank at this rank or a later one."""
    found = evaluate_claims(measured(build_evidence), 100).findings
    p = np.array([f.change.p_value for f in found], dtype=float)
    assert len(p) == 8
    order = np.argsort(p)
    stepped = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    expected = np.empty(len(p))
    expected[order] = np.minimum(stepped, 1)
    assert [f.change.q_value for f in found] == pytest.approx(expected.tolist())


def test_the_family_has_its_places_in_the_transfer_matrix(build_evidence: Build) -> None:
    targets = np.random.default_rng(0).random((TRACKS, LABELS)) < 0.3
    evidence = []
    for name, summary in NANO.items():
        one = build_evidence(name, targets, np.full(targets.shape, 0.5), GROUPS, task="lyra", edition="mini")
        model = one.record.model.model_copy(
            update={"trained_on": tuple(read_trained_on(nano_folder(name))), "description": summary}
        )
        evidence.append(replace(one, record=one.record.model_copy(update={"model": model})))
    four = {"greek", "turkish", "hindustani", "carnatic"}
    heard = {e.record.model.name: cultures_of(e.record) for e in evidence}
    assert heard == {
        NANO_BASE: set(),
        "GreekMERT-nano": {"greek"},
        "TurkishMERT-nano": {"turkish"},
        "HindustaniMERT-nano": {"hindustani"},
        "CarnaticMERT-nano": {"carnatic"},
        MULTI: four,
        MERGED: four,
    }
    matrix = transfer_matrix(evidence, NANO_BASE, resamples=20)
    kinds = dict.fromkeys(NANO, "single-culture") | {NANO_BASE: "base", MULTI: "multi-cultural", MERGED: "merged"}
    assert matrix.kinds == kinds
    assert [model for model in matrix.models if matrix.cells[model, "lyra"].in_culture] == [
        "GreekMERT-nano", MULTI, MERGED,
    ]  # fmt: skip


def test_only_the_records_of_the_run_are_judged(tmp_path: Path) -> None:
    out = tmp_path / "results"
    found = [run("constant", "lyra", edition="mini", out=out, seeds=n, workers=1, mini_scale=0.05) for n in (1, 2)]
    assert found[0] != found[1]
    for records in found:
        assert [e.record for e in evidence_of(records, out)] == records
        assert [e.record for e in evidence_of(records[::-1], out)] == records[::-1], "in the order that was asked for"
    evidence_of(found[0], out)[0].path.unlink()
    with pytest.raises(CmbenchError, match="the record of constant on lyra is gone"):
        evidence_of(found[0], out)


def test_a_folder_that_is_no_family_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / NANO_BASE).mkdir()
    with pytest.raises(UsageError, match=r"not a whole family: it has no MERT-nano, GreekMERT-nano"):
        CliRunner().invoke(
            app,
            ["reproduce", "nano", "--family", str(tmp_path), "--out", str(tmp_path / "out")],
            catch_exceptions=False,
        )
    assert not (tmp_path / "out").exists()


def test_a_model_of_the_family_may_not_be_missing(build_evidence: Build) -> None:
    rest = [e for e in measured(build_evidence) if e.record.model.name != MERGED]
    with pytest.raises(CmbenchError, match=f"no record of {MERGED}"):
        evaluate_claims(rest, 100)


def test_the_mean_change_counts_each_task_and_metric_once(build_evidence: Build) -> None:
    from cmbench.benchmark.comparing.compare import compare

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
    merged = Claim("x", "", NANO_BASE, MERGED, True)
    assert reported_change(merged) == pytest.approx(0.004, abs=1e-4)
    assert reported_models(merged) == ("MERT-v1-95M", "CultureMERT-TA-95M")


def test_the_variations_are_recipes() -> None:
    culture = open_recipe("culturemert-nano").recipe
    for member in VARIATIONS:
        recipe = open_recipe(member.recipe, member.changes).recipe
        assert recipe.steps == culture.steps
        assert recipe.start == culture.start == NANO_BASE
    quiet = open_recipe("culturemert-nano", list(VARIATIONS)[1].changes).recipe
    for name, stage in quiet.stages.items():
        last = culture.stages[name].schedule.rate(culture.stages[name].steps - 1)
        assert stage.schedule.rate(0) == stage.schedule.rate(stage.steps - 1) == pytest.approx(last, rel=0.01)
    western = open_recipe("culturemert-nano", list(VARIATIONS)[3].changes).recipe
    assert all([t for t, hours in stage.hours.items() if hours] == ["western"] for stage in western.stages.values())


def test_table_data_and_figures(build_evidence: Build, tmp_path: Path) -> None:
    found = evaluate_claims(measured(build_evidence), 100)
    table = findings_table(replace(found, command="cmbench reproduce nano --seeds 1"))
    assert "`cmbench reproduce nano --seeds 1`" in table.title
    assert table.source.startswith("mini edition")
    assert [row[0] for row in table.rows].count("a") == [row[0] for row in table.rows].count("b") == 1
    assert table.warning == MINI_LABEL
    console = Console(width=200, record=True)
    print_reproduction(found, console)
    assert "gained" in console.export_text()
    said = json.loads(findings_json(found))
    assert said["edition"] == "mini"
    assert said["warning"] == MINI_LABEL
    assert {row["key"] for row in said["findings"]} == {"a", "b", "c", "e"}
    row, *_, unreported = said["findings"]
    assert (row["first"], row["second"]) == (NANO_BASE, MULTI)
    assert row["after"] - row["before"] == pytest.approx(row["change"])
    assert row["reported"]["first"] == "MERT-v1-95M"
    assert row["reported"]["measured_here"] is False
    assert row["reported"]["change"] != row["change"]
    assert unreported["reported"] is None
    model = tmp_path / "model"
    model.mkdir()
    (model / "held_out.csv").write_text(
        "step,stage,tradition,loss,mean_accuracy,cqt_error\n0,only,greek,3.0,0,0\n5,only,greek,2.5,0.1,0\n"
    )
    assert read_curve(model) == {"greek": [(0, 3.0), (5, 2.5)]}
    curves = curves_figure({"one": model, "two": model})
    assert len(curves.axes) == 2
    for figure in (curves, findings_figure(found)):
        assert any(MINI_LABEL in text.get_text() for text in figure.texts)
    assert len(findings_figure(found).axes[0].lines) > len(found.findings)
    assert STUDY.further is not None
    drawn = replace(found, trained={"one": model})
    written = [*write_view(STUDY, drawn, tmp_path / "out"), *STUDY.further(drawn, tmp_path / "out")]
    assert {"findings.json", "findings.md", "findings.svg", "held_out.png", "transfer.svg"} <= {p.name for p in written}
    assert all(path.stat().st_size for path in written)
    assert not [path for path in STUDY.further(found, tmp_path / "out") if path.name.startswith("held_out")]


def test_the_command_that_gives_the_same_findings() -> None:
    assert Request(out=Path("x"), device="cpu").command == "cmbench reproduce nano"
    other = Request(family=Path("a") / "nano", family_only=True, seeds=2, mini_seed=5, mini_scale=2.0)
    words = "--family nano --family-only --seeds 2 --mini-seed 5 --mini-scale 2"
    assert other.command == f"cmbench reproduce nano {words}"


def test_a_bound_shows_on_which_side_of_zero_it_lies(build_evidence: Build) -> None:
    finding = evaluate_claims(measured(build_evidence), 100).findings[0]
    near = replace(finding, change=replace(finding.change, low=-0.0002, high=0.0004))
    assert cells(near)[4] == "[-0.02, +0.04]"
    assert cells(replace(finding, change=replace(finding.change, low=-0.0102, high=0.0006)))[4] == "[-1.0, +0.1]"


def test_the_terminal_says_why_there_is_no_interval(build_evidence: Build) -> None:
    found = evaluate_claims(measured(build_evidence), 100)
    first, *others = found.findings
    bare = replace(first, change=replace(first.change, low=None, high=None, reason="fewer than 5 groups (4)"))
    console = Console(width=200, record=True)
    print_reproduction(replace(found, findings=(bare, *others)), console)
    assert console.export_text().count("Where there is no interval: fewer than 5 groups (4).") == 1


def test_random_weights_leave_room_for_what_adaptation_changes(tmp_path: Path) -> None:
    head = "step,stage,tradition,loss,mean_accuracy,cqt_error\n"
    for name, losses in (("base", (50.0, 3.0)), ("adapted", (3.0, 2.0))):
        (tmp_path / name).mkdir()
        rows = [f"{5 * k},only,greek,{loss},0,0\n" for k, loss in enumerate(losses)]
        (tmp_path / name / "held_out.csv").write_text(head + "".join(rows))
    figure = curves_figure({name: tmp_path / name for name in ("base", "adapted")})
    low, high = figure.axes[0].get_ylim()
    assert low < 2.0
    assert 3.0 < high < 4.0


def test_the_commands_explain_themselves() -> None:
    for name in ("family", "nano"):
        shown = CliRunner().invoke(app, ["reproduce", name, "--help"])
        assert shown.exit_code == 0
        assert f"cmbench reproduce {name}" in shown.output.replace("\n", " ")
    assert set(MODELS) == set(NANO)
