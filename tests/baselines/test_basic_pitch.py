"""Basic Pitch: how audio is cut and joined, with a stand-in for the model; the model itself where it is named."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines import basic_pitch
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.registry import load_encoder, preparers
from cmbench.errors import MissingError, UsageError


class Echo:
    """Answers for every frame with the number of the sample at its beginning, times 1, 2 and 3."""

    def run(self, names: list[str], given: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        (audio,) = given.values()
        assert names == list(basic_pitch.STATES.values())
        assert audio.shape == (1, 43_844, 1)
        at = audio[:, : 172 * 256 : 256, 0]
        at = np.pad(at, ((0, 0), (0, 172 - at.shape[1])))
        widths = (264, 88, 88)
        return [np.repeat((k + 1) * at[:, :, None], width, axis=2) for k, width in enumerate(widths)]


def encoder(session: Any = None) -> basic_pitch.BasicPitchEncoder:
    return basic_pitch.BasicPitchEncoder(basic_pitch._card(), session or Echo())


def test_stretches_overlap_by_thirty_frames_and_begin_with_half_of_them_silent() -> None:
    ramp = np.arange(1, 100_001, dtype=np.float32)
    cut = basic_pitch.stretches(ramp)
    assert cut.shape == (3, 43_844, 1)
    assert not cut[0, : 15 * 256].any()
    assert cut[0, 15 * 256, 0] == 1
    np.testing.assert_array_equal(cut[0, -30 * 256 :], cut[1, : 30 * 256])
    assert cut[2, :, 0].max() == 100_000


def test_joined_frames_follow_one_another_and_end_with_the_audio() -> None:
    ramp = np.arange(1, 100_001, dtype=np.float32)
    contours, notes, onsets = encoder().posteriors(ramp)
    frames = int(100_000 * 86 / 22_050)
    assert contours.shape == (frames, 264)
    assert notes.shape == onsets.shape == (frames, 88)
    # 142 frames of each stretch are kept, and a stretch moves on by 36,164 samples: 141.3 frames.
    np.testing.assert_array_equal(contours[:142, 0], 1 + 256 * np.arange(142))
    assert contours[142, 0] == 1 + 43_844 - 30 * 256
    np.testing.assert_array_equal(onsets[:, 0], 3 * contours[:, 0])


def test_features_are_means_over_time_and_do_not_depend_on_the_batch() -> None:
    audio = np.random.default_rng(0).random((3, 50_000)).astype(np.float32)
    features = encoder().encode(audio)
    assert features.shape == (3, 3, 264)
    for row, window in zip(features, audio, strict=True):
        contours, notes, _ = encoder().posteriors(window)
        np.testing.assert_allclose(row[0], contours.mean(0), rtol=1e-6)
        np.testing.assert_allclose(row[1, :88], notes.mean(0), rtol=1e-6)
        assert not row[1:, 88:].any()
    np.testing.assert_array_equal(features[2:], encoder().encode(audio[2:]))
    with pytest.raises(UsageError, match=r"at least 0\.1 s \(2205 samples\); this one has 2000"):
        encoder().encode(audio[:, :2000])


def test_the_model_is_taken_out_of_the_wheel_and_refused_when_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "models"))
    content = b"a model"
    monkeypatch.setattr(basic_pitch, "MODEL", (basic_pitch.MODEL[0], len(content), hashlib.sha256(content).hexdigest()))
    with pytest.raises(MissingError) as caught:
        load_encoder("basic-pitch", LoadOptions())
    assert caught.value.missing[0].command == "cmbench models prepare basic-pitch"
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr(basic_pitch.MODEL[0], content)
    folder = preparers()["basic-pitch"].prepare(tmp_path / "w.whl")
    assert (folder / "nmp.onnx").read_bytes() == content
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r'pip install "cmbench\[basic-pitch\]"'):
        load_encoder("basic-pitch", LoadOptions())
    (folder / "nmp.onnx").write_bytes(b"another")
    with pytest.raises(UsageError, match="this is not the model of basic-pitch==0"):
        load_encoder("basic-pitch", LoadOptions())


def test_a_tone_is_heard_at_its_pitch_by_the_published_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs onnxruntime and the published wheel: CMBENCH_TEST_BASIC_PITCH names it (or its unpacked folder)."""
    pytest.importorskip("onnxruntime", reason='pip install "cmbench[basic-pitch]"')
    named = os.environ.get("CMBENCH_TEST_BASIC_PITCH")
    if not named:
        pytest.skip("CMBENCH_TEST_BASIC_PITCH does not name the wheel of basic-pitch 0.4.0")
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    basic_pitch.prepare(Path(named))
    times = np.arange(3 * 22_050) / 22_050
    tone = np.sum([0.3 / k * np.sin(2 * np.pi * 220.0 * k * times) for k in range(1, 6)], axis=0).astype(np.float32)
    contours, notes, _ = load_encoder("basic-pitch", LoadOptions()).encode(tone[None])[0]
    assert notes[:88].argmax() == 36, "A3 is the 37th key of a piano"
    # The central one of a semitone's three bins is the second (``constants.py`` of the package).
    assert contours.argmax() == 3 * 36 + 1
