"""The model, its teacher and its objective as one thing that :mod:`.training.train` can drive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..baselines.base import LoadOptions
from ..baselines.mert.envelope import EnvelopeShape
from ..baselines.mert.heads import HeadShape
from ..baselines.mert.melody import MelodyShape
from ..baselines.mert.network import HubertShape
from ..baselines.network import open_network
from ..baselines.tokens.kmeans import ResidualKMeans
from ..decoding import tell_unusable
from ..errors import UnusableAudio, UsageError
from .corpus.corpus import Corpus
from .corpus.crops import Crop, key, read_samples
from .corpus.exclusion import Recording
from .objective.contrast import contrast_loss, draw_views
from .objective.cqt import CqtShape, cqt_magnitudes
from .objective.loss import pretraining_loss
from .objective.masking import span_masks
from .objective.mixture import mix_noise
from .objective.model import PretrainingModel, belongs, from_fairseq, from_folder, from_shape
from .objective.spectra import cached_spectrum
from .objective.targets import LEVELS, Teacher, cached_tokens, fit_teacher, open_teacher, read_teacher, slice_tokens
from .recipes.recipe import FAIRSEQ, FILTER_BANK, FIT, HOP, SCRATCH, START, Recipe
from .training.metrics import Sums

NANO = HubertShape(
    conv_dim=(96, 96), conv_kernel=(640, 4), conv_stride=(80, 4), conv_norm="layer",
    hidden=96, layers=4, heads=2, intermediate=384, position_kernel=64, position_groups=16,
    pre_norm=True,
)  # fmt: skip
"""MERT's Transformer, narrow enough for a laptop, after two wide convolutions in place of seven short ones: 27 ms of
audio are enough for bands that are a tone wide, and with norms as in MERT-v1-330M, before attention and feed-forward:
after them, a few thousand updates teach it little (our choice, measured in docs/culturemert.md)."""

SHAPES = {"nano": NANO, "95m": HubertShape()}

FIT_RECORDINGS = 400
"""Recordings that a teacher is fitted on, at most (our choice)."""


@dataclass(frozen=True, eq=False)
class MertLearner:
    """Learns as MERT does: a network with its heads, its targets and its loss.

    Attributes:
        module: network and heads.
        recipe: its settings.
        teacher: gives the tokens.
        cache: folder of tokens.
        cqt: bins of the second target.
    """

    module: PretrainingModel
    recipe: Recipe
    teacher: Teacher
    cache: Path
    cqt: CqtShape

    def belongs(self, parameter: str, part: str) -> bool:
        """Whether a parameter of the module belongs to a part that a stage can train."""
        return belongs(parameter, part)

    def tokens(self, crops: Sequence[Crop], seconds: float) -> NDArray[np.int64]:
        """Tokens of crops ``[crops, codebooks, frames]``, cut from those of their whole recordings."""
        frames = self.module.shape.frames(round(seconds * self.cqt.sample_rate))
        return np.stack(
            [slice_tokens(self.recording_tokens(c.recording, c.shift), c.frame * HOP, frames) for c in crops]
        )

    def recording_tokens(self, recording: Recording, shift: int = 0) -> NDArray[np.int16]:
        """Tokens of a whole recording ``[codebooks, frames]``, from the cache where they are there.

        Args:
            recording: which.
            shift: semitones by which it is transposed before: tokens are those of what is heard.
        """
        track = identity(recording) + (f" {shift:+d} semitones" if shift else "")
        return cached_tokens(self.cache, self.teacher, track, partial(read_samples, recording, shift=shift))

    def views(self, recordings: Sequence[Recording], draw: int) -> list[NDArray[np.float32]]:
        """Draw two views of each recording for each stream, or one of it and one of its other telling.

        What cannot be decoded is named and left out.

        Args:
            recordings: each once.
            draw: seed of the views.

        Returns:
            Of each stream ``[2 x recordings, frames, bands]``, the first views of all before the second.
        """
        streams, random = self.module.shape.streams, np.random.default_rng(draw)
        pairs = []
        for recording in recordings:
            pair = (recording, replace(recording, path=recording.telling or recording.path))
            try:
                spectra = [
                    [cached_spectrum(self.cache, stream, identity(one), partial(read_samples, one)) for one in pair]
                    for stream in streams
                ]
            except UnusableAudio as error:
                tell_unusable(error.path, error.reason)
                continue
            pairs.append(
                [
                    draw_views(s, self.recipe.contrast, stream, random)
                    for stream, s in zip(streams, spectra, strict=True)
                ]
            )
        return [np.concatenate(list(np.stack(views, 1))) for views in zip(*pairs, strict=True)]

    def sums(
        self,
        network: torch.nn.Module,
        audio: NDArray[np.float32],
        tokens: NDArray[np.int64],
        draw: int,
        training: bool,
        views: Sequence[NDArray[np.float32]] = (),
    ) -> Sums:
        """Run a pass.

        Args:
            network: the module, or what shares its gradients among processes.
            audio: ``[crops, samples]`` at 24 kHz.
            tokens: ``[crops, codebooks, frames]``.
            draw: seed of masks and mixture.
            training: whether clips are mixed with noise.
            views: as :meth:`views` gives them, where recordings are contrasted.
        """
        place = next(self.module.parameters()).device
        random = np.random.default_rng(draw)
        clips, samples = audio.shape
        frames = self.module.shape.frames(samples)
        mask = torch.from_numpy(span_masks(clips, frames, self.recipe.masking, random)).to(place)
        heard = mix_noise(audio, self.recipe.mixture, random) if training else audio
        with torch.autocast(place.type, enabled=False):
            cqt = cqt_magnitudes(torch.from_numpy(audio).to(place), self.cqt)
        seen = [torch.from_numpy(view).to(place) for view in views]
        predictions = network(torch.from_numpy(heard).to(place), mask, seen)
        found = pretraining_loss(predictions, torch.from_numpy(tokens).to(place), cqt, mask, self.recipe.loss)
        pairs, how = [one.chunk(2) for one in predictions.compared], self.recipe.contrast
        compared = [contrast_loss(first, second, how.temperature) for first, second in pairs]
        contrast, matched = (
            (sum(part) / len(pairs) for part in zip(*compared, strict=True)) if pairs else torch.zeros(2)
        )
        total = found.total + how.weight * contrast
        contrast = contrast.detach()
        means = torch.stack([found.cqt, found.features, contrast, matched, *found.tokens, *found.accuracy]).double()
        masked = torch.tensor([float(found.masked)], dtype=torch.float64, device=place)
        return Sums(total * found.masked, torch.cat([masked, means * found.masked]))


def identity(recording: Recording) -> str:
    """Name a recording's audio by its file, stretch, and what the file system says of it; the bytes are not read.

    The time of change of the entry and its number cannot be set by who unpacks another release with the same dates.
    """
    facts = recording.path.stat()
    place = str(recording.path.resolve())
    states = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, recording.start, recording.end)
    text = "\t".join([place, *map(repr, states)])
    return hashlib.sha256(text.encode()).hexdigest()


def open_learner(
    recipe: Recipe,
    corpus: Corpus,
    options: LoadOptions,
    cache: Path,
    device: torch.device,
    fitted: ResidualKMeans | None = None,
) -> MertLearner:
    """Build the model that a recipe starts from, with its teacher.

    Args:
        recipe: says which.
        corpus: has the music that a teacher is fitted on.
        options: network policy.
        cache: folder of tokens.
        device: where to train.
        fitted: the teacher that an interrupted run had fitted.

    Raises:
        UsageError: model and teacher do not fit together.
        MissingError: one is not on this machine and cannot be fetched.
    """
    teacher = fitted or _teacher(recipe, corpus, options)
    heads = head_shape(recipe, teacher.codebook_size, teacher.levels)
    shape = network_shape(recipe)
    if recipe.start == SCRATCH:
        model = from_shape(shape, heads, recipe.seed, recipe.front_end == FILTER_BANK)
    elif recipe.start.endswith(FAIRSEQ):
        model = from_fairseq(Path(recipe.start).expanduser(), heads, recipe.seed, shape.streams)
    else:
        model = from_folder(recipe.start, heads, recipe.seed, options, shape.streams)
    model.dropout = recipe.dropout
    model.feature_gradient = recipe.feature_gradient
    model.stream_gradient = recipe.stream_gradient
    model.recompute = recipe.running.recompute
    t = recipe.targets.cqt
    cqt = CqtShape(lowest=t.lowest, bins=t.bins, per_octave=t.per_octave)
    return MertLearner(model.to(device), recipe, teacher, cache, cqt)


def network_shape(recipe: Recipe) -> HubertShape:
    """Return the shape of a network from scratch: the one that the recipe names, with what it has otherwise.

    Raises:
        UsageError: its parts do not fit together.
    """
    named = {name: size for name, size in vars(recipe.network).items() if size}
    own: dict[str, Any] = {name: tuple(size) if isinstance(size, list) else size for name, size in named.items()}
    if patterns := own.pop("patterns", None):
        own["melody"] = MelodyShape(patterns)
    if rhythms := own.pop("rhythms", None):
        own["envelope"] = EnvelopeShape(rhythms)
    shape = replace(SHAPES[recipe.shape], **own)
    if not len(shape.conv_dim) == len(shape.conv_kernel) == len(shape.conv_stride):
        raise UsageError(f"Recipe {recipe.name}: network.conv_dim, conv_kernel and conv_stride go together: name all.")
    if (heard := sum(stream.size for stream in shape.streams)) >= shape.hidden:
        raise UsageError(f"Recipe {recipe.name}: {shape.hidden} hidden values should be more than {heard} of streams.")
    for name, parts in (("heads", shape.heads), ("position_groups", shape.position_groups)):
        if shape.hidden % parts:
            raise UsageError(f"Recipe {recipe.name}: {shape.hidden} hidden values are no multiple of {parts} {name}.")
    return shape


def head_shape(recipe: Recipe, codebook_size: int, levels: int = LEVELS) -> HeadShape:
    """Return the size of the heads that a recipe trains, for tokens of some codebooks."""
    return HeadShape(
        codebook_size,
        levels,
        recipe.targets.dim,
        recipe.targets.cqt.bins,
        recipe.targets.temperature,
        contrast=recipe.contrast.dim if recipe.contrast.weight else 0,
        summaries=tuple((stream.name, stream.told) for stream in network_shape(recipe).streams),
    )


def _teacher(recipe: Recipe, corpus: Corpus, options: LoadOptions) -> Teacher:
    named = recipe.targets.teacher
    if named == START:
        if recipe.start == SCRATCH or recipe.start.endswith(FAIRSEQ):
            raise UsageError(f"There is no teacher in the start {recipe.start!r}; use targets.teacher=fit or EnCodec.")
        folder = open_network(recipe.start, options).folder
        if folder is None:
            raise UsageError(f"{recipe.start} has no teacher of its own; use targets.teacher=fit.")
        return read_teacher(folder)
    if named != FIT:
        return open_teacher(named, options)
    music = corpus.teacher or next(iter(corpus.stages.values()))
    recordings = sorted((r for rs in music.values() for r in rs), key=lambda r: key(recipe.seed, "teacher", r.id))
    tracks: list[Callable[[], NDArray[np.float32]]] = [partial(read_samples, r) for r in recordings[:FIT_RECORDINGS]]
    return fit_teacher(tracks, recipe.targets.codebook_size, recipe.seed, features=recipe.targets.features)
