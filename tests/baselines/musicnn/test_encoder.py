"""musicnn: front end against librosa, network against modules written from the paper, weights against the package."""

from __future__ import annotations

import os
import runpy
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.baselines import LoadOptions, load_encoder
from cmbench.baselines.hub.about import weights_sha256
from cmbench.baselines.musicnn import encoder as encoder_module
from cmbench.baselines.musicnn.encoder import (
    TRAINED,
    log_mel,
    mel_spectrogram,
    patches,
    prepare,
)
from cmbench.baselines.musicnn.network import convert, run_network
from cmbench.baselines.registry import preparers
from cmbench.errors import CmbenchError, MissingError, UsageError
from cmbench.tests.baselines.musicnn.test_network import random_checkpoint

FIXTURES = Path(__file__).with_name("fixtures")
CPU = LoadOptions(device="cpu")


def sound(gain: float = 1.0, seconds: float = 7.3) -> NDArray[np.float32]:
    made: NDArray[np.float32] = runpy.run_path(str(FIXTURES / "musicnn_reference.py"))["signal"]()
    return (gain * np.resize(made, round(seconds * 16_000))).astype(np.float32)


@pytest.mark.parametrize("gain", [0.02, 1.0, 30.0])
def test_front_end_equals_librosa(gain: float) -> None:
    librosa: Any = pytest.importorskip("librosa")
    audio = sound(gain, 4.0)
    expected = librosa.feature.melspectrogram(y=audio, sr=16_000, n_fft=512, hop_length=256, n_mels=96).T
    got = mel_spectrogram(audio)
    assert got.shape == expected.shape == (251, 96)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * expected.max())
    np.testing.assert_allclose(log_mel(audio), np.log10(10_000 * expected + 1), atol=3e-3)


def test_loud_music_does_not_overflow() -> None:
    soft, loud = sound(1.0), sound(40.0)
    with np.errstate(over="ignore"):
        half = np.log10(np.float16(10_000) * mel_spectrogram(loud).astype(np.float16) + np.float16(1))
    assert np.isinf(half).any()
    told = np.isfinite(half)
    assert np.array_equal(log_mel(loud)[told], half[told].astype(np.float32))
    assert np.isfinite(log_mel(loud)).all()
    np.testing.assert_allclose(log_mel(loud)[~told], np.log10(10_000 * mel_spectrogram(loud) + 1)[~told], atol=1e-6)
    assert np.array_equal(log_mel(soft), np.log10(
        np.float16(10_000) * mel_spectrogram(soft).astype(np.float16) + np.float16(1)
    ).astype(np.float32))  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "models"))
    return tmp_path


def test_absent_weights_name_the_command(home: Path) -> None:
    for model in TRAINED:
        with pytest.raises(MissingError) as caught:
            load_encoder(model.name)
        assert caught.value.missing[0].command == "cmbench models prepare musicnn"


def stand_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with small wrong files whose sizes and hashes the package's constants are made to expect."""
    from hashlib import sha256

    checkpoint = runpy.run_path(str(Path(__file__).with_name("test_checkpoint.py")))["checkpoint"]
    known = []
    wheel = home / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for seed, model in enumerate(TRAINED):
            tensors = random_checkpoint(seed)
            contents = dict(zip((".index", ".data-00000-of-00001"), checkpoint(tensors), strict=True))
            files = {name: (len(content), sha256(content).hexdigest()) for name, content in contents.items()}
            for name, content in contents.items():
                archive.writestr(f"musicnn/{model.folder}/{name}", content)
            known.append(replace(model, files=files, weights_sha256=weights_sha256(convert(tensors))))
    monkeypatch.setattr(encoder_module, "TRAINED", tuple(known))
    return wheel


