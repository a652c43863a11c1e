"""Encoders of transformers: each kind against transformers itself, from a tiny checkpoint with random weights."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from cmbench.baselines import LoadOptions, registry
from cmbench.baselines.huggingface.encoder import PUBLISHED, TransformersEncoder
from cmbench.baselines.huggingface.kinds import KINDS
from cmbench.baselines.registry import load_folder
from cmbench.errors import MissingError, UsageError

transformers: Any = pytest.importorskip("transformers")
CPU = LoadOptions(device="cpu", offline=True)

SPEECH = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 3, 3],
    "conv_stride": [5, 4, 4],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
CLAP = {
    "patch_embeds_hidden_size": 8,
    "hidden_size": 32,
    "depths": [1, 1, 1],
    "num_attention_heads": [1, 2, 2],
    "num_hidden_layers": 3,
    "spec_size": 64,
    "window_size": 4,
    "num_mel_bins": 16,
    "aff_block_r": 2,
}


@dataclass(frozen=True)
class Case:
    """A tiny model: its class and configuration, the settings of its front end, and what it must be read as."""

    model: str
    config: Callable[[], Any]
    extractor: Callable[[], Any]
    seconds: float = 0.5


def _config(name: str, **settings: Any) -> Callable[[], Any]:
    return lambda: getattr(transformers, name)(**settings)


def _speech_extractor(normalise: bool) -> Callable[[], Any]:
    return lambda: transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise, sampling_rate=16_000)


def _clap_extractor() -> Any:
    return transformers.ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16_000,
        hop_length=250,
        max_length_s=1,
        fft_window_size=512,
        frequency_max=8000,
        truncation="rand_trunc",
    )


def _clap_config() -> Any:
    text = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 16,
        "vocab_size": 9,
    }
    return transformers.ClapConfig(text_config=text, audio_config=CLAP, projection_dim=8)


CASES = {
    "wav2vec2": Case("Wav2Vec2ForPreTraining", _config("Wav2Vec2Config", **SPEECH), _speech_extractor(True)),
    "wavlm": Case("WavLMModel", _config("WavLMConfig", **SPEECH), _speech_extractor(False)),
    "data2vec-audio": Case(
        "Data2VecAudioModel",
        _config("Data2VecAudioConfig", **SPEECH | {"num_conv_pos_embeddings": 2}),
        _speech_extractor(True),
    ),
    "unispeech": Case("UniSpeechModel", _config("UniSpeechConfig", **SPEECH), _speech_extractor(True)),
    "unispeech-sat": Case("UniSpeechSatModel", _config("UniSpeechSatConfig", **SPEECH), _speech_extractor(True)),
    "sew": Case("SEWModel", _config("SEWConfig", **SPEECH), _speech_extractor(True)),
    "wav2vec2-conformer": Case(
        "Wav2Vec2ConformerModel",
        _config("Wav2Vec2ConformerConfig", **SPEECH, conv_depthwise_kernel_size=3),
        _speech_extractor(True),
    ),
    "audio-spectrogram-transformer": Case(
        "ASTForAudioClassification",
        _config(
            "ASTConfig", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            max_length=64, num_mel_bins=32,
        ),
        lambda: transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=32),
    ),
    "clap": Case("ClapModel", _clap_config, _clap_extractor),
    "clap_audio_model": Case("ClapAudioModel", _config("ClapAudioConfig", **CLAP), _clap_extractor),
    "whisper": Case(
        "WhisperForConditionalGeneration",
        _config(
            "WhisperConfig", d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=16, num_mel_bins=20, max_source_positions=50,
            vocab_size=20, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        ),
        lambda: transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1),
    ),
    "encodec": Case(
        "EncodecModel",
        _config("EncodecConfig", num_filters=2, hidden_size=12, upsampling_ratios=[4, 4], codebook_size=8,
                codebook_dim=12, num_lstm_layers=1, target_bandwidths=[1.5], sampling_rate=24_000),
        lambda: transformers.EncodecFeatureExtractor(sampling_rate=24_000),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each case's model, saved as its authors would save it."""
    root = tmp_path_factory.mktemp("models")
    for kind, case in CASES.items():
        torch.manual_seed(0)
        model = getattr(transformers, case.model)(case.config())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.05 * torch.randn(parameter.shape)
        model.save_pretrained(root / kind)
        case.extractor().save_pretrained(root / kind)
    return {kind: root / kind for kind in CASES}


