"""``models check``: each broken promise is named, and only that one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench import load_model
from cmbench.baselines.base import EncoderCard
from cmbench.benchmark.checks import promises
from cmbench.benchmark.checks.promises import check_encoder, mini_clips

Encode = Callable[[NDArray[np.float32]], NDArray[np.float32]]
CARD = EncoderCard("x", "test", 8000, 2, 3, ("a", "b"), 0.01, 0, "MIT", (), "0", "1", "none")


rendered = cache(mini_clips)


@pytest.fixture(autouse=True)
def clips_are_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder may write into what it gets, so each check has a copy."""
    monkeypatch.setattr(promises, "mini_clips", lambda seconds, rate: rendered(seconds, rate).copy())


def honest(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    size = np.abs(audio)
    numbers = [audio.mean(1), audio.std(1), size.max(1), size.mean(1), audio[:, 0], audio[:, -1]]
    return np.stack(numbers, 1).reshape(-1, 2, 3).astype(np.float32)


@dataclass
class Model:
    card: EncoderCard
    function: Encode

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.function(audio)


def broken(card: EncoderCard = CARD, function: Encode = honest) -> dict[str, str]:
    return {check.subject: check.text for check in check_encoder(Model(card, function)) if not check.well}


def test_an_honest_encoder_keeps_ten_promises() -> None:
    checks = list(check_encoder(Model(CARD, honest)))
    assert len(checks) == 10
    assert all(check.well and check.text for check in checks)


@pytest.mark.parametrize("name", ["constant", "mfcc", "random-mert-nano"])
def test_built_in_encoders_keep_their_promises(name: str) -> None:
    assert [check for check in check_encoder(load_model(name)) if not check.well] == []


draw = np.random.default_rng(0)


def fails_below(samples: int) -> Encode:
    def encode(audio: NDArray[np.float32]) -> NDArray[np.float32]:
        if audio.shape[1] < samples:
            raise RuntimeError("kernel larger than input")
        return honest(audio)

    return encode


def writes_into_input(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    features = honest(audio)
    audio *= 0.5
    return features


def whole_batch(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    features = honest(audio)
    return np.asarray(features - features.mean(0), np.float32)


def loud_is_nan(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(honest(audio) * (np.nan if np.abs(audio).max() == 0 else 1), np.float32)


def dead_layer(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    features = honest(audio)
    features[:, 1] = 7
    return features


def almost_constant(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differ in the last digits of float32 only, which are not stored."""
    return np.asarray(1 + 1e-6 * honest(audio), np.float32)


def longer_for_long_windows(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    features = honest(audio)
    return features if audio.shape[1] < 20 * CARD.sample_rate else np.repeat(features, 2, axis=1)


@pytest.mark.parametrize(
    ("promise", "word", "function"),
    [
        ("the audio passed in is not changed", "copy", writes_into_input),
        ("two passes agree", "eval()", lambda audio: honest(audio) * (1 + 0.1 * draw.random(dtype=np.float32))),
        ("a batch equals its clips one by one", "batch", whole_batch),
        ("different clips have different features", "b", dead_layer),
        ("different clips have different features", "a, b", almost_constant),
        ("a window of 30 s works", "(1, 4, 3)", longer_for_long_windows),
        ("odd audio gives finite features", "silence", loud_is_nan),
        ("the card's shortest window works", "kernel larger", fails_below(81)),
        ("finite [batch, layers, dim] within float16", "(6, 2, 2)", lambda audio: honest(audio)[..., :2]),
        ("finite [batch, layers, dim] within float16", "float16", lambda audio: honest(audio) * np.float32(1e8)),
    ],
)
def test_a_broken_promise_is_named(promise: str, word: str, function: Encode) -> None:
    found = broken(function=function)
    assert word in found[promise]


def test_shuffled_rows_are_noticed() -> None:
    # Only the rows of a batch are turned round: single clips and repeated passes are right.
    found = broken(function=lambda audio: np.roll(honest(audio), 1, axis=0))
    assert "rows" in found["the order of clips does not matter"]


def test_a_card_that_contradicts_itself_ends_the_checks() -> None:
    checks = list(check_encoder(Model(replace(CARD, layer_names=("a",)), honest)))
    assert [check.well for check in checks] == [False]
    assert "1 layer names" in checks[0].text


@pytest.mark.parametrize(("longest", "well"), [(0.5, True), (0.25, True), (0.2, False)])
def test_the_longest_window_is_not_below_the_shortest(longest: float, well: bool) -> None:
    card = replace(CARD, min_seconds=0.25, max_seconds=longest)
    check = next(iter(check_encoder(Model(card, honest))))
    assert check.well == well
    assert ("a longest window of 0.2 s" in check.text) != well


@pytest.mark.parametrize(
    ("name", "value"), [("sample_rate", "8000"), ("layers", np.int64(2)), ("layer_names", ["a", "b"]), ("dim", True)]
)
def test_a_card_of_wrong_types_ends_the_checks(name: str, value: object) -> None:
    checks = list(check_encoder(Model(replace(CARD, **{name: value}), honest)))  # type: ignore[arg-type]
    assert [check.well for check in checks] == [False]
    assert f"{name} is " in checks[0].text


def test_constant_must_be_declared_and_true() -> None:
    def ones(audio: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ones((len(audio), 2, 3), np.float32)

    assert list(broken(function=ones)) == ["different clips have different features"]
    assert broken(replace(CARD, constant=True), ones) == {}
    assert list(broken(replace(CARD, constant=True))) == ["different clips have different features"]


def test_mini_clips_are_six_different_sounds() -> None:
    clips = mini_clips(1.5, 16_000)
    assert clips.shape == (6, 24_000)
    assert len({clip.tobytes() for clip in clips}) == 6
    assert (np.abs(clips).max(axis=1) > 0.01).all()
