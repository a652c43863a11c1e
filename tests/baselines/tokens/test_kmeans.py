"""The stand-in tokeniser: each level explains more, the same seed gives the same tokens, loudness tells nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.vq import vq

from cmbench.baselines.tokens.kmeans import LEVELS, fit_residual_kmeans, log_mel
from cmbench.errors import UsageError

Frames = NDArray[np.float64]


@pytest.fixture(scope="module")
def frames() -> Frames:
    draw = np.random.default_rng(0)
    return draw.standard_normal((6, 64))[draw.integers(6, size=900)] * 3 + draw.standard_normal((900, 64))


def test_the_residual_shrinks_with_every_level(frames: Frames) -> None:
    found = fit_residual_kmeans(frames, 32)
    assert found.codebooks.shape == (LEVELS, 32, 64)
    assert found.errors[0] == pytest.approx(1, abs=1e-5)
    assert all(after < before for before, after in zip(found.errors, found.errors[1:], strict=False))
    tokens, errors = found.quantise(frames)
    assert errors == pytest.approx(found.errors, rel=1e-5)
    assert tokens.shape == (LEVELS, 900)
    assert tokens.min() >= 0
    assert tokens.max() < 32


def test_other_frames_of_the_same_music_shrink_too(frames: Frames) -> None:
    errors = fit_residual_kmeans(frames[:450], 16).quantise(frames[450:])[1]
    assert errors[1] < 0.5 * errors[0]
    assert errors[-1] < errors[1]


def test_tokens_are_the_nearest_codewords_of_what_is_left(frames: Frames) -> None:
    found = fit_residual_kmeans(frames, 16, levels=3)
    tokens, _ = found.quantise(frames)
    left = ((frames - found.mean) / found.deviation).astype(np.float32)
    for level, codebook in zip(tokens, found.codebooks, strict=True):
        nearest, gaps = vq(left, codebook)
        # Where two codewords are as near to the last digit, either will do.
        chosen = np.linalg.norm(left - codebook[level], axis=1)
        np.testing.assert_allclose(chosen, gaps, rtol=1e-4, atol=1e-5)
        assert np.mean(nearest == level) > 0.99
        left = left - codebook[level]


def test_a_seed_is_a_tokeniser(frames: Frames) -> None:
    one, same, other = (fit_residual_kmeans(frames, 16, seed, levels=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.codebooks, same.codebooks)
    assert not np.array_equal(one.codebooks, other.codebooks)
    assert one.name == "residual k-means on log-mel spectra (2 x 16, seed 1, fit 2; stand-in)"
    assert replace(one, fit=1).name == "residual k-means on log-mel spectra (2 x 16, seed 1; stand-in)"


def test_fewer_kinds_of_frames_than_tokens_are_no_obstacle() -> None:
    few = np.repeat(np.eye(3, 64), 50, axis=0)
    found = fit_residual_kmeans(few, 8, levels=2)
    assert found.errors[1] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(found.codebooks).all()


def test_too_little_is_refused() -> None:
    draw = np.random.default_rng(0)
    with pytest.raises(UsageError, match="319 frames are too few for codebooks of 32"):
        fit_residual_kmeans(draw.standard_normal((319, 64)), 32)
    with pytest.raises(UsageError, match="too few"):
        fit_residual_kmeans(draw.standard_normal((319, 64)), 1)
    with pytest.raises(UsageError, match="All frames are the same"):
        fit_residual_kmeans(np.ones((100, 64)), 4)


def test_spectra_have_seventy_five_frames_a_second_and_no_loudness() -> None:
    draw = np.random.default_rng(0)
    audio = (0.1 * draw.standard_normal(48_000)).astype(np.float32)
    spectra = log_mel(audio)
    assert spectra.shape == (151, 64)
    np.testing.assert_allclose(log_mel(audio * np.float32(0.05)), spectra, atol=1e-4)
    assert fit_residual_kmeans(spectra, 4).tokens(audio).shape == (LEVELS, 151)