def load(folder: Path) -> TransformersEncoder:
    encoder = load_folder(folder, CPU)
    assert isinstance(encoder, TransformersEncoder)
    return encoder


def music(encoder: TransformersEncoder, seconds: float, batch: int) -> NDArray[np.float32]:
    rate = encoder.card.sample_rate
    time = np.arange(round(seconds * rate)) / rate
    clips = [np.sin(2 * np.pi * 220 * (i + 1) * time) * np.exp(-time * i) for i in range(batch)]
    return (0.3 * np.stack(clips) + 0.1).astype(np.float32)


def reference(kind: str, folder: Path, audio: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Hidden states of one short clip by the saved class itself and its own front end, pooled here."""
    case = CASES[kind]
    model = getattr(transformers, case.model).from_pretrained(folder).eval()
    front = transformers.AutoFeatureExtractor.from_pretrained(folder)
    given = front(audio, sampling_rate=front.sampling_rate, return_tensors="pt")
    with torch.no_grad():
        if kind == "encodec":
            return [model.encoder(torch.from_numpy(audio)[None, None])[0].mean(-1).numpy()]
        if kind == "whisper":
            states = model.model.encoder(given["input_features"], output_hidden_states=True).hidden_states
            return [state[0, : len(audio) // 320].mean(0).numpy() for state in states]
        if kind.startswith("clap"):
            tower = model.audio_model if kind == "clap" else model
            out = tower(given["input_features"], output_hidden_states=True)
            return [*(s.mean((2, 3))[0].numpy() for s in out.hidden_states), out.pooler_output[0].numpy()]
        states = model(given["input_values"], output_hidden_states=True).hidden_states
        skipped = 2 if kind.startswith("audio-") else 0
        return [state[0, skipped:].mean(0).numpy() for state in states]


@pytest.mark.parametrize("kind", CASES)
def test_states_are_those_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    encoder = load(folders[kind])
    audio = music(encoder, CASES[kind].seconds, 1)
    expected = reference(kind, folders[kind], audio[0])
    got = encoder.encode(audio)[0]
    assert encoder.card.layers == len(expected) == len(encoder.card.layer_names)
    assert encoder.card.dim == max(map(len, expected))
    for state, values in zip(got, expected, strict=True):
        np.testing.assert_allclose(state[: len(values)], values, atol=2e-5)
        assert not state[len(values) :].any()
    assert not np.allclose(got[-1], 0)


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_a_row_does_not_depend_on_its_batch_and_the_shortest_window_works(kind: str, folders: dict[str, Path]) -> None:
    encoder = load(folders[kind])
    audio = music(encoder, CASES[kind].seconds, 3)
    singles = np.concatenate([encoder.encode(audio[i : i + 1]) for i in (2, 1, 0)])[::-1]
    assert np.array_equal(encoder.encode(audio), singles)
    shortest = round(encoder.card.min_seconds * encoder.card.sample_rate)
    assert np.isfinite(encoder.encode(audio[:1, :shortest])).all()
    with pytest.raises(UsageError, match=f"{shortest - 1} samples"):
        encoder.encode(audio[:1, : shortest - 1])
    with pytest.raises(UsageError, match="must be float32"):
        encoder.encode(audio[0])


@pytest.mark.parametrize("kind", CASES)
def test_weights_are_known_by_their_hash(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    changed = copy(folders[kind], tmp_path / "m")
    tensors = load_file(changed / "model.safetensors")
    first, other = ("layers.0.", "layer.0."), ("text", "decoder", "bias")
    named = (n for n in sorted(tensors) if "weight" in n and not any(o in n for o in other))
    name = next(n for n in named if any(f in n for f in first))
    tensors[name] += torch.rand(tensors[name].shape)
    save_file(tensors, changed / "model.safetensors", metadata={"format": "pt"})
    before, after = load(folders[kind]), load(changed)
    assert before.card.fingerprint == load(folders[kind]).card.fingerprint
    assert before.card.fingerprint != after.card.fingerprint
    audio = music(before, CASES[kind].seconds, 1)
    assert not np.array_equal(before.encode(audio), after.encode(audio))


def copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


@pytest.mark.parametrize("kind", ["audio-spectrogram-transformer", "clap", "whisper"])
def test_a_long_window_is_the_mean_of_equal_parts(kind: str, folders: dict[str, Path]) -> None:
    encoder = load(folders[kind])
    assert encoder.longest is not None
    audio = music(encoder, 2.4 * encoder.longest / encoder.card.sample_rate, 1)
    third = -(-audio.shape[1] // 3)
    parts = [audio[:, :third], audio[:, (audio.shape[1] - third) // 2 :][:, :third], audio[:, -third:]]
    expected = np.mean([encoder.encode(part) for part in parts], axis=0)
    np.testing.assert_allclose(encoder.encode(audio), expected, atol=1e-5)
    assert "averaged" in encoder.card.preprocessing


def test_input_is_normalised_as_the_preprocessor_says(folders: dict[str, Path], tmp_path: Path) -> None:
    plain = copy(folders["wav2vec2"], tmp_path / "m")
    settings = json.loads((plain / "preprocessor_config.json").read_text())
    (plain / "preprocessor_config.json").write_text(json.dumps(settings | {"do_normalize": False}))
    normalising, bare = load(folders["wav2vec2"]), load(plain)
    audio = music(normalising, 0.5, 1)
    np.testing.assert_allclose(normalising.encode(audio), normalising.encode(3 * audio), atol=1e-4)
    # The group norm of the front end leaves little of the difference.
    assert not np.allclose(normalising.encode(audio), bare.encode(audio), atol=1e-5)
    assert normalising.card.fingerprint != bare.card.fingerprint


@pytest.mark.parametrize("kind", ["wav2vec2", "clap", "encodec"])
@pytest.mark.parametrize("fault", ["missing", "unexpected", "wrongly shaped"])
def test_tensors_that_do_not_fit_are_named(kind: str, fault: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders[kind], tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    name = next(n for n in sorted(tensors) if n.endswith("bias") and "quantizer" not in n and "project" not in n)
    if fault == "missing":
        del tensors[name]
    elif fault == "unexpected":
        tensors["encoder.misspelt.weight"] = tensors.pop(name)
    else:
        tensors[name] = torch.zeros(tensors[name].numel() + 1)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=f"{fault} tensors") as caught:
        load(folder)
    told = "misspelt" if fault == "unexpected" else name.split(".")[-2]
    assert told in str(caught.value)


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_pickles_are_read_without_running_their_code(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["wavlm"], tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert load(folder).card.fingerprint == load(folders["wavlm"]).card.fingerprint
    torch.save(tensors | {"evil": Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match="Its code was not run"):
        load(folder)
    assert not (tmp_path / "ran").exists()
    with (folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"evil": Evil(tmp_path / "ran")}, file, protocol=2)
    with pytest.raises(UsageError):
        load(folder)
    assert not (tmp_path / "ran").exists()


def change(folder: Path, target: Path, file: str, **settings: Any) -> Path:
    changed = copy(folder, target)
    content = json.loads((changed / file).read_text()) | settings
    (changed / file).write_text(json.dumps(content))
    return changed


def test_kernels_that_a_configuration_names_are_not_fetched(folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers runs the code of a hub repository whose name stands in place of an attention's."""
    import transformers

    evil = {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel", "use_kernels": True}
    for kind in ("wav2vec2", "clap"):
        inside = json.loads((folders[kind] / "config.json").read_text())
        nested = {key: value | evil for key, value in inside.items() if isinstance(value, dict)}
        encoder = load(change(folders[kind], tmp_path / kind, "config.json", **evil, **nested))
        honest = load(folders[kind])
        audio = music(encoder, 1.0, 1)
        assert np.array_equal(encoder.encode(audio), honest.encode(audio))
    config: Any = transformers.AutoConfig.from_pretrained(tmp_path / "wav2vec2")
    assert config._attn_implementation == "evil/kernel", "transformers no longer reads it: the test proves nothing"


@pytest.mark.parametrize(
    ("file", "settings", "words"),
    [
        ("config.json", {"hidden_size": "x"}, "hidden_size"),
        ("config.json", {"hidden_act": "nope"}, "nope"),
        ("config.json", {"num_attention_heads": 0}, "ZeroDivisionError"),
        ("config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config"),
        ("preprocessor_config.json", {"sampling_rate": 0}, "sample rate 0"),
        ("preprocessor_config.json", {"sampling_rate": "16000"}, "sample rate '16000'"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused(
    file: str, settings: dict[str, Any], words: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        load(change(folders["wav2vec2"], tmp_path / "m", file, **settings))


def test_shapes_that_do_not_work_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    stride = json.loads((folders["wav2vec2"] / "config.json").read_text())["conv_stride"]
    with pytest.raises(UsageError, match="do not make a working model"):
        load(change(folders["wav2vec2"], tmp_path / "m", "config.json", conv_stride=[0] * len(stride)))


def test_adapters_and_weights_that_are_not_finite_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["wav2vec2"], tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if n.endswith("attention.q_proj.weight"))
    save_file(weights | {name: weights[name] * torch.nan}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"layers\.0\.attention\.q_proj\.weight.*finite"):
        load(folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="adapter"):
        load(folder)


def test_training_mode_is_never_active(folders: dict[str, Path]) -> None:
    encoder = load(folders["wav2vec2"])
    audio = music(encoder, 2.0, 1)
    before = encoder.encode(audio)
    encoder.model.train()
    assert np.array_equal(encoder.encode(audio), before)


def test_code_of_a_repository_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copy(folders["wavlm"], tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "modeling_evil.Evil", "AutoModel": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": names}))
    (folder / "modeling_evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    assert load(folder).card.layers == 3
    assert not (tmp_path / "ran").exists()


def test_folders_that_are_not_models_say_why(folders: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text('{"model_type": "wavlm"}')
    with pytest.raises(UsageError, match=r"neither a \.safetensors file"):
        load(empty)
    (empty / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match=r"model_type is 'bert'; cmbench reads .*wavlm"):
        load(empty)
    cut = copy(folders["wavlm"], tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:200])
    with pytest.raises(UsageError, match="not a complete safetensors file"):
        load(cut)
    deaf = copy(folders["wavlm"], tmp_path / "deaf")
    for name in ("preprocessor_config.json", "processor_config.json"):
        (deaf / name).unlink(missing_ok=True)
    with pytest.raises(UsageError, match=r"A preprocessor_config\.json or processor_config\.json is needed"):
        load(deaf)
    stereo = copy(folders["encodec"], tmp_path / "stereo")
    config = json.loads((stereo / "config.json").read_text())
    (stereo / "config.json").write_text(json.dumps(config | {"audio_channels": 2}))
    with pytest.raises(UsageError, match="only mono"):
        load(stereo)


def test_hubert_is_read_natively(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = transformers.HubertModel(transformers.HubertConfig(**SPEECH)).eval()
    model.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    audio = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32) * 0.1
    with torch.no_grad():
        states = model(torch.from_numpy(audio), output_hidden_states=True).hidden_states
    expected = np.stack([state.mean(1).numpy() for state in states], 1)
    np.testing.assert_allclose(load_folder(tmp_path, CPU).encode(audio), expected, atol=1e-5)


@pytest.mark.parametrize("hub", [hub for hub, _, _ in PUBLISHED], ids=lambda hub: hub.name)
def test_named_models_say_what_is_missing(hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(MissingError) as caught:
        registry()[hub.name].load(CPU)
    assert hub.repository in caught.value.missing[0].command


def test_a_named_model_is_found_in_the_models_folder(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    copy(folders["wavlm"], tmp_path / "wavlm-base-plus")
    card = registry()["wavlm-base-plus"].load(CPU).card
    assert card.name == "wavlm-base-plus"
    assert "Libri-Light 60,000 h" in card.trained_on
    copy(folders["wavlm"], tmp_path / "encodec-24khz")
    assert registry()["encodec-24khz"].load(CPU).card.layers == 3


@pytest.mark.parametrize(
    "wrapper",
    ["module.", "_orig_mod.", "module._orig_mod.wav2vec2.", "module.module.", "model.", "module.model.model."],
)
def test_wrapped_names_and_odd_files_give_the_same_model(
    wrapper: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    plain = folders["wav2vec2"]
    expected = load_folder(plain, CPU).card.weights_sha256
    folder = tmp_path / "m"
    shutil.copytree(plain, folder)
    stored = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("wav2vec2."): tensor for name, tensor in stored.items()}
    wrapped = {wrapper + name if not name.startswith(("quantizer", "project")) else name: t for name, t in bare.items()}
    save_file(wrapped, folder / "model.safetensors")
    assert load_folder(folder, CPU).card.weights_sha256 == expected
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert load_folder(folder, CPU).card.weights_sha256 == expected
    (folder / "weights.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UsageError, match="pointer of Git LFS"):
        load_folder(folder, CPU)


def test_the_front_end_may_stand_in_the_processors_file(folders: dict[str, Path], tmp_path: Path) -> None:
    plain = folders["wav2vec2"]
    expected = load_folder(plain, CPU).card
    folder = tmp_path / plain.name
    shutil.copytree(plain, folder)
    front = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match="there is no file of it"):
        load_folder(folder, CPU)
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": front}))
    assert load_folder(folder, CPU).card == expected
