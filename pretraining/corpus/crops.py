"""Crops: which stretches of which recordings make up a batch, and their samples.

A draw depends on the seed and on its own number, not on draws before it: any process can make any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...decoding import blocks, find_stretch, missing_frames
from ...errors import UnusableAudio
from ...opening import opened
from ..recipes.recipe import HOP, RATE
from .corpus import Mix
from .exclusion import Recording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Crop:
    """A stretch of a recording, which may be transposed.

    Attributes:
        recording: which.
        frame: the first (of 320 samples at 24 kHz), counted from the start of the recording as it is heard.
        shift: semitones by which the recording is played faster, and so higher.
    """

    recording: Recording
    frame: int
    shift: int = 0


def key(*parts: object) -> int:
    """Return 63 bits that depend on nothing but the parts (SHA-256): a seed for what is drawn once."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big") >> 1


def faster(shift: int) -> float:
    """Return how many times faster music is that is higher by ``shift`` semitones."""
    return float(2 ** (shift / 12))


def draw_crops(mix: Mix, count: int, seconds: float, *parts: object, shifts: Sequence[int] = (0,)) -> list[Crop]:
    """Draw crops with replacement.

    MERT starts a crop anywhere, and so up to half a frame beside the tokens of the whole track; here it starts with a
    frame (our choice).

    Args:
        mix: recordings and their probabilities.
        count: number of crops.
        seconds: of each.
        parts: what the draw is keyed by.
        shifts: semitones, one of which is drawn for each crop; one that leaves a recording shorter than a crop is 0.
    """
    import numpy as np

    draw = np.random.default_rng(key(*parts))
    # Inverted by hand: the result must not depend on how a release of numpy implements choice().
    edges = np.cumsum(mix.shares)
    chosen = np.minimum(np.searchsorted(edges, draw.random(count) * edges[-1], side="right"), len(edges) - 1)
    crops = []
    places = draw.random(count)
    steps = draw.integers(len(shifts), size=count)
    for index, at, step in zip(chosen, places, steps, strict=True):
        recording, shift = mix.recordings[int(index)], shifts[int(step)]
        if recording.seconds / faster(shift) < seconds:
            shift = 0
        spare = int((recording.seconds / faster(shift) - seconds) * RATE / HOP)
        crops.append(Crop(recording, int(at * (spare + 1)), shift))
    return crops


def draw_recordings(mix: Mix, count: int, *parts: object) -> list[Recording]:
    """Draw recordings without replacement, each with a chance that grows with its share; all if there are no more.

    The smallest exponential waiting times win (Efraimidis and Spirakis 2006, *Weighted random sampling with a
    reservoir*).

    Args:
        mix: recordings and their probabilities.
        count: number of recordings.
        parts: what the draw is keyed by.
    """
    import numpy as np

    waits = np.random.default_rng(key(*parts)).standard_exponential(len(mix.shares)) / np.asarray(mix.shares)
    return [mix.recordings[int(index)] for index in np.argsort(waits, kind="stable")[:count]]


def held_out_crops(recordings: Sequence[Recording], count: int, seconds: float, seed: int) -> list[Crop]:
    """Return the crops that a tradition is measured on: the same every time, spread over its recordings."""
    chosen = [recordings[i % len(recordings)] for i in range(count)]
    return [
        draw_crops(Mix((recording,), (1.0,)), 1, seconds, seed, "held out", recording.id, i)[0]
        for i, recording in enumerate(chosen)
    ]


def read_samples(
    recording: Recording, start: float = 0.0, seconds: float | None = None, shift: int = 0
) -> NDArray[np.float32]:
    """Decode a stretch of a recording: mono (the mean over channels, as MERT) at 24 kHz.

    Args:
        recording: which.
        start: seconds from the recording's start, as it is heard.
        seconds: of the stretch; ``None`` for all that follows.
        shift: semitones by which it is played faster, and so higher.

    Returns:
        ``[samples]`` float32; exactly ``seconds`` long where that is given.

    Raises:
        UnusableAudio: it cannot be decoded, or is shorter than its header said.
    """
    import numpy as np
    import soxr

    speed = faster(shift)
    begin = recording.start + start * speed
    end = recording.end if seconds is None else begin + seconds * speed
    with opened(recording.path) as sound:
        stretch = find_stretch(recording.path, sound, begin, end, None)
        pieces = [block.mean(axis=1, dtype=np.float32) for block in blocks(recording.path, sound, stretch)]
        samples = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
        missing_frames(recording.path, sound, stretch, len(samples))
        rate = sound.samplerate
    if rate * speed != RATE:
        samples = soxr.resample(samples, rate * speed, RATE, "HQ")
    if seconds is None:
        return np.ascontiguousarray(samples, np.float32)
    wanted = round(seconds * RATE)
    if len(samples) < wanted - HOP:
        raise UnusableAudio(recording.path, f"ends {wanted - len(samples)} samples before its header says")
    # Rounding of a resampler, or of a start between two samples of the file.
    return np.pad(samples[:wanted], (0, max(0, wanted - len(samples)))).astype(np.float32, copy=False)


def read_crops(crops: Sequence[Crop], seconds: float) -> NDArray[np.float32]:
    """Decode crops: ``[crops, samples]`` float32 at 24 kHz.

    Raises:
        UnusableAudio: one cannot be decoded.
    """
    import numpy as np

    return np.stack([read_samples(crop.recording, crop.frame * HOP / RATE, seconds, crop.shift) for crop in crops])
