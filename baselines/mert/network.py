"""The HuBERT network of the MERT family as pure functions: audio in, the mean over time of every hidden state out.

Written out here instead of taken from ``transformers`` for three measured reasons. Importing ``transformers``'s HuBERT
costs 6-10 s on top of torch, more than a whole cached run. Its forward pass keeps every hidden state of every frame;
here each is averaged as soon as it exists. And without module objects there is no training mode: SpecAugment does not
exist, and dropout only where a caller hands in its rates, as :mod:`...pretraining.objective.model` does, which trains
the same functions. ``tests/baselines/mert/test_encoder.py`` holds every hidden state to those of
``transformers.HubertModel``.

Names of tensors are those of ``transformers`` with current weight-norm keys (``parametrizations.weight.original0`` is
the gain, ``original1`` the direction). Nothing here imports torch until a function that needs it is called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .envelope import EnvelopeShape
from .melody import MelodyShape
from .streams import Stream, hear, placed

if TYPE_CHECKING:
    from torch import Tensor, device

GAIN = "encoder.pos_conv_embed.conv.parametrizations.weight.original0"
DIRECTION = "encoder.pos_conv_embed.conv.parametrizations.weight.original1"
POSITION = "encoder.pos_conv_embed.conv"


@dataclass(frozen=True)
class HubertShape:
    """The size and the variant of a HuBERT network. Defaults: MERT-v1-95M (its ``config.json``).

    Attributes:
        conv_dim: channels after each convolution of the front end.
        conv_kernel: their widths, samples of their input.
        conv_stride: their strides, samples of their input.
        conv_bias: whether they have a bias.
        conv_norm: ``group``: one channel-wise norm over time after the first; ``layer``: one over channels after each.
        feature_norm: whether the front end's output is normalised before it is projected.
        hidden: length of a hidden state.
        layers: Transformer layers; there is one hidden state more.
        heads: attention heads.
        intermediate: width inside the feed-forward blocks.
        position_kernel: width of the positional convolution, frames.
        position_groups: its groups.
        pre_norm: ``do_stable_layer_norm``: norms before attention and feed-forward (330M), not after (95M).
        eps: of the layer norms of the Transformer and of the projection.
        melody: of the melody stream (:mod:`.melody`), our extension; ``None`` where there is none.
        envelope: of the envelope stream (:mod:`.envelope`), the same.
    """

    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    conv_norm: str = "group"
    feature_norm: bool = True
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    intermediate: int = 3072
    position_kernel: int = 128
    position_groups: int = 16
    pre_norm: bool = False
    eps: float = 1e-5
    melody: MelodyShape | None = None
    envelope: EnvelopeShape | None = None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Its streams, our extension."""
        return tuple(stream for stream in (self.melody, self.envelope) if stream)

    @property
    def hop(self) -> int:
        """Samples between two frames."""
        return math.prod(self.conv_stride)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame sees: the shortest input."""
        field, jump = 1, 1
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            field += (kernel - 1) * jump
            jump *= stride
        return field

    @property
    def least_samples(self) -> int:
        """Samples of the shortest input: a frame, and where there is an envelope, the changes whose spread it tells."""
        return max(self.receptive_field, 2 * self.envelope.hop if self.envelope else 0)

    def frames(self, samples: int) -> int:
        """Frames of an input of ``samples`` samples; 0 if it is shorter than the receptive field."""
        if samples < self.receptive_field:
            return 0
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    def operations(self, samples: int) -> int:
        """Multiplications and additions of one forward pass over ``samples`` samples.

        Counted from the shapes: convolutions, projections and attention; norms and activations are left out.
        """
        total, incoming, length = 0, 1, samples
        for out, kernel, stride in zip(self.conv_dim, self.conv_kernel, self.conv_stride, strict=True):
            length = (length - kernel) // stride + 1
            total += length * out * incoming * kernel
            incoming = out
        frames = self.frames(samples)
        total += frames * self.hidden * (incoming + self.hidden // self.position_groups * self.position_kernel)
        block = frames * self.hidden * (4 * self.hidden + 2 * self.intermediate) + 2 * frames**2 * self.hidden
        return 2 * (total + self.layers * block)

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor that the network needs."""
        found: dict[str, tuple[int, ...]] = {}
        incoming = (1, *self.conv_dim[:-1])
        for i, (into, out, kernel) in enumerate(zip(incoming, self.conv_dim, self.conv_kernel, strict=True)):
            name = f"feature_extractor.conv_layers.{i}"
            found[f"{name}.conv.weight"] = (out, into, kernel)
            if self.conv_bias:
                found[f"{name}.conv.bias"] = (out,)
            if self.conv_norm == "layer" or i == 0:
                found |= _norm(f"{name}.layer_norm", out)
        if self.feature_norm:
            found |= _norm("feature_projection.layer_norm", self.conv_dim[-1])
        found |= _linear("feature_projection.projection", self.conv_dim[-1], self.hidden)
        found[GAIN] = (1, 1, self.position_kernel)
        found[DIRECTION] = (self.hidden, self.hidden // self.position_groups, self.position_kernel)
        found[f"{POSITION}.bias"] = (self.hidden,)
        found |= _norm("encoder.layer_norm", self.hidden)
        for i in range(self.layers):
            name = f"encoder.layers.{i}"
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                found |= _linear(f"{name}.attention.{part}", self.hidden, self.hidden)
            found |= _norm(f"{name}.layer_norm", self.hidden)
            found |= _linear(f"{name}.feed_forward.intermediate_dense", self.hidden, self.intermediate)
            found |= _linear(f"{name}.feed_forward.output_dense", self.intermediate, self.hidden)
            found |= _norm(f"{name}.final_layer_norm", self.hidden)
        for stream in self.streams:
            found |= stream.tensors()
        return found


@dataclass(frozen=True)
class Dropout:
    """Rates of what training leaves out at random; all zero for everything but training.

    Attributes:
        input: of the projected features, before masking.
        hidden: after attention, after the feed-forward block, and of the Transformer's input.
        attention: of the attention's weights.
        activation: inside the feed-forward block.
        layer: chance of a whole layer (layer drop).
    """

    input: float = 0.0
    hidden: float = 0.0
    attention: float = 0.0
    activation: float = 0.0
    layer: float = 0.0


NO_DROPOUT = Dropout()


def _norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _linear(name: str, into: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def random_weights(shape: HubertShape, seed: int, std: float = 0.02) -> dict[str, Tensor]:
    """Draw weights as ``transformers.HubertModel`` initialises them, the same on every machine.

    Linear layers are normal with deviation ``std`` (``initializer_range``), convolutions normal with deviation
    sqrt(2 / fan-in) (He et al. 2015, as ``kaiming_normal_``), norms one, biases zero. The numbers come from numpy's
    PCG64, whose stream does not depend on the processor's vector units as torch's does.

    Returns:
        float32 tensors by name, those of :meth:`HubertShape.tensors`.
    """
    import numpy as np
    import torch

    draw = np.random.default_rng(seed)
    weights: dict[str, Tensor] = {}
    for name, size in shape.tensors().items():
        if name == GAIN:
            continue
        if name.endswith(".bias"):
            weights[name] = torch.zeros(size)
        elif len(size) == 1:
            weights[name] = torch.ones(size)
        else:
            deviation = std if len(size) == 2 else math.sqrt(2 / (size[1] * size[2]))
            weights[name] = torch.from_numpy(draw.standard_normal(size, dtype=np.float32) * np.float32(deviation))
    weights[GAIN] = weights[DIRECTION].norm(dim=(0, 1), keepdim=True)
    return weights


def initial_weights(shape: HubertShape, seed: int, *, spectral: bool) -> dict[str, Tensor]:
    """Return the weights that pre-training from scratch begins with, as :func:`random_weights` names them.

    The deviation of the linear layers is 0.02 at MERT-95M's width and grows as the width shrinks, so that a layer of
    any width has the same gain (our choice).

    Args:
        shape: of the network.
        seed: of what is drawn.
        spectral: whether the convolutions begin as a filter bank (:mod:`.filter_bank`).
    """
    from .filter_bank import filter_bank

    std = 0.02 * math.sqrt(HubertShape().hidden / shape.hidden)
    return random_weights(shape, seed, std) | (filter_bank(shape) if spectral else {})


def prepare(weights: Mapping[str, Tensor], shape: HubertShape, target: device) -> dict[str, Tensor]:
    """Bring weights into the form that :func:`pooled_states` takes, free of gradients and on a device."""
    ready = assemble({name: tensor.detach() for name, tensor in weights.items()}, shape)
    return {name: tensor.to(target).contiguous() for name, tensor in ready.items()}


def assemble(weights: Mapping[str, Tensor], shape: HubertShape) -> dict[str, Tensor]:
    """Bring weights into the form that the functions below take; gradients flow back through it.

    Folds the weight norm of the positional convolution (per tap, as ``weight_norm(dim=2)``) and stacks query, key and
    value into one matrix, so that neither is done again for every window.
    """
    import torch

    ready = {name: tensor for name, tensor in weights.items() if name not in (GAIN, DIRECTION)}
    # In double precision: a float32 norm over 65,000 numbers alone doubles the rounding error of the whole network.
    gain, direction = weights[GAIN].double(), weights[DIRECTION].double()
    ready[f"{POSITION}.weight"] = (direction * (gain / direction.norm(dim=(0, 1), keepdim=True))).float()
    for i in range(shape.layers):
        name = f"encoder.layers.{i}.attention"
        for kind in ("weight", "bias"):
            ready[f"{name}.qkv.{kind}"] = torch.cat([ready.pop(f"{name}.{p}_proj.{kind}") for p in "qkv"])
    return ready


def pooled_states(ready: Mapping[str, Tensor], shape: HubertShape, audio: Tensor) -> Tensor:
    """Run the network and return the mean over time of every hidden state.

    State 0 is what enters the first Transformer layer, state i what leaves layer i. With ``pre_norm`` the last state is
    what leaves the last layer *before* the final norm: that is ``HubertModel(...).hidden_states[-1]`` in transformers
    5; releases before 5 gave the output of the final norm in that place.

    Args:
        ready: the result of :func:`prepare`.
        shape: of the network.
        audio: ``[batch, samples]`` float32, at least :attr:`HubertShape.receptive_field` samples.

    Returns:
        ``[batch, layers + 1, hidden]`` float32; computed in the precision of ``ready``.
    """
    import torch

    with torch.inference_mode():
        dtype = ready["feature_projection.projection.weight"].dtype
        frames = project(ready, shape, convolve(ready, shape, audio.to(dtype)))
        if streams := shape.streams:
            frames = placed(frames, hear(ready, streams, audio))
        states = embed(ready, shape, frames)
        means = [states.mean(1, dtype=torch.float32)]
        for i in range(shape.layers):
            states = layer(ready, shape, i, states)
            means.append(states.mean(1, dtype=torch.float32))
        return torch.stack(means, 1)


def convolve(ready: Mapping[str, Tensor], shape: HubertShape, audio: Tensor) -> Tensor:
    """Return the output of the convolutions ``[batch, channels, frames]`` for ``audio`` ``[batch, samples]``."""
    from torch.nn import functional

    signal = audio[:, None]
    for i, stride in enumerate(shape.conv_stride):
        name = f"feature_extractor.conv_layers.{i}"
        signal = functional.conv1d(signal, ready[f"{name}.conv.weight"], ready.get(f"{name}.conv.bias"), stride)
        # Both norms keep torch's default eps: the configuration's eps is not used in the front end.
        if shape.conv_norm == "layer":
            signal = _layer_norm(ready, f"{name}.layer_norm", signal.transpose(1, 2), 1e-5).transpose(1, 2)
        elif i == 0:
            weight, bias = ready[f"{name}.layer_norm.weight"], ready[f"{name}.layer_norm.bias"]
            signal = functional.group_norm(signal, len(weight), weight, bias)
        signal = functional.gelu(signal)
    return signal


def project(ready: Mapping[str, Tensor], shape: HubertShape, features: Tensor) -> Tensor:
    """Return the projected features ``[batch, frames, hidden]`` of the output of :func:`convolve`."""
    frames = features.transpose(1, 2)
    if shape.feature_norm:
        frames = _layer_norm(ready, "feature_projection.layer_norm", frames, shape.eps)
    return _linear_map(ready, "feature_projection.projection", frames)


def embed(ready: Mapping[str, Tensor], shape: HubertShape, frames: Tensor) -> Tensor:
    """Add the positional convolution: what enters the first layer ``[batch, frames, hidden]``."""
    states = frames + _positions(ready, shape, frames)
    return states if shape.pre_norm else final_norm(ready, shape, states)


def final_norm(ready: Mapping[str, Tensor], shape: HubertShape, states: Tensor) -> Tensor:
    """Apply the encoder's own norm: before the first layer, with ``pre_norm`` after the last."""
    return _layer_norm(ready, "encoder.layer_norm", states, shape.eps)


def _positions(ready: Mapping[str, Tensor], shape: HubertShape, states: Tensor) -> Tensor:
    import torch
    from torch.nn import functional

    signal, weight, bias = states.transpose(1, 2), ready[f"{POSITION}.weight"], ready[f"{POSITION}.bias"]
    if on_processor := states.device.type == "cpu":
        # In bfloat16 the grouped convolution of oneDNN is wrong by its own size on processors with AMX (torch 2.13).
        signal, weight, bias = signal.float(), weight.float(), bias.float()
    with torch.autocast(states.device.type, enabled=False) if on_processor else nullcontext():
        signal = functional.conv1d(
            signal, weight, bias, padding=shape.position_kernel // 2, groups=shape.position_groups
        )
    # An even kernel with symmetric padding gives one frame too many.
    return functional.gelu(signal[..., : states.shape[1]].to(states.dtype)).transpose(1, 2)


def layer(
    ready: Mapping[str, Tensor], shape: HubertShape, number: int, states: Tensor, dropout: Dropout = NO_DROPOUT
) -> Tensor:
    """Run one Transformer layer, ``[batch, frames, hidden]`` to the same.

    Dropout stands where fairseq's ``TransformerSentenceEncoderLayer`` has it (fairseq/models/wav2vec/wav2vec2.py).
    """
    name = f"encoder.layers.{number}"
    if shape.pre_norm:
        normed = _layer_norm(ready, f"{name}.layer_norm", states, shape.eps)
        states = states + _attend(ready, shape, f"{name}.attention", normed, dropout)
        normed = _layer_norm(ready, f"{name}.final_layer_norm", states, shape.eps)
        return states + _feed_forward(ready, f"{name}.feed_forward", normed, dropout)
    states = states + _attend(ready, shape, f"{name}.attention", states, dropout)
    states = _layer_norm(ready, f"{name}.layer_norm", states, shape.eps)
    states = states + _feed_forward(ready, f"{name}.feed_forward", states, dropout)
    return _layer_norm(ready, f"{name}.final_layer_norm", states, shape.eps)


def _attend(ready: Mapping[str, Tensor], shape: HubertShape, name: str, states: Tensor, dropout: Dropout) -> Tensor:
    from torch.nn import functional

    stacked = _linear_map(ready, f"{name}.qkv", states).view(*states.shape[:2], 3, shape.heads, -1)
    query, key, value = stacked.permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout.attention)
    return drop(_linear_map(ready, f"{name}.out_proj", mixed.transpose(1, 2).flatten(2)), dropout.hidden)


def _feed_forward(ready: Mapping[str, Tensor], name: str, states: Tensor, dropout: Dropout) -> Tensor:
    from torch.nn import functional

    inner = drop(functional.gelu(_linear_map(ready, f"{name}.intermediate_dense", states)), dropout.activation)
    return drop(_linear_map(ready, f"{name}.output_dense", inner), dropout.hidden)


def drop(states: Tensor, rate: float) -> Tensor:
    """Set values to zero with a chance of ``rate`` and scale the others up; a rate of zero draws nothing."""
    from torch.nn import functional

    return functional.dropout(states, rate) if rate else states


def _linear_map(ready: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.linear(states, ready[f"{name}.weight"], ready[f"{name}.bias"])


def _layer_norm(ready: Mapping[str, Tensor], name: str, states: Tensor, eps: float) -> Tensor:
    from torch.nn import functional

    weight = ready[f"{name}.weight"]
    return functional.layer_norm(states, weight.shape, weight, ready[f"{name}.bias"], eps)
