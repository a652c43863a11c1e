"""Where families live: a planted state is found by every probe, and a null is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cmbench.benchmark.comparing.paired import replicate
from cmbench.benchmark.comparing.summary import centred_replicates
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.records.setting import Setting
from cmbench.benchmark.studies.cells import Cell
from cmbench.benchmark.studies.where import STUDY, measuring
from cmbench.benchmark.studies.where.measuring import Request, Where, find_homes, measure, score_state
from cmbench.benchmark.studies.where.probes import PROBES, on_resamples
from cmbench.benchmark.studies.where.tables import home_rows, home_table, sentences

RESAMPLES, TRAININGS = 200, 5

BUILD = Callable[..., Cell]


def planted(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The third state alone carries the labels of family a, the first alone those of b."""
    values = draw.standard_normal((len(labels), 4, 6))
    values[:, 2, :2] += 3.0 * labels[:, :2]
    values[:, 0, :2] += 3.0 * labels[:, 2:]
    return values


def alike(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Every state carries every label equally well."""
    values = draw.standard_normal((len(labels), 4, 6))
    values[:, :, :4] += 1.5 * labels[:, None]
    return values


SCORED: dict[bytes, list[dict[str, np.ndarray]]] = {}
"""What was scored before, by the features, names and truth of its cell: several tests look at the same."""


def states_of(cell: Cell) -> list[dict[str, np.ndarray]]:
    features = [one.features.take(np.arange(len(one.labels))).tobytes() for one in cell.splits.values()]
    names = "|".join((cell.model, cell.task, *cell.data.labels)).encode()
    key = b"".join([*features, names, cell.evidence.targets.tobytes()])
    if key not in SCORED:
        SCORED[key] = [score_state(cell, k, TRAININGS, "cpu", Observer(), RESAMPLES) for k in range(len(cell.states))]
    return SCORED[key]


def where(cells: Sequence[Cell], scores: Sequence[Sequence[dict[str, np.ndarray]]]) -> Where:
    return Where(Setting.of(cells[0].evidence.record), TRAININGS, find_homes(cells, scores, TRAININGS), ())


def homes(*cells: Cell) -> Where:
    return where(cells, [states_of(cell) for cell in cells])


def test_the_state_that_alone_carries_a_family_is_found_by_every_probe(build_cell: BUILD) -> None:
    found = homes(build_cell("a", planted))
    for probe in PROBES:
        assert found.home("a", "a", probe).possible == (2,)
        assert found.home("a", "b", probe).possible == (0,)
        assert found.home("a", "a", probe).best == 2
    assert "a has a in L2; b in L0." in sentences(found)[0]
    assert [row[4] for row in home_table(found).rows] == ["L2", "L0"]


def test_where_every_state_carries_it_alike_none_is_named(build_cell: BUILD) -> None:
    for seed in range(3):
        found = homes(build_cell("a", alike, seed=seed))
        assert {home.possible for home in found.homes} == {(0, 1, 2, 3)}
        assert "no family can be told to live anywhere" in sentences(found)[0]


def test_a_family_is_the_mean_over_the_tasks_that_have_it(build_cell: BUILD) -> None:
    names = ("a--0", "a--1", "c--0", "c--1")
    cells = [
        build_cell("a", planted),
        build_cell("a", planted, task="carnatic", tradition="carnatic", names=names, seed=1),
    ]
    scores = [states_of(cell) for cell in cells]
    found = where(cells, scores)
    assert {home.family: home.tasks for home in found.homes} == {
        "a": ("lyra", "carnatic"),
        "b": ("lyra",),
        "c": ("carnatic",),
    }
    alone = [where([c], [one]).home("a", "a", "linear").levels[2].value for c, one in zip(cells, scores, strict=True)]
    assert found.home("a", "a", "linear").levels[2].value == pytest.approx(np.mean(np.array(alone, dtype=float)))


def test_a_task_without_a_defined_label_of_a_family_is_left_out_of_it(build_cell: BUILD) -> None:
    cell = build_cell("a", planted)
    cell.evidence.targets[:, 2:] = True
    found = homes(cell)
    lost = found.home("a", "b", "linear")
    assert (lost.tasks, lost.best, lost.possible) == ((), None, ())
    assert [one.reason for one in lost.levels] == ["no label is defined"] * 4
    assert home_table(found).rows[1][2:5] == ("–", "–", "–")


def test_the_statistic_is_that_of_every_other_view(build_cell: BUILD) -> None:
    from cmbench.benchmark.probing.resampling import training_draws
    from cmbench.benchmark.studies.where.probes import fit_linear, track_means

    cell = build_cell("a", planted, names=("a--0", "a--1", "a--2", "a--3"), known=0.9)
    found = score_state(cell, 2, TRAININGS, "cpu", Observer(), RESAMPLES)["linear/a"]
    drawn = training_draws(cell.data, cell.usable, TRAININGS)
    train, _, test = map(track_means, cell.seen(2))
    (scored,) = on_resamples(fit_linear, train, cell, drawn, [test])
    evidence = cell.predicted(*scored)
    assert evidence.sample.trainings == TRAININGS
    assert replicate(evidence, RESAMPLES).sample == evidence.sample
    assert np.array_equal(found, centred_replicates(evidence, RESAMPLES)[:-1]), "no state was chosen"


def test_an_encoder_of_one_state_has_nothing_to_tell(build_cell: BUILD) -> None:
    found = homes(build_cell("a", lambda labels, draw: alike(labels, draw)[:, :1]))
    assert "a has one hidden state" in sentences(found)[0]
    assert home_table(found).rows[0][4] == "the only one"


def test_what_was_computed_is_kept_by_state(build_cell: BUILD, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cells = [build_cell("a", planted)]
    calls: list[int] = []
    real = measuring.score_state

    def counted(cell: Cell, state: int, *more: object) -> object:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(state)
        return real(cell, state, 2, "cpu", Observer(), 100)

    monkeypatch.setattr(measuring, "run_cells", lambda *_: cells)
    monkeypatch.setattr(measuring, "score_state", counted)
    request = Request(model=["a"], out=tmp_path, trainings=2)
    with pytest.raises(KeyboardInterrupt):
        measure(request, Observer())
    first, calls[:] = list(calls), []
    measure(request, Observer())
    assert first == [0, 1]
    assert calls == [2, 3]


def test_everything_is_written_and_the_cost_is_told_beforehand(build_cell: BUILD, tmp_path: Path) -> None:
    from cmbench.benchmark.views.base import write_view

    found = homes(build_cell("a", planted), build_cell("b", alike))
    assert len(sentences(found)) == 3
    assert "says nothing of recordings" in sentences(found)[2]
    assert {path.name for path in write_view(STUDY, found, tmp_path)} == {
        f"where-mini.{end}" for end in ("csv", "md", "tex", "svg", "png")
    }
    rows = home_rows(found)
    assert len(rows) == 2 * 2 * 3 * 4
    assert {row["edition"] for row in rows} == {"mini"}
    assert STUDY.cost is not None
    assert "again on 4 resamples" in STUDY.cost(Request(model=["a"], tasks=["lyra"], out=tmp_path / "new", trainings=4))
