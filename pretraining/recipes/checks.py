"""What the values of a recipe may be: everything that cannot be meant is an error that names its key."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from operator import attrgetter

from ...baselines.mert.network import Dropout
from ...errors import UsageError
from ...tasks.base import TRADITIONS
from .recipe import (
    BLOCKS,
    CROPS,
    FILTER_BANK,
    FIT,
    HOP,
    LOG_FREQUENCY,
    LOG_MEL,
    PARTS,
    RANDOM,
    RATE,
    SCRATCH,
    STREAM_PARTS,
    TELLINGS,
    Loss,
    Network,
    Recipe,
)

SOURCE_KINDS = ("mini", "task", "folder")
SHAPES = ("nano", "95m")

_POSITIVE = (lambda value: value > 0, "positive")
_NOT_NEGATIVE = (lambda value: value >= 0, "0 or more")
_ONE_OR_MORE = (lambda value: value >= 1, "at least 1")
_BELOW_ONE = (lambda value: 0 <= value < 1, "from 0 to below 1")
_RANGES: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "seed": (lambda value: 0 <= value < 2**63, "from 0 to 2^63 - 1"),
    "temperature": _POSITIVE,
    "batch.together": _ONE_OR_MORE,
    "batch.seconds": (lambda value: 0.5 <= value <= 60, "from 0.5 to 60"),
    **dict.fromkeys(("optimiser.beta1", "optimiser.beta2"), _BELOW_ONE),
    **dict.fromkeys(("optimiser.eps", "optimiser.clip"), _POSITIVE),
    "optimiser.weight_decay": _NOT_NEGATIVE,
    **dict.fromkeys((f"loss.{part.name}" for part in fields(Loss)), _NOT_NEGATIVE),
    **dict.fromkeys((f"dropout.{part.name}" for part in fields(Dropout)), _BELOW_ONE),
    **dict.fromkeys(("feature_gradient", "stream_gradient"), _NOT_NEGATIVE),
    "targets.codebook_size": (lambda value: value >= 2, "at least 2"),
    "targets.dim": _ONE_OR_MORE,
    **dict.fromkeys(("targets.cqt.bins", "targets.cqt.per_octave"), _ONE_OR_MORE),
    "targets.cqt.lowest": _POSITIVE,
    **dict.fromkeys(("contrast.weight", "contrast.shift", "contrast.stretch", "contrast.filter"), _NOT_NEGATIVE),
    "contrast.pairs": (lambda value: value >= 2, "at least 2"),
    **dict.fromkeys(("contrast.frames", "contrast.dim"), _ONE_OR_MORE),
    **dict.fromkeys(("contrast.seconds", "contrast.temperature"), _POSITIVE),
    **{f"network.{size.name}": _NOT_NEGATIVE for size in fields(Network) if size.type == "int"},
    "targets.temperature": _POSITIVE,
    **dict.fromkeys(("held_out.tracks", "held_out.crops", "running.log", "running.evaluate"), _ONE_OR_MORE),
    "running.divergence": (lambda value: value > 1, "above 1"),
}
"""Key of a recipe -> whether a value of it can be meant, and what it should be."""


def checked(recipe: Recipe) -> Recipe:
    """Return a recipe if its values can be meant.

    Raises:
        UsageError: one cannot; its key is named.
    """
    _check_names(recipe)
    wrong: list[str] = []

    def need(key: str, value: float, good: bool, wanted: str) -> None:
        if not (math.isfinite(value) and good):
            wrong.append(f"{key} = {value!r} should be {wanted}")

    for key, (is_good, wanted) in _RANGES.items():
        value = attrgetter(key)(recipe)
        need(key, value, is_good(value), wanted)
    crops, together = recipe.batch.crops, max(recipe.batch.together, 1)
    need("batch.crops", crops, crops >= 1 and crops % together == 0, "a multiple of batch.together")
    noise, crop = recipe.mixture.samples[1], round(recipe.batch.seconds * RATE)
    need("mixture.samples", noise, noise <= crop, f"at most the {crop} samples of a crop of {recipe.batch.seconds:g} s")
    for name, stage in recipe.stages.items():
        need(f"stages.{name}.warmup", stage.warmup, 0 <= stage.warmup <= 1, "a share of the steps, from 0 to 1")
        need(f"stages.{name}.hours", sum(stage.hours.values()), any(stage.hours.values()), "more than nothing")
    for key, tradition, hours in _asked(recipe):
        need(f"{key}.{tradition}", hours, hours >= 0, "0 or more")
    if wrong:
        raise UsageError(f"Recipe {recipe.name}: {'; '.join(wrong)}.")
    for name, stage in recipe.stages.items():
        try:
            stage.schedule  # noqa: B018 - checks itself
        except UsageError as error:
            raise UsageError(f"Recipe {recipe.name}, stage {name}: {error}") from error
    return recipe


def _check_names(recipe: Recipe) -> None:
    """Check the values that are names of something."""
    among = partial(_among, recipe)
    if not re.fullmatch(r"\w[\w.-]{0,63}", recipe.name):
        raise UsageError(f"A recipe's name is letters, digits, '_', '-' and '.', at most 64; not {recipe.name!r}.")
    among("shape", recipe.shape, SHAPES)
    among("front_end", recipe.front_end, (RANDOM, FILTER_BANK))
    among("targets.features", recipe.targets.features, (LOG_MEL, LOG_FREQUENCY))
    among("contrast.positives", recipe.contrast.positives, (TELLINGS, CROPS))
    among("running.precision", recipe.running.precision, ("auto", "float32", "bfloat16"))
    if not recipe.stages:
        raise UsageError(f"Recipe {recipe.name} has no stages.")
    for tradition, sources in recipe.sources.items():
        among("sources", tradition, TRADITIONS)
        for source in sources:
            kind, colon, rest = source.partition(":")
            among(f"sources.{tradition}", kind, SOURCE_KINDS)
            if not colon or not rest:
                raise UsageError(f"Recipe {recipe.name}: sources.{tradition}: {source!r} should be KIND:NAME.")
    for key, tradition, _ in _asked(recipe):
        among(key, tradition, TRADITIONS)
    _check_stages(recipe)
    _check_parts(recipe)


def _among(recipe: Recipe, key: str, value: str, known: Sequence[str]) -> None:
    """Check that a value is one of some names."""
    if value not in known:
        close = difflib.get_close_matches(value, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"Recipe {recipe.name}: {key}: {value!r} is none of {', '.join(known)}.{hint}")


def _check_stages(recipe: Recipe) -> None:
    """Check what the stages train."""
    for name, stage in recipe.stages.items():
        for part in stage.train:
            if not re.fullmatch(rf"{re.escape(BLOCKS)}(positions|\d+)", part):
                _among(recipe, f"stages.{name}.train", part, (*PARTS, *STREAM_PARTS))
        if not stage.train:
            raise UsageError(f"Recipe {recipe.name}: stage {name} trains nothing.")


def _asked(recipe: Recipe) -> Iterator[tuple[str, str, float]]:
    """Yield everything that asks for music: key, tradition, hours."""
    for name, stage in recipe.stages.items():
        for tradition, hours in stage.hours.items():
            yield f"stages.{name}.hours", tradition, hours
    for tradition, hours in recipe.targets.hours.items():
        yield "targets.hours", tradition, hours


def _check_parts(recipe: Recipe) -> None:
    """Check what goes together."""
    if recipe.start == SCRATCH and recipe.front_end == FILTER_BANK and recipe.shape != SHAPES[0]:
        raise UsageError(
            f"Recipe {recipe.name}: front_end={FILTER_BANK} is for shape={SHAPES[0]}; with shape={recipe.shape} say "
            f"front_end={RANDOM}."
        )
    _check_network(recipe)
    if not recipe.pitch_shifts or any(abs(shift) > 12 for shift in recipe.pitch_shifts):
        raise UsageError(
            f"Recipe {recipe.name}: pitch_shifts = {recipe.pitch_shifts} should be semitones from -12 to 12, 0 among "
            "them where crops are also heard as they are."
        )
    if recipe.targets.teacher != FIT and (unread := [t for t, hours in recipe.targets.hours.items() if hours]):
        raise UsageError(
            f"Recipe {recipe.name}: targets.hours is the music that a teacher is fitted on, but targets.teacher is "
            f"{recipe.targets.teacher!r}. Say targets.teacher=fit, or "
            f"{' '.join(f'targets.hours.{tradition}=0' for tradition in unread)}."
        )
    for key, tradition, hours in _asked(recipe):
        if hours and not recipe.sources.get(tradition):
            raise UsageError(
                f"Recipe {recipe.name}: {key} wants {hours:g} h of {tradition} music, but sources.{tradition} names no "
                "place for it."
            )


def _check_network(recipe: Recipe) -> None:
    """Check what a network is to have of its own."""
    network = recipe.network
    lengths = {len(sizes) for sizes in (network.conv_dim, network.conv_kernel, network.conv_stride) if sizes}
    if len(lengths) > 1 or any(size < 1 for size in (*network.conv_dim, *network.conv_kernel, *network.conv_stride)):
        raise UsageError(
            f"Recipe {recipe.name}: network.conv_dim, conv_kernel and conv_stride should be as many, from 1."
        )
    if network.conv_stride and math.prod(network.conv_stride) != HOP:
        raise UsageError(
            f"Recipe {recipe.name}: the product of network.conv_stride should be {HOP}: 75 frames a second."
        )
    streams = [name for name, size in (("melody", network.patterns), ("envelope", network.rhythms)) if size]
    if recipe.contrast.weight and not streams:
        raise UsageError(
            f"Recipe {recipe.name}: contrast.weight = {recipe.contrast.weight:g} needs a stream; say "
            "network.patterns=96 or network.rhythms=96, or contrast.weight=0."
        )
    told = any(s.startswith("mini:") for sources in recipe.sources.values() for s in sources)
    if recipe.contrast.weight and recipe.contrast.positives == TELLINGS and not told:
        raise UsageError(
            f"Recipe {recipe.name}: contrast.positives={TELLINGS} is for mini music, which is rendered twice, and no "
            f"source is of it. Say contrast.positives={CROPS}, or contrast.weight=0."
        )
    taught = {*streams, "contrast_head"}
    if recipe.contrast.weight and not any(taught <= set(stage.train) for stage in recipe.stages.values()):
        raise UsageError(
            f"Recipe {recipe.name}: contrast.weight = {recipe.contrast.weight:g}, but no stage trains what it teaches; "
            f"add {' and '.join(sorted(taught))} to stages.NAME.train."
        )
