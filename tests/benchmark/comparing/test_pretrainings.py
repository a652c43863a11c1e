"""Several pre-trainings as one model: means, their spread by hand, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from cmbench.benchmark.comparing.compare import compare
from cmbench.benchmark.comparing.forgetting import forgetting
from cmbench.benchmark.comparing.paired import difference, level
from cmbench.benchmark.comparing.pretrainings import as_one, with_seeds
from cmbench.benchmark.comparing.transfer import transfer_matrix
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.scoring.metrics import ranking_scores
from cmbench.benchmark.views.changes import change_rows, pretrainings_said, side
from cmbench.benchmark.views.transfer.transfer_tables import transfer_tables
from cmbench.errors import UsageError

Build = Callable[..., Evidence]


def test_welch_by_hand() -> None:
    wobble = np.tile([0.01, -0.01], 50)
    before = np.array([0.7, *np.full(100, 0.7), 0.70, 0.72, 0.68, 0.7, 0.7])
    after = np.array([0.8, *(0.8 + wobble), 0.8, 0.8, 0.8, 0.79, 0.81])
    found = difference(before, after, Sample(10, models=(3, 2)), 0.01)
    parts = [(1e-4 * 10 / 9, 9), (4e-4 / 3, 2), (2e-4 / 2, 1)]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / count for part, count in parts)
    assert found.standard_error == pytest.approx(total**0.5)
    assert found.p_value == pytest.approx(2 * t.sf(0.1 / total**0.5, freedom))
    assert found.low == pytest.approx(0.1 - t.ppf(0.975, freedom) * total**0.5)
    assert found.high == pytest.approx(0.1 + t.ppf(0.975, freedom) * total**0.5)
    assert found.models == (3, 2)
    score = level(after, Sample(10, models=(3, 2)))
    parts = [(1e-4 * 10 / 9, 9), (2e-4 / 2, 1)]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / count for part, count in parts)
    assert score.high == pytest.approx(0.8 + t.ppf(0.975, freedom) * total**0.5)


@pytest.fixture
def seeds(build_evidence: Build) -> Callable[..., list[list[Evidence]]]:
    draw = np.random.default_rng(4)
    targets = {task: draw.random((80, 3)) < 0.4 for task in ("lyra", "carnatic")}
    shared = draw.normal(size=(80, 3))

    def made(
        name: str, strengths: Sequence[float], tasks: Sequence[str] = ("lyra", "carnatic")
    ) -> list[list[Evidence]]:
        sides = []
        for k, strength in enumerate(strengths):
            side = []
            for task in tasks:
                noise = shared + 0.2 * draw.normal(size=(2, 80, 3))
                scores = 1 / (1 + np.exp(-(strength * targets[task] + noise)))
                e = build_evidence(f"{name}-s{k}", targets[task], scores, [f"g{i // 2}" for i in range(80)], task=task)
                card = e.record.model.model_copy(update={"fingerprint": f"{name}{k}" * 6})
                side.append(replace(e, record=e.record.model_copy(update={"model": card})))
            sides.append(side)
        return sides

    return made


def macro(e: Evidence) -> float:
    return float(np.mean([ranking_scores(e.targets, p)[0].mean() for p in e.probabilities]))


def test_a_mean_over_pretrainings_with_their_spread(seeds: Callable[..., list[list[Evidence]]]) -> None:
    before, after = seeds("mert", (1.0, 1.3, 1.6)), seeds("culture", (2.0, 2.6))
    one, other = as_one(before, "mert"), as_one(after, "culture")
    assert [e.record.model.name for e in one] == ["mert", "mert"]
    found = compare(one, other, resamples=200, labels=True)
    scores = [[macro(member[0]) for member in side] for side in (before, after)]
    judged = found.tasks[0].metrics["roc_auc"]
    assert judged.change == pytest.approx(np.mean(scores[1]) - np.mean(scores[0]))
    assert one[0].record.metrics["roc_auc"].value == pytest.approx(np.mean(scores[0]), abs=1e-6)
    assert judged.models == (3, 2)
    plain = compare([replace(e, models=1) for e in one], [replace(e, models=1) for e in other], resamples=200)
    alone = plain.tasks[0].metrics["roc_auc"]
    assert alone.change == pytest.approx(judged.change)
    assert judged.standard_error is not None
    assert alone.standard_error is not None
    spread = np.var(scores[0], ddof=1) / 3 + np.var(scores[1], ddof=1) / 2
    assert judged.standard_error**2 == pytest.approx(alone.standard_error**2 + spread)
    assert {label.roc_auc.models for task in found.tasks for label in task.labels} == {(3, 2)}
    assert {row["models"] for row in change_rows(found)} == {"3 2"}
    report = forgetting(one, other, resamples=200)
    assert {change.models for balance in report.balances for change in balance.changes.values()} == {(3, 2)}
    assert {change.models for change in report.tasks.values()} == {(3, 2)}


def test_one_side_may_be_a_single_model(seeds: Callable[..., list[list[Evidence]]]) -> None:
    (before,), after = seeds("mert", (1.0,)), seeds("culture", (2.0, 2.6, 2.4))
    found = compare(before, as_one(after, "culture"), resamples=200).tasks[0]
    assert found.sample.models == (1, 3)
    assert pretrainings_said([found.sample]).startswith(" Pre-trainings: 1 and 3;")
    assert pretrainings_said([Sample(9)]).startswith(" One model of each:")


def test_trainings_of_pretrainings_are_averaged(seeds: Callable[..., list[list[Evidence]]]) -> None:
    members = [[replace(e, resampled=e.probabilities[[0, 1, 1]]) for e in one] for one in seeds("mert", (1.0, 1.4))]
    (first, _) = as_one(members, "mert")
    assert first.sample == Sample(40, 3, choice=True)
    members[1] = [replace(e, resampled=None) for e in members[1]]
    assert as_one(members, "mert")[0].sample.trainings == 0


def test_models_of_a_matrix(seeds: Callable[..., list[list[Evidence]]]) -> None:
    sides = seeds("mert", (1.0, 1.3)) + seeds("culture", (2.0, 2.6))
    found = with_seeds([e for one in sides for e in one], {"culture": ["culture-s0", "culture-s1"]})
    assert list(dict.fromkeys(e.record.model.name for e in found)) == ["mert-s0", "mert-s1", "culture"]
    matrix = transfer_matrix(found, "mert-s0", resamples=200)
    (table,) = transfer_tables(matrix)
    assert "one model of each" in table.notes[0], "mert-s1 against mert-s0"
    cell = matrix.cells["culture", "lyra"]
    assert cell.change is not None
    assert cell.change.models == (1, 2)
    assert cell.roc_auc == pytest.approx(np.mean([macro(one[0]) for one in sides[2:]]), abs=1e-6)


def test_folders_with_commas_are_one_model(seeds: Callable[..., list[list[Evidence]]], tmp_path: Path) -> None:
    there = {f"runs/{one[0].record.model.name}": one for one in seeds("mert", (1.0, 1.3))}
    (tmp_path / "a,b").mkdir()
    there[str(tmp_path / "a,b")] = there["runs/mert-s0"]

    def read(places: Sequence[Path]) -> list[Evidence]:
        return there[str(places[0])]

    assert [e.models for e in side(read, Path("runs/mert-s0,runs/mert-s1"))] == [2, 2]
    assert side(read, Path("runs/mert-s0,runs/mert-s1"))[0].record.model.name == "mert-s0+mert-s1"
    assert [e.models for e in side(read, tmp_path / "a,b")] == [1, 1], "a folder may have a comma in its name"


def test_what_is_refused(seeds: Callable[..., list[list[Evidence]]]) -> None:
    one, two = seeds("mert", (1.0, 1.3))
    for members in ([one], [one, one]):
        with pytest.raises(UsageError, match="differ in their seed"):
            as_one(members, "mert")
    with pytest.raises(UsageError, match="needs one record of each of lyra, carnatic"):
        as_one([one, two[:1]], "mert")
    with pytest.raises(UsageError, match="no record of 'x'; there are mert-s0, mert-s1"):
        with_seeds([*one, *two], {"mert": ["mert-s0", "x"]})
    with pytest.raises(UsageError, match="named twice"):
        with_seeds([*one, *two], {"mert": ["mert-s0", "mert-s1"], "b": ["mert-s1"]})
    with pytest.raises(UsageError, match="a model of its own"):
        with_seeds([*one, *two], {"mert-s1": ["mert-s0", "mert-s0"][:1]})
