"""A recipe: everything that decides a pre-training run, as data with a schema.

:mod:`.reading` reads it from YAML and the command line, :mod:`.checks` says what its values may be.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from ...baselines.mert.network import Dropout
from ..objective.masking import SpanMasking
from ..objective.mixture import NoiseMixture
from .schedule import Schedule

RATE = 24_000
"""Hz, of MERT's second generation, whose EnCodec tokens and CQT need it."""

HOP = 320
"""Samples of a frame: 75 in a second, of the encoder as of the tokens."""

SCRATCH = "scratch"
"""Start of a recipe that begins with random weights."""

FAIRSEQ = ".pt"
"""Ending of a start that is a checkpoint of MERT's own code, with its heads."""

PARTS = ("front_end", "projection", "transformer", "mask_vector", "codewords", "heads")
"""What a stage can train: the convolutions; the projection after them; positions and Transformer layers; the mask
vector; the codeword embeddings; the token heads and the CQT head."""

STREAM_PARTS = ("melody", "envelope", "contrast_head")
"""What a stage can train of our extension: the streams; the heads that the contrast of recordings needs."""

BLOCKS = "transformer."
"""Beginning of a part that is a block of the Transformer: ``transformer.positions``, ``transformer.0`` and so on."""

LATER = ("network", "contrast", "pitch_shifts", "stream_gradient", "targets.features", "targets.cqt")
"""Keys that came after the first recipes."""

RANDOM, FILTER_BANK = "random", "filter_bank"
"""How the convolutions of a network from scratch begin."""

FIT, START = "fit", "start"
"""Teachers: residual k-means fitted on music; the one that the starting model was trained with."""


LOG_MEL, LOG_FREQUENCY = "log_mel", "log_frequency"
"""Features that a teacher is fitted on: 64 mel bands, or 36 bands to an octave."""


TELLINGS, CROPS = "tellings", "crops"
"""What two views are of: one melody told twice, by other instruments in another key; or stretches of one recording."""


@dataclass(frozen=True)
class Network:
    """What a network from scratch has otherwise than the shape that it is named after; 0 and empty: as that has it.

    Attributes:
        conv_dim: channels after each convolution.
        conv_kernel: their widths, samples of their input.
        conv_stride: their strides; their product is :data:`HOP`.
        hidden: length of a hidden state.
        layers: Transformer layers.
        heads: attention heads.
        intermediate: width inside the feed-forward blocks.
        position_kernel: width of the positional convolution, frames.
        position_groups: its groups.
        patterns: of the melody stream (:mod:`...baselines.mert.melody`), our extension; none without. One that
            continues from a model without such a stream gets it drawn.
        rhythms: patterns of the envelope stream (:mod:`...baselines.mert.envelope`), the same.
    """

    conv_dim: list[int] = field(default_factory=list)
    conv_kernel: list[int] = field(default_factory=list)
    conv_stride: list[int] = field(default_factory=list)
    hidden: int = 0
    layers: int = 0
    heads: int = 0
    intermediate: int = 0
    position_kernel: int = 0
    position_groups: int = 0
    patterns: int = 0
    rhythms: int = 0


@dataclass(frozen=True)
class Contrast:
    """The contrast of recordings under transposition (:mod:`..objective.contrast`): our extension.

    Attributes:
        weight: of the contrast beside MERT's loss; 0: there is none.
        positives: what two views are of, ``tellings`` (mini music alone has them) or ``crops`` of one recording.
        pairs: recordings of one pass, two views of each.
        seconds: of a view.
        frames: of it that the melody stream hears, drawn at random.
        shift: largest transposition of its view, semitones.
        stretch: largest change of tempo of the envelope stream's view, doublings.
        filter: deviation of the random filters, nepers of power.
        floor: whether noise is added at random.
        temperature: divides the cosines.
        dim: length of what is compared.
    """

    weight: float = 0.0
    positives: str = CROPS
    pairs: int = 48
    seconds: float = 5.0
    frames: int = 12
    shift: float = 6.0
    stretch: float = 0.3
    filter: float = 1.5
    floor: bool = True
    temperature: float = 0.1
    dim: int = 64


@dataclass(frozen=True)
class Cqt:
    """Bins of the CQT target. Attributes: the first, Hz; how many; in an octave. Defaults: MERT's."""

    lowest: float = 32.7
    bins: int = 336
    per_octave: int = 48


@dataclass(frozen=True)
class Batch:
    """Attributes: crops of one update; crops of one forward pass; seconds of a crop."""

    crops: int = 16
    together: int = 16
    seconds: float = 5.0


@dataclass(frozen=True)
class Loss:
    """Factors of the parts of the loss. Defaults: MERT's. The 10 is the penalty's, neither the CQT's nor the tokens'.

    Attributes:
        tokens: of the sum of the cross-entropies (``pred_masked_weight``).
        cqt: of the CQT error.
        features: of the penalty on the convolutions' output.
    """

    tokens: float = 1.0
    cqt: float = 1.0
    features: float = 10.0


