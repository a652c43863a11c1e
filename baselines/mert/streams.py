"""Streams: further ways into the network beside its convolutions, each of what is of second order in a whole clip.

Our extension, absent from MERT and HuBERT. A stream has a fixed front end, which training computes once for each
recording, and learned layers after it that end in one summary of a clip; the summary is added to every frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .envelope import EnvelopeShape
from .melody import MelodyShape

if TYPE_CHECKING:
    from torch import Tensor

Stream = MelodyShape | EnvelopeShape

STREAMS: Mapping[str, type[Stream]] = {kind.name: kind for kind in (MelodyShape, EnvelopeShape)}
"""Every kind by the name of its part, which is that of its field in a network's shape."""


def hear(ready: Mapping[str, Tensor], streams: Sequence[Stream], audio: Tensor) -> list[Tensor]:
    """Return the summary of clips for each stream ``[batch, size]`` from their audio ``[batch, samples]`` at 24 kHz."""
    return [stream.summary(ready, stream.spectrum(audio)) for stream in streams]


def added(ready: Mapping[str, Tensor], streams: Sequence[Stream], heard: Sequence[Tensor]) -> Tensor:
    """Return what streams add to every frame of a clip ``[batch, 1, hidden]`` for what :func:`hear` gives."""
    from torch.nn import functional

    parts = []
    for stream, summary in zip(streams, heard, strict=True):
        weight = ready[f"{stream.name}.out.weight"]
        parts.append(functional.linear(summary.to(weight.dtype), weight, ready[f"{stream.name}.out.bias"]))
    return sum(parts[1:], parts[0])[:, None]
