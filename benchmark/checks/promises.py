"""Whether an encoder keeps its promises, on a few seconds of mini audio: what its author runs first."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...baselines.base import Encoder, EncoderCard
from ...errors import CmbenchError
from .check import Check

SECONDS = 2.5
"""Length of the clips of the checks, seconds (longer where the encoder's shortest window is)."""

WINDOW_SECONDS = 30.0
"""Length of the timed window: that of the default protocol, seconds."""

TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 5e-2}
"""Largest relative difference between two ways to compute the same features, by the card's arithmetic (our choice)."""

_TASKS = ("turkish_makam", "carnatic", "hindustani", "lyra", "magnatagatune", "fma_medium")

Floats = NDArray[np.float32]


def mini_clips(seconds: float, rate: int) -> Floats:
    """Render one clip of each ``mini`` task.

    Tracks shorter than ``seconds`` are repeated.

    Returns:
        ``[6, seconds * rate]``.
    """
    import soxr

    from ...tasks.mini.corpus import plan
    from ...tasks.mini.edition import render_track, tradition
    from ...tasks.mini.oscillator import RATE

    samples = math.ceil(seconds * rate)
    clips = []
    for task in _TASKS:
        track = render_track(plan(task, tradition(task), 0, {"extra": 1})[0])
        clips.append(np.resize(soxr.resample(track, RATE, rate).astype(np.float32), samples))
    return np.stack(clips)


def check_encoder(encoder: Encoder) -> Iterator[Check]:
    """Yield every promise of :class:`cmbench.baselines.base.Encoder` as soon as it is checked.

    After a broken promise without which the others mean nothing (the card, the shape), no more are checked. Whatever
    the encoder raises breaks the promise that was being checked, and nothing else.
    """
    card = encoder.card
    yield (first := _consistent(card))
    if not first.well:
        return
    clips = mini_clips(min(max(SECONDS, 2 * card.min_seconds), card.max_seconds or math.inf), card.sample_rate)
    for promise, look in (
        (SHAPE, _shape_is_as_the_card_says),
        ("the audio passed in is not changed", _input_is_left_alone),
        ("two passes agree", _two_passes_agree),
        ("a batch equals its clips one by one", _batch_equals_single),
        ("the order of clips does not matter", _order_does_not_matter),
        ("different clips have different features", _features_tell_clips_apart),
        ("odd audio gives finite features", _odd_audio_is_survived),
        ("the card's shortest window works", _shortest_window_works),
        (f"a window of {WINDOW_SECONDS:g} s works", _long_window_works),
    ):
        try:
            kept, finding = look(encoder, clips)
        except Exception as error:
            kept, finding = False, str(error) if isinstance(error, CmbenchError) else f"{type(error).__name__}: {error}"
        yield Check(promise, finding, kept)
        if promise == SHAPE and not kept:
            return


SHAPE = "finite [batch, layers, dim] within float16"

_TYPES: dict[type, tuple[str, ...]] = {
    str: ("name", "licence", "weights_sha256", "code_version", "preprocessing", "dtype"),
    int: ("sample_rate", "layers", "dim", "parameters"),
    float: ("min_seconds",),
    tuple: ("layer_names", "trained_on"),
}


def _consistent(card: EncoderCard) -> Check:
    mistyped = [
        f"{name} is {getattr(card, name)!r}, not of type {kind.__name__}"
        for kind, names in _TYPES.items()
        for name in names
        if not isinstance(value := getattr(card, name), (int, float) if kind is float else kind)
        or isinstance(value, bool)
    ]
    if mistyped:
        return Check("the card is consistent", "; ".join(mistyped), False)
    wrong = [
        text
        for text, bad in (
            (f"{card.layers} layers, but {len(card.layer_names)} layer names", card.layers != len(card.layer_names)),
            ("two layers share a name", len(set(card.layer_names)) != len(card.layer_names)),
            (f"layers {card.layers} or dim {card.dim} below 1", min(card.layers, card.dim) < 1),
            (f"a sample rate of {card.sample_rate} Hz", not 1000 <= card.sample_rate <= 192_000),
            (f"a shortest window of {card.min_seconds} s", not 0 < card.min_seconds <= WINDOW_SECONDS),
            (
                f"a longest window of {card.max_seconds} s",
                card.max_seconds is not None and not card.min_seconds <= card.max_seconds,
            ),
            ("no weights_sha256, by which a changed model would be noticed", not card.weights_sha256),
            ("no licence", not card.licence),
        )
        if bad
    ]
    seen = f"{card.layers} hidden states of {card.dim} at {card.sample_rate} Hz; fingerprint {card.fingerprint}"
    return Check("the card is consistent", "; ".join(wrong) or seen, not wrong)


