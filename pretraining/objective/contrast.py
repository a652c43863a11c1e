"""The contrast of recordings under transposition: what is told from others must be neither key nor room.

Our extension, beside MERT's objective. Of each of n melodies two views are drawn, of two tellings of it or of one
recording: some frames of a stretch of the spectrum, transposed, filtered and covered with noise at random. The
summaries of the melody stream (:mod:`...baselines.mert.melody`), through a small head, give a_i and b_i of unit length,
and

L = 1/2n sum_i [ -log exp(a_i b_i / t) / sum_j exp(a_i b_j / t) - log exp(a_i b_i / t) / sum_j exp(a_j b_i / t) ]

(InfoNCE: van den Oord et al. 2018, arXiv 1807.03748; between augmented views of music: Spijkervet and Burgoyne 2021,
*Contrastive learning of musical representations*, ISMIR). Transposition as what must not count: Riou et al. 2023,
*PESTO*, ISMIR, where it is what must be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...baselines.mert.melody import MelodyShape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..recipes.recipe import Contrast

COARSE, FINE = 9, 36
"""Points between which random filters are drawn: slopes of a room or a medium; formants, half as deep."""

NOISE = (-4.0, 1.0)
"""Level of the added noise about the view's mean log power, drawn evenly; in most bands the music is above it."""


def draw_views(
    spectra: Sequence[NDArray[np.floating]], how: Contrast, shape: MelodyShape, random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a view of each of some spectra ``[spectra, frames, bands]``.

    Args:
        spectra: of what is to be told as one, each ``[all frames, bands]``, see
            :func:`...baselines.mert.melody.log_spectrum`; a recording twice, for two views of it.
        how: settings.
        shape: of the stream.
        random: draws everything.
    """
    return np.stack([_view(spectrum, how, shape, random) for spectrum in spectra])


def _view(
    spectrum: NDArray[np.floating], how: Contrast, shape: MelodyShape, random: np.random.Generator
) -> NDArray[np.float32]:
    length = min(len(spectrum), max(how.frames, round(how.seconds * 24_000 / shape.hop)))
    start = int(random.integers(len(spectrum) - length + 1))
    chosen = start + np.sort(random.permutation(length)[: how.frames])
    # A short stretch has fewer frames than a view: some are heard twice.
    view: NDArray[np.floating] = np.asarray(spectrum[np.resize(chosen, how.frames)], np.float32)
    for points, depth in ((COARSE, how.filter), (FINE, how.filter / 2)):
        heights = depth * random.standard_normal(points)
        view = view + np.interp(np.linspace(0, points - 1, shape.bands), np.arange(points), heights)
    if how.floor:
        view = np.logaddexp(view, view.mean() + random.uniform(*NOISE))
    most = round(how.shift * shape.per_octave / 12)
    bands = np.arange(shape.bands) - int(random.integers(-most, most + 1))
    return np.asarray(view[:, bands.clip(0, shape.bands - 1)], np.float32)


def contrast_loss(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the loss (a scalar, in nats) and the share of views whose nearest other view is of their own recording.

    Args:
        first: one view of each recording ``[recordings, dim]``, of any length.
        second: the other, in the same order.
        temperature: divides the cosines.
    """
    cosines = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T / temperature
    own = torch.arange(len(first), device=first.device)
    loss = (functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)) / 2
    return loss, (cosines.detach().argmax(1) == own).float().mean()
