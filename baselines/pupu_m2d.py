"""PupuM2D (PupuJEPA): a Transformer over patches of a log-mel spectrum, 25 times 8 a second, read without its code.

Gu et al., *Frequency-Aware Self-Supervised Music Representation Learning* (arXiv 2606.25713). The authors' repository,
sizigi/PupuJEPA at 54a621e, was read in copies: ``models/components/pupujepa_encoder.py`` and ``pupujepa.py`` of
tinaudio/synth-setter (9bc6133), which load the published Tiny and Large tensor by tensor and state their file names;
blocks and positions in ``models/eva.py`` and ``layers/pos_embed_sincos.py`` of timm 1.0.28. Those blocks leave
``qk_norm`` of the configuration aside, and the checkpoints hold no tensors for it. Two other readers of the authors'
code add 1e-9 to a spectrum's power; that is followed. The weights were not at hand.

The teacher is read, which the authors use too; hidden states are the patches that enter its blocks and what leaves each
block, the last after the norm behind them. The mean is over time and bands. Positions are spread over a window whatever
its length, so one longer than those of the training (10.24 s) is cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..untrusted import parse_yaml, read_head
from .base import EncoderCard, EncoderEntry, FileReader, LoadOptions
from .hub.repository import Repository, locate
from .states import StatesEncoder, layer_norm, layer_shapes, linear, whole_tensors

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

CODE_VERSION = "1"
ARGUMENTS = "args.json"
EPSILON = 1e-5
MEAN, DEVIATION = -4.089994845986366, 2.0242277159094813
"""Of the logarithms in training; the authors' code has them as numbers."""
RESOLUTION = 224
"""Twice the highest frequency of a position, the default of timm."""

_UNUSED = ("student.", "predictor.", "rope_encoder.", "rope_predictor.")


@dataclass(frozen=True)
class PatchShape:
    """What an ``args.json`` says; defaults are those of the published Tiny."""

    embed_dim: int = 192  # length of a state
    depth: int = 12  # blocks
    num_heads: int = 3  # of each block
    mlp_ratio: int = 4  # length within a block's gated layers, by that of a state
    patch_size: tuple[int, ...] = (4, 16)  # spectra, bands
    sample_rate: int = 24_000  # Hz
    n_fft: int = 1024  # samples of a spectrum and of its window
    hop_size: int = 240  # samples between spectra
    n_mels: int = 128  # bands
    cut_mel_frame: int = 1024  # spectra of a window of the training


_ALWAYS = {"normalize": True, "flip_ft": True, "fmin": 0, "use_swiglu": True, "norm_layer": "layer"} | {
    "frequency_first": False, "in_chans": 1, "layer_scale_init_value": None,
}  # fmt: skip
"""What is computed here, whatever else the authors' code can do."""


