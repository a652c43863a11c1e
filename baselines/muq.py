"""MuQ: a Conformer of 12 blocks on log-mel spectra at 25 Hz, trained on music, read without its package.

Zhu et al., *MuQ: Self-Supervised Music Representation Learning with Mel Residual Vector Quantization* (arXiv
2501.01108). Architecture, key names and front end were read in ``src/muq/muq`` of tencent-ailab/MuQ (d4a6658, the
package muq 0.1.0) and, for the blocks that it takes from transformers, in ``modeling_wav2vec2_conformer.py`` of 4.48.3;
the configuration in ``muq_config2.json`` of ASLP-lab/SongFormer on the hub. The weights were not at hand: with random
weights this network gives what that code gives, and a file of its tensors has the published file's 1,333,825,096 bytes.

The hidden states are what enters the first block and what leaves each, the last after the norm behind the blocks.
Positions turn what enters queries and keys. The convolution of positions in the checkpoint is used by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from .base import EncoderCard, LoadOptions, ModelFolder
from .conformer import Conformer, block_shapes, mel_decibels
from .hub.folders import folder_reader, hub_entry
from .hub.repository import Repository
from .states import StatesEncoder, batch_norm, layer_norm, layer_shapes, linear, whole_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

CODE_VERSION = "1"
BLOCKS_OF = "w2v2_config"
"""The key that only these configurations have; they state no ``model_type``."""
SAMPLE_RATE = 24_000
FRAME = 2048
EPSILON = 1e-5

# Of what training alone uses: targets, their quantiser, the class vector; and of what can be computed.
_UNUSED = ("cls_token", "linear.", "rvq.", "quantizer_", "recon_proj.", "conformer.pos_conv_embed.", "preprocessor_")
_UNUSED_ENDS = (".num_batches_tracked", ".inv_freq")

_NAMES = {
    "layers.": "conformer.layers.",
    ".w_1.": ".intermediate_dense.",
    ".w_2.": ".output_dense.",
    ".attn_layer_norm.": ".self_attn_layer_norm.",
    ".attn.query_proj.": ".self_attn.linear_q.",
    ".attn.key_proj.": ".self_attn.linear_k.",
    ".attn.value_proj.": ".self_attn.linear_v.",
    ".attn.out_proj.": ".self_attn.linear_out.",
    ".conv_block.1.": ".pointwise_conv1.",
    ".conv_block.3.": ".depthwise_conv.",
    ".conv_block.4.1.": ".batch_norm.",
    ".conv_block.6.": ".pointwise_conv2.",
}
"""Parts of a tensor's name in :mod:`.conformer` -> in the checkpoint."""


@dataclass(frozen=True)
class MuqShape:
    """What a ``config.json`` says; defaults are those of the published class."""

    encoder_dim: int = 1024  # length of a state
    encoder_depth: int = 12  # blocks
    conv_dim: int = 512  # channels before the blocks
    n_mels: int = 128  # of the front end
    hop_length: int = 240  # samples between spectra
    num_attention_heads: int = 16  # of each block
    intermediate_size: int = 4096  # of the feed-forward layers
    conv_depthwise_kernel_size: int = 31  # of a block's convolution
    rotary_embedding_base: int = 10_000  # of the positions
    mean: float = 0.0  # of the levels in training, dB
    deviation: float = 1.0  # of them


_ALWAYS = {"hidden_act": "swish", "position_embeddings_type": "rotary", "layer_norm_eps": EPSILON}


def read_shape(config: Mapping[str, object], where: Path) -> MuqShape:
    """Return the shape that a configuration describes.

    Raises:
        UsageError: a value cannot be, or is not what this network computes.
    """
    blocks, levels = config.get(BLOCKS_OF), config.get("stat")
    told = "not the configuration of a MuQ that is read here"
    if not isinstance(blocks, dict) or not isinstance(levels, dict):
        raise UsageError(f"{where}: this is {told}: {BLOCKS_OF} and stat should be tables.")
    if config.get("label_rate", 25) != 25 or any(blocks.get(key) != value for key, value in _ALWAYS.items()):
        raise UsageError(f"{where}: this is {told}: label_rate should be 25, and in {BLOCKS_OF} {_ALWAYS}.")
    if "num_attention_heads" not in blocks:  # no tensor's shape tells it
        raise UsageError(f"{where}: this is {told}: {BLOCKS_OF} has no num_attention_heads.")
    stated: dict[str, object] = {**blocks, "conv_dim": MuqShape.conv_dim, **config}
    whole = {k: stated[k] for k, field in MuqShape.__dataclass_fields__.items() if field.type == "int" and k in stated}
    mean, deviation = (levels.get(f"melspec_2048_{part}") for part in ("mean", "std"))
    sound = all(type(number) is int and 0 < number <= 200_000 for number in whole.values())
    sound = sound and type(mean) is float and type(deviation) is float and abs(mean) < 1e4 and 0 < deviation < 1e4
    if not sound:
        raise UsageError(f"{where}: this is {told}: a number is missing or cannot be.")
    shape = MuqShape(**whole, mean=mean, deviation=deviation)  # type: ignore[arg-type]
    sound = shape.encoder_dim % (2 * shape.num_attention_heads) == 0 and shape.n_mels % 4 == 0
    if not sound or shape.conv_depthwise_kernel_size % 2 == 0 or shape.encoder_depth > 200:
        raise UsageError(f"{where}: this is {told}: its numbers do not fit one another.")
    return shape


