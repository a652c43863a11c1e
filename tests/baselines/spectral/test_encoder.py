"""MFCC against librosa; pitch classes on synthesised scales, where the truth is known."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines.base import Encoder, LoadOptions
from cmbench.baselines.registry import get_encoder_entry
from cmbench.baselines.spectral.encoder import SpectralEncoder, load_chroma, load_mfcc, mfcc
from cmbench.baselines.spectral.pitch_classes import DIM, LAYERS
from cmbench.baselines.spectral.pitch_salience import LOWEST_HZ, track_pitches
from cmbench.errors import UsageError

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
RATE = 24_000
RAST = (0, 200, 350, 500, 700, 900, 1050, 1200)
USSAK = (0, 150, 300, 500, 700, 800, 1000, 1200)
MINOR = (0, 200, 300, 500, 700, 800, 1000, 1200)
ABSOLUTE, FREE, ALIGNED, PROGRESSION = range(4)
Audio = NDArray[np.float32]


def play(cents: Sequence[float], tonic: float, note: float = 0.3, harmonics: int = 8) -> Audio:
    """One note of ``note`` seconds after another, cents above the tonic (Hz)."""
    time = np.arange(round(note * RATE)) / RATE
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    notes = []
    for cent in cents:
        pitch = tonic * 2 ** (cent / 1200)
        partials = [0.7**h * np.sin(2 * np.pi * h * pitch * time + h) for h in range(1, harmonics + 1)]
        notes.append(fade * np.sum(partials, axis=0))
    return (0.1 * np.concatenate(notes)).astype(np.float32)


def melody(degrees: Sequence[float], tonic: float = 220.0) -> Audio:
    """Up and down the degrees (cents), resting on the tonic (Hz) for three notes at the end."""
    return play([*degrees, *degrees[-2::-1], *[degrees[0]] * 3], tonic)


def noise(seconds: float, gain: float = 0.1, seed: int = 0) -> Audio:
    return (gain * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def chroma(*clips: Audio) -> NDArray[np.float32]:
    return load_chroma(LoadOptions()).encode(np.stack(clips))


def block(features: NDArray[np.float32], layer: int, which: int) -> NDArray[np.float32]:
    """One of the three blocks of 120 steps of ten cents."""
    return features[layer, 120 * which : 120 * which + 120]


def apart(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


@pytest.fixture(params=["mfcc", "chroma"])
def encoder(request: pytest.FixtureRequest) -> SpectralEncoder:
    load = {"mfcc": load_mfcc, "chroma": load_chroma}[request.param]
    return load(LoadOptions())


def test_registry_gives_both_and_cards_tell_the_shape(encoder: SpectralEncoder) -> None:
    loaded = get_encoder_entry(encoder.card.name).load(LoadOptions())
    assert isinstance(loaded, Encoder)
    features = loaded.encode(noise(2)[None])
    assert features.shape == (1, loaded.card.layers, loaded.card.dim)
    assert features.dtype == np.float32
    assert len(loaded.card.layer_names) == loaded.card.layers
    assert load_chroma(LoadOptions()).card.fingerprint != load_mfcc(LoadOptions()).card.fingerprint


def test_listing_encoders_imports_no_numpy() -> None:
    code = "import sys, cmbench.baselines.spectral.pitch_classes; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_row_does_not_depend_on_the_batch(encoder: SpectralEncoder) -> None:
    clips = np.stack([melody(RAST), melody(USSAK, 317.0), noise(18 * 0.3)])
    together = encoder.encode(clips)
    for row, clip in zip(together, clips, strict=True):
        np.testing.assert_array_equal(row, encoder.encode(clip[None])[0])
    np.testing.assert_array_equal(together, encoder.encode(clips))
    assert len({row.tobytes() for row in together}) == 3


@pytest.mark.parametrize("seconds", [4096 / RATE, 0.3, 2.0, 20.0])
@pytest.mark.parametrize("kind", ["silence", "noise", "offset", "click", "whisper"])
def test_any_input_gives_small_finite_features(encoder: SpectralEncoder, kind: str, seconds: float) -> None:
    clip = np.zeros(round(seconds * RATE), np.float32)
    if kind in ("noise", "whisper"):
        clip = noise(seconds, 1.0 if kind == "noise" else 1e-7)
    clip += 0.5 if kind == "offset" else 0
    clip[len(clip) // 2] += 1.0 if kind == "click" else 0
    features = encoder.encode(clip[None])
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 200
    assert np.isfinite(features.astype(np.float16)).all()


def test_shortest_window_is_the_card_s(encoder: SpectralEncoder) -> None:
    shortest = round(encoder.card.min_seconds * RATE)
    assert np.abs(encoder.encode(melody(RAST)[None, :shortest])).max() > 0
    with pytest.raises(UsageError, match=r"at least 0\.1707 s"):
        encoder.encode(melody(RAST)[None, : shortest - 1])


def test_wrong_audio_is_refused(encoder: SpectralEncoder) -> None:
    good = melody(RAST)[None]
    wrong: list[NDArray[Any]] = [good[0], good.astype(np.float64), good[:0]]
    for bad in wrong:
        with pytest.raises(UsageError, match="float32"):
            encoder.encode(bad)


@pytest.mark.parametrize("gain", [0.01, 5.0])
def test_gain(gain: float) -> None:
    clip = melody(RAST) + noise(18 * 0.3, 0.001)
    louder = (gain * clip).astype(np.float32)
    np.testing.assert_allclose(chroma(clip), chroma(louder), atol=2e-3)
    one, other = (load_mfcc(LoadOptions()).encode(c[None])[0, 0] for c in (clip, louder))
    np.testing.assert_allclose(one[1:], other[1:], atol=1e-3)
    assert other[0] - one[0] == pytest.approx(np.sqrt(128) * 2 * np.log10(gain), abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_mfcc_is_librosa_s() -> None:
    librosa = pytest.importorskip("librosa", reason="librosa is the oracle of this test")
    for clip in (melody(RAST), noise(1.0), melody(USSAK, 500.0) + noise(18 * 0.3, 1e-3)):
        theirs = librosa.feature.mfcc(y=clip, sr=RATE, n_mfcc=20)
        np.testing.assert_allclose(10 * mfcc(clip), theirs, atol=0.01)
        delta = librosa.feature.delta(theirs / 10)
        ours = load_mfcc(LoadOptions()).encode(clip[None])[0, 0]
        expected = [theirs.mean(1) / 10, theirs.std(1) / 10, delta.mean(1), delta.std(1)]
        np.testing.assert_allclose(ours, np.concatenate(expected), atol=2e-3)


@pytest.mark.parametrize("harmonics", [1, 10])
@pytest.mark.parametrize("hertz", [82.4, 110.0, 146.9, 233.1, 311.7, 440.0, 666.6, 987.8, 1500.0])
def test_pitch_of_steady_tones(hertz: float, harmonics: int) -> None:
    pitches = track_pitches(play((0,), hertz, 1.0, harmonics))
    inside = pitches.level > 0.9 * pitches.level.max()
    assert inside.sum() > 30
    error = pitches.melody_cents[inside] - 1200 * np.log2(hertz / LOWEST_HZ)
    folded = (error + 600) % 1200 - 600
    assert np.abs(np.median(folded)) < 3
    assert np.percentile(np.abs(folded), 90) < 5
    if harmonics == 10:
        assert np.abs(np.median(error)) < 3


def test_pitch_of_a_tone_whose_third_partial_is_the_strongest() -> None:
    time = np.arange(RATE) / RATE
    gains = (0.4, 0.6, 1.5, 0.4, 0.3, 0.25, 0.2)
    partials = [0.05 * g * np.sin(2 * np.pi * 196.0 * h * time) for h, g in enumerate(gains, 1)]
    pitches = track_pitches(np.sum(partials, axis=0).astype(np.float32))
    assert np.median(pitches.melody_cents) == pytest.approx(1200 * np.log2(196.0 / LOWEST_HZ), abs=5)


def test_peaks_lie_on_the_degrees() -> None:
    """Every degree of Rast, and nothing else, stands out above the tonic."""
    for layer, which in ((ABSOLUTE, 0), (ALIGNED, 0), (ALIGNED, 1)):
        density = block(chroma(melody(RAST, 220.0))[0], layer, which)
        high = density > 0.5 * density.max()
        centres = np.array(
            [10 * d for d in range(120) if high[d] and density[d] >= max(density[d - 1], density[(d + 1) % 120])]
        )
        nearest = [min(abs((c - d + 600) % 1200 - 600) for d in RAST) for c in centres]
        assert max(nearest) <= 10, (LAYERS[layer], centres)
        assert density[[d // 10 for d in RAST[:-1]]].min() > 2 * np.median(density)


@pytest.mark.parametrize("cents", [30, 137, 500, 1100])
def test_transposition_changes_only_the_absolute_layer(cents: int) -> None:
    here, there = chroma(melody(USSAK, 220.0), melody(USSAK, 220.0 * 2 ** (cents / 1200)))
    other = chroma(melody(RAST, 220.0))[0]
    for layer in (FREE, ALIGNED, PROGRESSION):
        assert apart(here[layer], there[layer]) < 0.2
        assert apart(here[layer], there[layer]) < 0.4 * apart(here[layer], other[layer])
    assert apart(here[ABSOLUTE], there[ABSOLUTE]) > 0.5
    moved = np.roll(block(there, ABSOLUTE, 0), -round(cents / 10))
    assert apart(block(here, ABSOLUTE, 0), moved) < 0.3


def test_a_second_of_150_cents_is_not_one_of_200() -> None:
    neutral, whole = chroma(melody(USSAK), melody(MINOR))
    again = chroma(melody(USSAK, 261.0))[0]
    for layer in (FREE, ALIGNED, PROGRESSION):
        assert apart(neutral[layer], whole[layer]) > 2 * apart(neutral[layer], again[layer])
    for which in (0, 1):
        a, b = block(neutral, ALIGNED, which), block(whole, ALIGNED, which)
        assert a[15] > 1.3 * a[20]
        assert b[20] > 1.3 * b[15]


def test_the_last_note_is_the_tonic_of_the_second_block() -> None:
    """The same notes, ending on another degree: what lies above the final differs, the intervals hardly do."""
    up_and_down = [*RAST, *RAST[-2::-1]]
    low, high = chroma(*(play([*up_and_down, *[rest] * 3], 220.0) for rest in (0, 350)))
    assert apart(block(low, ALIGNED, 1), block(high, ALIGNED, 1)) > 2 * apart(block(low, FREE, 0), block(high, FREE, 0))
    above = block(high, ALIGNED, 1)
    assert above[15] > 2 * above[20], "from 350 to 500 cents"


def test_melody_is_heard_above_a_louder_drone_and_strokes() -> None:
    clip = np.tile(melody(RAST, 330.0), 2)
    seconds = len(clip) / RATE
    drone = play((0,), 165.0, seconds) + play((700,), 165.0, seconds)
    strokes = np.zeros_like(clip)
    for start in range(0, len(clip) - 4800, 9000):
        strokes[start : start + 1200] = noise(0.05, 0.2, start) * np.exp(-np.arange(1200) / 300)
    plain, mixed = (track_pitches(c) for c in (clip, (clip + 1.2 * drone + strokes).astype(np.float32)))
    sounding = plain.level > 0.5 * plain.level.max()
    apart_cents = (plain.melody_cents - mixed.melody_cents + 600) % 1200 - 600
    assert (np.abs(apart_cents[sounding]) < 20).mean() > 0.7
    plain_features, mixed_features = chroma(clip, (clip + 1.2 * drone + strokes).astype(np.float32))
    assert np.corrcoef(block(plain_features, ALIGNED, 0), block(mixed_features, ALIGNED, 0))[0, 1] > 0.7


def test_a_stronger_fifth_is_not_taken_for_the_tonic() -> None:
    clip = play([0, 700, 0, 700, 400, 700, 900, 700, 0, 700], 220.0)
    content, above = (block(chroma(clip)[0], layer, 0) for layer in (ABSOLUTE, ALIGNED))
    assert content[70] > 1.1 * content[0], "the fifth sounds longer"
    assert above[70] > 1.2 * above[50], "with the fifth for a tonic, the tonic would lie at 500 cents"


def test_blocks_are_densities() -> None:
    features = chroma(melody(RAST))[0].astype(np.float64)
    for layer, which in (
        (ABSOLUTE, 0),
        (ABSOLUTE, 1),
        (FREE, 1),
        (FREE, 2),
        *((k, b) for k in (2, 3) for b in range(3)),
    ):
        assert (features[layer, 120 * which : 120 * which + 120] ** 2).mean() == pytest.approx(1, abs=0.02)
    assert (features[ABSOLUTE, 240:] ** 2).mean() < 1
    assert features.shape == (len(LAYERS), DIM)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder of real recordings beside the checkout")
def test_real_recordings(encoder: SpectralEncoder) -> None:
    soundfile, soxr = pytest.importorskip("soundfile"), pytest.importorskip("soxr")
    clips = []
    for path in sorted(SHARED.glob("audio/*industani/saraga_5*.mp3")) + sorted(SHARED.glob("audio/western/*.ogg")):
        audio, rate = soundfile.read(path, frames=10 * 44_100, dtype="float32", always_2d=True)
        clips.append(soxr.resample(audio.mean(axis=1), rate, RATE).astype(np.float32)[: 4 * RATE])
    assert len(clips) >= 4
    features = encoder.encode(np.stack([clip for clip in clips if len(clip) == 4 * RATE]))
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 200
    for layer in range(features.shape[1]):
        assert (features[:, layer].std(axis=0) > 1e-3).mean() > 0.9
