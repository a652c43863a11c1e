"""Span masks: which frames the model must predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SpanMasking:
    """How spans are drawn. Defaults: MERT's (https://github.com/yizhilll/MERT, MERT_RVQ-VAE_CQT_95M.yaml).

    Attributes:
        probability: expected number of spans times their length, as a share of the frames. It is **not** the share that
            is masked: spans overlap, and rows are brought to the length of the shortest. With 0.8 and 374 frames 58 %
            are masked in a batch of one and 54 % in a batch of sixteen.
        length: of a span, frames.
        least: spans in a clip at least.
    """

    probability: float = 0.8
    length: int = 5
    least: int = 2

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: a value that masks nothing or everything.
        """
        if not 0 < self.probability <= 1 or self.length < 1 or self.least < 1:
            raise UsageError(
                f"Masking with probability {self.probability}, spans of {self.length} frames and at least {self.least} "
                "is not possible: the probability lies in (0, 1], the others are 1 or more."
            )


def span_masks(clips: int, frames: int, masking: SpanMasking, draw: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which frames are masked, the same number in every clip.

    As ``compute_mask_indices`` with static spans that may overlap (https://github.com/facebookresearch/fairseq,
    fairseq/data/data_utils.py): in each clip int(probability * frames / length + U[0, 1)) spans begin at different
    frames of [0, frames - length); then frames are taken at random out of every mask until all have as many as the
    smallest.

    Args:
        clips: rows.
        frames: of each clip.
        masking: how.
        draw: source of randomness.

    Returns:
        True where masked ``[clips, frames]``.

    Raises:
        UsageError: the clips are too short for the spans.
    """
    import numpy as np

    starts = frames - masking.length
    if starts < masking.least:
        raise UsageError(f"Clips of {frames} frames have no room for {masking.least} spans of {masking.length} frames.")
    masks = np.zeros((clips, frames), bool)
    for mask in masks:
        spans = int(masking.probability * frames / masking.length + draw.random())
        begin = draw.choice(starts, min(max(spans, masking.least), starts), replace=False)
        mask[(begin[:, None] + np.arange(masking.length)).ravel()] = True
    fewest = masks.sum(axis=1).min()
    for mask in masks:
        masked = np.flatnonzero(mask)
        mask[draw.choice(masked, len(masked) - fewest, replace=False)] = False
    return masks
