"""An encoder's card and the protocol that it keeps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from cmbench.baselines import Encoder, EncoderCard, LoadOptions, load_encoder
from cmbench.errors import UsageError

CARD = EncoderCard("x", "x", 8000, 1, 2, ("a",), 0.1, 0, "MIT", (), "0", "1", "none")


def test_fingerprint_follows_what_changes_a_feature() -> None:
    changed = {
        "family": "y",
        "sample_rate": 16000,
        "layers": 2,
        "dim": 3,
        "weights_sha256": "1",
        "code_version": "2",
        "preprocessing": "other",
        "dtype": "bfloat16",
    }
    prints = {replace(CARD, **{key: value}).fingerprint for key, value in changed.items()}  # type: ignore[arg-type]
    assert len(prints | {CARD.fingerprint}) == len(changed) + 1
    same = {"name": "z", "licence": "?", "description": "!", "source": "s", "parameters": 7}
    assert {replace(CARD, **{key: value}).fingerprint for key, value in same.items()} == {CARD.fingerprint}  # type: ignore[arg-type]
    assert {f.name for f in fields(CARD)} >= set(changed) | set(same)


def test_protocol_asks_for_card_and_encode() -> None:
    class Half:
        card = CARD

    class Whole(Half):
        def encode(self, audio: object) -> object:
            return audio

    assert not isinstance(Half(), Encoder)
    assert isinstance(Whole(), Encoder)


@pytest.mark.parametrize("name", ["constant", "mfcc", "chroma", "random-mert-nano"])
def test_an_encoder_says_that_it_needs_a_numpy_array(name: str) -> None:
    encoder = load_encoder(name, LoadOptions("cpu"))
    with pytest.raises(UsageError, match=r"must be a numpy array.*not torch\.Tensor\. `\.cpu\(\)\.numpy\(\)` "):
        encoder.encode(torch.zeros(1, 24000))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"must be a numpy array, .*not builtins\.list\.$"):
        encoder.encode([[0.0] * 24000])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"must be float32 \[batch, samples\], not float64"):
        encoder.encode(np.zeros((1, 24000)))  # type: ignore[arg-type]
