"""Read through FFmpeg what libsndfile does not: AAC, ALAC, WMA, WebM and whatever else people bring.

PyAV brings FFmpeg along (``pip install "cmbench[av]"``). No container's word is taken for a length: a file is decoded
once to count its samples, and a stretch of it is decoded from its beginning, so that it holds the samples that decoding
everything would give; places in a container are rounded, and a decoder that starts in the middle differs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .containers import conversion
from .endings import IN_A_PACKET, what_is_lacking
from .errors import CmbenchError
from .sound import bytes_of, joined_bytes
from .streams import without_tags

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STATES_STREAMS = ("mov", "wv", "tta", "ape", "avi")
"""Containers that state how long each stream is, not guessed from a bit rate."""

_STATES_WHOLE = ("matroska", "asf", "flv", "rm")
"""Containers that state where the last of their streams ends."""

_TAKES_TAGS = (b"wvpk", b"\x0bw")
"""How WavPack and AC-3 begin: FFmpeg takes a tag behind their last packet for one that is not whole."""

_SLACK_SECONDS = 0.5
"""How far a duration may be from what is decoded: whole frames, the delay of an encoder."""

_TAIL_SECONDS = 1.0
"""Sound at most that decoders and parsers still give after the packet in which a file ends."""

_NAMED_SECONDS = 0.1
"""Missing sound up to which a stated length tells nothing (``SLACK_SECONDS`` of :mod:`cmbench.opening`)."""

_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


class FfmpegError(CmbenchError):
    """FFmpeg cannot read a file; the message says why in a few words."""


@dataclass(frozen=True)
class StreamLength:
    """What decoding a file to its end has shown."""

    rate: int  # Hz
    channels: int  # of every frame
    frames: int  # samples per channel
    promised: int  # samples per channel that the container states; no fewer than ``frames``


def ffmpeg_name() -> str | None:
    """Return ``ffmpeg`` and its version, or ``None`` where PyAV is not installed."""
    try:
        import av
    except ImportError:
        return None
    return f"ffmpeg {av.ffmpeg_version_info}"


def hear(path: Path) -> StreamLength:
    """Decode a file to its end; the second time it is known, until the file changes.

    Raises:
        FfmpegError: it holds no sound, cannot be decoded, or changes rate or channels on the way.
    """
    facts = path.stat()
    return _heard(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _heard(path: Path, size: int, changed: int) -> StreamLength:
    kinds: dict[tuple[int, int], None] = {}
    frames, state = 0, _State()
    lacks = what_is_lacking(path)
    remedy = f"Fetch it again, or keep what is there: {conversion(path)}"
    try:
        with _without_tags(path) as file:
            for frame in _frames(file, state):
                kinds[frame.sample_rate, frame.layout.nb_channels] = None
                if len(kinds) > 1:
                    shown = " and then ".join(f"{channels} channels at {rate} Hz" for rate, channels in kinds)
                    raise FfmpegError(f"holds {shown}: split it where it changes")
                frames += frame.samples
    except FfmpegError as error:
        if lacks and not state.is_open:
            raise FfmpegError(f"cut short: it {lacks}. Fetch it again") from error
        raise
    rate, channels = next(iter(kinds), (1, 0))
    there = f"{frames / rate:.2f} s"
    if not frames:
        if lacks or state.error or state.missing:
            raise FfmpegError(f"cut short: none of its sound is there; it {lacks or IN_A_PACKET}. Fetch it again")
        raise FfmpegError("a header without any samples")
    if state.after > _TAIL_SECONDS:
        raise FfmpegError(f"damaged after {there} ({state.error}). {remedy}")
    lacks = lacks or (IN_A_PACKET if state.error else None)
    missing = round(state.missing * rate)
    if lacks and missing <= _NAMED_SECONDS * rate:
        raise FfmpegError(f"cut short: {there} are there, and it {lacks}. {remedy}")
    return StreamLength(rate, channels, frames, frames + (missing if lacks or missing > _SLACK_SECONDS * rate else 0))


def read(path: Path, first: int, stop: int, most: int) -> Iterator[NDArray[np.float32]]:
    """Yield a stretch as float32 ``[frames, channels]``, full scale 1.

    Raises:
        FfmpegError: the decoder fails.
    """
    import numpy as np

    at, held, pieces = 0, 0, []
    with _without_tags(path) as file:
        for frame in _frames(file, _State()):
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


def _without_tags(path: Path) -> IO[bytes]:
    """Open a file; of a kind whose packets FFmpeg takes tags for, what they stand around."""
    file = path.open("rb")
    beginning = file.read(10)
    file.seek(0)
    if not beginning.startswith((*_TAKES_TAGS, b"ID3")):
        return file
    file.close()
    data = bytes_of(path)
    at, stop = without_tags(data)
    return joined_bytes(data, [(at, stop) if data.startswith(_TAKES_TAGS, at) else (0, len(data))])


@dataclass
class _State:
    """What is learnt while a file is decoded."""

    is_open: bool = False  # whether FFmpeg has found its way into the container
    # seconds between the last packet and the end that the container states; 0 where it states none
    missing: float = 0.0
    error: str = ""  # what is wrong with the first packet that cannot be taken as it is
    after: float = 0.0  # seconds of sound after that packet


def _frames(file: Any, state: _State) -> Iterator[Any]:
    """Yield the decoded frames of the first stream of sound, up to one that is damaged.

    The open file is handed over, not its name, and nothing that it might name is opened.
    """
    import av

    try:
        with av.open(file, options={"protocol_whitelist": ""}) as container:
            if not container.streams.audio:
                raise FfmpegError("holds no sound, only pictures")
            state.is_open = True
            stream = container.streams.audio[0]
            if container.format.name == "caf" and stream.codec_context.name == "alac":
                # The last packet is as short as it should be; FFmpeg would shorten it again.
                stream.codec_context.options = {"flags2": "skip_manual"}
            begins: dict[int, float] = {}
            ends: dict[int, float] = {}
            for packet in _packets(container, state):
                number = packet.stream.index
                is_timed = packet.pts is not None and packet.time_base and not state.error
                begin = float(packet.pts * packet.time_base) if is_timed else ends.get(number, 0.0)
                jump = begin - ends.get(number, begin)
                if number == stream.index and jump > _SLACK_SECONDS and container.format.name.startswith(_STATES_WHOLE):
                    state.error, state.after = f"its times jump by {jump:.2f} s, as after a pause", math.inf
                for frame in _decoded(packet, state) if number == stream.index else ():
                    if state.error:
                        state.after += frame.samples / frame.sample_rate
                    elif frame.samples:
                        yield frame
                if is_timed and not state.error:
                    begins.setdefault(number, begin)
                    end = begin + float((packet.duration or 0) * packet.time_base)
                    ends[number] = max(end, ends.get(number, end))
            own = ends.get(stream.index, 0.0) - begins.get(stream.index, 0.0)
            state.missing = _stated_end(container, stream, own, max(ends.values(), default=0.0))
    except av.error.FFmpegError as error:
        raise FfmpegError(f"FFmpeg: {error.strerror}") from error


def _packets(container: Any, state: _State) -> Iterator[Any]:
    """Yield the packets of all streams until no more can be read."""
    import av

    try:
        yield from container.demux()
    except av.error.FFmpegError as error:
        state.error = state.error or str(error.strerror)


def _decoded(packet: Any, state: _State) -> list[Any]:
    """Return the frames of a packet; note what is wrong with it."""
    import av

    try:
        found: list[Any] = packet.decode()
    except av.error.FFmpegError as error:
        state.error = state.error or str(error.strerror)
        return []
    if not state.error and (packet.is_corrupt or not _is_whole(packet)):
        state.error = "a packet that is not whole"
    return found


def _stated_end(container: Any, stream: Any, own: float, last: float) -> float:
    """Return by how many seconds the container states that it, or its stream of sound, is longer than it is.

    ``own`` and ``last`` are seconds: from the first packet of ``stream`` to the end of its last, and where the last
    packet of any stream ends.
    """
    import av

    name = container.format.name
    stated = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    if stated and name.startswith(_STATES_STREAMS):
        return max(0.0, stated - own)
    if name.startswith(_STATES_WHOLE) and container.duration:
        return max(0.0, float(container.duration) / av.time_base - last)
    return 0.0


def _is_whole(packet: Any) -> bool:
    """Whether a packet is as long as it says where FFmpeg does not look: in AC-3 and E-AC-3 (ETSI TS 102 366)."""
    if packet.stream.codec_context.name not in ("ac3", "eac3") or packet.size < 6:
        return True
    head = bytes(packet)[:6]
    if head[:2] != b"\x0bw":
        return True
    if head[5] >> 3 > 10:
        return bool(packet.size >= 2 * (((head[2] & 7) << 8 | head[3]) + 1))
    rate, code = head[4] >> 6, head[4] & 63
    if rate > 2 or code >= 2 * len(_AC3_KBITS):
        return True
    bits = _AC3_KBITS[code // 2]
    words = (2 * bits, bits * 96_000 // 44_100 + code % 2, 3 * bits)[rate]
    return bool(packet.size >= 2 * words)


def _samples(frame: Any) -> NDArray[np.float32]:
    import numpy as np

    array = frame.to_ndarray()
    # planar samples lie by channel, packed ones by moment
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if array.dtype == np.uint8:
        return np.asarray((array.astype(np.float32) - 128.0) / 128.0, np.float32)
    if np.issubdtype(array.dtype, np.integer):
        return np.asarray(array / float(2 ** (8 * array.dtype.itemsize - 1)), np.float32)
    return np.asarray(array, np.float32)
