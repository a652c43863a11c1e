"""Labels across traditions: one that is the same sound carries over, one that is not is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmbench.benchmark.comparing.paired import Level, replicate
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.records.setting import Setting
from cmbench.benchmark.studies.cells import Cell
from cmbench.benchmark.studies.where import STUDY
from cmbench.benchmark.studies.where.measuring import Where
from cmbench.benchmark.studies.where.shared import SHARED, Across, across, carry
from cmbench.benchmark.studies.where.tables import across_rows, across_table, sentences
from cmbench.tasks.registry import registry

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
    from cmbench.benchmark.studies.where.probes import fit_linear, on_resamples, track_means

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
