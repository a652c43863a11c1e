"""The kinds of audio encoders of ``transformers``: each one's class, front end, and which of its states are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Kind:
    """How one ``model_type`` is run."""

    model: str  # class of transformers
    extractor: str  # class of transformers that holds the front end's settings
    part: str  # attribute of the encoder inside the model; empty for the whole
    # ``(encoder, extractor, one window [samples]) -> [layers][dim]``, each the mean over time
    states: Callable[[Any, Any, NDArray[np.float32]], list[Tensor]]
    # ``(extractor) -> `` longest window that the model takes at once, seconds; ``None`` for any
    seconds: Callable[[Any], float | None]
    shortest: Callable[[Any, Any], int]  # ``(configuration, extractor) -> `` samples of the shortest window
    words: Callable[[Any], str]  # ``(extractor) -> `` the preprocessing, for the card


def _on_device(model: Any, array: NDArray[np.float32]) -> Tensor:
    import torch

    return torch.tensor(array, device=next(model.parameters()).device)


def _raw_states(model: Any, extractor: Any, window: NDArray[np.float32]) -> list[Tensor]:
    """States of a network on the waveform: ``[1, frames, dim]`` each."""
    from ..mert.encoder import unit_variance

    audio = unit_variance(window[None]) if extractor.do_normalize else window[None]
    return [state[0].mean(0) for state in model(_on_device(model, audio), output_hidden_states=True).hidden_states]


def _raw_shortest(config: Any, extractor: Any) -> int:
    """Receptive field of the convolutions of the front end, samples."""
    field, jump = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        field += (kernel - 1) * jump
        jump *= stride
    # The positional convolution and a squeezed Transformer need two frames in some of these models.
    return field + jump * (getattr(config, "squeeze_factor", 1) - 1)


def _raw_words(extractor: Any) -> str:
    from ..mert.checkpoint import NORMALISED

    return NORMALISED if extractor.do_normalize else "none"


def _features(model: Any, extractor: Any, window: NDArray[np.float32]) -> Tensor:
    """Spectrogram of one window, as the model's own front end computes it."""
    found = extractor(window, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    features: Tensor = found.get("input_features", found.get("input_values"))
    return features.to(next(model.parameters()).device)


def _ast_states(model: Any, extractor: Any, window: NDArray[np.float32]) -> list[Tensor]:
    """States over the patches; the two tokens before them (class and distillation) are left out."""
    found = model(_features(model, extractor, window), output_hidden_states=True)
    return [state[0, 2:].mean(0) for state in found.hidden_states]


def _clap_states(model: Any, extractor: Any, window: NDArray[np.float32]) -> list[Tensor]:
    """Output of each stage, and the embedding after the last norm; the stages differ in length.

    The front end marks one window in each batch as longer than ten seconds at random if none is (for models with
    fusion); here none ever is, and that is said to the model.
    """
    import torch

    features = _features(model, extractor, window)
    longer = torch.zeros((1, 1), dtype=torch.bool, device=features.device)
    found = model(features, is_longer=longer, output_hidden_states=True)
    # [1, dim, height, width] or [1, tokens, dim]
    stages = [s.flatten(2).mean(2)[0] if s.ndim == 4 else s[0].mean(0) for s in found.hidden_states]
    return [*stages, found.pooler_output[0]]


def _whisper_states(model: Any, extractor: Any, window: NDArray[np.float32]) -> list[Tensor]:
    """States over the frames that the window covers: the rest of the model's 30 s is padding."""
    samples_per_frame = 2 * extractor.hop_length
    frames = max(1, len(window) // samples_per_frame)
    found = model(_features(model, extractor, window), output_hidden_states=True)
    return [state[0, :frames].mean(0) for state in found.hidden_states]


def _encodec_states(model: Any, extractor: Any, window: NDArray[np.float32]) -> list[Tensor]:
    """Return the mean of the continuous embedding ``[1, dim, frames]`` that enters the quantiser."""
    return [model(_on_device(model, window[None, None]))[0].mean(1)]


def _raw(model: str) -> Kind:
    return Kind(model, "Wav2Vec2FeatureExtractor", "", _raw_states, lambda _: None, _raw_shortest, _raw_words)


def _clap(model: str, part: str) -> Kind:
    return Kind(
        model,
        "ClapFeatureExtractor",
        part,
        _clap_states,
        lambda front: front.nb_max_samples / front.sampling_rate,
        lambda config, front: front.fft_window_size,
        lambda front: (
            f"log mel, {front.feature_size} bands, {front.fft_window_size} samples; repeated to "
            f"{front.nb_max_samples / front.sampling_rate:g} s"
        ),
    )


KINDS: Mapping[str, Kind] = {
    "wav2vec2": _raw("Wav2Vec2Model"),
    "wavlm": _raw("WavLMModel"),
    "data2vec-audio": _raw("Data2VecAudioModel"),
    "unispeech": _raw("UniSpeechModel"),
    "unispeech-sat": _raw("UniSpeechSatModel"),
    "sew": _raw("SEWModel"),
    "wav2vec2-conformer": _raw("Wav2Vec2ConformerModel"),
    "audio-spectrogram-transformer": Kind(
        "ASTModel",
        "ASTFeatureExtractor",
        "",
        _ast_states,
        lambda front: front.max_length * 0.01,
        lambda config, front: round(0.025 * front.sampling_rate),
        lambda front: f"log mel filter bank, {front.num_mel_bins} bands, padded to {front.max_length * 0.01:g} s",
    ),
    "clap": _clap("ClapModel", "audio_model"),
    "clap_audio_model": _clap("ClapAudioModel", ""),
    "whisper": Kind(
        "WhisperModel",
        "WhisperFeatureExtractor",
        "encoder",
        _whisper_states,
        lambda front: front.n_samples / front.sampling_rate,
        lambda config, front: 2 * front.hop_length,
        lambda front: (
            f"log mel, {front.feature_size} bands, padded to {front.n_samples / front.sampling_rate:g} s; "
            "the padding's frames are not averaged"
        ),
    ),
    "encodec": Kind(
        "EncodecModel",
        "EncodecFeatureExtractor",
        "encoder",
        _encodec_states,
        lambda front: None,
        lambda config, front: config.hop_length,
        lambda front: "none; the embedding before the quantiser",
    ),
}
"""``model_type`` of a configuration -> how it is run."""
