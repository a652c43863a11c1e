"""Measuring on music that is never trained on, tradition by tradition: forgetting is seen while it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .crops import held_out_crops, key
from .metrics import Metrics, metrics_of
from .run import Run, load, precision

if TYPE_CHECKING:
    from torch import Tensor


def measure(run: Run) -> dict[str, Metrics]:
    """Return the metrics of every tradition that has held-out music.

    Crops and masks are the same every time, nothing is mixed or dropped. Every process measures for itself.
    """
    import torch

    recipe, found = run.recipe, {}
    run.learner.module.eval()
    for tradition, recordings in sorted(run.corpus.held_out.items()):
        crops = held_out_crops(recordings, recipe.held_out.crops, recipe.batch.seconds, recipe.seed)
        totals: Tensor | None = None
        size = recipe.batch.together
        parts = [crops[i : i + size] for i in range(0, len(crops), size)]
        for number, part in enumerate(parts):
            audio, tokens = load(run, part)
            with torch.no_grad(), precision(run):
                draw = key(recipe.seed, "held out", tradition, number)
                sums = run.learner.sums(run.learner.module, audio, tokens, draw, training=False)
            both = torch.cat([sums.loss.detach().double()[None], sums.numbers])
            totals = both if totals is None else totals + both
        assert totals is not None
        loss, *numbers = totals.tolist()
        found[tradition] = metrics_of(loss, numbers)
    return found
