"""The headline: who leads, what changed and what cannot be told, from predictions of which the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cmbench.benchmark.comparing.headline import Headline, headline
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.sections import sections

Build = Callable[..., Evidence]
TRACKS, LABELS = 80, 6
TASKS = ("turkish_makam", "lyra", "fma_medium", "magnatagatune")
GROUPS = [f"g{i // 2}" for i in range(TRACKS)]
BASE, HEIR, PLAIN, CONTROL = "MERT", "CultureMERT", "mfcc", "untrained"
KNOWS: Mapping[str, Mapping[str, float]] = {
    CONTROL: dict.fromkeys(TASKS, 0.2),
    PLAIN: dict.fromkeys(TASKS, 1.0),
    HEIR: {"turkish_makam": 3.0, "lyra": 1.5, "fma_medium": 1.6, "magnatagatune": 1.6},
    BASE: {"turkish_makam": 1.5, "lyra": 1.5, "fma_medium": 3.5, "magnatagatune": 3.5},
}
"""Strength of the labels' signal: what each model knows of each task."""

CORPORA = {BASE: ("Western",), HEIR: ("Western", "Turkish")}


def measured(build: Build, knows: Mapping[str, Mapping[str, float]] = KNOWS, **settings: Any) -> list[Evidence]:
    """Records of models whose scores differ by what they know alone: the noise is the same for all."""
    found = []
    for model, tasks in knows.items():
        for i, (task, strength) in enumerate(tasks.items()):
            targets = np.random.default_rng(i).random((TRACKS, LABELS)) < 0.3
            noise = np.random.default_rng(50 + i).standard_normal(targets.shape)
            scores = 1 / (1 + np.exp(-(strength * targets + noise)))
            e = build(model, targets, scores, GROUPS, task=task, **settings)
            family = "anchors" if model == CONTROL else "mert"
            facts = {"trained_on": CORPORA.get(model, ()), "family": family, "layers": 1, "dim": 4}
            card = e.record.model.model_copy(update=facts)
            cell = f"{model} {task} {settings}"
            found.append(replace(e, record=e.record.model_copy(update={"model": card, "cell_sha256": cell})))
    return found


def judged(found: list[Evidence], base: str = BASE, resamples: int = 200) -> Headline:
    (section,) = sections(e.record for e in found)
    return headline(section, found, base, resamples)


def permuted(found: list[Evidence]) -> list[Evidence]:
    """The same predictions of the heir, dealt out to other tracks."""
    order = np.random.default_rng(3).permutation(TRACKS)
    return [replace(e, probabilities=e.probabilities[:, order]) if e.record.model.name == HEIR else e for e in found]


def test_leaders_and_changes_are_told_by_tradition(build_evidence: Build) -> None:
    found = judged(measured(build_evidence))
    turkish, greek, western = found.contests
    assert [one.tradition for one in found.contests] == ["turkish", "greek", "western"]
    assert (turkish.leader, turkish.level_with_leader) == (HEIR, ())
    assert (western.leader, western.level_with_leader) == (BASE, ())
    assert set(greek.level_with_leader) | {greek.leader} >= {BASE, HEIR}, "they know the same of it"
    assert (found.subjects, found.adapted) == ((HEIR,), True)
    verdicts = [one.changes[HEIR].verdict for one in found.contests]
    assert verdicts == ["gained", "kept", "lost"]
    assert (found.gaps[BASE].value or 0.0) < -0.1
    assert CONTROL not in found.gaps


def test_a_control_never_leads_and_is_no_rival(build_evidence: Build) -> None:
    found = judged(
        measured(build_evidence, {CONTROL: dict.fromkeys(TASKS, 3.0), PLAIN: dict.fromkeys(TASKS, 1.0)}), PLAIN
    )
    for one in found.contests:
        assert next(iter(one.scores)) == CONTROL
        assert (one.leader, one.level_with_leader) == (PLAIN, ())
    assert found.rows == [PLAIN, CONTROL]
    assert found.judged == []
    assert found.subjects == ()


def test_equal_models_are_told_from_no_other(build_evidence: Build) -> None:
    same = {name: dict.fromkeys(TASKS, 1.0) for name in (BASE, HEIR, PLAIN)}
    found = judged(measured(build_evidence, same))
    assert all(one.anyone for one in found.contests)
    assert not any(one.told for one in found.contests)
    assert {change.verdict for change in found.cells.values()} == {"kept"}


def test_permuted_predictions_change_what_is_told(build_evidence: Build) -> None:
    found = judged(permuted(measured(build_evidence)))
    assert found.contests[0].leader != HEIR
    assert found.contests[0].changes[HEIR].verdict == "lost"


def test_a_model_without_a_task_of_a_tradition_is_left_out_of_it(build_evidence: Build) -> None:
    found = judged([
        e for e in measured(build_evidence) if (e.record.model.name, e.record.task.name) != (BASE, "magnatagatune")
    ])  # fmt: skip
    western = found.contests[-1]
    assert BASE not in western.scores
    assert western.changes == {}
    assert (HEIR, "fma_medium") in found.cells
    assert (HEIR, "magnatagatune") not in found.cells


def test_models_are_judged_on_the_tracks_that_all_could_use(build_evidence: Build) -> None:
    whole = measured(build_evidence)
    less = [e.rows(e.track_ids[10:]) if e.record.model.name == PLAIN else e for e in whole]
    found, full = judged(less), judged([e.rows(e.track_ids[10:]) for e in whole])
    assert found.contests == full.contests
