"""Arrays on disk: made once, made again where they are damaged. Tokens in them are tested in test_targets.py."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines.mert.melody import MelodyShape
from cmbench.pretraining.objective.cached import cached_array
from cmbench.pretraining.objective.spectra import cached_spectrum


def test_an_array_is_made_once_and_again_where_it_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, made = tmp_path / "a.npy", []

    def make() -> NDArray[np.float32]:
        made.append(1)
        return np.arange(5, dtype=np.float32)

    for _ in range(2):
        np.testing.assert_array_equal(cached_array(file, "numbers", make), np.arange(5))
    assert len(made) == 1
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(cached_array(file, "numbers", make), np.arange(5))
    assert len(made) == 2
    assert "its numbers are made again" in caplog.text


def test_a_spectrum_is_computed_once_for_each_front_end_and_track(tmp_path: Path) -> None:
    made = []

    def read() -> NDArray[np.float32]:
        made.append(1)
        return np.random.default_rng(0).standard_normal(24_000).astype(np.float32)

    shape = MelodyShape()
    found = cached_spectrum(tmp_path, shape, "a", read)
    assert found.dtype == np.float16
    assert found.shape == (1 + 24_000 // shape.hop, shape.bands)
    # What is learned behind the front end does not change it.
    cached_spectrum(tmp_path, MelodyShape(patterns=3, kernel=9), "a", read)
    assert len(made) == 1
    cached_spectrum(tmp_path, MelodyShape(octaves=5), "a", read)
    cached_spectrum(tmp_path, shape, "b", read)
    assert len(made) == 3
