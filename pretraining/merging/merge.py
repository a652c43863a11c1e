"""Arithmetic on task vectors: what continual pre-training added to a base model, added up.

A task vector is theta_i - theta_base (Ilharco et al. 2023, *Editing Models with Task Arithmetic*, arXiv 2212.04089).
CultureMERT-TA-95M is theta_base + 0.2 * sum of four of them (its model card). Beside the sum: the mean, TIES (Yadav et
al. 2023, arXiv 2306.01708) and DARE (Yu et al. 2024, arXiv 2311.03099).

Everything is computed in double precision and rounded once, a part of a tensor at a time: what is in memory is the
result and a few copies of such a part. Models are taken in the order of their hashes, so that the order in which they
are named changes no bit.

The positional convolution has a weight norm, w = g * v / |v|, which is not linear in g and v. ``raw`` merges g and v as
the parameters that they are: task arithmetic works on the state dictionary (mlfoundations/task_vectors:
src/task_vectors.py), and the published models have g and v in theirs. ``folded`` merges w, which does not depend on how
long each v is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...baselines.mert.checkpoint import MASK_VECTOR
from ...baselines.mert.network import DIRECTION, GAIN, POSITION
from ...errors import UsageError
from .parameters import ALL_ROWS, Parameters, require_same_network
from .task_vectors import (
    Magnitudes,
    drop_and_rescale,
    elected_mean,
    magnitude,
    trim,
    trim_limit,
    weighted_sum,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

FOLDED = f"{POSITION}.weight"
"""Name of w, the product of the two halves of the weight norm."""

PART = 1 << 18
"""Numbers of a tensor that are merged at a time. DARE draws anew for each part, so another value drops others."""

WEIGHT_NORMS = ("raw", "folded")

OTHER_LENGTH = 2.0
"""Factor between the lengths of two directions v from which ``raw`` says that they may be parametrised unlike (ours:
training lengthens v slowly, splitting a folded weight anew sets it to g)."""


@dataclass(frozen=True)
class Method:
    """A way to combine task vectors.

    Attributes:
        words: what is added to the base, times the scale.
        scale: taken where none is given.
        density: share of each task vector that is kept, where none is given; ``None`` if the method keeps all.
    """

    words: str
    scale: float
    density: float | None = None


# Scales: 0.2 from CultureMERT-TA-95M's card, for the two sums; 1 leaves a mean a mean. TIES: lambda = 1 and k = 20 %,
# its authors' choice without a validation set (section 4). DARE: drop rate 0.9, which its abstract calls harmless.
METHODS: Mapping[str, Method] = {
    "sum": Method("the sum of the task vectors", 0.2),
    "mean": Method("the mean of the task vectors", 1.0),
    "ties": Method("the mean of the trimmed task vectors that have the elected sign", 1.0, 0.2),
    "dare": Method("the sum of the task vectors after dropping at random and rescaling", 0.2, 0.1),
}


@dataclass(frozen=True)
class MergeSettings:
    """How task vectors are combined; made by :func:`merge_settings`.

    Attributes:
        method: key of :data:`METHODS`.
        scales: one for each model.
        density: share of each task vector that is kept; ``None`` if the method keeps all.
        seed: of what DARE drops; ``None`` for the other methods.
        weight_norm: ``raw`` or ``folded``.
    """

    method: str
    scales: tuple[float, ...]
    density: float | None
    seed: int | None
    weight_norm: str


def merge_settings(
    models: int,
    method: str = "sum",
    scale: float | None = None,
    scale_each: Sequence[float] = (),
    density: float | None = None,
    seed: int = 0,
    weight_norm: str = "raw",
) -> MergeSettings:
    """Check what is asked for and fill in what is not said.

    Args:
        models: number of models to add.
        method: key of :data:`METHODS`.
        scale: of every task vector; the method's own if not given.
        scale_each: one for each model instead.
        density: share of each task vector that TIES and DARE keep; the method's own if not given.
        seed: of what DARE drops.
        weight_norm: ``raw`` or ``folded``.

    Raises:
        UsageError: a value means nothing, or not with that method.
    """
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}; choose {', '.join(METHODS)}.")
    if weight_norm not in WEIGHT_NORMS:
        raise UsageError(f"There is no weight norm {weight_norm!r}; choose {' or '.join(WEIGHT_NORMS)}.")
    if models < 1:
        raise UsageError("Name at least one model to add.")
    if scale is not None and scale_each:
        raise UsageError("Give --scale for all models or --scale-each, not both.")
    if scale_each and method == "ties":
        raise UsageError("TIES counts every model alike; --scale-each goes with sum, mean and dare.")
    if scale_each and len(scale_each) != models:
        raise UsageError(f"--scale-each has {len(scale_each)} numbers for {models} models.")
    own = METHODS[method]
    if density is not None and own.density is None:
        raise UsageError(f"--density goes with ties and dare; {method} keeps everything.")
    density = own.density if density is None else density
    if density is not None and not 0 < density <= 1:
        raise UsageError(f"--density must be above 0 and at most 1, not {density}.")
    if seed < 0:
        raise UsageError(f"--seed must not be negative: {seed}.")
    scales = tuple(scale_each) or (own.scale if scale is None else scale,) * models
    if not all(math.isfinite(s) for s in scales):
        raise UsageError(f"A scale must be a finite number: {', '.join(map(str, scales))}.")
    return MergeSettings(method, scales, density, seed if method == "dare" else None, weight_norm)


@dataclass(frozen=True)
class Merged:
    """The result of a merge.

    Attributes:
        weights: canonical float32 tensors.
        mask_vector: ``[hidden]``, if every model has one.
        lengths: for each model, in the order given, the Euclidean length of its task vector as a share of the base's.
        warnings: what a user should know, in sentences.
    """

    weights: dict[str, Tensor]
    mask_vector: Tensor | None
    lengths: tuple[float, ...]
    warnings: tuple[str, ...]


def merge(base: Parameters, added: Sequence[Parameters], how: MergeSettings) -> Merged:
    """Merge models into their base.

    Args:
        base: the model that all were adapted from.
        added: the adapted models.
        how: method and scales, the latter in the order of ``added``.

    Raises:
        UsageError: the models are not the same network, or the result is not finite; key or tensor are named.
    """
    import torch

    for model in added:
        require_same_network(base, model)
    order = sorted(range(len(added)), key=lambda i: (added[i].weights_sha256, _mask_bytes(added[i]), how.scales[i]))
    combine = _combiner(base, [added[i] for i in order], [how.scales[i] for i in order], how)
    weights: dict[str, Tensor] = {}
    size, sizes = 0.0, [0.0] * len(added)
    for name, shape in _tensors(base, added, how.weight_norm).items():
        merged, changed = torch.empty(shape), False
        for rows in _parts(name, shape):
            ours = _read(base, name, rows)
            vectors = [_read(added[i], name, rows) - ours for i in order]
            size += float(ours.square().sum())
            for i, vector in zip(order, vectors, strict=True):
                sizes[i] += float(vector.square().sum())
            change = combine(name, rows.start or 0, vectors)
            # Adding nothing leaves the base to the bit, its negative zeros too.
            merged[rows] = torch.where(change == 0, ours, ours + change).float()
            changed |= bool(change.any())
        if not bool(torch.isfinite(merged).all()):
            raise UsageError(f"Tensor {name!r} of the merged model is not finite; are the scales {how.scales} meant?")
        weights |= _split(base, merged, changed) if name == FOLDED else {name: merged}
    lengths = tuple(math.sqrt(one / size) if size else 0.0 for one in sizes)
    mask_vector = weights.pop(MASK_VECTOR) if MASK_VECTOR in weights else None
    return Merged(weights, mask_vector, lengths, tuple(_warnings(base, added, how, lengths)))


def _mask_bytes(model: Parameters) -> bytes:
    """Return the mask vector, which the hash of the weights does not cover, as something to sort by."""
    return model.read(MASK_VECTOR).numpy().tobytes() if MASK_VECTOR in model.places else b""


def _tensors(base: Parameters, added: Sequence[Parameters], weight_norm: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what is merged."""
    found = dict(base.shape.tensors())
    if weight_norm == "folded":
        del found[GAIN]
        found = {FOLDED if name == DIRECTION else name: shape for name, shape in found.items()}
    if all(MASK_VECTOR in model.places for model in (base, *added)):
        found[MASK_VECTOR] = (base.shape.hidden,)
    return found


