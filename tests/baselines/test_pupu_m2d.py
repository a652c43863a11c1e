"""PupuM2D: random weights against numbers of public code, the published sizes, where its files lie, what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from cmbench.baselines import pupu_m2d
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.registry import load_encoder, registry
from cmbench.errors import MissingError, UsageError

CPU = LoadOptions(device="cpu", offline=True)
FRONT = {
    "sample_rate": 24000, "cut_mel_frame": 1024, "hop_size": 240, "n_fft": 1024, "win_size": 1024, "fmin": 0,
    "fmax": 12000, "n_mels": 128, "normalize": True, "flip_ft": True,
}  # fmt: skip
MODEL: dict[str, Any] = {
    "image_size": [1024, 128], "patch_size": [4, 16], "embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 4.0,
    "drop_path_rate": 0.0, "use_swiglu": True, "layer_scale_init_value": None, "qk_norm": True, "norm_layer": "layer",
    "frequency_first": False, "in_chans": 1,
}  # fmt: skip
SMALL = pupu_m2d.PatchShape(embed_dim=48, depth=2)
# What the encoder of tinaudio/synth-setter (9bc6133) gives on timm 1.0.28 for ``weights`` and ``sound(24_000)``: of
# each hidden state the first four numbers of the first clip's mean over patches, and the mean square of the second.
PUBLISHED = (
    ((0.240184, 0.986856, 0.101226, 0.047029), 1.031872),
    ((-0.637929, 2.014943, -0.098256, 3.443829), 2.223995),
    ((-0.749159, 2.31714, -1.501208, 0.832731), 1.067335),
)


def arguments(preprocess: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> str:
    """Return the configuration as the authors write it: with commas before brackets."""
    text = json.dumps({"preprocess": FRONT | (preprocess or {}), "model": MODEL | (model or {}), "train": {"lr": 1.0}})
    return text.replace("}", ",}").replace("]", ",]")


def weights() -> dict[str, torch.Tensor]:
    """Draw each tensor from a generator that its name seeds, as they were drawn for the public code."""
    found = {}
    for name, size in pupu_m2d.tensor_shapes(SMALL).items():
        drawn: NDArray[Any] = np.random.default_rng(list(name.encode())).standard_normal(size).astype(np.float32)
        drawn = 0.1 * drawn + name.endswith("weight") if len(size) == 1 else drawn / np.sqrt(math.prod(size[1:]))
        found[name] = torch.from_numpy(np.asarray(drawn, np.float32))
    return found


def sound(samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(0, 0.1, (2, samples)).astype(np.float32)


def save(folder: Path, files: tuple[str, str], **more: torch.Tensor) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / files[0]).write_text(arguments())
    other = {"student.norm.weight": torch.ones(2), "predictor.mask_token": torch.ones(1)}
    save_file(weights() | other | more, folder / files[1])
    return folder / files[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "small", ("args.json", "checkpoint/step-7_loss-0.1/model.safetensors"))


def test_states_are_those_of_public_code() -> None:
    states = pupu_m2d.build(SMALL, weights(), torch.device("cpu")).states(torch.from_numpy(sound(24_000)))
    assert [tuple(state.shape) for state in states] == [(2, 25 * 8, 48)] * 3
    for state, (first, square) in zip(states, PUBLISHED, strict=True):
        np.testing.assert_allclose(state[0].mean(0)[:4], first, atol=2e-5)
        assert state[1].square().mean().item() == pytest.approx(square, rel=1e-5)


def test_the_front_end_is_that_of_public_code() -> None:
    """The numbers stand in ``tests/models/test_pupujepa_encoder.py`` of tinaudio/synth-setter for 440 Hz."""
    wave = 0.25 * torch.sin(2 * torch.pi * 440 * torch.arange(96_000) / 24_000)
    spectra = pupu_m2d.build(SMALL, {}, torch.device("cpu")).spectra(wave[None])
    assert spectra.shape == (1, 400, 128)
    known = {0: 1.11500394, 4: 1.16001856, 10: 1.40300822, 20: 1.39413226, 40: 0.29106188, 100: -1.30110860}
    for band, value in known.items():
        assert spectra[0, 0, band].item() == pytest.approx(value, abs=2e-5)


def test_the_published_sizes_are_reached() -> None:
    """Public readers of the checkpoints state 1.50 GiB for what is read of Large, and 113 million numbers of Base."""

    def count(width: int, depth: int, heads: int) -> int:
        shapes = pupu_m2d.tensor_shapes(pupu_m2d.PatchShape(embed_dim=width, depth=depth, num_heads=heads))
        return sum(map(math.prod, shapes.values()))

    assert round(4 * count(1024, 24, 16) / 2**30, 2) == 1.50
    assert round(count(768, 12, 12) / 1e6) == 113


def test_a_file_gives_means_over_patches_and_long_windows_are_cut(file: Path) -> None:
    encoder = load_encoder(str(file), CPU)
    card = encoder.card
    assert (card.name, card.layers, card.dim, card.sample_rate, card.family) == ("small", 3, 48, 24_000, "pupu_m2d")
    audio = sound(30_077)
    network = pupu_m2d.build(SMALL, weights(), torch.device("cpu"))
    expected = [state.mean(1) for state in network.states(torch.from_numpy(audio))]
    np.testing.assert_allclose(encoder.encode(audio), torch.stack(expected, 1), atol=1e-5)
    long = sound(20 * 24_000)[:1]
    halves = [encoder.encode(long[:, :240_000]), encoder.encode(long[:, 240_000:])]
    np.testing.assert_allclose(encoder.encode(long), np.mean(halves, axis=0), atol=1e-6)
    assert np.isfinite(encoder.encode(audio[:, :960])).all()
    with pytest.raises(UsageError, match=r"\(960 samples\); this one has 959"):
        encoder.encode(audio[:, :959])


def test_weights_that_do_not_fit_are_named(file: Path) -> None:
    (weighed,) = file.parent.glob("checkpoint/*/model.safetensors")
    tensors = weights()
    tensors["teacher.blocks.0.attn.q_norm.weight"] = tensors.pop("teacher.blocks.1.mlp.fc2.bias")
    save_file(tensors, weighed)
    with pytest.raises(UsageError) as caught:
        load_encoder(str(file), CPU)
    assert "missing tensors: 'teacher.blocks.1.mlp.fc2.bias'" in str(caught.value)
    assert "unexpected tensors: 'teacher.blocks.0.attn.q_norm.weight'" in str(caught.value)
    save_file(tensors, file.parent / "model.safetensors")
    with pytest.raises(UsageError, match="beside it or below checkpoint, not 2"):
        load_encoder(str(file), CPU)


@pytest.mark.parametrize(
    ("front", "model"),
    [({"normalize": False}, {}), ({"fmin": 30}, {}), ({"fmax": 8000}, {}), ({"win_size": 512}, {}), ({"n_mels": 0}, {}),
     ({}, {"norm_layer": "rms"}), ({}, {"use_swiglu": False}), ({}, {"layer_scale_init_value": 0.1}),
     ({}, {"embed_dim": 50}), ({}, {"depth": "2"}), ({}, {"mlp_ratio": 2.5}), ({}, {"patch_size": [4]}),
     ({}, {"patch_size": 16}), ({"n_mels": 120}, {})],
)  # fmt: skip
def test_a_configuration_that_is_not_computed_is_refused(
    front: dict[str, Any], model: dict[str, Any], file: Path
) -> None:
    file.write_text(arguments(front, model))
    with pytest.raises(UsageError, match="not the configuration of a PupuM2D"):
        load_encoder(str(file), CPU)


def test_a_configuration_without_tables_is_refused(file: Path) -> None:
    for text in ("[]", "{}", '{"preprocess": 1}'):
        file.write_text(text)
        with pytest.raises(UsageError, match="should be whole"):
            load_encoder(str(file), CPU)


def test_a_published_model_is_found_where_its_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import HfApi

    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    entry = registry()["PupuM2D-Tiny"]
    hub = entry.load.args[0]  # type: ignore[attr-defined]
    assert "not at hand" in entry.summary
    assert dict(entry.details)["revision"] == f"pinned to {hub.revision}"  # its root holds no model to name
    assert (entry.licence, hub.files[0]) == ("MIT", "pupujepaV2_25hz_tiny/args.json")
    with pytest.raises(MissingError) as caught:
        entry.load(CPU)
    (missing,) = caught.value.missing
    assert missing.command.startswith(
        f"hf download spellbrush/PupuJEPA {hub.files[0]} {hub.files[1]} --revision 2ba230e"
    )

    class Info:
        sha = hub.revision
        siblings = ()

    asked: dict[str, Any] = {}
    look_up = huggingface_hub.snapshot_download

    def download(repository: str, **how: Any) -> str:
        if how.get("local_files_only"):
            return str(look_up(repository, **how))
        asked.update(how)
        return str(tmp_path / "came")

    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: Info())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(MissingError, match="holds no"):
        entry.load(LoadOptions(device="cpu"))
    save(tmp_path / "came", hub.files)
    fetched = entry.load(LoadOptions(device="cpu")).card
    assert (fetched.name, fetched.source) == ("PupuM2D-Tiny", f"hf:spellbrush/PupuJEPA@{hub.revision}")
    assert asked["allow_patterns"] == list(hub.files)
    snapshot = tmp_path / "hub" / "models--spellbrush--PupuJEPA" / "snapshots" / str(hub.revision)
    save(snapshot, hub.files)
    assert entry.load(CPU).card.source.endswith(str(hub.revision))
    (snapshot / hub.files[1]).unlink()
    with pytest.raises(MissingError):
        entry.load(CPU)
    save(tmp_path / "models" / "PupuM2D-Tiny", hub.files)
    assert "a copy of unknown revision" in entry.load(CPU).card.source
    note = tmp_path / "models/PupuM2D-Tiny/.cache/huggingface/download" / f"{hub.files[0]}.metadata"
    note.parent.mkdir(parents=True)
    note.write_text(f"{hub.revision}\netag\n")
    assert entry.load(CPU).card.source == f"hf:spellbrush/PupuJEPA@{hub.revision}"
