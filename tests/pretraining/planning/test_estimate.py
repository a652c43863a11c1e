"""Memory and time before a run: what they must follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cmbench.baselines.anchors import NANO
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.pretraining.planning.estimate import estimate, matrix_speed
from cmbench.pretraining.recipes.reading import open_recipe

RECIPE = open_recipe("culturemert-95m").recipe


def test_hours_and_parameters_are_counted() -> None:
    found = estimate(RECIPE, NANO, 7, 36, 1.0, 1)
    assert found.heard_hours == pytest.approx(36 * 64 * 5 / 3600)
    assert found.parameters == 7 + sum(t.numel() for t in random_weights(NANO, 0).values())


def test_a_backward_pass_costs_two_forward_passes() -> None:
    found = estimate(RECIPE, NANO, 0, 10, 1e9, 1)
    assert found.operations == 3 * NANO.operations(120_000) * 64 * 10
    assert found.seconds == pytest.approx(found.operations / 1e9)
    assert estimate(RECIPE, NANO, 0, 10, 1e9, 4).seconds == pytest.approx(found.operations / 4e9)


def test_recomputing_saves_memory_and_costs_time() -> None:
    plain = estimate(RECIPE, HubertShape(), 0, 1, 1e12, 1)
    saving = estimate(replace(RECIPE, running=replace(RECIPE.running, recompute=True)), HubertShape(), 0, 1, 1e12, 1)
    assert saving.memory < 0.8 * plain.memory
    assert saving.operations == pytest.approx(plain.operations * 4 / 3)


def test_memory_grows_with_the_pass_and_not_with_the_update() -> None:
    base = estimate(RECIPE, NANO, 0, 1, 1.0, 1).memory
    larger = replace(RECIPE, batch=replace(RECIPE.batch, crops=128))
    wider = replace(RECIPE, batch=replace(RECIPE.batch, together=16))
    assert estimate(larger, NANO, 0, 1, 1.0, 1).memory == base
    assert estimate(wider, NANO, 0, 1, 1.0, 1).memory > base


def test_speed_is_measured() -> None:
    assert matrix_speed(torch.device("cpu")) > 1e8
