"""What the frozen front end of a stream makes of whole recordings: computed once, then read from the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...baselines.mert.streams import Stream
from .cached import cached_array

_FORMAT = 1
"""Of the files of spectra. It is part of their key."""


def cached_spectrum(
    root: Path, stream: Stream, track: str, read: Callable[[], NDArray[np.float32]]
) -> NDArray[np.float16]:
    """Return the spectrum of a whole recording ``[frames, bands]``, read-only and on disk.

    Args:
        root: of the cache.
        stream: what its front end follows from is in the file's name.
        track: names the audio for good.
        read: gives the audio at 24 kHz ``[samples]``; called where the spectrum is not there yet.
    """
    key = hashlib.sha256(f"{_FORMAT} {stream.front} {track}".encode()).hexdigest()

    def make() -> NDArray[np.float16]:
        audio = torch.from_numpy(np.asarray(read(), np.float32))
        return stream.spectrum(audio[None])[0].numpy().astype(np.float16)

    return cached_array(root / "spectra" / key[:2] / f"{key}.npy", "spectra", make)
