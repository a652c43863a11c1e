"""The learner is put together from what a recipe says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.mert.melody import MelodyShape
from cmbench.baselines.network import open_network
from cmbench.baselines.tokens.kmeans import ResidualKMeans
from cmbench.errors import UsageError
from cmbench.pretraining.corpus.corpus import Corpus, build_corpus
from cmbench.pretraining.corpus.crops import key, read_samples
from cmbench.pretraining.learner import NANO, head_shape, network_shape, open_learner
from cmbench.pretraining.objective.model import from_shape, save_folder
from cmbench.pretraining.objective.targets import fit_teacher, read_teacher, save_teacher
from cmbench.pretraining.recipes.recipe import Batch, Contrast, Cqt, HeldOut, Network, Recipe, Stage, Targets
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


def test_a_recipe_says_the_network_the_heads_and_the_features(recipe: Recipe, tmp_path: Path) -> None:
    own = replace(
        recipe,
        network=Network(hidden=48, layers=1, conv_dim=[16, 24], conv_kernel=[400, 2], conv_stride=[160, 2], patterns=6),
        contrast=Contrast(weight=1.0, dim=5),
        targets=replace(recipe.targets, features="log_frequency", cqt=Cqt(lowest=65.4, bins=36, per_octave=12)),
    )
    learner = open_learner(own, corpus_of(own, tmp_path), OFFLINE, tmp_path / "tokens", torch.device("cpu"))
    shape, tensors = learner.module.shape, dict(learner.module.named_parameters())
    assert (shape.hidden, shape.layers, shape.heads, shape.conv_kernel) == (48, 1, 2, (400, 2))
    assert shape.melody == MelodyShape(6)
    assert tensors["encoder_cqt_model.fc.weight"].shape == (36, 48)
    assert tensors["contrast_head.melody.1.weight"].shape == (5, 10)
    assert (learner.cqt.lowest, learner.cqt.bins, learner.cqt.per_octave) == (65.4, 36, 12)
    assert isinstance(learner.teacher, ResidualKMeans)
    assert learner.teacher.codebooks.shape[2] == 216
    assert "log-frequency" in learner.teacher.name
    save_teacher(tmp_path / "t", learner.teacher)
    tone = np.sin(np.arange(24_000) / 9).astype(np.float32)
    np.testing.assert_array_equal(read_teacher(tmp_path / "t").tokens(tone), learner.teacher.tokens(tone))


@pytest.mark.parametrize(
    ("network", "told"),
    [(Network(hidden=50, heads=3), "no multiple of 3 heads"), (Network(conv_dim=[8, 8, 8]), "go together: name all")],
)
def test_a_network_whose_parts_do_not_fit_is_told(recipe: Recipe, network: Network, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        network_shape(replace(recipe, network=network))


def test_a_model_without_a_melody_stream_gets_one_and_keeps_the_rest(
    recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_folder(from_shape(NANO, head_shape(recipe, 4), 3), tmp_path / "plain")
    own = replace(recipe, start=str(tmp_path / "plain"), network=Network(patterns=6))
    learner = open_learner(own, corpus_of(own, tmp_path), OFFLINE, tmp_path / "tokens", torch.device("cpu"))
    assert learner.module.shape.melody == MelodyShape(6)
    assert learner.module.drawn == ("melody stream",)
    assert "no melody stream" in caplog.text
    kept = open_network(own.start, OFFLINE).checkpoint.weights
    parameters = dict(learner.module.named_parameters())
    assert all(torch.equal(parameters[name], tensor) for name, tensor in kept.items())
    # With one of its own, another size is refused and the same is kept.
    save_folder(learner.module, tmp_path / "with")
    again = replace(own, start=str(tmp_path / "with"))
    opened = open_learner(again, corpus_of(own, tmp_path), OFFLINE, tmp_path / "t", torch.device("cpu"))
    assert opened.module.drawn == ()
    assert torch.equal(
        dict(opened.module.named_parameters())["melody.patterns.weight"], parameters["melody.patterns.weight"]
    )
    other = replace(again, network=Network(patterns=7))
    music = corpus_of(own, tmp_path)
    with pytest.raises(UsageError, match=r"say network\.patterns=6"):
        open_learner(other, music, OFFLINE, tmp_path / "t", torch.device("cpu"))
