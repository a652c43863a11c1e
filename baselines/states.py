"""What encoders share whose hidden states are a function of one window and of named tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from .base import EncoderCard, finite, require_audio

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class StatesEncoder:
    """A frozen network; satisfies :class:`cmbench.baselines.base.Encoder`."""

    card: EncoderCard  # who it is
    states: Callable[[Tensor], Sequence[Tensor]]  # of ``[1, samples]`` on the device, each ``[1, time, dim]``
    device: torch.device  # where it computes
    seconds: float | None = None  # of the longest window that it hears at once

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over time of every hidden state, clip by clip.

        A window longer than the model hears at once is cut into equal parts whose features are averaged. States shorter
        than the longest are filled up with zeros.
        """
        import numpy as np
        import torch

        require_audio(audio, self.card)
        longest = None if self.seconds is None else round(self.seconds * self.card.sample_rate)
        features = np.zeros((len(audio), self.card.layers, self.card.dim), np.float32)
        with torch.inference_mode():
            for row, window in zip(features, audio, strict=True):
                parts = equal_parts(window, longest)
                for part in parts:
                    states = self.states(torch.from_numpy(np.ascontiguousarray(part))[None].to(self.device))
                    means = torch.nn.utils.rnn.pad_sequence([state[0].mean(0) for state in states], batch_first=True)
                    row += means.cpu().numpy() / len(parts)
        return finite(features, self.card)


def equal_parts(window: NDArray[np.float32], longest: int | None) -> list[NDArray[np.float32]]:
    """Cut ``[samples]`` into as few parts of one length, at most ``longest`` samples, as cover it.

    The first begins where the window begins, the last ends where it ends, the others are spread evenly between.
    """
    samples = len(window)
    if longest is None or samples <= longest:
        return [window]
    count = -(-samples // longest)
    length = -(-samples // count)
    starts = [round(i * (samples - length) / (count - 1)) for i in range(count)]
    return [window[start : start + length] for start in starts]


def whole_tensors(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], file: Path, unused: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Return a network's tensors in float32; those whose names begin as ``unused`` does may be there or not.

    Raises:
        UsageError: any other is missing, unexpected, wrongly shaped, or not made of finite numbers.
    """
    wrong = {
        "missing": wanted.keys() - tensors.keys(),
        "unexpected": {name for name in tensors.keys() - wanted.keys() if not name.startswith(unused)},
        "wrongly shaped": {n for n in wanted.keys() & tensors.keys() if tuple(tensors[n].shape) != wanted[n]},
    }
    if told := "; ".join(f"{what} tensors: {listed(sorted(names))}" for what, names in wrong.items() if names):
        raise UsageError(f"{file}: {told}. The weights do not belong to this configuration.")
    weights = {name: tensors[name].float() for name in wanted}
    if broken := next((name for name, tensor in weights.items() if not bool(tensor.isfinite().all())), None):
        raise UsageError(f"{file}: tensor {broken!r} is not made of finite numbers.")
    return weights


def listed(names: Sequence[str], shown: int = 5) -> str:
    """Name the first few of some tensors, and say how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def layer_shapes(name: str, *weight: int, bias: bool = True, statistics: bool = False) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a layer's tensors by name: its weight, its bias, and the statistics of a norm over clips."""
    others = ["bias"] * bias + ["running_mean", "running_var"] * statistics
    return {f"{name}.weight": weight} | {f"{name}.{part}": weight[:1] for part in others}


def linear(weights: Mapping[str, Tensor], name: str, hidden: Tensor) -> Tensor:
    """Apply the linear layer of that name to ``[..., in]``."""
    from torch.nn import functional

    return functional.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"])


def layer_norm(weights: Mapping[str, Tensor], name: str, hidden: Tensor, eps: float) -> Tensor:
    """Apply the layer norm of that name to ``[..., dim]``."""
    from torch.nn import functional

    weight = weights[f"{name}.weight"]
    return functional.layer_norm(hidden, weight.shape, weight, weights[f"{name}.bias"], eps)


def batch_norm(weights: Mapping[str, Tensor], name: str, hidden: Tensor, eps: float = 1e-5) -> Tensor:
    """Apply the batch norm of that name to ``[clips, channels, ...]``, by what it learned."""
    from torch.nn import functional

    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return functional.batch_norm(hidden, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"], eps=eps)
