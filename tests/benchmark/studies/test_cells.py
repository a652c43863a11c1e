"""Measured cells with their features at hand, and what a study keeps of them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.baselines import registry
from cmbench.baselines.base import EncoderEntry
from cmbench.benchmark import run as run_module
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.protocol import PROTOCOLS
from cmbench.benchmark.records.evidence import Evidence, evidence_of
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.studies import cells as cells_module
from cmbench.benchmark.studies.base import Evaluation
from cmbench.benchmark.studies.cells import (
    RECORDS,
    Cell,
    StateFeatures,
    Work,
    chosen_probe,
    kept,
    kept_path,
    kept_work,
    probes_again,
    run_cells,
    score_level,
    stated,
)
from cmbench.errors import UsageError
from cmbench.tasks import choice
from cmbench.tasks.base import Task
from cmbench.tests.conftest import CountingEncoder


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    pass


@pytest.fixture
def request_of(make_task: Any, monkeypatch: pytest.MonkeyPatch) -> Request:
    """Asks for a few tones under the quickest protocol that has all of ours."""
    task = make_task(sizes=(24, 12, 24))
    monkeypatch.setattr(run_module, "select_tasks", lambda _: (task,))
    monkeypatch.setattr(choice, "select_tasks", lambda _: (task,))
    return Request(tasks=["tones"], seeds=1, device="cpu", workers=1)


def cells_of(request: Request, out: Path, *models: str) -> list[Cell]:
    return run_cells(request, models or ("mfcc",), out, Observer())


def with_an_unknown_and_a_short_track(task: Task) -> Task:
    """The task with a test track of which nobody knows how slow it is, and one that is too short for mfcc."""
    edition = task.editions["custom"]

    def load(*given: Any) -> Any:
        splits = {name: [*tracks] for name, tracks in edition.load(*given).items()}
        first, second, *others = splits["test"]
        unknown = replace(first, labels=first.labels[:1], unknown=("usul--slow",))
        return {**splits, "test": [unknown, replace(second, end=0.1), *others]}

    return replace(task, editions={"custom": replace(edition, load=load)})


def test_a_cell_is_a_record_with_the_features_that_it_was_made_from(
    request_of: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_an_unknown_and_a_short_track(choice.select_tasks([])[0])
    for module in (run_module, choice):
        monkeypatch.setattr(module, "select_tasks", lambda _: (changed,))
    hearing = CountingEncoder()
    monkeypatch.setitem(registry(), "counting", EncoderEntry("counting", "", "none", "here", lambda _: hearing))
    request = replace(request_of, protocol="cmbench-1")
    one, two = cells_of(request, tmp_path, "mfcc", "counting", "mfcc")
    assert [(cell.model, cell.task) for cell in (one, two)] == [("mfcc", "tones"), ("counting", "tones")]
    assert (tmp_path / RECORDS / "mfcc").is_dir()
    for cell, count in ((one, 23), (two, 24)):
        assert {split: len(part.labels) for split, part in cell.splits.items()} == {
            "train": 24,
            "valid": 12,
            "test": count,
        }
        assert np.array_equal(cell.splits["test"].labels, cell.evidence.targets)
        assert [track.id for track in cell.usable] == [track.id for track in cell.data.splits["train"]]
        assert cell.shared == one.evidence.track_ids, "those that both could use"
        # cmbench-1 counts what is not known as a label that a track lacks.
        assert cell.splits["test"].known is None
        assert cell.data.known_matrix("test") is None
    assert one.judged is one.evidence
    assert one.facts != two.facts
    monkeypatch.setattr(cells_module, "evidence_of", partial(on_another_split, evidence_of))
    with pytest.raises(UsageError, match="the split's content"):
        cells_of(request, tmp_path, "mfcc", "counting")


def on_another_split(real: Callable[..., list[Evidence]], *given: Any) -> list[Evidence]:
    """Evidence of which the last says that it was measured on another split."""
    *others, last = real(*given)
    task = last.record.task.model_copy(update={"split_sha256": "f" * 64})
    return [*others, replace(last, record=last.record.model_copy(update={"task": task}))]


def test_features_that_are_gone_are_made_again(request_of: Request, tmp_path: Path, own_cache: Path) -> None:
    (first,) = cells_of(request_of, tmp_path)
    rows = np.arange(len(first.splits["train"].features.track_of_window))
    before = first.splits["train"].features.take(rows).copy()
    shutil.rmtree(own_cache / "features")
    (second,) = cells_of(request_of, tmp_path)
    assert np.array_equal(second.splits["train"].features.take(rows), before)


def test_models_are_judged_on_the_tracks_that_all_could_use(build_cell: Callable[..., Cell]) -> None:
    cell = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 2, 3)))
    fewer = replace(cell, shared=cell.shared[10:])
    scores = np.arange(2 * 80 * 4, dtype=np.float32).reshape(2, 80, 4)
    found = fewer.predicted(scores, scores[:1])
    assert np.array_equal(found.probabilities, scores[:, 10:])
    assert found.resampled is not None
    assert np.array_equal(found.resampled, scores[:1, 10:])
    assert found.sample.trainings == 1
    assert np.array_equal(found.targets, cell.evidence.targets[10:])
    assert fewer.judged.track_ids == fewer.shared
    assert fewer.facts != cell.facts


def test_what_is_kept_is_of_these_predictions(build_cell: Callable[..., Cell]) -> None:
    cell = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 1, 3)))
    record = cell.evidence.record
    made_again = record.predictions.model_copy(update={"sha256": "f" * 64})
    other = replace(cell.evidence, record=record.model_copy(update={"predictions": made_again}))
    assert replace(cell, evidence=other).facts != cell.facts
    other = replace(cell.evidence, record=record.model_copy(update={"cell_sha256": "f" * 64}))
    assert replace(cell, evidence=other).facts != cell.facts
    assert replace(cell).facts == cell.facts


def test_what_is_known_of_the_truth_is_all_of_it_unless_it_is_said(build_cell: Callable[..., Cell]) -> None:
    def noise(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        return draw.standard_normal((len(labels), 1, 3))

    labels, known = build_cell("a", noise).truth("train")
    assert known.all()
    cell = build_cell("a", noise, known=0.7)
    assert np.array_equal(cell.truth("train")[0], labels)
    told = cell.splits["train"].known
    assert told is not None
    assert np.array_equal(cell.truth("train")[1], told)


def test_a_state_alone_is_a_split_of_one_state(build_cell: Callable[..., Cell]) -> None:
    features = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 3, 5))).splits["test"].features
    alone = StateFeatures(features, 2)
    rows = np.array([4, 1])
    assert (alone.layers, alone.dim) == (1, 5)
    assert np.array_equal(alone.take(rows)[:, 0], features.take(rows)[:, 2])


def test_what_was_computed_is_read_until_a_fact_changes_or_the_file_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, calls = tmp_path / "a" / "x.safetensors", []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"b": np.array([1.0, np.nan]), "a": np.ones(3)[::2]}

    for facts, made in (({"cell": "x"}, 1), ({"cell": "x"}, 1), ({"cell": "y"}, 2)):
        found = kept(path, facts, make)
        assert len(calls) == made
        assert np.array_equal(found["b"], [1.0, np.nan], equal_nan=True)
        assert found["a"].tolist() == [1.0, 1.0]
    path.write_bytes(path.read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        kept(path, {"cell": "y"}, make)
    assert "is made again" in caplog.text
    assert len(calls) == 3


def test_what_another_version_kept_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    kept(path, {}, lambda: {"a": np.ones(1)})
    monkeypatch.setattr(cells_module, "__version__", "another")
    assert kept(path, {}, lambda: {"a": np.zeros(1)})["a"].tolist() == [0.0]


def test_every_part_of_a_cell_has_a_file_of_its_own(build_cell: Callable[..., Cell], tmp_path: Path) -> None:
    cell = build_cell("a/b", lambda labels, draw: draw.standard_normal((len(labels), 1, 3)))
    paths = {kept_path(tmp_path, cell, *parts) for parts in ((), ("L0",), ("L1",))}
    assert len(paths) == 3
    assert all(path.is_relative_to(tmp_path) for path in paths)


def test_no_score_is_above_one() -> None:
    drawn = np.concatenate([[0.98], np.random.default_rng(0).normal(0.98, 0.05, 500)])
    found = score_level(drawn, Sample(20, 10))
    assert found.high == 1.0
    assert found.low is not None
    assert found.low < 0.95
    assert score_level(drawn, Sample(4, 10)).high is None


def test_the_cost_is_stated_and_by_records_in_time(request_of: Request, tmp_path: Path) -> None:
    words, seconds = probes_again(3)
    assert words == "about 3 times the probes of that run; no audio is decoded for it"
    assert probes_again(1)[0].startswith("about as much as the probes of that run;")
    said = stated(request_of, ["mfcc"], tmp_path, f"does more: {words}", seconds)
    assert "Evaluates 1 model on 1 task" in said
    assert f"then does more: {words}." in said
    assert f"not known before the first record is in {tmp_path / RECORDS}" in said
    (cell,) = cells_of(request_of, tmp_path)
    assert seconds(cell.evidence.record) == 3 * cell.evidence.record.cost.probe_seconds
    measured = stated(request_of, ["mfcc", "chroma"], tmp_path, "does more", lambda _: 90.0)
    assert "By the 1 record in" in measured
    assert "about 3.0 min on one core" in measured


def test_work_is_kept_under_the_cell_its_parts_and_all_facts(build_cell: Callable[..., Cell], tmp_path: Path) -> None:
    cell, calls = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 1, 3))), []

    def make(name: str) -> dict[str, np.ndarray]:
        calls.append(name)
        return {name: np.ones(2)}

    def work(draws: int) -> list[Work]:
        return [Work(cell, name, {"draws": draws}, partial(make, name), (name,)) for name in ("x", "y")]

    for draws in (1, 1, 2):
        assert [[*one] for one in kept_work(work(draws), tmp_path, Observer())] == [["x"], ["y"]]
    assert calls == ["x", "y", "x", "y"]
    assert {path.name for path in (tmp_path / "kept" / "a").iterdir()} == {"lyra-x.safetensors", "lyra-y.safetensors"}
    fewer = replace(cell, shared=cell.shared[1:])
    kept_work([replace(one, cell=fewer) for one in work(2)], tmp_path, Observer())
    assert calls[4:] == ["x", "y"], "what a cell is belongs to the facts"


def test_the_chosen_probe_alone_is_trained_as_it_was_chosen(build_cell: Callable[..., Cell]) -> None:
    cell = build_cell("a", lambda labels, draw: draw.standard_normal((len(labels), 3, 5)))
    searched = PROTOCOLS["cmbench-2"].probe
    assert len(searched.learning_rates) > 1
    assert searched.halve_at
    cell = replace(cell, protocol=replace(cell.protocol, probe=searched))
    alone = replace(searched, learning_rates=(0.01,), seeds=(searched.search_seed,), halve_at=())
    seen, settings, names = chosen_probe(cell)
    assert names == ("L2",)
    assert [split.features.layers for split in seen] == [1, 1, 1]
    assert settings == replace(alone, each_layer=True, fused=False)
    record = cell.evidence.record
    selection = record.selection.model_copy(update={"layer": "fused"})
    summed = replace(cell.evidence, record=record.model_copy(update={"selection": selection}))
    seen, settings, names = chosen_probe(replace(cell, evidence=summed))
    assert names == ("L0", "L1", "L2")
    assert [split.features.layers for split in seen] == [3, 3, 3]
    assert settings == replace(alone, each_layer=False, fused=True)


def test_a_flipped_bit_among_the_numbers_is_no_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, made = tmp_path / "x.safetensors", {"score": np.linspace(0.1, 0.9, 9)}
    kept(path, {"draws": 1}, lambda: made)
    assert kept(path, {"draws": 1}, dict), "whole, it is read"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    scores = kept(path, {"draws": 1}, lambda: made)
    assert scores["score"].tolist() == made["score"].tolist()
    assert f"{path} is damaged" in caplog.text
