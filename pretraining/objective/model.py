"""The network in training: MERT's encoder with its mask vector, token heads, codeword embeddings and CQT head.

The encoder is made of the functions of :mod:`...baselines.mert.network` that evaluation runs, so what is trained is
what is evaluated. Nothing is masked unless a mask is handed in, in training mode either, and every rate of dropout is
stated.
Heads have the names of MERT's code (``final_proj``, ``label_embs_concat``, ``encoder_cqt_model.fc``;
https://github.com/yizhilll/MERT, mert_fairseq/models/mert/mert_model.py).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ...baselines.base import LoadOptions
from ...baselines.mert.checkpoint import MASK_VECTOR, Preprocessor
from ...baselines.mert.folder import as_float16, write_folder
from ...baselines.mert.heads import CODEWORDS, CONTRAST_HEAD, CQT_HEAD, PROJECTION
from ...baselines.mert.network import (
    NO_DROPOUT,
    POSITION,
    Dropout,
    HubertShape,
    assemble,
    convolve,
    drop,
    embed,
    final_norm,
    initial_weights,
    layer,
    project,
)
from ...baselines.mert.planting import plant
from ...baselines.mert.streams import STREAMS, Stream, hear, placed
from ...baselines.network import open_network
from ...errors import UsageError
from ..recipes.recipe import RATE

if TYPE_CHECKING:
    from ...baselines.mert.heads import HeadShape

PARTS: dict[str, tuple[str, ...]] = {
    "front_end": ("feature_extractor.",),
    "projection": ("feature_projection.",),
    "mask_vector": (MASK_VECTOR,),
    "transformer": ("encoder.",),
    "codewords": (CODEWORDS,),
    "heads": (f"{PROJECTION}.", f"{CQT_HEAD}."),
    **{name: (f"{name}.",) for name in STREAMS},
    "contrast_head": (f"{CONTRAST_HEAD}.",),
}
"""What can be frozen, by the beginning of its parameters' names. The positional convolution is in ``transformer``."""

# MERT_RVQ-VAE_CQT_95M.yaml: dropout_input, dropout, attention_dropout, activation_dropout, encoder_layerdrop.
MERT_DROPOUT = Dropout(input=0.1, hidden=0.1, attention=0.1, activation=0.0, layer=0.05)


@dataclass(frozen=True)
class Predictions:
    """What the model says of a batch.

    Attributes:
        logits: cosines over temperature at the masked frames ``[levels, masked, codebook_size]`` float32.
        cqt: at the masked frames ``[masked, cqt_bins]`` float32.
        features: output of the convolutions ``[clips, channels, frames]``.
        compared: for each stream, of each view of a recording ``[views, dim]`` float32, where views were handed in.
    """

    logits: Tensor
    cqt: Tensor
    features: Tensor
    compared: tuple[Tensor, ...] = ()


