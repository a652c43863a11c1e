"""The learner is put together from what a recipe says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from cmbench.baselines.base import LoadOptions
from cmbench.errors import UsageError
from cmbench.pretraining.corpus.corpus import Corpus, build_corpus
from cmbench.pretraining.corpus.crops import key, read_samples
from cmbench.pretraining.learner import open_learner
from cmbench.pretraining.objective.targets import fit_teacher
from cmbench.pretraining.recipes.recipe import Batch, HeldOut, Recipe, Stage, Targets
from cmbench.tasks.base import LoadContext
from cmbench.tests.conftest import write_tone

OFFLINE = LoadOptions("cpu", offline=True)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    for tradition in ("greek", "western"):
        for i in range(6):
            write_tone(tmp_path / tradition / f"{i}.wav", 200 + 40 * i, 2.0, seed=i + 10 * (tradition == "greek"))
    return Recipe(
        name="test",
        shape="nano",
        sources={t: [f"folder:{tmp_path / t}"] for t in ("greek", "western")},
        batch=Batch(crops=2, together=2, seconds=1.5),
        held_out=HeldOut(tracks=1),
        targets=Targets(teacher="fit", codebook_size=4, dim=4),
        stages={"only": Stage(hours={"western": 0.002}, steps=1)},
    )


def corpus_of(recipe: Recipe, folder: Path) -> Corpus:
    return build_corpus(recipe, LoadContext(None, folder / "cache"))


@pytest.mark.parametrize("hours", [{}, {"greek": 0.002}])
def test_a_teacher_is_fitted_on_what_the_recipe_names_or_on_the_first_stage(
    recipe: Recipe, tmp_path: Path, hours: dict[str, float]
) -> None:
    recipe = replace(recipe, targets=replace(recipe.targets, hours=hours))
    corpus = corpus_of(recipe, tmp_path)
    learner = open_learner(recipe, corpus, OFFLINE, tmp_path / "targets", torch.device("cpu"))
    music = corpus.teacher["greek"] if hours else corpus.stages["only"]["western"]
    ordered = sorted(music, key=lambda r: key(recipe.seed, "teacher", r.id))
    expected = fit_teacher([partial(read_samples, r) for r in ordered], 4, recipe.seed)
    assert learner.teacher.fingerprint == expected.fingerprint


def test_a_model_from_scratch_has_no_teacher_to_take_over(recipe: Recipe, tmp_path: Path) -> None:
    recipe = replace(recipe, targets=replace(recipe.targets, teacher="start"))
    with pytest.raises(UsageError, match=r"no teacher in the start 'scratch'; use targets\.teacher=fit"):
        open_learner(recipe, corpus_of(recipe, tmp_path), OFFLINE, tmp_path / "targets", torch.device("cpu"))
