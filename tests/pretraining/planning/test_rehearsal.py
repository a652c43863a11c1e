"""Rehearsals: of the recipe's own size, and of nothing that is not on a bare machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cmbench.cli import app
from cmbench.pretraining.corpus.corpus import build_corpus
from cmbench.pretraining.planning.rehearsal import HOURS, MARK, rehearsed
from cmbench.pretraining.recipes.checks import checked
from cmbench.pretraining.recipes.reading import open_recipe, shipped_recipes
from cmbench.pretraining.recipes.recipe import FIT, SCRATCH
from cmbench.tasks.base import LoadContext


@pytest.mark.parametrize("name", shipped_recipes())
def test_there_is_enough_music_for_every_recipe(name: str, tmp_path: Path) -> None:
    recipe = checked(rehearsed(open_recipe(name)).recipe)
    corpus = build_corpus(recipe, LoadContext(None, tmp_path, needs_audio=False))
    assert corpus.edition == "mini"
    for stage, wanted in recipe.stages.items():
        assert HOURS <= sum(corpus.hours(stage).values()) < 1.7 * HOURS
        assert {t for t, h in wanted.hours.items() if h} == set(corpus.stages[stage])


def test_what_an_update_costs_is_left_as_it_is() -> None:
    opened = open_recipe("culturemert-95m", ["optimiser.clip=3"])
    was, now = opened.recipe, rehearsed(opened)
    assert (now.recipe.start, now.recipe.targets.teacher) == (SCRATCH, FIT)
    assert now.recipe.name == "culturemert-95m-rehearsal"
    assert now.recipe.sources["turkish"] == ["mini:turkish_makam"]
    assert now.recipe.stages["second"].hours["turkish"] == pytest.approx(HOURS * 200 / 650)
    back = replace(
        now.recipe,
        name=was.name,
        start=was.start,
        sources=was.sources,
        targets=replace(now.recipe.targets, teacher=was.targets.teacher, hours=was.targets.hours),
        held_out=was.held_out,
        running=replace(now.recipe.running, log=was.running.log),
        stages={name: replace(stage, hours=was.stages[name].hours) for name, stage in now.recipe.stages.items()},
    )
    assert back == was
    assert {now.marks[key] for key in ("start", "sources", "targets.teacher", "stages.first.hours")} == {MARK}
    assert "sources.greek" not in now.marks
    assert (now.marks["optimiser.clip"], now.marks["batch.crops"]) == ("command line", "our choice")


@pytest.mark.slow
def test_a_rehearsal_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    words = ("culturemert-nano", "--rehearse", "--offline", "--device", "cpu", "--out", str(out))
    done = CliRunner().invoke(app, ["pretrain", *words], catch_exceptions=False)
    assert "2 of" in done.output
    assert "Peak memory of this process: " in done.output
    assert (out / "model.safetensors").is_file()
