"""Measuring on music that a run does not train on, tradition by tradition: forgetting is seen while it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...decoding import tell_unusable
from ...errors import UnusableAudio
from ..corpus.crops import held_out_crops, key
from ..corpus.exclusion import Recording
from .metrics import Metrics, metrics_of
from .run import Run, load, precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def measure(run: Run) -> dict[str, Metrics]:
    """Return the metrics of every tradition that has held-out music.

    Crops and masks are the same every time, nothing is mixed or dropped. Every process measures for itself.
    """
    import torch

    recipe, found = run.recipe, {}
    run.learner.module.eval()
    for tradition, recordings in sorted(run.corpus.held_out.items()):
        totals: Tensor | None = None
        for number, (audio, tokens) in enumerate(_passes(run, recordings)):
            with torch.no_grad(), precision(run):
                draw = key(recipe.seed, "held out", tradition, number)
                sums = run.learner.sums(run.learner.module, audio, tokens, draw, training=False)
            both = torch.cat([sums.loss.detach().double()[None], sums.numbers])
            totals = both if totals is None else totals + both
        if totals is None:
            continue
        loss, *numbers = totals.tolist()
        found[tradition] = metrics_of(loss, numbers)
    return found


def _passes(run: Run, recordings: Sequence[Recording]) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Read the crops of a tradition; other recordings stand in for one that cannot be decoded."""
    recipe, size = run.recipe, run.recipe.batch.together
    while recordings:
        crops = held_out_crops(recordings, recipe.held_out.crops, recipe.batch.seconds, recipe.seed)
        try:
            return [load(run, crops[i : i + size]) for i in range(0, len(crops), size)]
        except UnusableAudio as error:
            tell_unusable(error.path, error.reason)
            recordings = [recording for recording in recordings if recording.path != error.path]
    return []