class PretrainingModel(nn.Module):
    """An encoder of the MERT family with what its pre-training needs beside it.

    The parameters' names are those of the tensors on disk, so ``state_dict`` is what :func:`save_folder` writes.

    Attributes:
        shape: of the encoder.
        heads: their size.
        preprocessor: of the waveform; kept as the starting point had it.
        dropout: rates in training mode.
        feature_gradient: factor on the gradient into the convolutions (``feature_grad_mult``), the penalty's too.
        stream_gradient: factor on the gradient of MERT's loss into the streams; the contrast's is whole.
        recompute: whether activations of the layers are computed again for the gradient, for less memory.
        drawn: parts that were drawn at random and not read, for people.
    """

    def __init__(
        self,
        shape: HubertShape,
        heads: HeadShape,
        weights: Mapping[str, Tensor],
        preprocessor: Preprocessor,
        drawn: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.shape = shape
        self.heads = heads
        self.preprocessor = preprocessor
        self.drawn = drawn
        self.dropout = MERT_DROPOUT
        self.feature_gradient = 0.1
        self.stream_gradient = 1.0
        self.recompute = False
        self._network = frozenset(shape.tensors())
        for name, tensor in weights.items():
            plant(self, name, tensor)

    def forward(self, audio: Tensor, mask: Tensor, views: Sequence[Tensor] = ()) -> Predictions:
        """Predict the masked frames, and say what is to be compared of views of recordings.

        Args:
            audio: ``[clips, samples]`` at 24 kHz, with or without noise.
            mask: ``[clips, frames]`` bool; frames that the convolutions give beyond it are cut off.
            views: of each stream ``[views, frames, bands]``, see :mod:`.contrast`; none without the contrast.

        Raises:
            UsageError: the audio is too short for the mask.
        """
        weights = dict(self.named_parameters())
        ready = assemble({name: weights[name] for name in self._network}, self.shape)
        rates = self.dropout if self.training else NO_DROPOUT
        features = self._features(ready, audio, mask.shape[1])
        frames = drop(project(ready, self.shape, features), rates.input)
        frames = torch.where(mask[..., None], weights[MASK_VECTOR].to(frames.dtype), frames)
        if streams := self.shape.streams:
            # Without a gradient into the streams nothing is kept for it.
            with nullcontext() if self.stream_gradient else torch.no_grad():
                heard = hear(ready, streams, audio)
            if heard.requires_grad and self.stream_gradient != 1.0:
                heard.register_hook(lambda gradient: gradient * self.stream_gradient)  # type: ignore[no-untyped-call]
            frames = placed(frames, heard)
        states = self._transform(ready, frames, rates)
        found = self._predict(weights, states[mask], features)
        return replace(found, compared=tuple(map(partial(self._compared, weights), self.shape.streams, views)))

    def _compared(self, weights: Mapping[str, Tensor], stream: Stream, views: Tensor) -> Tensor:
        with torch.autocast(views.device.type, enabled=False):
            heard = stream.summary(weights, views)[:, : stream.told]
            first, second = (f"{CONTRAST_HEAD}.{stream.name}.{i}" for i in range(2))
            inner = functional.gelu(functional.linear(heard, weights[f"{first}.weight"], weights[f"{first}.bias"]))
            return functional.linear(inner, weights[f"{second}.weight"], weights[f"{second}.bias"])

    def _features(self, ready: Mapping[str, Tensor], audio: Tensor, frames: int) -> Tensor:
        given = self.shape.frames(audio.shape[1])
        if given < frames:
            raise UsageError(f"Audio of {audio.shape[1]} samples has {given} frames; the mask has {frames}.")
        if self.preprocessor.normalise:
            # As evaluation does it, see baselines/mert/encoder.py.
            centred = audio - audio.mean(1, keepdim=True)
            audio = centred / torch.sqrt(centred.square().mean(1, keepdim=True) + 1e-7)
        features = convolve(ready, self.shape, audio)[..., :frames]
        if features.requires_grad and self.feature_gradient != 1.0:
            features.register_hook(lambda gradient: gradient * self.feature_gradient)  # type: ignore[no-untyped-call]
        return features

    def _transform(self, ready: Mapping[str, Tensor], frames: Tensor, rates: Dropout) -> Tensor:
        states = drop(embed(ready, self.shape, frames), rates.hidden)
        for i in range(self.shape.layers):
            if rates.layer and float(torch.rand(())) < rates.layer:
                # Zero gradients instead of none: processes that drop different layers still exchange the same ones.
                prefix = f"encoder.layers.{i}."
                for name, tensor in ready.items():
                    if name.startswith(prefix):
                        states = states + 0 * tensor.reshape(-1)[0]
                continue
            run = partial(layer, ready, self.shape, i, dropout=rates)
            states = checkpoint(run, states, use_reentrant=False) if self.recompute and self.training else run(states)
        return final_norm(ready, self.shape, states) if self.shape.pre_norm else states

    def _predict(self, weights: Mapping[str, Tensor], states: Tensor, features: Tensor) -> Predictions:
        # In float32 whatever the precision of the encoder, as MERT's compute_nce.
        with torch.autocast(states.device.type, enabled=False):
            states = states.float()
            projected = functional.linear(states, weights[f"{PROJECTION}.weight"], weights[f"{PROJECTION}.bias"])
            guesses = projected.view(len(states), self.heads.levels, self.heads.dim).transpose(0, 1)
            codewords = weights[CODEWORDS].view(self.heads.levels, self.heads.codebook_size, self.heads.dim)
            cosines = functional.normalize(guesses, dim=-1) @ functional.normalize(codewords, dim=-1).transpose(1, 2)
            cqt = functional.linear(states, weights[f"{CQT_HEAD}.weight"], weights[f"{CQT_HEAD}.bias"])
        return Predictions(cosines / self.heads.temperature, cqt, features)


def part_of(name: str) -> str:
    """Return the part of :data:`PARTS` that a parameter belongs to."""
    return next(part for part, prefixes in PARTS.items() if name.startswith(prefixes))


def belongs(name: str, part: str) -> bool:
    """Whether a parameter belongs to a part, or to a block of the Transformer (``transformer.positions``, ``.0`` …)."""
    block = part.partition(".")[2]
    if not block:
        return part_of(name) == part
    return name.startswith(f"{POSITION}." if block == "positions" else f"encoder.layers.{block}.")


def random_heads(heads: HeadShape, hidden: int, seed: int) -> dict[str, Tensor]:
    """Draw heads and mask vector as MERT's code does, the same on every machine.

    Codeword embeddings and mask vector from U[0, 1); linear layers as ``torch.nn.Linear``, from U(-a, a) with
    a = 1 / sqrt(fan-in), biases too.
    """
    draw = np.random.default_rng(seed)
    found: dict[str, Tensor] = {}
    for name, size in (heads.tensors(hidden) | {MASK_VECTOR: (hidden,)}).items():
        values = draw.random(size, np.float32)
        if name not in (CODEWORDS, MASK_VECTOR):
            values = (2 * values - 1) / np.float32(math.sqrt(hidden))
        found[name] = torch.from_numpy(values)
    return found


def from_shape(shape: HubertShape, heads: HeadShape, seed: int, spectral: bool = False) -> PretrainingModel:
    """Return an untrained model.

    Args:
        shape: of the encoder.
        heads: their size.
        seed: of all weights.
        spectral: whether the convolutions begin as a filter bank.
    """
    weights = initial_weights(shape, seed, spectral=spectral)
    weights |= random_heads(heads, shape.hidden, seed + 1)
    drawn = tuple(part for part in PARTS if any(part_of(name) == part for name in weights))
    return PretrainingModel(shape, heads, weights, Preprocessor(RATE, False, "none"), drawn)


def from_folder(
    name: str, heads: HeadShape, seed: int, options: LoadOptions, streams: Sequence[Stream] = ()
) -> PretrainingModel:
    """Return a model that continues from weights in Hugging Face format.

    The encoder is read. Token heads, codeword embeddings, CQT head and mask vector are read where the folder has them,
    which those that :func:`save_folder` wrote do; the published MERT folders have no heads. What is not there is drawn,
    reported in the log and listed in :attr:`PretrainingModel.drawn`.

    Args:
        name: a short name, a folder, or ``hf:owner/name@revision``.
        heads: their size.
        seed: of what is drawn.
        options: network policy.
        streams: that it should have; drawn where it has none of a kind.

    Raises:
        UsageError: it is no model of the MERT family at 24 kHz, or its heads or stream are of another size.
        MissingError: it is not on this machine and cannot be fetched.
    """
    network = open_network(name, options)
    read = network.checkpoint
    if read.preprocessor.sample_rate != RATE:
        raise UsageError(f"{name} takes audio at {read.preprocessor.sample_rate} Hz; pre-training is at {RATE} Hz.")
    shape, weights, drawn = _with_streams(name, read.shape, read.weights, streams, seed)
    return _with_heads(name, shape, weights, read.training_only, read.preprocessor, heads, seed, drawn)


def from_fairseq(file: Path, heads: HeadShape, seed: int, streams: Sequence[Stream] = ()) -> PretrainingModel:
    """Return a model that continues from a fairseq checkpoint of MERT, with its heads.

    Args:
        file: as MERT's authors published it, for example ``MERT-v1-95M_fairseq.pt``.
        heads: their size.
        seed: of what is drawn.
        streams: that it gets.

    Raises:
        UsageError: it is no such file, or its heads are of another size.
    """
    from ...baselines.mert.fairseq import read_fairseq

    read = read_fairseq(file, heads.temperature)
    bare = Preprocessor(RATE, False, "none")
    shape, weights, drawn = _with_streams(str(file), read.shape, read.weights, streams, seed)
    return _with_heads(str(file), shape, weights, read.training_only, bare, heads, seed, drawn)


def _with_streams(
    name: str, shape: HubertShape, weights: Mapping[str, Tensor], streams: Sequence[Stream], seed: int
) -> tuple[HubertShape, dict[str, Tensor], tuple[str, ...]]:
    """Give an encoder the streams that a recipe asks for, drawn where it has none, and say which were."""
    absent = []
    for stream in streams:
        if (there := getattr(shape, stream.name)) is None:
            shape = replace(shape, **{stream.name: stream})  # type: ignore[arg-type]
            absent.append(f"{stream.name} stream")
        elif there != stream:
            key = fields(stream)[0].name
            raise UsageError(
                f"{name} has another {stream.name} stream than the recipe; say network.{key}={getattr(there, key)}."
            )
    drawn = initial_weights(shape, seed, spectral=False) if absent else {}
    return shape, {key: weights[key] if key in weights else drawn[key] for key in shape.tensors()}, tuple(absent)


def _with_heads(
    name: str,
    shape: HubertShape,
    network: Mapping[str, Tensor],
    stored: Mapping[str, Tensor],
    preprocessor: Preprocessor,
    heads: HeadShape,
    seed: int,
    drawn_already: tuple[str, ...] = (),
) -> PretrainingModel:
    """Put the stored heads to an encoder, and draw those that are not stored."""
    drawn = random_heads(heads, shape.hidden, seed)
    known = {key: stored[key] for key in drawn if key in stored}
    for key, tensor in known.items():
        if tensor.shape != drawn[key].shape or not bool(tensor.isfinite().all()):
            raise UsageError(
                f"{name}: tensor {key!r} should be finite, of the shape {list(drawn[key].shape)}; it has "
                f"{list(tensor.shape)}. Give the heads the sizes that the model was trained with."
            )
    # Halves of a head fit nothing: a part is read whole or drawn whole.
    tied: dict[str, tuple[str, ...]] = {
        "token heads and codeword embeddings": (f"{PROJECTION}.weight", f"{PROJECTION}.bias", CODEWORDS),
        "CQT head": (f"{CQT_HEAD}.weight", f"{CQT_HEAD}.bias"),
        "mask vector": (MASK_VECTOR,),
    }
    if heads.contrast:
        tied["head of the contrast"] = tuple(key for key in drawn if key.startswith(CONTRAST_HEAD))
    absent = tuple(what for what, keys in tied.items() if not all(key in known for key in keys))
    weights = dict(network) | drawn
    for what, keys in tied.items():
        if what not in absent:
            weights |= {key: known[key].float() for key in keys}
    absent = (*drawn_already, *absent)
    if absent:
        logging.getLogger(__name__).warning(
            "%s has no %s: drawn at random with seed %d.", name, ", no ".join(absent), seed
        )
    return PretrainingModel(shape, heads, weights, preprocessor, absent)


def save_folder(
    model: PretrainingModel, folder: Path, extra: Mapping[str, str] | None = None, dtype: str = "float32"
) -> None:
    """Write a folder that cmbench and transformers load, with the heads in a second file, so that training can go on.

    Args:
        model: as it is.
        folder: made if need be; must hold no weights.
        extra: further text files by path in the folder, for example ``README.md``.
        dtype: of the stored weights, ``float32`` or ``float16``.

    Raises:
        UsageError: the folder holds weights already, or a value is not finite or beyond the stored type.
    """
    tensors = {name: tensor.detach().cpu() for name, tensor in model.named_parameters()}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise UsageError(f"Tensor {name!r} of the trained model is not finite; it is not written.")
    if dtype == "float16":
        tensors = {name: as_float16(name, tensor) for name, tensor in tensors.items()}
    elif dtype != "float32":
        raise UsageError(f"Weights are written as float32 or float16, not as {dtype}.")
    weights = {name: tensors[name] for name in model.shape.tensors()}
    heads = {name: tensors[name] for name in model.heads.tensors(model.shape.hidden)}
    write_folder(folder, model.shape, weights, model.preprocessor, tensors[MASK_VECTOR], extra, heads)