def test_prepared_weights_are_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = stand_in(home, monkeypatch)
    assert prepare(wheel) == home / "models" / "musicnn"
    unpacked = home / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    assert prepare(unpacked) == prepare(unpacked / "musicnn")
    encoder = encoder_module._load(encoder_module.TRAINED[0], CPU)
    audio = np.stack([sound(0.5), sound(2.0)])
    features = encoder.encode(audio)
    assert features.shape == (2, 3, 753)
    assert np.array_equal(features, np.concatenate([encoder.encode(audio[i : i + 1]) for i in (0, 1)]))
    found = run_network(encoder.weights, patches(log_mel(audio[1])))
    np.testing.assert_array_equal(features[1, 0, :200], found["penultimate"].mean(0))
    assert not features[:, 0, 200:].any()
    np.testing.assert_array_equal(features[1, 2], found["max pool"].mean(0))
    shortest = round(encoder.card.min_seconds * 16_000)
    assert np.isfinite(encoder.encode(audio[:, :shortest])).all()
    with pytest.raises(UsageError, match=f"{shortest - 1} samples"):
        encoder.encode(audio[:, : shortest - 1])
    with pytest.raises(UsageError, match="must be float32"):
        encoder.encode(audio[0])


def test_what_is_not_the_published_package_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = stand_in(home, monkeypatch)
    monkeypatch.setattr(encoder_module, "TRAINED", TRAINED)
    with pytest.raises(CmbenchError, match="its hash differs"):
        prepare(wheel)
    with pytest.raises(UsageError, match=r"there is no MTT_musicnn/.index"):
        prepare(home)
    (home / "text.whl").write_text("no wheel")
    with pytest.raises(UsageError, match="not the wheel"):
        prepare(home / "text.whl")
    assert not list((home / "models").rglob("*.safetensors"))


def test_changed_weights_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file, save_file

    prepare(stand_in(home, monkeypatch))
    file = home / "models" / "musicnn" / "musicnn-mtt.safetensors"
    weights = load_file(file)
    weights["dense.bias"][0] += 1
    save_file(weights, file)
    with pytest.raises(UsageError, match="not the weights of musicnn-mtt"):
        encoder_module._load(encoder_module.TRAINED[0], CPU)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UsageError, match="not a complete safetensors"):
        encoder_module._load(encoder_module.TRAINED[0], CPU)


def test_pip_that_fails_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "WHEEL", replace(encoder_module.WHEEL, name="cmbench-no-such-package"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CmbenchError, match="--from FILE"):
        prepare(None)


def _check_against_the_package(name: str) -> None:
    answers = np.load(FIXTURES / "musicnn_reference.npz")
    encoder = load_encoder(name, CPU)
    found = run_network(encoder.weights, patches(log_mel(sound())))  # type: ignore[attr-defined]
    np.testing.assert_allclose(found["tags"], answers[f"{name}/tags"], atol=1e-5)
    np.testing.assert_allclose(found["penultimate"][:1], answers[f"{name}/penultimate"], atol=1e-5)
    np.testing.assert_allclose(found["mean pool"], answers[f"{name}/mean pool"], atol=1e-5)
    # A number at the edge of two float16 may fall on either side, and a maximum does not even that out.
    np.testing.assert_allclose(found["max pool"], answers[f"{name}/max pool"], atol=1e-3)
    assert np.median(np.abs(found["max pool"] - answers[f"{name}/max pool"])) < 1e-5


@pytest.mark.parametrize("name", ["musicnn-mtt", "musicnn-msd"])
def test_answers_are_those_of_the_package(name: str, home: Path) -> None:
    """Needs the published wheel: CMBENCH_TEST_MUSICNN names it (or its unpacked folder)."""
    source = os.environ.get("CMBENCH_TEST_MUSICNN")
    if not source:
        pytest.skip("CMBENCH_TEST_MUSICNN does not name the wheel of musicnn 0.1.0 (`make test-slow` fetches it)")
    preparers()["musicnn"].prepare(Path(source))
    _check_against_the_package(name)


@pytest.mark.slow
def test_the_fetched_package_gives_its_answers(home: Path) -> None:
    prepare(None)
    for model in TRAINED:
        _check_against_the_package(model.name)
