"""Streams: further ways into the network beside its convolutions, each of what is of second order in a whole clip.

Our extension, absent from MERT and HuBERT. A stream has a fixed front end, which training computes once for each
recording, and learned layers after it that end in one summary of a clip. The summaries are the last dimensions of every
frame that enters the Transformer, in place of what the convolutions would have there: added to theirs they were lost
among them (measured in docs/culturemert.md).
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


def hear(ready: Mapping[str, Tensor], streams: Sequence[Stream], audio: Tensor) -> Tensor:
    """Return the summaries of clips ``[batch, samples]`` at 24 kHz, one after the other ``[batch, all sizes]``."""
    import torch

    return torch.cat([stream.summary(ready, stream.spectrum(audio)) for stream in streams], 1)


def placed(frames: Tensor, heard: Tensor) -> Tensor:
    """Return frames ``[batch, frames, hidden]`` with what :func:`hear` gives as the last dimensions of each."""
    import torch

    own = frames.shape[2] - heard.shape[1]
    return torch.cat([frames[..., :own], heard[:, None].to(frames.dtype).expand(-1, frames.shape[1], -1)], 2)
