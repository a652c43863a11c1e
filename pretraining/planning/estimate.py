"""What a run will take, before it begins: updates, hours of audio heard, memory, time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ...baselines.mert.network import HubertShape
from ..recipes.recipe import RATE, Recipe

if TYPE_CHECKING:
    import torch

# Copies of a layer's results that stay for the backward pass, counted in the code of a post-norm layer with dropout:
# its input, query, key and value, mixed values, projection, two sums, two norms, two masks.
_HIDDEN_COPIES, _INNER_COPIES, _CONVOLUTION_COPIES, _ATTENTION_COPIES = 12, 2, 3, 2

_MEASURED_SECONDS = 0.4
_SIDE = 1024


@dataclass(frozen=True)
class Estimate:
    """What a run takes.

    Attributes:
        steps: updates in all.
        heard_hours: audio in all crops.
        parameters: of network and heads.
        memory: bytes of weights, gradients, optimiser and activations; beside them there is what torch itself needs.
        operations: additions and multiplications in all passes.
        speed: operations per second of matrix products here.
    """

    steps: int
    heard_hours: float
    parameters: int
    memory: int
    operations: float
    speed: float

    @property
    def seconds(self) -> float:
        """Seconds of the arithmetic alone, at the speed of matrix products: no run is faster."""
        return self.operations / self.speed


def estimate(recipe: Recipe, shape: HubertShape, heads: int, steps: int, speed: float, processes: int) -> Estimate:
    """Count what a run takes.

    A backward pass counts twice its forward pass; where activations are computed again, three times.

    Args:
        recipe: of the run.
        shape: of its encoder.
        heads: parameters of the heads.
        steps: updates in all.
        speed: of one process, see :func:`matrix_speed`.
        processes: that share the passes.
    """
    samples = round(recipe.batch.seconds * RATE)
    parameters = heads + sum(prod(size) for size in shape.tensors().values())
    passes = 4 if recipe.running.recompute else 3
    operations = float(passes * shape.operations(samples) * recipe.batch.crops * steps)
    return Estimate(
        steps=steps,
        heard_hours=steps * recipe.batch.crops * recipe.batch.seconds / 3600,
        parameters=parameters,
        # Weights, gradients, and AdamW's two moments, in float32.
        memory=16 * parameters + recipe.batch.together * _activations(shape, samples, recipe.running.recompute),
        operations=operations,
        speed=speed * processes,
    )


def _activations(shape: HubertShape, samples: int, recompute: bool) -> int:
    """Bytes that a crop keeps for the backward pass, in float32."""
    length, numbers = samples, 0
    for channels, kernel, stride in zip(shape.conv_dim, shape.conv_kernel, shape.conv_stride, strict=True):
        length = (length - kernel) // stride + 1
        numbers += _CONVOLUTION_COPIES * length * channels
    frames = shape.frames(samples)
    layer = frames * (_HIDDEN_COPIES * shape.hidden + _INNER_COPIES * shape.intermediate)
    layer += _ATTENTION_COPIES * shape.heads * frames**2
    numbers += layer + shape.layers * frames * shape.hidden if recompute else shape.layers * layer
    return 4 * numbers


def matrix_speed(device: torch.device) -> float:
    """Measure matrix products in float32: operations per second."""
    import torch

    left = torch.randn(_SIDE, _SIDE, device=device)
    products, began = 0, 0.0
    for warm in (False, True):
        products, began = 0, time.perf_counter()
        while time.perf_counter() - began < (_MEASURED_SECONDS if warm else _MEASURED_SECONDS / 4):
            float((left @ left)[0, 0])
            products += 1
    return 2 * _SIDE**3 * products / (time.perf_counter() - began)
