"""Span masks: the masked fraction is that of MERT, not the probability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.baselines.mert.network import HubertShape
from cmbench.errors import UsageError
from cmbench.pretraining.objective.masking import SpanMasking, span_masks

FRAMES = HubertShape().frames(5 * 24_000)


@pytest.mark.parametrize(("clips", "fraction"), [(1, 0.582), (4, 0.558), (16, 0.540)])
def test_the_masked_fraction_of_five_seconds(clips: int, fraction: float) -> None:
    assert FRAMES == 374
    draw = np.random.default_rng(0)
    means = [span_masks(clips, FRAMES, SpanMasking(), draw).mean() for _ in range(4000 // clips)]
    assert np.mean(means) == pytest.approx(fraction, abs=0.004)


@given(st.integers(1, 6), st.integers(12, 200), st.floats(0.05, 1.0), st.integers(1, 8), st.integers(0, 99))
def test_every_clip_has_as_many(clips: int, frames: int, probability: float, length: int, seed: int) -> None:
    masking = SpanMasking(probability, length)
    masks = span_masks(clips, frames, masking, np.random.default_rng(seed))
    counts = masks.sum(axis=1)
    assert masks.shape == (clips, frames)
    assert (counts == counts[0]).all()
    assert counts[0] >= length
    np.testing.assert_array_equal(masks, span_masks(clips, frames, masking, np.random.default_rng(seed)))


def test_a_single_clip_is_made_of_spans() -> None:
    mask = span_masks(1, 400, SpanMasking(0.1, 5), np.random.default_rng(0))[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    runs = edges[1::2] - edges[::2]
    assert runs.min() >= 5
    assert not mask[-1], "as in fairseq, no span reaches the last frame"


def test_what_cannot_be_masked_is_refused() -> None:
    with pytest.raises(UsageError, match="6 frames have no room for 2 spans of 5"):
        span_masks(1, 6, SpanMasking(), np.random.default_rng(0))
    for wrong in ({"probability": 0.0}, {"probability": 1.2}, {"length": 0}, {"least": 0}):
        with pytest.raises(UsageError, match="not possible"):
            SpanMasking(**wrong)