def tensor_shapes(shape: MuqShape) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that is used, by its name in :mod:`.conformer`."""
    width, channels, kernel = shape.encoder_dim, shape.conv_dim, shape.conv_depthwise_kernel_size
    found = block_shapes(shape.encoder_depth, width, shape.intermediate_size, kernel, over_clips=True)
    for stage, into in enumerate((1, channels)):
        for k in (1, 2, 3):
            found |= layer_shapes(f"conv.conv.{stage}.conv{k}", channels, channels if k == 2 else into, 3, 3)
            found |= layer_shapes(f"conv.conv.{stage}.bn{k}", channels, statistics=True)
    found |= layer_shapes("conv.linear", width, channels * shape.n_mels // 4)
    return found | layer_shapes("conformer.layer_norm", width)


def stored_name(name: str) -> str:
    """Return a tensor's name in the checkpoint, without ``model.``."""
    for ours, theirs in _NAMES.items():
        name = name.replace(ours, theirs)
    return name


@dataclass(frozen=True)
class Muq:
    """The network as functions of its tensors."""

    shape: MuqShape  # of it
    weights: Mapping[str, Tensor]  # of :func:`tensor_shapes` by the names of :mod:`.conformer`, on one device
    window: Tensor  # of a spectrum
    filters: Tensor  # ``[bins, bands]``

    def embedded(self, levels: Tensor) -> Tensor:
        """Return what the first block takes, ``[clips, time / 4, dim]``, of levels ``[clips, time, bands]`` in dB."""
        hidden = ((levels - self.shape.mean) / self.shape.deviation).transpose(1, 2)[:, None]
        for stage in range(2):
            name = f"conv.conv.{stage}"
            straight = self._normed(name, 2, self._normed(name, 1, hidden, 2).relu(), 1)
            hidden = (self._normed(name, 3, hidden, 2) + straight).relu()
        return linear(self.weights, "conv.linear", hidden.permute(0, 3, 1, 2).flatten(2))

    def _normed(self, name: str, number: int, hidden: Tensor, stride: int) -> Tensor:
        from torch.nn import functional

        weight, bias = (self.weights[f"{name}.conv{number}.{part}"] for part in ("weight", "bias"))
        return batch_norm(self.weights, f"{name}.bn{number}", functional.conv2d(hidden, weight, bias, stride, 1))

    def states(self, audio: Tensor) -> list[Tensor]:
        """Return the hidden states, ``[clips, time, dim]`` each, of ``[clips, samples]``."""
        from torch.nn import functional

        shape, base = self.shape, float(self.shape.rotary_embedding_base)
        hidden = self.embedded(mel_decibels(audio, self.window, self.filters, FRAME, shape.hop_length))
        heads = shape.num_attention_heads
        blocks = Conformer(self.weights, shape.encoder_depth, heads, EPSILON, base, functional.silu, turned_first=True)
        *states, last = blocks.states(hidden)
        return [hidden, *states, layer_norm(self.weights, "conformer.layer_norm", last, EPSILON)]


def build(shape: MuqShape, weights: Mapping[str, Tensor], place: torch.device) -> Muq:
    """Return the network of tensors that have the checkpoint's names, without ``model.``."""
    import torch
    from transformers.audio_utils import mel_filter_bank

    # As ``melscale_fbanks`` of torchaudio: triangles of height one, evenly spaced by 2595 log10(1 + f / 700).
    bank = mel_filter_bank(FRAME // 2 + 1, shape.n_mels, 0.0, SAMPLE_RATE / 2, SAMPLE_RATE, None, "htk")
    filters = torch.from_numpy(bank.astype("float32"))
    found = {name: weights[stored_name(name)].to(place) for name in tensor_shapes(shape)}
    return Muq(shape, found, torch.hann_window(FRAME).to(place), filters.to(place))


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
    stored, file = read_tensors(folder.path)
    prefix = "model." if all(name.startswith("model.") for name in stored) else ""
    tensors = {n.removeprefix(prefix): tensor for n, tensor in stored.items() if not n.endswith(_UNUSED_ENDS)}
    wanted = {stored_name(name): size for name, size in tensor_shapes(shape).items()}
    weights = whole_tensors(tensors, wanted, file, _UNUSED)
    card = EncoderCard(
        name=folder.name,
        family="muq",
        sample_rate=SAMPLE_RATE,
        layers=shape.encoder_depth + 1,
        dim=shape.encoder_dim,
        layer_names=tuple(f"L{k}" for k in range(shape.encoder_depth + 1)),
        min_seconds=(FRAME // 2 + 1) / SAMPLE_RATE,
        parameters=sum(tensor.numel() for name, tensor in weights.items() if "running" not in name),
        licence=licence,
        trained_on=trained_on,
        weights_sha256=weights_sha256(weights),
        code_version=CODE_VERSION,
        preprocessing=f"none; levels of {shape.n_mels} mel bands less {shape.mean:g} dB, by {shape.deviation:g} dB",
        source=folder.source,
        description=description,
    )
    place = choose_device(options.device)
    return StatesEncoder(card, build(shape, weights, place).states, place)


HUB = Repository(
    "MuQ-large-msd-iter", "OpenMuQ/MuQ-large-msd-iter", "0562a57814f6f8bbd9fdea0a25921a2fce1a841a", "CC BY-NC 4.0"
)
_SUMMARY = (
    "MuQ, a Conformer of 12 blocks on spectra at 25 Hz, self-supervised on music. The published weights were not at "
    "hand when this was written: the network equals the published code on random weights, its figures are not known."
)


ENCODERS = {HUB.name: hub_entry(HUB, _SUMMARY, ("Million Song Dataset",), _load)}
FOLDER_READERS = {BLOCKS_OF: folder_reader(_load, "A MuQ read from a folder.")}
