"""A run in progress: what is trained, on what, where, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ..corpus.corpus import Corpus
from ..corpus.crops import Crop, read_crops
from ..recipes.recipe import Recipe
from .checkpoints import Checkpoints, TrainingState
from .group import Group

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from ..learner import MertLearner
    from .log import Log


@dataclass
class Run:
    """A run in progress.

    Attributes:
        recipe: what to do.
        corpus: what to learn from.
        learner: what learns.
        checkpoints: where its states are kept.
        log: notified of everything.
        device: where it computes.
        group: the processes.
        bfloat16: whether passes compute in bfloat16.
        progress: how far it is.
    """

    recipe: Recipe
    corpus: Corpus
    learner: MertLearner
    checkpoints: Checkpoints
    log: Log
    device: torch.device
    group: Group = field(default_factory=Group)
    bfloat16: bool = False
    progress: TrainingState = field(default_factory=lambda: TrainingState("", ""))

    def __post_init__(self) -> None:
        """Check that the passes of an update can be dealt out evenly."""
        batch = self.recipe.batch
        passes = batch.crops // batch.together
        if passes % self.group.size:
            raise UsageError(
                f"{passes} passes ({batch.crops} crops, {batch.together} together) cannot be dealt out to "
                f"{self.group.size} processes evenly; set batch.together={max(1, batch.crops // self.group.size)}"
            )
        self.progress = TrainingState(self.recipe.sha256, self.corpus.sha256, stage=next(iter(self.recipe.stages)))


def precision(run: Run) -> AbstractContextManager[Any]:
    """Return what a pass computes in: bfloat16 where that was chosen, else float32."""
    import torch

    return torch.autocast(run.device.type, torch.bfloat16) if run.bfloat16 else nullcontext()


def load(run: Run, crops: Sequence[Crop]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return audio ``[crops, samples]`` and tokens ``[crops, codebooks, frames]`` of crops."""
    seconds = run.recipe.batch.seconds
    return read_crops(crops, seconds), run.learner.tokens(crops, seconds)