def _shape_is_as_the_card_says(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    from ..features.extract import BatchSize, encode_windows

    encode_windows(encoder, list(clips), BatchSize(clips.size / encoder.card.sample_rate))
    return True, f"[{len(clips)}, {encoder.card.layers}, {encoder.card.dim}]"


def _encode(encoder: Encoder, clips: Floats) -> Floats:
    """Encode; raise where the answer has another shape than the card says, which a window's length may bring about."""
    features = np.asarray(encoder.encode(clips))
    expected = (len(clips), encoder.card.layers, encoder.card.dim)
    if features.shape != expected:
        raise CmbenchError(f"{clips.shape[1]} samples give the shape {features.shape}; the card says {expected}")
    return features


def _input_is_left_alone(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    given = clips[:2].copy()
    encoder.encode(given)
    same = np.array_equal(given, clips[:2])
    return same, "unchanged" if same else "encode writes into it; copy it first"


def _agreement(card: EncoderCard, one: Floats, other: Floats, remedy: str) -> tuple[bool, str]:
    """Whether ``[clips, layers, dim]`` agree: the norm of the difference over the norm, at its largest."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    size = np.maximum(np.linalg.norm(one, axis=-1), 1e-12)
    found = float((np.linalg.norm(one - other, axis=-1) / size).max())
    limit = TOLERANCE.get(card.dtype, TOLERANCE["float32"])
    kept = found <= limit
    return kept, f"relative difference {found:.1e} (limit {limit:.0e})" + ("" if kept else f": {remedy}")


def _two_passes_agree(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    remedy = "is dropout, layer drop or SpecAugment active? Call eval() and leave it so"
    return _agreement(encoder.card, encoder.encode(clips[:2].copy()), encoder.encode(clips[:2].copy()), remedy)


def _batch_equals_single(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    singles = np.concatenate([_encode(encoder, clips[i : i + 1].copy()) for i in range(len(clips))])
    remedy = "a row depends on its batch; is something normalised or padded across the batch?"
    return _agreement(encoder.card, singles, _encode(encoder, clips.copy()), remedy)


def _order_does_not_matter(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    turned = encoder.encode(np.ascontiguousarray(clips[2::-1]))[::-1]
    return _agreement(encoder.card, encoder.encode(clips[:3].copy()), turned, "rows are mixed up")


def _features_tell_clips_apart(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    card, features = encoder.card, encoder.encode(clips.copy())
    # As they are stored: what only differs beyond float16 is the same to a probe.
    stored = features.astype(np.float16)
    same = (stored == stored[:1]).all(axis=0)
    dead = [name for name, row in zip(card.layer_names, same, strict=True) if row.all()]
    if card.constant:
        kept = len(dead) == card.layers
        return kept, "all equal, as the card declares" if kept else "they have, but the card declares them constant"
    if dead:
        return False, f"six different clips get the same features in {', '.join(dead)}"
    return True, f"{int(same.sum())} of {same.size} numbers are the same for all six clips"


def _odd_audio_is_survived(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    samples = clips.shape[1]
    place = np.arange(samples)
    odd = {
        "silence": np.zeros(samples),
        "a constant": np.full(samples, 0.5),
        "full-scale square wave": np.where(place % 40 < 20, 1.0, -1.0),
        "one click": (place == samples // 2).astype(float),
        "very soft noise": 1e-6 * np.random.default_rng(0).standard_normal(samples),
    }
    broken = {}
    for name, clip in odd.items():
        try:
            if not np.isfinite(_encode(encoder, clip[None].astype(np.float32))).all():
                broken[name] = "NaN or infinity"
        except CmbenchError as error:
            broken[name] = str(error)
    return not broken, "; ".join(f"{name}: {why}" for name, why in broken.items()) or ", ".join(odd)


def _shortest_window_works(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    card = encoder.card
    samples = math.ceil(card.min_seconds * card.sample_rate - 1e-6)
    finite = bool(np.isfinite(_encode(encoder, clips[:1, :samples].copy())).all())
    return finite, f"{samples} samples ({card.min_seconds:.3g} s)" + ("" if finite else " give NaN or infinity")


def _long_window_works(encoder: Encoder, clips: Floats) -> tuple[bool, str]:
    window = np.resize(clips, (1, round(WINDOW_SECONDS * encoder.card.sample_rate)))
    start = time.perf_counter()
    finite = bool(np.isfinite(_encode(encoder, window)).all())
    seconds = time.perf_counter() - start
    return finite, f"{seconds:.2f} s, {WINDOW_SECONDS / seconds:.3g} times real time" if finite else "NaN or infinity"
