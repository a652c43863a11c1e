"""The contrast of recordings: what is told from others must be neither key nor tempo nor room.

Our extension, beside MERT's objective. Of each of n melodies two views are drawn for each stream
(:mod:`...baselines.mert.streams`), of two tellings of it or of one recording, filtered and covered with noise at
random: some frames of a stretch of the spectrum, transposed, for the melody stream; a stretch at another tempo for the
envelope stream. The summaries, of the latter its patterns alone, through a small head for each stream, give a_i and b_i
of unit length, and

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

from ...baselines.mert.envelope import EnvelopeShape
from ...baselines.mert.melody import MelodyShape
from ...baselines.mert.streams import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..recipes.recipe import Contrast

COARSE, FINE = 9, 36
"""Points between which random filters are drawn: slopes of a room or a medium; formants, half as deep."""

NOISE = (-4.0, 1.0)
"""Level of the added noise about the view's mean log power, drawn evenly; in most bands the music is above it."""


def draw_views(
    spectra: Sequence[NDArray[np.floating]], how: Contrast, shape: Stream, random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a view of each of some spectra ``[spectra, frames, bands]``.

    Args:
        spectra: of what is to be told as one, each ``[all frames, bands]``, as the
            stream's front end gives them; a recording twice, for two views of it.
        how: settings.
        shape: of the stream.
        random: draws everything.
    """
    if isinstance(shape, MelodyShape):
        return np.stack(
            [_transposed(_covered(_frames(s, how, shape, random), how, random), how, shape, random) for s in spectra]
        )
    return np.stack([_covered(_stretched(s, how, shape, random), how, random) for s in spectra])


def _stretched(
    spectrum: NDArray[np.floating], how: Contrast, shape: EnvelopeShape, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return a stretch as it would be at another tempo, between frames linearly."""
    frames = round(how.seconds * 24_000 / shape.hop)
    length = min(len(spectrum), round(frames * 2 ** random.uniform(-how.stretch, how.stretch)))
    start = int(random.integers(len(spectrum) - length + 1))
    at = start + np.linspace(0, length - 1, frames)
    before = np.minimum(at.astype(np.int64), len(spectrum) - 2)
    share = (at - before)[:, None]
    return np.asarray((1 - share) * spectrum[before] + share * spectrum[before + 1], np.float32)


def _frames(
    spectrum: NDArray[np.floating], how: Contrast, shape: MelodyShape, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return some frames of a stretch."""
    length = min(len(spectrum), max(how.frames, round(how.seconds * 24_000 / shape.hop)))
    start = int(random.integers(len(spectrum) - length + 1))
    chosen = start + np.sort(random.permutation(length)[: how.frames])
    # A short stretch has fewer frames than a view: some are heard twice.
    return np.asarray(spectrum[np.resize(chosen, how.frames)], np.float32)


def _covered(view: NDArray[np.float32], how: Contrast, random: np.random.Generator) -> NDArray[np.float32]:
    """Filter a view, the same in all frames, and fill what is soft with noise."""
    heard, bands = np.asarray(view, np.float64), view.shape[1]
    for points, depth in ((COARSE, how.filter), (FINE, how.filter / 2)):
        heights = depth * random.standard_normal(points)
        heard = heard + np.interp(np.linspace(0, points - 1, bands), np.arange(points), heights)
    if how.floor:
        heard = np.logaddexp(heard, heard.mean() + random.uniform(*NOISE))
    return np.asarray(heard, np.float32)


def _transposed(
    view: NDArray[np.float32], how: Contrast, shape: MelodyShape, random: np.random.Generator
) -> NDArray[np.float32]:
    most = round(how.shift * shape.per_octave / 12)
    bands = np.arange(shape.bands) - int(random.integers(-most, most + 1))
    return view[:, bands.clip(0, shape.bands - 1)]


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
