"""The learning rate of a stage: linear re-warm, cosine or linear re-decay to a floor.

Re-warming and re-decaying is what lets a converged model learn again without forgetting more than it must: Ibrahim et
al. 2024, *Simple and Scalable Strategies to Continually Pre-train Large Language Models*, arXiv 2403.08763, section 4.
Linear decay to 0 is the schedule of MERT itself (fairseq: polynomial_decay_schedule.py with power 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...errors import UsageError

DECAYS = ("cosine", "linear", "constant")


@dataclass(frozen=True)
class Schedule:
    """A curve over the steps of one stage.

    Attributes:
        peak: highest learning rate.
        start: rate before the first step, as a share of the peak.
        floor: rate after the last step, as a share of the peak; of no meaning for ``constant``.
        warmup: steps of the linear re-warm; 0 begins at the peak.
        steps: of the stage.
        decay: ``cosine``, ``linear``, or ``constant`` (no re-decay).
    """

    peak: float
    start: float
    floor: float
    warmup: int
    steps: int
    decay: str

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: one is out of its range, or there is no such decay.
        """
        if self.decay not in DECAYS:
            raise UsageError(f"There is no decay {self.decay!r}; choose {', '.join(DECAYS)}.")
        if self.steps < 1 or not 0 <= self.warmup <= self.steps:
            raise UsageError(f"warmup = {self.warmup} should be between 0 and the stage's {self.steps} steps.")
        if not (math.isfinite(self.peak) and self.peak > 0):
            raise UsageError(f"The peak of the learning rate, {self.peak!r}, should be a positive number.")
        for name, share in (("start", self.start), ("floor", self.floor)):
            if not 0 <= share <= 1:
                raise UsageError(f"{name} = {share!r} is a share of the peak: between 0 and 1.")

    def rate(self, step: int) -> float:
        """Return the learning rate of the update that takes the model from ``step`` to ``step + 1`` updates.

        The curve is that of fairseq's schedules: at ``step = warmup`` it is at its peak, at ``step = steps`` (after the
        last update) at its floor.

        Args:
            step: updates done in this stage, from 0 to ``steps``.

        Raises:
            ValueError: outside of the stage.
        """
        if not 0 <= step <= self.steps:
            raise ValueError(f"step {step} is not within 0 to {self.steps}")
        if step < self.warmup:
            return self.peak * (self.start + (1 - self.start) * step / self.warmup)
        if self.decay == "constant" or step == self.warmup:
            return self.peak
        done = (step - self.warmup) / (self.steps - self.warmup)
        left = (1 + math.cos(math.pi * done)) / 2 if self.decay == "cosine" else 1 - done
        return self.peak * (self.floor + (1 - self.floor) * left)