def _parts(name: str, shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield rows of a tensor, :data:`PART` numbers at a time; the folded weight has its norm over all rows."""
    if name == FOLDED:
        yield ALL_ROWS
        return
    rows = max(1, PART // math.prod(shape[1:]))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def _read(model: Parameters, name: str, rows: slice) -> Tensor:
    """Read rows in double precision; :data:`FOLDED` is put together, per tap as ``weight_norm(dim=2)``."""
    if name != FOLDED:
        return model.read(name, rows).double()
    gain, direction = model.read(GAIN).double(), model.read(DIRECTION).double()
    return direction * (gain / _length(direction))


def _length(direction: Tensor) -> Tensor:
    """Euclidean length of ``[out, in, taps]`` per tap, ``[1, 1, taps]``."""
    length: Tensor = direction.norm(dim=(0, 1), keepdim=True)
    return length


def _split(base: Parameters, folded: Tensor, changed: bool) -> dict[str, Tensor]:
    """Return gain and direction of a folded weight; those of the base where nothing was added to it."""
    if not changed:
        return {GAIN: base.read(GAIN), DIRECTION: base.read(DIRECTION)}
    gain = _length(folded.double())
    if not bool((gain > 0).all()):
        raise UsageError(f"Tensor {FOLDED!r} of the merged model has a tap of zeros, which no weight norm can express.")
    return {GAIN: gain.float(), DIRECTION: folded}


Combiner = Callable[[str, int, Sequence["Tensor"]], "Tensor"]
"""From a tensor's name, a first row and the task vectors from there on, what is added to the base."""


def _combiner(base: Parameters, added: Sequence[Parameters], scales: Sequence[float], how: MergeSettings) -> Combiner:
    if how.method == "ties":
        assert how.density is not None
        tensors = _tensors(base, added, how.weight_norm)
        limits = [trim_limit(_magnitudes(base, model, tensors), how.density) for model in added]
        return lambda name, row, vectors: scales[0] * elected_mean(list(map(trim, vectors, limits)))
    if how.method == "dare":
        assert how.density is not None
        seeds, density = _drop_seeds(added, how.seed or 0), how.density
        return lambda name, row, vectors: weighted_sum(
            [drop_and_rescale(v, density, (*seed, name, row)) for v, seed in zip(vectors, seeds, strict=True)], scales
        )
    divisor = len(added) if how.method == "mean" else 1
    return lambda name, row, vectors: weighted_sum(vectors, scales) / divisor


def _magnitudes(base: Parameters, model: Parameters, tensors: Mapping[str, tuple[int, ...]]) -> Magnitudes:
    def parts() -> Iterator[NDArray[np.float32]]:
        for name, shape in tensors.items():
            for rows in _parts(name, shape):
                yield magnitude(_read(model, name, rows) - _read(base, name, rows)).numpy()

    return parts


def _drop_seeds(added: Sequence[Parameters], seed: int) -> list[tuple[int | str, ...]]:
    """One seed for each model, by its hash; the same weights named again drop other parameters."""
    hashes = [model.weights_sha256 for model in added]
    return [(seed, digest, hashes[:i].count(digest)) for i, digest in enumerate(hashes)]


def _warnings(
    base: Parameters, added: Sequence[Parameters], how: MergeSettings, lengths: Sequence[float]
) -> Iterator[str]:
    named: dict[str, str] = {}
    lacking = [m.name for m in (base, *added) if MASK_VECTOR not in m.places]
    if 0 < len(lacking) <= len(added):
        yield f"{MASK_VECTOR} is left out: {', '.join(lacking)} has none."
    for model, length in zip(added, lengths, strict=True):
        if model.weights_sha256 == base.weights_sha256:
            yield f"{model.name} has the weights of the base {base.name}: it adds nothing."
        elif model.weights_sha256 in named:
            yield f"{model.name} has the weights of {named[model.weights_sha256]}: they are counted twice."
        named.setdefault(model.weights_sha256, model.name)
        if length > 1:
            yield (
                f"{model.name} is as far from {base.name} as an unrelated model ({length:.2g} of the base's length): "
                "task arithmetic supposes models that were adapted from the base."
            )
        if model.preprocessor.normalise != base.preprocessor.normalise:
            yield (
                f"{model.name} was given windows with do_normalize {model.preprocessor.normalise}, {base.name} with "
                f"{base.preprocessor.normalise}: the merged model has the front end of {base.name}."
            )
        if how.weight_norm == "raw" and not _same_lengths(base, model):
            yield (
                f"{model.name} has another length of {DIRECTION} than {base.name} (more than {OTHER_LENGTH:g} times): "
                "its weight norm seems to have been split anew. --weight-norm folded does not depend on it."
            )


def _same_lengths(base: Parameters, model: Parameters) -> bool:
    ratio = _length(model.read(DIRECTION).double()) / _length(base.read(DIRECTION).double())
    return bool(((ratio < OTHER_LENGTH) & (ratio > 1 / OTHER_LENGTH)).all())
