"""In-batch noise: pieces of the others, of the right size and number, and never of the clip itself."""

from __future__ import annotations

import numpy as np
import pytest

from cmbench.errors import UsageError
from cmbench.pretraining.objective.mixture import NoiseMixture, mix_noise


def test_every_piece_is_a_stretch_of_the_other_clips() -> None:
    # Sample values tell where they come from.
    audio = np.arange(1, 4001, dtype=np.float32).reshape(4, 1000)
    draw = np.random.default_rng(0)
    for _ in range(50):
        noise = mix_noise(audio, NoiseMixture(1.0, (1, 1), (100, 300), 1.0), draw) - audio
        for i, row in enumerate(noise):
            there = np.flatnonzero(row)
            assert 100 <= len(there) <= 300
            assert np.ptp(there) == len(there) - 1
            others = np.delete(audio, i, axis=0).ravel()
            begin = int(np.flatnonzero(others == row[there[0]])[0])
            np.testing.assert_array_equal(row[there], others[begin : begin + len(there)])


def test_the_probability_is_that_of_mixing() -> None:
    audio = np.random.default_rng(1).standard_normal((200, 50)).astype(np.float32)
    for probability in (0.0, 0.2, 1.0):
        mixed = mix_noise(audio, NoiseMixture(probability, (1, 3), (10, 20)), np.random.default_rng(0))
        share = (mixed != audio).any(axis=1).mean()
        assert share == pytest.approx(probability, abs=4 * np.sqrt(0.16 / 200) if 0 < probability < 1 else 0)


def test_volume_and_number_of_pieces() -> None:
    audio = np.ones((3, 400), np.float32)
    draw = np.random.default_rng(0)
    sums = [(mix_noise(audio, NoiseMixture(1.0, (1, 3), (10, 10), 0.5), draw) - audio).sum(axis=1) for _ in range(60)]
    assert set(np.concatenate(sums).tolist()) == {5.0, 10.0, 15.0}


def test_the_clean_clips_stay_clean_and_one_clip_stays_alone() -> None:
    audio = np.random.default_rng(1).standard_normal((2, 400)).astype(np.float32)
    before = audio.copy()
    mixture = NoiseMixture(1.0, (1, 3), (10, 400))
    mixed = mix_noise(audio, mixture, np.random.default_rng(0))
    np.testing.assert_array_equal(audio, before)
    assert mixed is not audio
    np.testing.assert_array_equal(mixed, mix_noise(audio, mixture, np.random.default_rng(0)))
    np.testing.assert_array_equal(mix_noise(audio[:1], mixture, np.random.default_rng(0)), audio[:1])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="up to 24000 samples does not fit into clips of 400"):
        mix_noise(np.zeros((2, 400), np.float32), NoiseMixture(), np.random.default_rng(0))
    with pytest.raises(UsageError, match="range of pieces, 3 to 1"):
        NoiseMixture(pieces=(3, 1))
    with pytest.raises(UsageError, match="range of samples, 0 to 5"):
        NoiseMixture(samples=(0, 5))
    with pytest.raises(UsageError, match="probability of noise"):
        NoiseMixture(1.5)
