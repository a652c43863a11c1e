"""MERT's objective, one function for each part.

Per masked frame, with the weights of MERT's recipe:

L = sum over 8 codebooks of cross-entropy + 1 x mean squared CQT error + 10 x mean squared convolution features.

Source: https://github.com/yizhilll/MERT, mert_fairseq/models/mert/mert_model.py (``compute_nce``, ``forward``,
``get_extra_losses``) and MERT_RVQ-VAE_CQT_95M.yaml (``loss_weights: [10, 1]``), under fairseq's criterion ``hubert``
(https://github.com/facebookresearch/fairseq, fairseq/criterions/hubert_criterion.py), which sums the codebooks, weighs
the other parts with the number of masked frames and divides the gradient by that number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import UsageError
from ..recipes.recipe import Loss
from .model import Predictions


@dataclass(frozen=True)
class Losses:
    """The parts of the loss of a batch. All but the total are free of gradients.

    Attributes:
        total: weighted sum, per masked frame; a scalar with a gradient.
        tokens: mean cross-entropy of each codebook in nats ``[levels]``.
        accuracy: share of masked frames whose token is the most probable one ``[levels]``.
        cqt: mean squared error, scalar.
        features: mean squared convolution features, scalar.
        masked: frames that were predicted; what the means of several batches are weighed with.
    """

    total: Tensor
    tokens: Tensor
    accuracy: Tensor
    cqt: Tensor
    features: Tensor
    masked: int


def token_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the cross-entropy of each codebook, mean over frames, in nats ``[levels]``.

    MERT's code puts the logit of the true class before those of all classes and sets its copy to minus infinity; that
    is this cross-entropy.

    Args:
        logits: ``[levels, masked, codebook_size]``.
        tokens: ``[levels, masked]`` int64.
    """
    return torch.stack([functional.cross_entropy(*level) for level in zip(logits, tokens, strict=True)])


def token_accuracy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the share of frames whose most probable token is right ``[levels]``; shapes as :func:`token_losses`."""
    return (logits.argmax(-1) == tokens).float().mean(-1)


def cqt_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the squared error of linear magnitudes ``[masked, bins]``, mean over both."""
    return functional.mse_loss(predicted, target.float())


def feature_penalty(features: Tensor) -> Tensor:
    """Return the mean square of the convolutions' output ``[clips, channels, frames]``, of all frames, in float32."""
    return features.float().square().mean()


def pretraining_loss(predictions: Predictions, tokens: Tensor, cqt: Tensor, mask: Tensor, weights: Loss) -> Losses:
    """Put the loss of a batch together.

    Args:
        predictions: of the model for this mask.
        tokens: of the clean clips ``[clips, levels, frames or more]`` int64.
        cqt: magnitudes of the clean clips ``[clips, frames or more, bins]``.
        mask: ``[clips, frames]`` bool.
        weights: of the parts.

    Raises:
        UsageError: there are fewer target frames than the mask has.
    """
    frames = mask.shape[1]
    if tokens.shape[2] < frames or cqt.shape[1] < frames:
        raise UsageError(
            f"There are {tokens.shape[2]} frames of tokens and {cqt.shape[1]} of CQT for a mask of {frames} frames."
        )
    # Masked frames come clip by clip, as the model's predictions do.
    truth = tokens[..., :frames].transpose(0, 1)[:, mask]
    by_codebook = token_losses(predictions.logits, truth)
    error = cqt_loss(predictions.cqt, cqt[:, :frames][mask])
    penalty = feature_penalty(predictions.features)
    return Losses(
        total=weights.tokens * by_codebook.sum() + weights.cqt * error + weights.features * penalty,
        tokens=by_codebook.detach(),
        accuracy=token_accuracy(predictions.logits.detach(), truth),
        cqt=error.detach(),
        features=penalty.detach(),
        masked=len(predictions.cqt),
    )
