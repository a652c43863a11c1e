"""Many probes trained together as one batched program: stacked parameters, one Adam, stopped members dropped.

A member behaves exactly as if it were trained alone: its weights, batches and dropout come from its seed only. Members
are processed in blocks of the stack: small ones on a CPU, where a block should stay in its cache, one large one on a
GPU, where launches cost most. The forward and backward passes are written out, so no graph or second copy of the
gradients exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from ..protocol import ProbeSettings

FUSED = -1
"""In place of a hidden state: the softmax-weighted sum of hidden states."""

_ALIGN = 16
"""Members start at multiples of 16 floats (one cache line), which matrix products need to be fast."""

_CPU_BLOCK = 8


@dataclass(frozen=True)
class Probe:
    """One probe to train: its input (a hidden state or :data:`FUSED`), its initial learning rate, its seed."""

    layer: int
    learning_rate: float
    seed: int


class Parts(NamedTuple):
    """Views of the parameters of ``m`` members; gradients have the same shape."""

    w1: Tensor
    """``[m, dim, hidden]``."""
    b1: Tensor
    """``[m, 1, hidden]``."""
    w2: Tensor
    """``[m, hidden, labels]``."""
    b2: Tensor
    """``[m, 1, labels]``."""
    mix: Tensor
    """Logits of the weighted sum ``[m, fused]``; never changed where they are not learned, or not used."""


@dataclass(frozen=True)
class Shape:
    """Sizes that all members share.

    Attributes:
        dim: length of a hidden state.
        hidden: width of the hidden layer.
        labels: outputs.
        fused: the hidden states in the weighted sum; empty where no member uses it.
    """

    dim: int
    hidden: int
    labels: int
    fused: tuple[int, ...]

    @property
    def size(self) -> int:
        """Floats of one member, padded."""
        plain = self.dim * self.hidden + self.hidden + self.hidden * self.labels + self.labels + len(self.fused)
        return math.ceil(plain / _ALIGN) * _ALIGN

    def parts(self, flat: Tensor) -> Parts:
        """Split ``[m, size]`` into views."""
        sizes = [self.dim * self.hidden, self.hidden, self.hidden * self.labels, self.labels, len(self.fused)]
        w1, b1, w2, b2, mix = torch.split(flat[:, : sum(sizes)], sizes, dim=1)
        return Parts(
            w1.view(-1, self.dim, self.hidden),
            b1.unsqueeze(1),
            w2.view(-1, self.hidden, self.labels),
            b2.unsqueeze(1),
            mix,
        )


class SeedStream:
    """Everything random about the members of one seed; drawn on the CPU, so that a device changes nothing."""

    def __init__(self, seed: int) -> None:
        """Start the four independent streams of a seed."""
        states = np.random.SeedSequence(seed).generate_state(4)
        self._weights, self._mix, self._order, self._dropout = (
            torch.Generator().manual_seed(int(state)) for state in states
        )

    def initial(self, shape: Shape, fused_init: str) -> Tensor:
        """Draw the parameters of one member ``[size]``: uniform within ``±1/sqrt(inputs)``, as ``torch.nn.Linear``."""
        flat = torch.zeros((1, shape.size))
        parts = shape.parts(flat)
        for part, inputs in zip(parts[:4], (shape.dim, shape.dim, shape.hidden, shape.hidden), strict=True):
            drawn = torch.rand(part.shape, generator=self._weights)
            part.copy_((drawn * 2.0 - 1.0) / math.sqrt(inputs))
        if fused_init == "normal":
            parts.mix.copy_(torch.randn(parts.mix.shape, generator=self._mix))
        return flat[0]

    def order(self, windows: int) -> Tensor:
        """Draw the order of the windows, or tracks, of one epoch."""
        return torch.randperm(windows, generator=self._order)

    def keep(self, windows: int, hidden: int, dropout: float) -> Tensor:
        """Draw one dropout mask ``[windows, hidden]``, with the kept units scaled up."""
        if dropout == 0.0:
            return torch.ones((windows, hidden))
        return (torch.rand((windows, hidden), generator=self._dropout) >= dropout) / (1.0 - dropout)


class Batch(NamedTuple):
    """One step's inputs, each seed's own."""

    windows: Tensor
    """``[seeds, layers, windows, dim]``."""
    targets: Tensor
    """``[seeds, windows, labels]``."""
    keep: Tensor
    """``[seeds, windows, hidden]``."""
    weights: Tensor | None = None
    """Share of each window and label in the loss ``[seeds, windows, labels]``; ``None`` for equal shares."""


@dataclass(frozen=True)
class _Block:
    """Consecutive members that are computed at once; those on a weighted sum share one seed.

    ``first_seed`` and ``places`` are what ``seeds`` begins with and ``layers`` holds, for the processor: to read them
    from a device would wait until all before is done.
    """

    members: slice
    seeds: Tensor
    layers: Tensor
    fused: bool
    first_seed: int
    places: tuple[int, ...]


class Stack:
    """The parameters of many members, and what they make of windows.

    Attributes:
        members: in the order of the stack.
        seeds: the members' seeds, each once.
        layers: the hidden states that some member looks at, ascending.
        flat: ``[members, size]``.
    """

    def __init__(self, members: Sequence[Probe], flat: Tensor, shape: Shape) -> None:
        """Stack parameters ``[members, size]``."""
        self.members = tuple(members)
        self.flat = flat
        self.shape = shape
        self.seeds = tuple(dict.fromkeys(m.seed for m in members))
        wanted = {m.layer for m in members if m.layer != FUSED}
        self.layers = tuple(sorted(wanted.union(shape.fused if any(m.layer == FUSED for m in members) else ())))
        self.blocks = [self._block(low, high) for low, high in self._borders()]

    def _borders(self) -> Iterator[tuple[int, int]]:
        limit = _CPU_BLOCK if self.flat.device.type == "cpu" else len(self.members)
        low = 0
        for _, run in groupby(self.members, key=lambda m: m.seed if m.layer == FUSED else None):
            high = low + len(list(run))
            yield from ((first, min(first + limit, high)) for first in range(low, high, limit))
            low = high

    def _block(self, low: int, high: int) -> _Block:
        members = self.members[low:high]
        fused = members[0].layer == FUSED
        seeds = [self.seeds.index(m.seed) for m in members]
        layers = [self.layers.index(layer) for layer in (self.shape.fused if fused else [m.layer for m in members])]
        at, of = (torch.tensor(places, device=self.flat.device) for places in (seeds, layers))
        return _Block(slice(low, high), at, of, fused, seeds[0], tuple(layers))

    def block_layers(self, block: _Block) -> tuple[int, ...]:
        """Hidden states that the members of a block look at, ascending."""
        return tuple(self.layers[i] for i in sorted(set(block.places)))

    def parts(self, block: _Block) -> Parts:
        """Parameters of a block."""
        return self.shape.parts(self.flat[block.members])

    def inputs(self, block: _Block, windows: Tensor) -> Tensor:
        """Return what each member sees ``[m, windows, dim]``, out of ``[seeds, layers, windows, dim]``."""
        if not block.fused:
            return windows[block.seeds, block.layers]
        states = self.fused_states(block, windows)
        return (self.parts(block).mix.softmax(dim=1) @ states.flatten(1)).view(-1, *states.shape[1:])

    def fused_states(self, block: _Block, windows: Tensor) -> Tensor:
        """Return the hidden states that a block on weighted sums adds up ``[fused, windows, dim]``."""
        states = windows[block.first_seed]
        return states if len(block.layers) == len(states) else states.index_select(0, block.layers)

    def block_logits(self, block: _Block, windows: Tensor) -> Tensor:
        """Logits without dropout ``[m, windows, labels]``.

        Args:
            block: of this stack.
            windows: ``[layers of the block, windows, dim]``, the same for every seed.
        """
        local = {self.layers.index(layer): i for i, layer in enumerate(self.block_layers(block))}
        places = tuple(local[i] for i in block.places)
        layers = torch.tensor(places, device=self.flat.device)
        here = _Block(block.members, torch.zeros_like(block.seeds), layers, block.fused, 0, places)
        parts = self.parts(block)
        hidden = torch.baddbmm(parts.b1, self.inputs(here, windows.unsqueeze(0)), parts.w1).relu_()
        return torch.baddbmm(parts.b2, hidden, parts.w2)


class Trainer:
    """A stack in training: Adam's moments and the best parameters so far.

    Attributes:
        stack: the members that still train.
        best: the parameters that :meth:`keep_best` kept ``[members, size]``.
    """

    def __init__(self, members: Sequence[Probe], shape: Shape, settings: ProbeSettings, device: str) -> None:
        """Draw the initial parameters: the same for all members of a seed."""
        seeds = dict.fromkeys(m.seed for m in members)
        drawn = {seed: SeedStream(seed).initial(shape, settings.fused_init) for seed in seeds}
        flat = torch.stack([drawn[m.seed] for m in members]).to(device)
        self.stack = Stack(members, flat, shape)
        self.best = flat.clone()
        self._moments = (torch.zeros_like(flat), torch.zeros_like(flat))
        self._mixes = settings.fused_learns
        self._steps = [torch.zeros((), device=device) for _ in members]
        self._gradient = self._gradient_buffer()

    def _gradient_buffer(self) -> Tensor:
        """Room for the gradients of the largest block; the padding stays zero."""
        rows = max(block.members.stop - block.members.start for block in self.stack.blocks)
        return torch.zeros((rows, self.stack.shape.size), device=self.best.device)

    def step(self, batch: Batch, rates: Sequence[float]) -> None:
        """Take one Adam step on every member's own loss.

        Args:
            batch: of the seeds and hidden states of ``self.stack``.
            rates: current learning rate of each member.
        """
        for block in self.stack.blocks:
            self._gradients(block, batch)
            self._adam(block, rates)

    def _gradients(self, block: _Block, batch: Batch) -> None:
        """Write the gradients of a block's losses (mean binary cross-entropy over windows and labels that count)."""
        parts = self.stack.parts(block)
        out = self.stack.shape.parts(self._gradient[: block.members.stop - block.members.start])
        keep, targets = batch.keep[block.seeds], batch.targets[block.seeds]
        inputs = self.stack.inputs(block, batch.windows)
        hidden = torch.baddbmm(parts.b1, inputs, parts.w1).relu_().mul_(keep)
        logits = torch.baddbmm(parts.b2, hidden, parts.w2)
        # The derivative of the loss by a logit is sigmoid(logit) - target, shared out by the mean.
        outer = logits.sigmoid_().sub_(targets)
        if batch.weights is None:
            outer.div_(targets.shape[1] * targets.shape[2])
        else:
            outer.mul_(batch.weights[block.seeds])
        torch.bmm(hidden.transpose(1, 2), outer, out=out.w2)
        torch.sum(outer, dim=1, keepdim=True, out=out.b2)
        # A unit passes its gradient on where it fired and was kept; both show in ``hidden``.
        inner = torch.bmm(outer, parts.w2.transpose(1, 2)).mul_(keep).mul_(hidden > 0)
        torch.bmm(inputs.transpose(1, 2), inner, out=out.w1)
        torch.sum(inner, dim=1, keepdim=True, out=out.b1)
        if block.fused and self._mixes:
            states = self.stack.fused_states(block, batch.windows)
            by_input = torch.bmm(inner, parts.w1.transpose(1, 2))
            by_weight = by_input.flatten(1) @ states.flatten(1).T
            weights = parts.mix.softmax(dim=1)
            out.mix.copy_(weights * (by_weight - (weights * by_weight).sum(dim=1, keepdim=True)))
        else:
            out.mix.zero_()

    def _adam(self, block: _Block, rates: Sequence[float]) -> None:
        """Adam (Kingma & Ba 2015) with torch's defaults; members of one rate share a kernel."""
        low = block.members.start
        by_rate: dict[float, list[int]] = {}
        for index in range(low, block.members.stop):
            by_rate.setdefault(rates[index], []).append(index)
        for rate, rows in by_rate.items():
            adam(
                [self.stack.flat[i] for i in rows],
                [self._gradient[i - low] for i in rows],
                [self._moments[0][i] for i in rows],
                [self._moments[1][i] for i in rows],
                [],
                [self._steps[i] for i in rows],
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )

    def keep_best(self, rows: Sequence[int]) -> None:
        """Remember the present parameters of some members as their best."""
        for row in rows:
            self.best[row] = self.stack.flat[row]

    def keep_only(self, rows: Sequence[int]) -> None:
        """Drop every member but these from the program."""
        index = torch.tensor(list(rows), device=self.best.device)
        members = [self.stack.members[i] for i in rows]
        flat = self.stack.flat.index_select(0, index)
        self.stack = Stack(members, flat, self.stack.shape)
        self.best = self.best.index_select(0, index)
        self._moments = (self._moments[0].index_select(0, index), self._moments[1].index_select(0, index))
        self._steps = [self._steps[i] for i in rows]
        self._gradient = self._gradient_buffer()
