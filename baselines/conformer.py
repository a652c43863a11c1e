"""Conformer blocks with rotary positions on log-mel spectra, as functions of named tensors: MERT-v2's and MuQ's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .states import batch_norm, layer_norm, layer_shapes, linear

if TYPE_CHECKING:
    from torch import Tensor


def block_shapes(blocks: int, width: int, inner: int, kernel: int, over_clips: bool) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a stack of blocks; ``over_clips`` says which norm is in the convolution."""
    found: dict[str, tuple[int, ...]] = {}
    for name in (f"layers.{k}" for k in range(blocks)):
        for norm in ("ffn1_layer_norm", "attn_layer_norm", "conv_module.layer_norm", "ffn2_layer_norm"):
            found |= layer_shapes(f"{name}.{norm}", width)
        for part in ("ffn1", "ffn2"):
            found |= layer_shapes(f"{name}.{part}.w_1", inner, width) | layer_shapes(f"{name}.{part}.w_2", width, inner)
        for part in ("query_proj", "key_proj", "value_proj", "out_proj"):
            found |= layer_shapes(f"{name}.attn.{part}", width, width)
        layer = f"{name}.conv_module.conv_block"
        found |= layer_shapes(f"{layer}.1", 2 * width, width, 1, bias=False)
        found |= layer_shapes(f"{layer}.3", width, 1, kernel, bias=False)
        found |= layer_shapes(f"{layer}.4.1", width, statistics=over_clips)
        found |= layer_shapes(f"{layer}.6", width, width, 1, bias=False)
        found |= layer_shapes(f"{name}.final_layer_norm", width)
    return found


@dataclass(frozen=True)
class Conformer:
    """A stack of blocks, whose tensors have the names of MERT-v2."""

    weights: Mapping[str, Tensor]  # by name, float32, on one device
    blocks: int
    heads: int  # of each block
    eps: float  # of the layer norms
    base: float  # of the positions' angles
    activation: Callable[[Tensor], Tensor]  # of the feed-forward layers and the convolution
    turned_first: bool = False  # whether positions turn what enters queries and keys, not what leaves them

    def states(self, hidden: Tensor) -> list[Tensor]:
        """Return the output of every block, ``[clips, time, dim]``, of what enters the first."""
        turns, found = self._turns(hidden), []
        for k in range(self.blocks):
            hidden = self._block(f"layers.{k}", hidden, turns)
            found.append(hidden)
        return found

    def _block(self, name: str, hidden: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        hidden = hidden + 0.5 * self._fed(f"{name}.ffn1", hidden)
        normed = layer_norm(self.weights, f"{name}.attn_layer_norm", hidden, self.eps)
        hidden = hidden + self._attended(f"{name}.attn", normed, turns)
        hidden = hidden + self._convolved(f"{name}.conv_module", hidden)
        hidden = hidden + 0.5 * self._fed(f"{name}.ffn2", hidden)
        return layer_norm(self.weights, f"{name}.final_layer_norm", hidden, self.eps)

    def _fed(self, name: str, hidden: Tensor) -> Tensor:
        hidden = layer_norm(self.weights, f"{name}_layer_norm", hidden, self.eps)
        return linear(self.weights, f"{name}.w_2", self.activation(linear(self.weights, f"{name}.w_1", hidden)))

    def _attended(self, name: str, hidden: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        from torch.nn import functional

        def split(value: Tensor) -> Tensor:
            return value.view(*value.shape[:2], self.heads, -1).transpose(1, 2)

        def placed(part: str) -> Tensor:
            if self.turned_first:
                turned = turned_halves(split(hidden), turns).transpose(1, 2).flatten(2)
                return split(linear(self.weights, f"{name}.{part}", turned))
            return turned_halves(split(linear(self.weights, f"{name}.{part}", hidden)), turns)

        value = split(linear(self.weights, f"{name}.value_proj", hidden))
        found = functional.scaled_dot_product_attention(placed("query_proj"), placed("key_proj"), value)
        return linear(self.weights, f"{name}.out_proj", found.transpose(1, 2).flatten(2))

    def _convolved(self, name: str, hidden: Tensor) -> Tensor:
        """Apply the norm, gate and depthwise convolution of a block; the inner norm is over clips if it has a mean."""
        from torch.nn import functional

        layer, inner = f"{name}.conv_block", f"{name}.conv_block.4.1"
        hidden = layer_norm(self.weights, f"{name}.layer_norm", hidden, self.eps)
        hidden = functional.glu(convolve(self.weights, f"{layer}.1", hidden), -1)
        hidden = convolve(self.weights, f"{layer}.3", hidden, groups=hidden.shape[-1])
        if f"{inner}.running_mean" in self.weights:
            hidden = batch_norm(self.weights, inner, hidden.transpose(1, 2)).transpose(1, 2)
        else:
            hidden = layer_norm(self.weights, inner, hidden, self.eps)
        return convolve(self.weights, f"{layer}.6", self.activation(hidden))

    def _turns(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return cosine and sine of the angle of each position and number of a head, ``[time, head]``."""
        import torch

        size = hidden.shape[2] // self.heads
        rates = self.base ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
        angles = torch.outer(torch.arange(hidden.shape[1], dtype=torch.float32), rates).repeat(1, 2).to(hidden.device)
        return angles.cos(), angles.sin()


def turned_halves(value: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn number i of each head with number i + half."""
    import torch

    first, second = value.chunk(2, -1)
    return value * turns[0] + torch.cat([-second, first], -1) * turns[1]


def convolve(weights: Mapping[str, Tensor], name: str, hidden: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """Convolve ``[clips, time, channels]`` over time; kernels of odd length keep the length."""
    from torch.nn import functional

    kernel = weights[f"{name}.weight"]
    sides = kernel.shape[2] // 2 if kernel.shape[2] % 2 else 0
    bias = weights.get(f"{name}.bias")
    return functional.conv1d(hidden.transpose(1, 2), kernel, bias, stride, sides, 1, groups).transpose(1, 2)


def mel_decibels(audio: Tensor, window: Tensor, filters: Tensor, size: int, hop: int) -> Tensor:
    """Return levels in mel bands, ``[clips, time, bands]``, of ``[clips, samples]``; the last frame is left out.

    ``size`` is that of a spectrum and ``hop`` lies between two, in samples; ``filters`` are ``[size // 2 + 1, bands]``
    on power. As ``MelSpectrogram`` and ``AmplitudeToDB`` of torchaudio compute it, mirrored at the ends.
    """
    import torch

    found = torch.stft(audio, size, hop, len(window), window, pad_mode="reflect", return_complex=True)
    mel = found.abs().square().transpose(1, 2) @ filters
    return 10.0 * mel.clamp(min=1e-10).log10()[:, :-1]
