"""Data efficiency: a planted crossing is found, a null is not, and the statistic is that of every other view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cmbench.benchmark.comparing.summary import centred_replicates
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.studies.cells import Cell, score_level
from cmbench.benchmark.studies.efficiency import STUDY, measuring
from cmbench.benchmark.studies.efficiency.measuring import SIZES, Efficiency, Request, judge, measure, score_parts
from cmbench.benchmark.studies.efficiency.subsets import GROUPS, PARTS, POSITIVES, WHOLE, Size, draw_parts
from cmbench.benchmark.studies.efficiency.tables import efficiency_rows, efficiency_table, sentences
from cmbench.errors import CmbenchError

RESAMPLES, DRAWS = 200, 6

BUILD = Callable[..., Cell]


def plain(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Each label is a direction of its own, loud: a handful of examples shows it, with a ceiling."""
    values = 0.2 * draw.standard_normal((len(labels), 1, 4))
    values[:, 0, : labels.shape[1]] += labels * (draw.random(labels.shape) < 0.85)
    return values


def buried(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Each label is many faint directions among loud noise: a few examples show nothing, all of them everything."""
    values = draw.standard_normal((len(labels), 1, 200))
    values[:, 0, :40] += 0.8 * np.tile(labels, 10)
    return values


def scored(cells: Sequence[Cell]) -> Efficiency:
    scores = [score_parts(cell, DRAWS, "cpu", Observer(), RESAMPLES) for cell in cells]
    return judge(cells, scores, DRAWS)


def curve_of(found: Efficiency, model: str) -> Mapping[Size, float]:
    return {size: float(point.value or 0.0) for size, point in found.curves["greek"][model].items()}


def ranked(
    build: BUILD, model: str, strength: Mapping[Size, float], seed: int = 0
) -> tuple[Cell, dict[str, np.ndarray]]:
    """A cell with scores whose distance from chance is given for each size, as if probes had been trained."""
    cell = build(model, plain, seed=0)
    noise = np.random.default_rng([seed, *model.encode()])
    found = {}
    for size in SIZES:
        drawn = noise.standard_normal((DRAWS, *cell.evidence.targets.shape)) + strength[size] * cell.evidence.targets
        found[size.words] = centred_replicates(cell.predicted(drawn, drawn), RESAMPLES)
    return cell, found


def both(build: BUILD, first: Mapping[Size, float], second: Mapping[Size, float]) -> Efficiency:
    (one, its), (other, others) = ranked(build, "few", first), ranked(build, "many", second)
    return judge([one, other], [its, others], DRAWS)


def test_a_model_that_needs_few_examples_rises_before_one_that_needs_many(build_cell: BUILD) -> None:
    found = scored([build_cell("few", plain), build_cell("many", buried)])
    few, many = curve_of(found, "few"), curve_of(found, "many")
    assert few[Size(POSITIVES, 5)] > many[Size(POSITIVES, 5)] + 0.15
    assert many[Size(GROUPS, 0.5)] > many[Size(GROUPS, 0.05)] + 0.15
    ahead = {size: pair.ahead(size) for pair in found.pairs for size in SIZES}
    assert ahead[Size(POSITIVES, 5)] == "few"
    assert "many" not in {ahead[size] for size in PARTS}


def test_a_planted_crossing_is_found_between_the_sizes_that_can_be_told(build_cell: BUILD) -> None:
    low, even, high = 0.2, 1.2, 2.6
    rising = {size: {0.05: low, 0.1: low, 0.25: even, 0.5: high}.get(size.amount, high) for size in SIZES}
    found = both(build_cell, dict.fromkeys(SIZES, even), rising)
    (pair,) = found.pairs
    assert pair.ahead(Size(GROUPS, 0.1)) == "few"
    assert pair.ahead(Size(GROUPS, 0.25)) is None
    assert pair.ahead(Size(GROUPS, 0.5)) == "many"
    assert pair.crossings == ((Size(GROUPS, 0.1), Size(GROUPS, 0.5)),)
    (_, leads, _) = sentences(found)
    assert "few is ahead with 10 % of the groups and many with 50 % of the groups" in leads


def test_where_one_side_cannot_be_told_nothing_crosses(build_cell: BUILD) -> None:
    rising = {size: 5.0 if size.unit == GROUPS and size.amount >= 0.5 else 1.2 for size in SIZES}
    (pair,) = both(build_cell, dict.fromkeys(SIZES, 1.2), rising).pairs
    assert pair.ahead(Size(GROUPS, 0.5)) == "many"
    assert pair.crossings == ()


def test_two_models_that_are_alike_neither_cross_nor_lead(build_cell: BUILD) -> None:
    told = 0
    for seed in range(6):
        (one, its), (other, others) = (ranked(build_cell, name, dict.fromkeys(SIZES, 1.0), seed) for name in ("a", "b"))
        (pair,) = judge([one, other], [its, others], DRAWS).pairs
        assert pair.crossings == ()
        told += sum(pair.ahead(size) is not None for size in SIZES)
    # Of 48 comparisons without a difference one in twenty may be told; sizes of one pair share their test tracks.
    assert told <= 5


def test_the_whole_split_is_the_record_itself(build_cell: BUILD) -> None:
    cell = build_cell("few", plain)
    scores = score_parts(cell, 2, "cpu", Observer(), RESAMPLES)
    assert np.array_equal(scores[WHOLE.words], centred_replicates(cell.evidence, RESAMPLES))
    found = judge([cell], [scores], 2)
    assert found.curves["greek"]["few"][WHOLE].value == scores[WHOLE.words][0]
    assert set(found.kept) == {"few"}
    assert found.kept["few"][WHOLE].value == 1.0


def test_an_interval_knows_how_many_draws_there_were(build_cell: BUILD) -> None:
    found = both(build_cell, dict.fromkeys(SIZES, 1.0), dict.fromkeys(SIZES, 1.0))
    (pair,) = found.pairs
    assert {size: change.trainings for size, change in pair.changes.items()} == {
        size: 5 if size == WHOLE else DRAWS for size in SIZES
    }
    cell, scores = ranked(build_cell, "few", dict.fromkeys(SIZES, 1.0))
    groups = cell.evidence.sample.groups
    for size in PARTS:
        alone = score_level(scores[size.words], Sample(groups, DRAWS, choice=True))
        assert found.curves["greek"]["few"][size] == alone


def test_a_model_is_trained_on_what_was_drawn_and_could_be_used(
    build_cell: BUILD, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cmbench.benchmark.probing import search

    seen: list[np.ndarray] = []
    real = search.run_probes

    def watched(*given: Any, **named: Any) -> Any:
        seen.append(named["resamples"])
        return real(*given, **named)

    monkeypatch.setattr(search, "run_probes", watched)
    cell = build_cell("few", plain)
    score_parts(cell, 2, "cpu", Observer(), 100)
    drawn = np.concatenate(list(draw_parts(cell.data, 2).values()))
    assert np.array_equal(seen[0], drawn)


def test_draws_that_teach_more_or_less_widen_the_interval(build_cell: BUILD, monkeypatch: pytest.MonkeyPatch) -> None:
    from cmbench.benchmark.probing import search

    cell = build_cell("few", plain)
    truth, noise = cell.evidence.targets, np.random.default_rng(0).standard_normal(cell.evidence.targets.shape)
    # Of every six draws half teach nothing, or all teach half: the mean is much the same.
    unlike, alike = (np.array([*levels] * len(PARTS)) for levels in ((0, 0, 0, 3, 3, 3), (1.5,) * 6))
    spread = {}
    for name, strength in (("unlike", unlike), ("alike", alike)):
        logits = (strength[:, None, None] * truth + noise).astype(np.float32)
        monkeypatch.setattr(search, "run_probes", lambda *_, logits=logits, **__: SimpleNamespace(logits=logits))
        scores = score_parts(cell, DRAWS, "cpu", Observer(), RESAMPLES)
        spread[name] = scores[PARTS[0].words][1:].std()
    assert spread["unlike"] > 1.5 * spread["alike"]


def test_a_part_of_which_a_model_can_use_nothing_is_an_error(build_cell: BUILD) -> None:
    from dataclasses import replace

    cell = build_cell("few", plain)
    with pytest.raises(CmbenchError, match="could use no track of a draw of"):
        score_parts(replace(cell, usable=cell.usable[:1]), 2, "cpu", Observer(), 100)


def test_what_was_computed_is_not_computed_again_until_something_changes(
    build_cell: BUILD, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = [build_cell("few", plain)]
    calls: list[int] = []

    def counted(cell: Cell, draws: int, *_: object) -> dict[str, np.ndarray]:
        calls.append(draws)
        return dict.fromkeys((size.words for size in SIZES), np.linspace(0.5, 0.6, 101))

    monkeypatch.setattr(measuring, "run_cells", lambda *_: cells)
    monkeypatch.setattr(measuring, "score_parts", counted)
    for draws in (3, 3, 4):
        measure(Request(model=["few"], out=tmp_path, draws=draws), Observer())
    assert calls == [3, 4]


def test_tables_sentences_and_rows_say_the_same(build_cell: BUILD) -> None:
    found = both(build_cell, dict.fromkeys(SIZES, 1.2), dict.fromkeys(SIZES, 3.0))
    table = efficiency_table(found)
    assert [row[:2] for row in table.rows] == [("greek", "few"), ("greek", "many"), ("greek", "many minus few")]
    assert all(cell.startswith("*+") for cell in table.rows[2][2:])
    assert table.warning.startswith("mini")
    said = sentences(found)
    assert len(said) == 3
    told = "1, 5, 20 positives; 5 %, 10 %, 25 %, 50 % of the groups; all"
    assert said[1] == f"No two models are shown to cross. Shown to be ahead: many before few in greek ({told})."
    assert "says nothing of recordings" in said[2]
    rows = efficiency_rows(found)
    assert len(rows) == 3 * len(SIZES)
    assert {row["edition"] for row in rows} == {"mini"}
    assert {row["verdict"] for row in rows if row["minus"]} == {"gained"}


def test_the_figure_is_drawn_and_the_cost_is_told_beforehand(build_cell: BUILD, tmp_path: Path) -> None:
    from cmbench.benchmark.views.base import write_view

    found = both(build_cell, dict.fromkeys(SIZES, 1.2), dict.fromkeys(SIZES, 3.0))
    names = {path.name for path in write_view(STUDY, found, tmp_path)}
    assert names == {f"efficiency-mini.{end}" for end in ("csv", "md", "tex", "svg", "png")}
    assert STUDY.cost is not None
    told = STUDY.cost(Request(model=["mfcc", "chroma"], tasks=["lyra"], out=tmp_path / "new", draws=4))
    assert "2 models on 1 task" in told
    assert "28 parts" in told


def test_a_lead_that_is_looked_for_among_all_sizes_is_judged_among_all_sizes(build_cell: BUILD) -> None:
    found = both(build_cell, dict.fromkeys(SIZES, 1.2), {size: 2.0 if size == WHOLE else 1.2 for size in SIZES})
    (pair,) = found.pairs
    changes = [change for change in pair.changes.values() if change.p_value is not None]
    assert len(changes) == len(SIZES)
    ordered = sorted(changes, key=lambda one: one.p_value or 0.0)
    for rank, one in enumerate(ordered, 1):
        assert one.q_value == pytest.approx(
            min((other.p_value or 0.0) * len(ordered) / k for k, other in enumerate(ordered, 1) if k >= rank)
        )


def test_a_task_that_defines_no_label_is_in_no_mean(build_cell: BUILD) -> None:
    cells, scores = [], []
    for task, tradition, value in (("lyra", "greek", 0.5), ("rebetiko", "greek", np.nan), ("raga", "carnatic", np.nan)):
        cells.append(build_cell("a", plain, task=task, tradition=tradition, seed=0))
        scores.append({size.words: np.full(11, value) for size in SIZES})
    found = judge(cells, scores, 3)
    assert (found.undefined, list(found.curves)) == (("rebetiko", "raga"), ["greek"])
    assert {point.value for point in found.curves["greek"]["a"].values()} == {0.5}
    assert found.kept["a"][PARTS[0]].value == 1.0
    assert "In no mean, as the test split defines no label: rebetiko, raga." in efficiency_table(found).notes
    with pytest.raises(CmbenchError, match="No label is defined by the test split of rebetiko, raga"):
        judge(cells[1:], scores[1:], 3)


def test_every_tradition_and_size_has_its_own_change(build_cell: BUILD) -> None:
    cells, scores = [], []
    for model in ("a", "b"):
        for tradition, task in (("greek", "lyra"), ("carnatic", "carnatic")):
            cells.append(build_cell(model, plain, task=task, tradition=tradition, seed=0))
            value = {size: 0.1 * k + (model == "b") * (tradition == "greek") for k, size in enumerate(SIZES)}
            scores.append({size.words: np.full(11, value[size]) for size in SIZES})
    changes = {pair.tradition: {one.change for one in pair.changes.values()} for pair in judge(cells, scores, 3).pairs}
    assert changes["carnatic"] == {0.0}
    assert min(one for one in changes["greek"] if one is not None) == pytest.approx(1.0)
