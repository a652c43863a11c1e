"""Labels across traditions: one that is the same sound carries over, one that is not is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cmbench.benchmark.comparing.compare import BOUND
from cmbench.benchmark.comparing.paired import LEVEL, NOTHING_DEFINED, Level, difference, replicate
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.records.setting import Setting
from cmbench.benchmark.scoring.intervals import Sample, span
from cmbench.benchmark.studies.cells import Cell
from cmbench.benchmark.studies.where import STUDY, shared
from cmbench.benchmark.studies.where.measuring import Where
from cmbench.benchmark.studies.where.probes import Scored, fit_linear
from cmbench.benchmark.studies.where.shared import SHARED, Across, across, carry
from cmbench.benchmark.studies.where.tables import across_rows, across_table, sentences
from cmbench.tasks.registry import registry
from cmbench.tests.benchmark.studies.conftest import TRACKS

BUILD = Callable[..., Cell]

TASKS = (("lyra", "greek"), ("carnatic", "carnatic"))

NAMES = {"lyra": ("instruments--Voice", "instruments--Violin"), "carnatic": ("instrument--Voice", "instrument--Violin")}


def sounding(turned: bool, voice: int = 0) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Voice is the same direction in every task, in the second state; the violin turns round where it is ``turned``."""

    def features(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        values = draw.standard_normal((len(labels), 2, 5))
        values[:, 1, 0] += 3.0 * labels[:, voice]
        values[:, 1, 1] += (-3.0 if turned else 3.0) * labels[:, 1 - voice]
        return values

    return features


@pytest.fixture
def found(build_cell: BUILD, tmp_path: Path) -> tuple[Across, ...]:
    cells = [
        build_cell("m", sounding(task == "carnatic"), task=task, tradition=tradition, names=NAMES[task], seed=seed)
        for seed, (task, tradition) in enumerate(TASKS)
    ]
    return across(cells, 5, tmp_path, Observer())


def test_a_label_that_sounds_alike_carries_over_and_one_that_does_not_is_lost(found: tuple[Across, ...]) -> None:
    voice, violin = found
    assert (voice.label, violin.label) == ("voice", "violin")
    for source, target in (("lyra", "carnatic"), ("carnatic", "lyra")):
        kept, lost = voice.cell(source, target), violin.cell(source, target)
        assert kept.change is not None
        assert lost.change is not None
        assert kept.change.verdict != "lost"
        assert (kept.score.value or 0) > 0.9
        assert lost.change.verdict == "lost"
        assert (lost.score.value or 1) < 0.2
    assert voice.cell("lyra", "lyra").change is None
    assert voice.states == violin.states == {"lyra": "L1", "carnatic": "L1"}
    assert list(voice.traditions) == ["carnatic", "lyra"], "in the usual order of traditions"


def test_a_label_is_found_wherever_it_stands_among_a_tasks_labels(build_cell: BUILD) -> None:
    ahead = build_cell("m", sounding(False), task="lyra", names=NAMES["lyra"], seed=0)
    behind = build_cell("m", sounding(False, voice=1), task="carnatic", names=NAMES["carnatic"][::-1], seed=1)
    scores = carry([ahead, behind], "voice", 2, 20)
    assert all(scores[pair][0] > 0.9 for pair in ("lyra>carnatic", "carnatic>lyra"))


def test_no_score_is_above_one_and_its_interval_is_that_of_records(build_cell: BUILD, tmp_path: Path) -> None:
    cells = [
        build_cell("m", sounding(False), task=t, tradition=w, names=NAMES[t], seed=s) for s, (t, w) in enumerate(TASKS)
    ]
    for one in across(cells, 5, tmp_path, Observer()):
        for cell in one.cells:
            assert cell.score.low is not None
            assert cell.score.high is not None
            assert cell.score.low < (cell.score.value or 0) <= cell.score.high <= 1.0


def test_the_own_probe_is_scored_as_one_label_of_its_task(build_cell: BUILD) -> None:
    cells = [
        build_cell("m", sounding(False), task=t, tradition=w, names=NAMES[t], seed=s) for s, (t, w) in enumerate(TASKS)
    ]
    scores = carry(cells, "violin", 5, 200)
    from cmbench.benchmark.probing.resampling import training_draws
    from cmbench.benchmark.studies.where.probes import on_resamples, track_means

    lyra, carnatic = cells
    drawn = training_draws(lyra.data, lyra.usable, 5)
    train, _, test = map(track_means, lyra.seen(1))
    (scored,) = on_resamples(fit_linear, train, lyra, drawn, [test])
    whole = replicate(lyra.predicted(*scored), 200)
    assert np.allclose(scores["lyra>lyra"], whole.scores["roc_auc"][:-1, 1])
    assert scores["groups>lyra"] == pytest.approx(whole.held[1])
    # What carnatic is scored by comes from lyra's training tracks, and truth from its own.
    elsewhere = track_means(carnatic.seen(1)[2])
    (other,) = on_resamples(fit_linear, train, lyra, drawn, [elsewhere])
    assert np.allclose(scores["lyra>carnatic"], replicate(carnatic.predicted(*other), 200).scores["roc_auc"][:-1, 1])


def test_the_state_is_the_one_that_ranks_best_on_validation(build_cell: BUILD) -> None:
    def by_split(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """The first state knows training and test tracks, the second training and validation, the third none."""
        values = draw.standard_normal((len(labels), 3, 2))
        for state, splits in enumerate((("train", "test"), ("train", "valid"))):
            if len(labels) in {TRACKS[split] for split in splits}:
                values[:, state, 0] += 3.0 * labels[:, 0]
        return values

    cell = build_cell("m", by_split, names=NAMES["lyra"])
    assert shared._best_state(cell, 0, partial(shared._fit_one, 0)) == 1
    # What is not known on validation does not count: there the first state is right, the second wrong.
    valid = cell.splits["valid"]
    known = np.ones_like(valid.labels)
    wrong = valid.labels.copy()
    wrong[:30, 0], known[:30, 0] = ~wrong[:30, 0], False
    masked = replace(cell, splits={**cell.splits, "valid": replace(valid, labels=wrong, known=known)})
    assert shared._best_state(masked, 0, partial(shared._fit_one, 0)) == 1
    nothing = replace(valid, labels=np.zeros_like(valid.labels))
    untold = replace(cell, splits={**cell.splits, "valid": nothing})
    assert shared._best_state(untold, 0, partial(shared._fit_one, 0)) == 2, "the last where none can be told"


def test_a_label_is_carried_only_by_those_whose_training_tells_it(build_cell: BUILD) -> None:
    cell = build_cell("m", sounding(False), names=NAMES["lyra"])
    train = cell.splits["train"]
    assert shared._column(cell, SHARED["violin"]) == 1
    for value in (True, False):
        same = replace(train, labels=np.full_like(train.labels, value))
        assert shared._column(replace(cell, splits={**cell.splits, "train": same}), SHARED["violin"]) is None
        known = train.labels == value
        told = replace(train, known=known)
        assert shared._column(replace(cell, splits={**cell.splits, "train": told}), SHARED["violin"]) is None


def test_one_label_alone_is_learnt_where_it_is_known() -> None:
    draw = np.random.default_rng(0)
    x, labels, test = draw.standard_normal((40, 3)), draw.random((40, 2)) < 0.4, draw.standard_normal((5, 3))
    known = np.arange(40)[:, None] < [[40, 25]]
    (found,) = shared._fit_one(1, x, labels, known, [test])
    (alone,) = fit_linear(x[:25], labels[:25, [1]], known[:25, [1]], [test])
    assert np.array_equal(found, alone)


def test_one_label_alone_has_its_own_truth_and_what_is_known_of_it(build_cell: BUILD) -> None:
    cell = build_cell("m", sounding(False), names=NAMES["lyra"], known=0.7)
    scores = np.zeros((1, 80, 1), np.float32)
    found = shared._of_label(cell, Scored(scores, scores), 1)
    assert np.array_equal(found.targets, cell.evidence.targets[:, [1]])
    assert cell.evidence.known is not None
    assert found.known is not None
    assert np.array_equal(found.known, cell.evidence.known[:, [1]])
    all_known = replace(cell, evidence=replace(cell.evidence, known=None))
    assert shared._of_label(all_known, Scored(scores, scores), 1).known is None


OWN, AWAY = (
    np.concatenate([[value], value + 0.02 * np.random.default_rng(seed).standard_normal(200)])
    for seed, value in enumerate((0.9, 0.6))
)
"""ROC-AUC of a task's own probe and of one from elsewhere, with its resamples."""


def judged(build_cell: BUILD, held: float, away: np.ndarray = AWAY) -> Across:
    """Two tasks whose probes rank so; ``held`` of their 20 groups speak of the label."""
    cells = [build_cell("m", sounding(False), task=t, tradition=w, names=NAMES[t]) for t, w in TASKS]
    scores: dict[str, np.ndarray] = {}
    for source, _ in TASKS:
        scores |= {f"{source}>{t}": OWN if t == source else away for t, _ in TASKS}
        scores |= {f"groups>{source}": np.array([held]), f"state>{source}": np.array([1.0])}
    return shared._judged(cells, "voice", scores, 7)


def test_a_carried_probe_is_judged_against_the_targets_own(build_cell: BUILD) -> None:
    for held, groups in ((18.0, 20), (6.0, 20), (3.0, 3)):
        found = judged(build_cell, held)
        one = found.cell("lyra", "carnatic")
        assert one.change == difference(OWN, AWAY, Sample(groups, 7), BOUND)
        assert [found.cell(task, task).change for task, _ in TASKS] == [None, None]
        assert found.states == {"carnatic": "L1", "lyra": "L1"}
        assert list(found.traditions) == ["carnatic", "lyra"], "in the usual order of traditions"
        if held > 5:
            assert (one.score.low, one.score.high) == span(2, "roc_auc", AWAY[1:], 0.6, LEVEL, min(held, 7))
        else:
            assert (one.score.value, one.score.low) == (0.6, None)
            assert one.score.reason is not None
            assert "group" in one.score.reason
    undefined = judged(build_cell, 18.0, np.full(201, np.nan)).cell("lyra", "carnatic")
    assert undefined.score == Level(None, reason=NOTHING_DEFINED)


def test_draws_without_a_score_are_left_out_of_an_interval() -> None:
    drawn = 0.6 + 0.02 * np.random.default_rng(0).standard_normal(201)
    some = drawn.copy()
    some[5] = np.nan
    found = shared._level(some, Sample(18.0, 7), 2)
    assert (found.low, found.high) == span(2, "roc_auc", np.delete(drawn, 5)[1:], drawn[0], LEVEL, 7)


def test_changes_are_judged_together_and_models_apart_and_all_is_kept(
    build_cell: BUILD, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [
        build_cell(m, sounding(False), task=t, tradition=w, names=NAMES[t], seed=s)
        for m in ("a", "b")
        for s, (t, w) in enumerate(TASKS)
    ]
    asked: list[tuple[str, ...]] = []

    def fake(there: list[Cell], label: str, trainings: int) -> dict[str, np.ndarray]:
        asked.append((label, *(f"{cell.model} {cell.task}" for cell in there)))
        noise = np.random.default_rng(len(asked)).standard_normal((4, 101))
        pairs = [f"{one.task}>{other.task}" for one in there for other in there]
        found = {pair: 0.8 + 0.05 * drawn for pair, drawn in zip(pairs, noise, strict=True)}
        for cell in there:
            found |= {f"groups>{cell.task}": np.array([18.0]), f"state>{cell.task}": np.array([0.0])}
        return found

    monkeypatch.setattr(shared, "carry", fake)
    found = across(cells, 5, tmp_path, Observer())
    both = [(label, f"{m} lyra", f"{m} carnatic") for m in ("a", "b") for label in ("voice", "violin")]
    assert asked == both
    changes = sorted((one.change for table in found for one in table.cells if one.change), key=lambda c: c.p_value or 0)
    assert len(changes) == 8
    for rank, one in enumerate(changes, 1):
        later = [(other.p_value or 0.0) * 8 / k for k, other in enumerate(changes, 1) if k >= rank]
        assert one.q_value == pytest.approx(min(later))
    across(cells, 5, tmp_path, Observer())
    assert len(asked) == 4
    across(cells, 6, tmp_path, Observer())
    assert len(asked) == 8, "other trainings are other scores"
    fewer = replace(cells[1], shared=cells[1].shared[1:])
    across([cells[0], fewer, *cells[2:]], 6, tmp_path, Observer())
    assert asked[8:] == both[:2], "of every task, not of the first alone"
    monkeypatch.setitem(SHARED, "voice", {**SHARED["voice"], "lyra": "instruments--Violin"})
    across(cells[2:], 6, tmp_path, Observer())
    assert asked[10:] == [("voice", "b lyra", "b carnatic")], "another label is another score"


def test_labels_that_one_task_alone_has_are_not_carried(build_cell: BUILD, tmp_path: Path) -> None:
    cells = [build_cell("m", sounding(False), names=NAMES["lyra"]), build_cell("m", sounding(False), task="fma_medium")]
    assert across(cells, 2, tmp_path, Observer()) == ()


def test_the_shared_labels_are_labels_of_their_tasks() -> None:
    tasks = registry()
    assert set(SHARED) == {"voice", "violin", "percussion"}
    for names in SHARED.values():
        assert len(names) > 3
        for task, label in names.items():
            assert label in tasks[task].labels
            assert label in tasks[task].editions["mini"].labels


def test_the_matrix_is_said_and_written(found: tuple[Across, ...], tmp_path: Path) -> None:
    from cmbench.benchmark.studies.where.measuring import Home
    from cmbench.benchmark.views.base import write_view

    homes = tuple(
        Home("m", "instrument", probe, (), ("L0",), (Level(0.5),), (0,)) for probe in ("linear", "kNN", "MLP")
    )
    shown = Where(Setting("mini", "own", "cmbench-2"), 5, homes, found)
    table = across_table(shown)
    assert [row[:3] for row in table.rows] == [
        (x, "m", task) for x in ("voice", "violin") for task in ("carnatic", "lyra")
    ]
    assert table.rows[2][5].startswith("*")
    assert "violin in m: 2 of 2 worse" in sentences(shown)[1]
    assert len(across_rows(shown)) == 8
    assert sentences(replace(shown, across=found[:1]))[1].startswith("Nowhere is a probe from another tradition shown")
    assert sentences(replace(shown, across=()))[1].startswith("No label is shared")
    assert {path.name for path in write_view(STUDY, shown, tmp_path)} >= {
        "where-mini-across.svg",
        "where-mini-across.csv",
    }
