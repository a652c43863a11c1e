"""The CQT against its formula, and against librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cmbench.errors import UsageError
from cmbench.pretraining.objective.cqt import CqtShape, cqt_frames, cqt_magnitudes

RATE = 24_000
MERT = CqtShape()


def music(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Decaying tones from 65 Hz to 2.6 kHz over a little noise."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * pitch * time + draw.uniform(0, 6)) * np.exp(-draw.uniform(0.2, 2) * time)
        for pitch in 65.4 * 2 ** draw.uniform(0, 5.3, 12)
    ]
    return np.asarray(0.05 * np.sum(tones, axis=0) + 0.01 * draw.standard_normal(len(time)), np.float32)


def by_definition(audio: NDArray[np.float32], shape: CqtShape, number: int, frame: int) -> float:
    frequency = shape.lowest * 2 ** (number / shape.per_octave)
    length = shape.quality * shape.sample_rate / frequency
    offset = np.arange(-int(length / 2), int(length / 2) + 1)
    window = 0.5 + 0.5 * np.cos(2 * np.pi * offset / length)
    places = shape.hop * frame + offset
    inside = (places >= 0) & (places < len(audio))
    heard = np.where(inside, audio.astype(np.float64)[np.clip(places, 0, len(audio) - 1)], 0)
    wave = np.exp(-2j * np.pi * frequency * offset / shape.sample_rate)
    return float(np.sqrt(length) * abs((heard * window * wave).sum()) / window.sum())


@pytest.mark.parametrize(
    ("shape", "seconds"),
    [(MERT, 5.0), (MERT, 0.9), (CqtShape(hop=300), 1.013), (CqtShape(16_000, 333, 110.0, 50, 24), 1.3)],
)
def test_every_bin_and_frame_is_that_of_the_formula(shape: CqtShape, seconds: float) -> None:
    clips = np.stack([music(seconds, 1), music(seconds, 2)])
    found = cqt_magnitudes(torch.from_numpy(clips), shape).numpy()
    assert found.shape == (2, cqt_frames(clips.shape[1], shape), shape.bins)
    draw = np.random.default_rng(0)
    frames = [0, 1, found.shape[1] - 1, *draw.integers(found.shape[1], size=37)]
    bins = [0, shape.bins - 1, shape.per_octave, *draw.integers(shape.bins, size=37)]
    for clip, frame, number in zip([0, 1] * 20, frames, bins, strict=True):
        assert found[clip, frame, number] == pytest.approx(
            by_definition(clips[clip], shape, number, frame), abs=1e-5 * float(found.max())
        )


def test_white_noise_is_near_the_formula() -> None:
    """The worst case: as much above the highest bin as below it."""
    noise = (0.1 * np.random.default_rng(3).standard_normal((1, RATE))).astype(np.float32)
    found = cqt_magnitudes(torch.from_numpy(noise), MERT)[0].numpy()
    draw = np.random.default_rng(1)
    for frame, number in zip(draw.integers(len(found), size=200), draw.integers(MERT.bins, size=200), strict=True):
        expected = by_definition(noise[0], MERT, number, frame)
        assert found[frame, number] == pytest.approx(expected, abs=5e-5 * float(found.max()))


def test_librosa_agrees() -> None:
    audio = music(5.0)
    # librosa's Q is another by 0.7 %; its filter scale makes the windows as long as nnAudio's, which MERT uses.
    step = 2 ** (2 / MERT.per_octave)
    expected = np.abs(
        librosa.cqt(
            audio, sr=RATE, hop_length=MERT.hop, fmin=MERT.lowest, n_bins=MERT.bins, bins_per_octave=MERT.per_octave,
            filter_scale=MERT.quality * (step - 1) / (step + 1), sparsity=0, pad_mode="constant",
        )
    ).T  # fmt: skip
    found = cqt_magnitudes(torch.from_numpy(audio)[None], MERT)[0].numpy()
    assert found.shape == expected.shape == (376, 336)
    assert np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()) < 0.01
    # Away from the ends, where librosa's resampling filters do not run out of signal.
    inner = np.abs(found - expected)[100:-100]
    assert inner.max() < 0.01 * expected.max()


@pytest.mark.filterwarnings("ignore")
def test_nnaudio_agrees() -> None:
    """Where it is installed: the module that MERT's code takes its target from."""
    nnaudio = pytest.importorskip("nnAudio.features.cqt", reason="nnAudio is not installed")
    audio = torch.from_numpy(music(5.0))[None]
    layer = nnaudio.CQT(
        sr=RATE, hop_length=MERT.hop, fmin=MERT.lowest, n_bins=MERT.bins, bins_per_octave=MERT.per_octave,
        filter_scale=1, norm=1, window="hann", center=True, pad_mode="constant", output_format="Magnitude",
        verbose=False,
    )  # fmt: skip
    expected = layer(audio)[0].T
    assert float((cqt_magnitudes(audio, MERT)[0] - expected).abs().max()) < 1e-3 * float(expected.max())


def test_a_tone_peaks_in_its_bin_at_the_scale_of_its_length() -> None:
    number = 200
    frequency = MERT.frequency(number)
    tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)
    middle = cqt_magnitudes(torch.from_numpy(tone)[None], MERT)[0, 37]
    assert int(middle.argmax()) == number
    assert float(middle[number]) == pytest.approx(0.5 * np.sqrt(MERT.quality * RATE / frequency), rel=1e-3)


def test_silence_is_zero_and_there_is_no_gradient() -> None:
    assert not cqt_magnitudes(torch.zeros(1, 4000), MERT).any()
    found = cqt_magnitudes(torch.randn(1, 4000, requires_grad=True), MERT)
    assert not found.requires_grad


def test_what_has_no_cqt_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\[clips, samples\], not \[5\]"):
        cqt_magnitudes(torch.zeros(5), MERT)
    with pytest.raises(UsageError, match=r"\[1, 0\]"):
        cqt_magnitudes(torch.zeros(1, 0), MERT)
    with pytest.raises(UsageError, match="highest bin of the CQT, 4126 Hz, is above 3000 Hz"):
        CqtShape(sample_rate=8000)
    with pytest.raises(UsageError, match="must be positive"):
        CqtShape(hop=0)
