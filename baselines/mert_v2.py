"""MERT-v2: a Conformer of 24 blocks on log-mel spectra at 25 Hz, read without the code of its repository.

Architecture, key names and defaults were read in ``modeling_mert2.py`` and ``configuration_mert2.py`` of
m-a-p/MERT-v2-FullSong (revision d8ba1c7), as wongfei2009/Wan2GP at 49e3c60 has them (``models/TTS/yue2/sheetsage2/``),
and the shapes of all tensors in a public converter of its ``model.safetensors``. The weights were not at hand:
with random weights this network gives what that code gives.

Window and mel filters are tensors of the checkpoint. The hidden states are those after each block, without the blocks'
input. The norm over time in the front end sees the whole window, so a window must not be padded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from .base import EncoderCard, LoadOptions, ModelFolder
from .conformer import Conformer, block_shapes, convolve, mel_decibels
from .hub.folders import folder_reader, hub_entry
from .hub.repository import Repository
from .states import StatesEncoder, layer_norm, layer_shapes, linear, whole_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

CODE_VERSION = "1"
MODEL_TYPE = "mert2"
STRIDES = (1, 2, 2)
"""Of the three stages before the blocks: 100 frames a second become 25."""

_SECONDS = {"30s": 30.0, "fs": 360.0}
"""What the model hears at once, by its variant."""


@dataclass(frozen=True)
class ConformerShape:
    """What a ``config.json`` says; defaults are those of the published class."""

    hidden_size: int = 1024  # length of a state
    intermediate_size: int = 4096  # of the feed-forward layers
    num_hidden_layers: int = 24  # blocks
    num_attention_heads: int = 16  # of each block
    num_mel_bins: int = 128  # of the front end
    sampling_rate: int = 24_000  # Hz
    n_fft: int = 2048  # samples of a spectrum
    win_length: int = 2048  # samples of its window
    hop_length: int = 240  # samples between spectra
    subsampling_channels: tuple[int, ...] = (128, 512, 1024)  # of the three stages
    subsampling_depths: tuple[int, ...] = (3, 4, 5)  # their layers
    conv_depthwise_kernel_size: int = 31  # of a block's convolution
    rotary_embedding_base: float = 10_000.0  # of the positions
    layer_norm_eps: float = 1e-5  # of the blocks
    subsampling_layer_norm_eps: float = 1e-6  # of the stages
    seconds: float = 30.0  # of the longest window

    def stages(self) -> list[tuple[int, int, int, int]]:
        """Return channels in, channels out, stride and depth of each stage before the blocks."""
        into = (self.num_mel_bins, *self.subsampling_channels[:-1])
        return list(zip(into, self.subsampling_channels, STRIDES, self.subsampling_depths, strict=True))


def read_shape(config: Mapping[str, object], where: Path) -> ConformerShape:
    """Return the shape that a configuration describes.

    Raises:
        UsageError: a value cannot be.
    """
    try:
        fields = ConformerShape.__dataclass_fields__
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k in fields and k != "seconds"}
        seconds = config.get("context_seconds") or _SECONDS[str(config.get("variant", "30s"))]
        shape = ConformerShape(**given, seconds=float(str(seconds)))  # type: ignore[arg-type]
        whole = [getattr(shape, name) for name, field in fields.items() if field.type == "int"]
        whole += [*shape.subsampling_channels, *shape.subsampling_depths]
        sound = all(type(number) is int and 0 < number <= 200_000 for number in whole) and 1 <= shape.seconds <= 3600
        broken = [shape.rotary_embedding_base, shape.layer_norm_eps, shape.subsampling_layer_norm_eps]
        sound = sound and all(type(number) in (int, float) and 0 < number < math.inf for number in broken)
        heads = shape.num_attention_heads
        sound = sound and len(shape.stages()) == 3 and shape.subsampling_channels[-1] == shape.hidden_size
        sound = sound and shape.hidden_size % (2 * heads) == 0 and shape.conv_depthwise_kernel_size % 2 == 1
        sound = sound and shape.win_length <= shape.n_fft and shape.num_hidden_layers <= 200
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{where}: this is not the configuration of a MERT-v2 ({error}).") from error
    if not sound:
        raise UsageError(f"{where}: this is not the configuration of a MERT-v2: its sizes do not fit one another.")
    return shape


def tensor_shapes(shape: ConformerShape) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the checkpoint by its name."""
    found: dict[str, tuple[int, ...]] = {
        "feature_extractor.mel_mean": (shape.num_mel_bins,),
        "feature_extractor.mel_std": (shape.num_mel_bins,),
        "feature_extractor.spectrogram.window": (shape.win_length,),
        "feature_extractor.mel_scale.fb": (shape.n_fft // 2 + 1, shape.num_mel_bins),
    }

    for stage, (into, out, stride, depth) in enumerate(shape.stages()):
        if into != out or stride > 1:
            found |= layer_shapes(f"subsampling_module.{stage}.resampling_layer.0", into)
            found |= layer_shapes(f"subsampling_module.{stage}.resampling_layer.2", out, into, 2)
        for name in (f"subsampling_module.{stage}.convnext_layers.{k}" for k in range(depth)):
            found |= layer_shapes(f"{name}.depthwise_block.1", out, 1, 7)
            found |= layer_shapes(f"{name}.pointwise_block.0", out)
            found |= layer_shapes(f"{name}.pointwise_block.1", 4 * out, out)
            found |= dict.fromkeys((f"{name}.pointwise_block.3.{part}" for part in ("weight", "bias")), (1, 1, 4 * out))
            found |= layer_shapes(f"{name}.pointwise_block.4", out, 4 * out)
    width, inner, kernel = shape.hidden_size, shape.intermediate_size, shape.conv_depthwise_kernel_size
    return found | block_shapes(shape.num_hidden_layers, width, inner, kernel, over_clips=False)


@dataclass(frozen=True)
class MertV2:
    """The network as functions of its tensors."""

    shape: ConformerShape  # of it
    weights: Mapping[str, Tensor]  # by the names of the checkpoint, float32, on one device

    def spectra(self, audio: Tensor) -> Tensor:
        """Return normalised log-mel spectra ``[clips, time, bands]`` of ``[clips, samples]``."""
        mean, deviation, window, filters = (
            self.weights[f"feature_extractor.{part}"]
            for part in ("mel_mean", "mel_std", "spectrogram.window", "mel_scale.fb")
        )
        level = mel_decibels(audio, window, filters, self.shape.n_fft, self.shape.hop_length)
        return (level - mean) / deviation.clamp(min=1e-5)

    def embedded(self, hidden: Tensor) -> Tensor:
        """Return what the first block takes, ``[clips, time / 4, hidden]``, of spectra."""
        from torch.nn import functional

        eps, weights = self.shape.subsampling_layer_norm_eps, self.weights
        for stage, (into, out, stride, depth) in enumerate(self.shape.stages()):
            name = f"subsampling_module.{stage}"
            if into != out or stride > 1:
                hidden = layer_norm(weights, f"{name}.resampling_layer.0", hidden, eps)
                hidden = convolve(weights, f"{name}.resampling_layer.2", hidden, stride)
            for k in range(depth):
                layer = f"{name}.convnext_layers.{k}"
                inner = convolve(weights, f"{layer}.depthwise_block.1", hidden, groups=out)
                inner = layer_norm(weights, f"{layer}.pointwise_block.0", inner, eps)
                inner = functional.gelu(linear(weights, f"{layer}.pointwise_block.1", inner))
                size = inner.norm(dim=1, keepdim=True)  # over the whole time
                share = size / (size.mean(-1, keepdim=True) + 1e-6)
                weight, bias = (weights[f"{layer}.pointwise_block.3.{part}"] for part in ("weight", "bias"))
                normed = weight * (inner * share) + bias + inner
                hidden = hidden + linear(weights, f"{layer}.pointwise_block.4", normed)
        return hidden

    def states(self, audio: Tensor) -> list[Tensor]:
        """Return the output of every block, ``[clips, time, hidden]``, of ``[clips, samples]``."""
        from torch.nn import functional

        shape, weights = self.shape, self.weights
        heads, eps, base = shape.num_attention_heads, shape.layer_norm_eps, shape.rotary_embedding_base
        blocks = Conformer(weights, shape.num_hidden_layers, heads, eps, base, functional.gelu)
        return blocks.states(self.embedded(self.spectra(audio)))


def _load(
    folder: ModelFolder, options: LoadOptions, licence: str, trained_on: tuple[str, ...], description: str
) -> StatesEncoder:
    """Load the encoder of a folder.

    Raises:
        UsageError: the folder does not hold such a model whole; the message names the file and the tensors.
    """
    from .device import choose_device
    from .hub.about import weights_sha256
    from .mert.checkpoint import read_tensors

    shape = read_shape(folder.config, folder.path / "config.json")
    tensors, file = read_tensors(folder.path)
    weights = whole_tensors(tensors, tensor_shapes(shape), file)
    card = EncoderCard(
        name=folder.name,
        family="mert_v2",
        sample_rate=shape.sampling_rate,
        layers=shape.num_hidden_layers,
        dim=shape.hidden_size,
        layer_names=tuple(f"block {k}" for k in range(1, shape.num_hidden_layers + 1)),
        min_seconds=max(shape.n_fft // 2 + 1, 4 * shape.hop_length) / shape.sampling_rate,
        parameters=sum(t.numel() for name, t in weights.items() if not name.startswith("feature_extractor.")),
        licence=licence,
        trained_on=trained_on,
        weights_sha256=weights_sha256(weights),
        code_version=CODE_VERSION,
        preprocessing=f"none: amplitudes are as they are; windows beyond {shape.seconds:g} s are cut into equal parts",
        source=folder.source,
        description=description,
    )
    place = choose_device(options.device)
    network = MertV2(shape, {name: tensor.to(place) for name, tensor in weights.items()})
    return StatesEncoder(card, network.states, place, shape.seconds)


_LICENCE = "CC BY-NC 4.0"
_UNSEEN = (
    "The published weights were not at hand when this was written: the network equals the published code on random "
    "weights, its figures are not known here."
)
PUBLISHED = {
    Repository("MERT-v2-30s", "m-a-p/MERT-v2-30s", None, _LICENCE): "hears 30 s at once",
    Repository("MERT-v2-FullSong", "m-a-p/MERT-v2-FullSong", "d8ba1c745e733b3908ce6ad16ebeb17ac7600a42", _LICENCE): (
        "hears 360 s at once, so windows of 30 s undersell it"
    ),
}


ENCODERS = {
    hub.name: hub_entry(
        hub,
        f"MERT-v2, a Conformer of 24 blocks on spectra at 25 Hz; {what}. {_UNSEEN}",
        ("not stated by the card",),
        _load,
    )
    for hub, what in PUBLISHED.items()
}
FOLDER_READERS = {MODEL_TYPE: folder_reader(_load, "A MERT-v2 read from a folder.")}
