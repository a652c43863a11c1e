"""Read through FFmpeg what libsndfile does not: AAC, ALAC, WMA, WebM and whatever else people bring.

PyAV brings FFmpeg along (``pip install "cmbench[av]"``). No container's word is taken for a length: a file is decoded
once to count its samples, and a stretch of it is decoded from its beginning, so that it holds the samples that decoding
everything would give; places in a container are rounded, and a decoder that starts in the middle differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CmbenchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STATES_LENGTH = ("mov", "matroska", "asf")
"""Containers whose durations are stated, not guessed from a bit rate."""

_SLACK_SECONDS = 0.5
"""How far a duration may be from what is decoded: whole frames, the delay of an encoder."""


class FfmpegError(CmbenchError):
    """FFmpeg cannot read a file; the message says why in a few words."""


@dataclass(frozen=True)
class Heard:
    """What decoding a file to its end has shown.

    Attributes:
        rate: Hz.
        channels: of every frame.
        frames: samples per channel.
        promised: samples per channel that the container states; no fewer than ``frames``.
    """

    rate: int
    channels: int
    frames: int
    promised: int


def ffmpeg_name() -> str | None:
    """Return ``ffmpeg`` and its version, or ``None`` where PyAV is not installed."""
    try:
        import av
    except ImportError:
        return None
    return f"ffmpeg {av.ffmpeg_version_info}"


def hear(path: Path) -> Heard:
    """Decode a file to its end; the second time it is known, until the file changes.

    Raises:
        FfmpegError: it holds no sound, cannot be decoded, or changes rate or channels on the way.
    """
    facts = path.stat()
    return _heard(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _heard(path: Path, size: int, changed: int) -> Heard:
    kinds: dict[tuple[int, int], None] = {}
    frames, promised = 0, 0.0
    with path.open("rb") as file:
        for frame, stated in _frames(file):
            kinds[frame.sample_rate, frame.layout.nb_channels] = None
            if len(kinds) > 1:
                shown = " and then ".join(f"{channels} channels at {rate} Hz" for rate, channels in kinds)
                raise FfmpegError(f"holds {shown}: split it where it changes")
            frames += frame.samples
            promised = stated
    if not frames:
        raise FfmpegError("a header without any samples")
    rate, channels = next(iter(kinds))
    stated = round(promised * rate)
    return Heard(rate, channels, frames, stated if stated - frames > _SLACK_SECONDS * rate else frames)


def read(path: Path, first: int, stop: int, most: int) -> Iterator[NDArray[np.float32]]:
    """Yield a stretch as float32 ``[frames, channels]``, full scale 1.

    Args:
        path: the file.
        first: frame to begin with.
        stop: frame to end before.
        most: frames of a block at most, about.

    Raises:
        FfmpegError: the decoder fails.
    """
    import numpy as np

    at, held, pieces = 0, 0, []
    with path.open("rb") as file:
        for frame, _ in _frames(file):
            begun, at = at, at + frame.samples
            if at <= first:
                continue
            pieces.append(_samples(frame)[max(0, first - begun) : stop - begun])
            held += len(pieces[-1])
            if held >= most or at >= stop:
                yield np.concatenate(pieces)
                held, pieces = 0, []
            if at >= stop:
                return
    if pieces:
        yield np.concatenate(pieces)


def _frames(file: Any) -> Iterator[tuple[Any, float]]:
    """Yield every decoded frame of the first stream of sound, and the seconds that the container states (0: none).

    The open file is handed over, not its name, and nothing that it might name is opened.
    """
    import av

    try:
        with av.open(file, options={"protocol_whitelist": ""}) as container:
            if not container.streams.audio:
                raise FfmpegError("holds no sound, only pictures")
            stream = container.streams.audio[0]
            stated = 0.0
            if container.format.name.startswith(_STATES_LENGTH) and not container.streams.video:
                exact = stream.duration and stream.time_base and float(stream.duration * stream.time_base)
                stated = exact or (container.duration or 0) / av.time_base
            for frame in container.decode(stream):
                if frame.samples:
                    yield frame, stated
    except av.error.FFmpegError as error:
        raise FfmpegError(f"FFmpeg: {error.strerror}") from error


def _samples(frame: Any) -> NDArray[np.float32]:
    """Return a decoded frame as float32 ``[samples, channels]``, full scale 1."""
    import numpy as np

    array = frame.to_ndarray()
    # planar samples lie by channel, packed ones by moment
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if array.dtype == np.uint8:
        return np.asarray((array.astype(np.float32) - 128.0) / 128.0, np.float32)
    if np.issubdtype(array.dtype, np.integer):
        return np.asarray(array / float(2 ** (8 * array.dtype.itemsize - 1)), np.float32)
    return np.asarray(array, np.float32)