@dataclass(frozen=True)
class Targets:
    """What the heads predict.

    Attributes:
        teacher: ``fit`` (residual k-means), ``start`` (the one that the starting model was trained with), or an EnCodec
            model: ``encodec-24khz``, a folder, ``hf:owner/name``.
        features: that a teacher is fitted on, ``log_mel`` or ``log_frequency`` (36 bands to an octave).
        hours: of music that a fitted teacher is fitted on, by tradition; that of the first stage if there are none.
            EnCodec heard more than what MERT is trained on, and so may a fitted teacher.
        codebook_size: tokens of each codebook of a fitted teacher.
        dim: length of a codeword embedding.
        temperature: divides the cosines.
        cqt: bins of the second target.
    """

    teacher: str = "encodec-24khz"
    features: str = LOG_MEL
    hours: dict[str, float] = field(default_factory=dict)
    codebook_size: int = 1024
    dim: int = 64
    temperature: float = 0.1
    cqt: Cqt = field(default_factory=Cqt)


@dataclass(frozen=True)
class Optimiser:
    """AdamW, with the decoupled weight decay of fairseq's ``adam``, and the clipping of the gradient's norm."""

    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 10.0


@dataclass(frozen=True)
class Stage:
    """One stage of continual pre-training.

    Attributes:
        hours: tradition -> hours of its music.
        steps: updates.
        peak: learning rate.
        start: share of the peak that the re-warm starts from.
        floor: share of the peak that the re-decay ends at.
        warmup: share of the steps that re-warm.
        decay: ``cosine``, ``linear`` or ``constant``.
        train: parts that are trained (:data:`PARTS`, :data:`STREAM_PARTS`, :data:`BLOCKS`); the others are frozen.
    """

    hours: dict[str, float] = field(default_factory=dict)
    steps: int = 1000
    peak: float = 1e-4
    start: float = 0.0
    floor: float = 0.1
    warmup: float = 0.1
    decay: str = "cosine"
    train: list[str] = field(default_factory=lambda: list(PARTS))

    @property
    def schedule(self) -> Schedule:
        """Its learning rate."""
        return Schedule(self.peak, self.start, self.floor, round(self.warmup * self.steps), self.steps, self.decay)


@dataclass(frozen=True)
class HeldOut:
    """What a run does not train on and measures on the way.

    Attributes:
        tracks: of every tradition that has any music here.
        crops: of every tradition, each time.
    """

    tracks: int = 8
    crops: int = 16


@dataclass(frozen=True)
class Running:
    """What a run does beside learning.

    Attributes:
        log: updates between two lines of the log.
        evaluate: updates between two measurements on held-out music; a checkpoint follows each.
        precision: ``auto`` (bfloat16 where the device multiplies it in hardware), ``float32`` or ``bfloat16``.
        recompute: keep fewer activations and compute them again in the backward pass (gradient checkpointing).
        divergence: the run stops once the mean loss of 20 updates is above this multiple of the lowest such mean.
    """

    log: int = 10
    evaluate: int = 500
    precision: str = "auto"
    recompute: bool = False
    divergence: float = 2.0


@dataclass(frozen=True)
class Recipe:
    """A pre-training run.

    Attributes:
        name: of the recipe and of the model that it makes.
        summary: one sentence.
        start: a model of the MERT family (name, folder, ``hf:owner/name``, fairseq's ``.pt``), or ``scratch``.
        shape: of the network if it starts from scratch, ``nano`` or ``95m``.
        network: what it has otherwise than that shape.
        seed: of everything that is drawn.
        sources: tradition -> where its music comes from, each ``mini:TASK``, ``task:TASK`` or ``folder:PATH``.
        temperature: a tradition is drawn with probability proportional to its hours to the power 1/temperature.
        batch: its sizes.
        masking: which frames are predicted.
        mixture: noise of other clips.
        loss: factors of its parts.
        contrast: of recordings, beside it.
        pitch_shifts: semitones by which a crop is transposed at random, its tokens with it; 0 is as it is.
        dropout: rates in training.
        front_end: how the convolutions begin in a network from scratch, ``random`` (He et al. 2015, as MERT's) or
            ``filter_bank`` (:mod:`..objective.filter_bank`).
        feature_gradient: factor on the gradient into the convolutions.
        stream_gradient: factor on the gradient of MERT's loss into the streams; with 0 the contrast alone teaches
            what is heard of a recording.
        targets: what is predicted.
        optimiser: its settings.
        held_out: music to measure on.
        running: what happens on the way.
        stages: by name, in their order.
    """

    name: str = "???"
    summary: str = ""
    start: str = SCRATCH
    shape: str = "95m"
    network: Network = field(default_factory=Network)
    seed: int = 0
    sources: dict[str, list[str]] = field(default_factory=dict)
    temperature: float = 1.0
    batch: Batch = field(default_factory=Batch)
    masking: SpanMasking = field(default_factory=SpanMasking)
    mixture: NoiseMixture = field(default_factory=NoiseMixture)
    loss: Loss = field(default_factory=Loss)
    contrast: Contrast = field(default_factory=Contrast)
    pitch_shifts: list[int] = field(default_factory=lambda: [0])
    dropout: Dropout = field(default_factory=Dropout)
    front_end: str = "random"
    feature_gradient: float = 1.0
    stream_gradient: float = 0.0
    targets: Targets = field(default_factory=Targets)
    optimiser: Optimiser = field(default_factory=Optimiser)
    held_out: HeldOut = field(default_factory=HeldOut)
    running: Running = field(default_factory=Running)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Updates of all stages."""
        return sum(stage.steps for stage in self.stages.values())

    @property
    def sha256(self) -> str:
        """Hash of every value; of keys that came after the first recipes, where they differ from what held before."""
        facts, before = asdict(self), asdict(Recipe())
        for key in LATER:
            *path, last = key.split(".")
            now, then = facts, before
            for step in path:
                now, then = now[step], then[step]
            if now[last] == then[last]:
                del now[last]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