def read_shape(text: str, where: Path) -> PatchShape:
    """Return the shape that the text of an ``args.json`` describes; a comma before a bracket is let pass, as there.

    Raises:
        UsageError: a value cannot be, or is not what this network computes.
    """
    read = parse_yaml(text, where)[1]
    tables = [read.get(name) if isinstance(read, dict) else None for name in ("preprocess", "model")]
    stated = {key: value for table in tables if isinstance(table, dict) for key, value in table.items()}
    told = f"{where}: this is not the configuration of a PupuM2D that is read here"
    if wrong := [key for key, value in _ALWAYS.items() if stated.get(key, value) != value]:
        raise UsageError(f"{told}: {wrong[0]} should be {_ALWAYS[wrong[0]]!r}.")
    numbers: dict[str, Any] = {key: stated.get(key) for key in PatchShape.__dataclass_fields__ if key != "patch_size"}
    patch: Any = stated.get("patch_size")
    every = [*numbers.values(), *(patch if isinstance(patch, list) else [])]
    if len(every) != 11 or not all(type(n) in (int, float) and 0 < n <= 200_000 and n == int(n) for n in every):
        raise UsageError(
            f"{told}: in preprocess and model, {', '.join(PatchShape.__dataclass_fields__)} should be whole."
        )
    shape = PatchShape(**{key: int(n) for key, n in numbers.items()}, patch_size=tuple(patch))
    sound = shape.embed_dim % (4 * shape.num_heads) == 0 and shape.n_mels % shape.patch_size[1] == 0
    sound = sound and stated.get("win_size", shape.n_fft) == shape.n_fft >= shape.hop_size and shape.depth <= 200
    if not sound or stated.get("fmax", shape.sample_rate // 2) != shape.sample_rate // 2:
        raise UsageError(f"{told}: its numbers do not fit one another.")
    return shape


def tensor_shapes(shape: PatchShape) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that is used, by its name in the checkpoint."""
    width, inner = shape.embed_dim, shape.embed_dim * shape.mlp_ratio
    found = layer_shapes("patch_embed.proj", width, 1, *shape.patch_size)
    found |= layer_shapes("patch_embed.norm_layer", width) | layer_shapes("teacher.norm", width)
    for block in (f"teacher.blocks.{k}" for k in range(shape.depth)):
        found |= layer_shapes(f"{block}.norm1", width) | layer_shapes(f"{block}.norm2", width)
        found |= layer_shapes(f"{block}.attn.qkv", 3 * width, width) | layer_shapes(f"{block}.attn.proj", width, width)
        found |= layer_shapes(f"{block}.mlp.fc1", 2 * inner, width) | layer_shapes(f"{block}.mlp.fc2", width, inner)
    return found


@dataclass(frozen=True)
class PupuM2D:
    """The network as functions of its tensors."""

    shape: PatchShape  # of it
    weights: Mapping[str, Tensor]  # of :func:`tensor_shapes`, float32, on one device
    filters: Tensor  # ``[bands, bins]``, of equal area

    def spectra(self, audio: Tensor) -> Tensor:
        """Return normalised logarithms of mel magnitudes ``[clips, time, bands]`` of ``[clips, samples]``."""
        import torch
        from torch.nn import functional

        size, hop = self.shape.n_fft, self.shape.hop_size
        sides = (size - hop) // 2
        padded = functional.pad(audio[:, None], (sides, sides), mode="reflect")[:, 0]
        window = torch.hann_window(size, device=audio.device)
        spectrum = torch.view_as_real(torch.stft(padded, size, hop, size, window, center=False, return_complex=True))
        mel = self.filters @ (spectrum.square().sum(-1) + 1e-9).sqrt()
        return ((mel.clamp(min=1e-5).log() - MEAN) / (DEVIATION + 1e-8)).transpose(1, 2)

    def states(self, audio: Tensor) -> list[Tensor]:
        """Return the hidden states, ``[clips, time * bands, dim]`` each, of ``[clips, samples]``."""
        from torch.nn import functional

        name = "patch_embed.proj"
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        image = functional.conv2d(self.spectra(audio)[:, None], weight, bias, self.shape.patch_size)
        turns = self._turns(image.shape[2], image.shape[3], image.device)
        patches = image.permute(0, 2, 3, 1).flatten(1, 2)
        found = [layer_norm(self.weights, "patch_embed.norm_layer", patches, EPSILON)]
        for k in range(self.shape.depth):
            found.append(self._block(f"teacher.blocks.{k}", found[-1], turns))
        return [*found[:-1], layer_norm(self.weights, "teacher.norm", found[-1], EPSILON)]

    def _block(self, name: str, hidden: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        from torch.nn import functional

        heads = (*hidden.shape[:2], 3, self.shape.num_heads, -1)
        inner = linear(self.weights, f"{name}.attn.qkv", layer_norm(self.weights, f"{name}.norm1", hidden, EPSILON))
        query, key, value = inner.view(heads).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(_turned(query, turns), _turned(key, turns), value)
        hidden = hidden + linear(self.weights, f"{name}.attn.proj", found.transpose(1, 2).flatten(2))
        inner = linear(self.weights, f"{name}.mlp.fc1", layer_norm(self.weights, f"{name}.norm2", hidden, EPSILON))
        gate, inner = inner.chunk(2, -1)
        return hidden + linear(self.weights, f"{name}.mlp.fc2", functional.silu(gate) * inner)

    def _turns(self, time: int, bands: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of each patch's angles, ``[patches, head / 2]``: of its time, then of its band.

        Both lie between -1 and 1 over the window, and frequencies between pi and 112 pi.
        """
        import torch

        count = self.shape.embed_dim // self.shape.num_heads // 4
        rates = torch.pi * 2 ** torch.linspace(0, math.log2(RESOLUTION) - 1, count)
        places = torch.meshgrid(torch.linspace(-1, 1, time), torch.linspace(-1, 1, bands), indexing="ij")
        angles = (torch.stack(places, -1)[..., None] * rates).view(time * bands, -1).to(device)
        return angles.cos(), angles.sin()


def _turned(value: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each even number of a head with the odd one behind it."""
    import torch

    even, odd = value[..., ::2], value[..., 1::2]
    return torch.stack([even * turns[0] - odd * turns[1], odd * turns[0] + even * turns[1]], -1).flatten(-2)


def build(shape: PatchShape, weights: Mapping[str, Tensor], place: torch.device) -> PupuM2D:
    """Return the network of tensors that have the checkpoint's names."""
    import torch

    from .spectral.encoder import mel_filters

    filters = torch.from_numpy(mel_filters(shape.sample_rate, shape.n_fft, shape.n_mels).toarray())
    return PupuM2D(shape, {name: tensor.to(place) for name, tensor in weights.items()}, filters.to(place))


def read_file(file: Path, options: LoadOptions) -> StatesEncoder:
    """Load the PupuM2D of an ``args.json``; its ``model.safetensors`` lies beside it, or below ``checkpoint/*/``.

    Raises:
        UsageError: there is no such model whole; the message names the file and the tensors.
    """
    return _load(file, options, Repository(file.parent.name, ""), "a local file", "A PupuM2D of a file.")


def _load(file: Path, options: LoadOptions, hub: Repository, source: str, description: str) -> StatesEncoder:
    from .device import choose_device
    from .hub.about import weights_sha256
    from .mert.checkpoint import read_tensors

    shape = read_shape(read_head(file, 1_000_000), file)
    found = [one for where in (".", "checkpoint/*") for one in sorted(file.parent.glob(f"{where}/model.safetensors"))]
    if len(found) != 1:
        raise UsageError(f"{file}: one model.safetensors should lie beside it or below checkpoint, not {len(found)}.")
    weights = whole_tensors(read_tensors(found[0].parent)[0], tensor_shapes(shape), found[0], _UNUSED)
    seconds = shape.cut_mel_frame * shape.hop_size / shape.sample_rate
    card = EncoderCard(
        name=hub.name,
        family="pupu_m2d",
        sample_rate=shape.sample_rate,
        layers=shape.depth + 1,
        dim=shape.embed_dim,
        layer_names=tuple(f"L{k}" for k in range(shape.depth + 1)),
        min_seconds=shape.patch_size[0] * shape.hop_size / shape.sample_rate,
        parameters=sum(tensor.numel() for tensor in weights.values()),
        licence=hub.licence,
        trained_on=("not stated",),
        weights_sha256=weights_sha256(weights),
        code_version=CODE_VERSION,
        preprocessing=f"none; windows beyond {seconds:g} s are cut into equal parts; mean over time and bands",
        source=source,
        description=description,
    )
    place = choose_device(options.device)
    return StatesEncoder(card, build(shape, weights, place).states, place, seconds)


def _entry(size: str, step: str, what: str) -> EncoderEntry:
    where, commit = f"pupujepaV2_25hz_{size.lower()}", "2ba230e41440c5b450a8dc8ad5d4a3cc9930f01d"
    files = (f"{where}/{ARGUMENTS}", f"{where}/checkpoint/{step}/model.safetensors")
    hub = Repository(f"PupuM2D-{size}", "spellbrush/PupuJEPA", commit, "MIT", files)
    summary = (
        f"PupuM2D, a Transformer over patches of spectra, {what}, self-supervised on music. The published weights were "
        "not at hand when this was written: the network equals public code on random weights; what it scores is open."
    )
    load = partial(_load_published, hub, summary)
    return EncoderEntry(hub.name, summary, hub.licence, hub.source, load, (("revision", hub.pinning),))


def _load_published(hub: Repository, description: str, options: LoadOptions) -> StatesEncoder:
    found = locate(hub, options)
    return _load(found.folder / hub.files[0], options, hub, found.source, description)


PUBLISHED = (
    ("Tiny", "step-0500000_loss-0.125064", "12 blocks of 192"),
    ("Large", "step-0500000_loss-0.176985", "24 blocks of 1,024"),
)
ENCODERS = {entry.name: entry for entry in starmap(_entry, PUBLISHED)}
FILE_READERS: dict[str, FileReader] = {ARGUMENTS: read_file}
