"""What leaks are worth, from predictions: each planted effect is found, and no null is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.comparing import paired
from cmbench.benchmark.comparing.paired import Difference
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.studies.answers import Sides, answer, together
from cmbench.benchmark.studies.leakage import judging
from cmbench.benchmark.studies.leakage.judging import (
    HEAD,
    MIDDLE,
    TAIL,
    against,
    heard_before,
    in_thirds,
    other_split,
    thirds,
    without_repeats,
)

Build = Callable[..., Evidence]
TRACKS, LABELS = 120, 4


def draw(build: Build, seed: int, skill: NDArray[np.float64] | float, model: str = "mfcc", **more: object) -> Evidence:
    """Evidence of 40 groups of three tracks; ``skill`` is how far positives lie above the others, by track or label."""
    rng = np.random.default_rng(seed)
    targets = np.random.default_rng(7).random((TRACKS, LABELS)) < 0.4
    noise = rng.standard_normal((TRACKS, LABELS)) + 0.3 * np.repeat(rng.standard_normal((TRACKS // 3, LABELS)), 3, 0)
    scores = 1 / (1 + np.exp(-(targets * skill + noise)))
    return build(model, targets, scores, [f"g{i // 3}" for i in range(TRACKS)], **more)


def judged(sides: Sides | None) -> Difference:
    assert sides is not None
    (found,) = together([answer("asked", "mfcc", sides.task, [sides])])
    return found.change


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "RESAMPLES", 200)


def found_in(make: Callable[[int], Sides | None], times: int = 20) -> int:
    """How often a change is found."""
    return sum(judged(make(seed)).verdict in ("lost", "gained") for seed in range(times))


def test_a_split_that_leaks_is_worth_what_it_leaks_on_the_tracks_that_both_test(build_evidence: Build) -> None:
    usual, safe = draw(build_evidence, 1, 3.0), draw(build_evidence, 1, 1.0, split="group-safe", split_sha256="f" * 64)
    common = safe.track_ids[30:]
    safe = replace(safe.rows(common), groups=tuple(f"block-{i // 6}" for i in range(len(common))))
    found = other_split(usual.rows(usual.track_ids[:90]), safe)
    assert found is not None
    assert (found.tracks, found.sample.groups) == (60, 10)
    assert judged(found).verdict == "lost"
    assert other_split(usual.rows(usual.track_ids[:30]), safe) is None
    # The same predictions are the same on every draw, whatever groups the splits have.
    same = other_split(draw(build_evidence, 1, 1.0), safe)
    assert same is not None
    assert np.array_equal(same.before, same.after)

    def null(seed: int) -> Sides | None:
        return other_split(draw(build_evidence, seed, 1.5), draw(build_evidence, seed + 1000, 1.5, split="group-safe"))

    assert found_in(null) <= 3


def test_labels_that_no_track_tells_apart_count_once(build_evidence: Build) -> None:
    evidence = draw(build_evidence, 3, np.array([6.0, 6.0, 0.0, 0.0]))
    targets, scores = evidence.targets.copy(), evidence.probabilities.copy()
    targets[:, 1], scores[:, :, 1] = targets[:, 0], scores[:, :, 0]
    evidence = replace(evidence, targets=targets, probabilities=scores)
    first, second = evidence.record.task.labels[:2]
    change = judged(without_repeats(evidence, [(first, second)]))
    assert change.verdict == "lost"
    single = replace(evidence, targets=targets[:, [0, 2, 3]], probabilities=scores[:, :, [0, 2, 3]])
    task = evidence.record.task.model_copy(update={"labels": tuple(evidence.record.task.labels[k] for k in (0, 2, 3))})
    single = replace(single, record=evidence.record.model_copy(update={"task": task}))
    alone = judged(in_two(single))
    assert change.after == pytest.approx(alone.before)
    assert without_repeats(evidence, []) is None


def in_two(evidence: Evidence) -> Sides | None:
    """The score of all labels, twice."""
    return other_split(evidence, evidence)


def supported(evidence: Evidence, support: tuple[int, ...]) -> Evidence:
    labels = tuple(
        one.model_copy(update={"train_support": n}) for one, n in zip(evidence.record.labels, support, strict=True)
    )
    return replace(evidence, record=evidence.record.model_copy(update={"labels": labels}))


def test_thirds_go_by_training_tracks_and_a_tail_that_is_worse_is_found(build_evidence: Build) -> None:
    evidence = supported(draw(build_evidence, 4, np.array([0.0, 3.0, 3.0, 1.5])), (5, 300, 200, 40))
    assert thirds(evidence) == {HEAD: (1, 2), MIDDLE: (3,), TAIL: (0,)}
    assert judged(in_thirds(evidence, HEAD, TAIL)).verdict == "lost"
    even = supported(draw(build_evidence, 5, 2.0), (5, 300, 200, 40))
    assert judged(in_thirds(even, HEAD, TAIL)).verdict not in ("lost", "gained")
    assert judged(against(even, evidence, TAIL)).verdict == "lost"
    assert judged(against(even, evidence, HEAD)).verdict != "lost"
    undefined = [one.model_copy(update={"roc_auc": None}) for one in evidence.record.labels[:2]]
    record = evidence.record.model_copy(update={"labels": (*undefined, *evidence.record.labels[2:])})
    assert in_thirds(replace(evidence, record=record), HEAD, TAIL) is None


HEARD = frozenset(f"t{i}" for i in range(60))


def test_a_model_that_is_better_on_what_it_heard_is_found(build_evidence: Build) -> None:
    skill = np.where(np.arange(TRACKS)[:, None] < 60, 4.0, 1.0)
    sides = heard_before(draw(build_evidence, 1, 1.0), draw(build_evidence, 2, skill, "adapted"), HEARD)
    change = judged(sides)
    assert change.verdict == "gained"
    assert sides is not None
    assert (sides.tracks, sides.sample.groups) == (60, 20)


def test_tracks_that_are_easier_or_a_model_that_is_better_everywhere_are_no_memory(build_evidence: Build) -> None:
    easier = np.where(np.arange(TRACKS)[:, None] < 60, 2.5, 1.0)

    def everywhere(seed: int) -> Sides | None:
        return heard_before(draw(build_evidence, seed, 1.0), draw(build_evidence, seed + 500, 1.6, "adapted"), HEARD)

    def easy(seed: int) -> Sides | None:
        return heard_before(
            draw(build_evidence, seed, easier), draw(build_evidence, seed + 500, easier, "adapted"), HEARD
        )

    for null in (everywhere, easy):
        assert found_in(null) <= 3


def test_both_parts_are_scored_on_the_labels_that_both_define(build_evidence: Build) -> None:
    evidence = draw(build_evidence, 1, 1.0)
    targets = evidence.targets.copy()
    targets[:60, 0] = False
    evidence = replace(evidence, targets=targets)
    other = replace(evidence, probabilities=evidence.probabilities * np.float32(0.5))
    change = judged(heard_before(evidence, other, HEARD))
    assert (change.before, change.after) == (0.0, 0.0)
    assert change.verdict == "kept"
    assert heard_before(evidence, other, frozenset(evidence.track_ids)) is None
    assert heard_before(evidence, other, frozenset()) is None


def test_labels_that_are_rare_and_known_as_well_are_no_worse(build_evidence: Build) -> None:
    def null(seed: int) -> Evidence:
        rng = np.random.default_rng(seed)
        targets = rng.random((TRACKS * 2, LABELS)) < np.array([0.45, 0.45, 0.08, 0.08])
        scores = 1 / (1 + np.exp(-(1.5 * targets + rng.standard_normal(targets.shape))))
        groups = [f"g{i // 3}" for i in range(len(targets))]
        return supported(build_evidence("mfcc", targets, scores, groups), (400, 390, 60, 50))

    assert found_in(lambda seed: in_thirds(null(seed), HEAD, TAIL), 12) <= 3


def test_a_gain_on_tracks_of_rarer_labels_is_no_memory(build_evidence: Build) -> None:
    def null(seed: int) -> Sides | None:
        rng = np.random.default_rng(seed)
        rare = np.arange(TRACKS * 4)[:, None] < TRACKS * 2
        targets = rng.random((TRACKS * 4, LABELS)) < np.where(rare, 0.08, 0.45)
        groups = [f"g{i // 3}" for i in range(len(targets))]
        base, found = (
            build_evidence(name, targets, 1 / (1 + np.exp(-(d * targets + rng.standard_normal(targets.shape)))), groups)
            for name, d in (("mfcc", 0.2), ("adapted", 1.6))
        )
        return heard_before(base, found, {f"t{i}" for i in range(TRACKS * 2)})

    assert found_in(null, 8) <= 2


def test_one_model_has_made_one_choice_of_its_state(build_evidence: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "choice_cost", lambda evidence, drawn: 0.5)
    base, found = draw(build_evidence, 1, 1.0), draw(build_evidence, 2, 2.0, "other")
    alike = [
        without_repeats(found, [found.record.task.labels[:2]]),
        in_thirds(found, HEAD, TAIL),
        heard_before(base, found, set(found.track_ids[:60])),
    ]
    for sides in alike:
        assert sides is not None
        assert (len(sides.before), len(sides.after), sides.sample.choice) == (201, 201, False)
        assert (judged(sides).standard_error or 0.0) < 0.3
    unlike = against(base, found, HEAD)
    assert unlike is not None
    assert (len(unlike.before), unlike.sample.choice) == (202, True)
    assert (judged(unlike).standard_error or 0.0) > 0.3, "of two models one may have been unlucky"
