"""Reported figures: each equals its source, and the sums that the source prints come out."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest

from cmbench.baselines import published as module
from cmbench.baselines.published import Reported, paper_average, protocols, published, sources
from cmbench.errors import CmbenchError
from cmbench.tasks.base import PAPER_TASKS

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
WESTERN = ("fma_medium", "magnatagatune")


def row(model: str) -> Reported:
    return next(r for r in published() if r.model == model and r.protocol == "culturemert")


@pytest.mark.parametrize(
    ("model", "average"), [("MERT-v1-95M", 66.1), ("CultureMERT-95M", 69.3), ("CultureMERT-TA-95M", 69.1)]
)
def test_averages_of_the_paper(model: str, average: float) -> None:
    found = paper_average(row(model))
    assert found is not None
    assert round(100 * found, 1) == average
    assert row(model).average == pytest.approx(average / 100)


def test_gain_on_the_eight_cells_that_are_not_western() -> None:
    before, after = row("MERT-v1-95M").scores, row("CultureMERT-95M").scores
    gains = [
        (after[task][metric] or 0) - (before[task][metric] or 0)
        for task in before
        if task not in WESTERN
        for metric in ("roc_auc", "average_precision")
    ]
    assert len(gains) == 8
    assert round(100 * fmean(gains), 2) == 4.9


def test_what_was_not_published_is_null_and_averages_nothing() -> None:
    assert row("CultureMERT-95M").scores["lyra"]["f1_macro"] is None
    assert row("MERT-v1-95M").standard_deviation is None
    gap = Reported("x", "ccml", "culturemert", 1, None, "", {"lyra": {"roc_auc": 0.5}}, None, None, {})
    assert paper_average(gap) is None


def test_rows_name_tasks_sources_and_protocols() -> None:
    for one in published():
        assert set(one.scores) == PAPER_TASKS
        assert sources()[one.source].citation
        assert protocols()[one.protocol].unknown
        assert one.seeds >= 1


def test_a_figure_out_of_range_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads(module.FILE.read_text())
    content["rows"][0]["scores"]["lyra"]["roc_auc"] = 85.7
    (tmp_path / "published.json").write_text(json.dumps(content))
    monkeypatch.setattr(module, "FILE", tmp_path / "published.json")
    module._content.cache_clear()
    try:
        with pytest.raises(CmbenchError, match=r"lyra: roc_auc = 85\.7 is not a fraction"):
            published()
    finally:
        module._content.cache_clear()


def test_every_figure_equals_the_collected_ones() -> None:
    file = SHARED / "facts" / "published.json"
    if not file.is_file():
        pytest.skip(f"the collected figures are not at {file}")
    collected = json.loads(file.read_text())
    names = {"micro_f1": "f1_micro", "macro_f1": "f1_macro"}
    theirs = {
        (i, task, names.get(metric, metric)): value
        for i, model in enumerate(collected["models"])
        for task, scores in model["results"].items()
        for metric, value in scores.items()
        if metric in collected["metrics"]
    }
    ours = {
        (i, task, metric): value
        for i, one in enumerate(published())
        for task, scores in one.scores.items()
        for metric, value in scores.items()
    }
    assert ours == theirs
    assert len(ours) == 288
    for one, model in zip(published(), collected["models"], strict=True):
        assert one.seeds == model["seeds"]
        sources_of = {task: r["transfer_source"] for task, r in model["results"].items() if "transfer_source" in r}
        assert one.transfer_from == sources_of
