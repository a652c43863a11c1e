"""What a pass adds up over its masked frames, and the means that are reported of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sums:
    """What a pass adds up over its masked frames.

    Attributes:
        loss: sum over the masked frames, with its gradient.
        numbers: float64 ``[5 + 2 codebooks]`` without gradient: masked frames; CQT error, feature penalty, contrast of
            recordings and share of views that were matched, each times the masked frames; then by codebook the
            cross-entropies and the right tokens.
    """

    loss: Tensor
    numbers: Tensor


@dataclass(frozen=True)
class Metrics:
    """Means over masked frames.

    Attributes:
        loss: the objective.
        token_losses: cross-entropy by codebook, nats.
        accuracies: share of right tokens by codebook.
        cqt_error: mean squared error of the CQT.
        feature_penalty: mean square of the convolutions' output.
        masked: number of masked frames.
        contrast: of recordings, nats; 0 where there was none.
        matched: share of views whose nearest is of their own recording.
    """

    loss: float
    token_losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    cqt_error: float
    feature_penalty: float
    masked: int
    contrast: float = 0.0
    matched: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the values for a line of the log."""
        contrast = {"contrast": self.contrast, "matched": self.matched} if self.contrast else {}
        return {
            "loss": self.loss,
            "token_loss": list(self.token_losses),
            "accuracy": list(self.accuracies),
            "mean_accuracy": sum(self.accuracies) / len(self.accuracies),
            "cqt_error": self.cqt_error,
            "feature_penalty": self.feature_penalty,
            "masked_frames": self.masked,
            **contrast,
        }


def metrics_of(loss: float, numbers: Sequence[float]) -> Metrics:
    """Divide sums by the number of masked frames."""
    masked, cqt, penalty, contrast, matched, *rest = numbers
    half = len(rest) // 2
    means = [value / masked for value in rest]
    return Metrics(
        loss / masked,
        tuple(means[:half]),
        tuple(means[half:]),
        cqt / masked,
        penalty / masked,
        round(masked),
        contrast / masked,
        matched / masked,
    )
