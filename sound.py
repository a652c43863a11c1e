"""An open audio file as it is read: one file of libsndfile, or several that are read one after another."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UnusableAudio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PLAIN = "libsndfile"
"""The decoder of what was counted and is read by libsndfile to its end, whatever its version."""

STRAIGHT = "libsndfile-straight"
"""The same for a format in which seeking gives other samples than decoding everything. Until 0.2 every block but the
first of such a file began with wrong samples, and so did an excerpt: python-soundfile seeks after every block."""

_RESERVOIR = 64 * 1152
"""Frames before those that are wanted, where decoding an mp3 begins: a frame takes bits from up to 511 bytes before it,
at the lowest bit rates from more than 20 frames."""

_LAST_PAGE = 255 * 4096
"""Frames at the end of a Vorbis stream that its last page may hold; libsndfile goes astray when it seeks within it."""


@dataclass(frozen=True)
class Sound:
    """An open audio file.

    Attributes:
        samplerate: Hz.
        channels: number of.
        frames: samples per channel that are there.
        format: for example ``MP3``.
        read: ``read(first, stop, most)`` yields float32 ``[frames, channels]`` of at most about ``most`` frames.
        promised: samples per channel that the header promises.
        length_is_known: whether ``frames`` is stated or counted; if not, it is a guess.
        lacks_end: whether the mark that ends such a file is not there.
        decoder: what identifies its samples beside its bytes: ``None`` for a format whose header is believed,
            :data:`PLAIN` or :data:`STRAIGHT` where libsndfile reads all that was counted, else decoder and version.
        warnings: what a reader should know of it.
    """

    samplerate: int
    channels: int
    frames: int
    format: str
    read: Callable[[int, int, int], Iterator[NDArray[np.float32]]]
    promised: int
    length_is_known: bool = True
    lacks_end: bool = False
    decoder: str | None = None
    warnings: tuple[str, ...] = ()


def in_parts() -> str:
    """Name the decoder of a file that libsndfile reads part by part."""
    import soundfile

    return f"libsndfile-parts {soundfile.__libsndfile_version__}"


def open_sound(source: int | io.BytesIO) -> Any:
    """Open a descriptor, which stays open, or bytes with libsndfile; nothing seeks in it but ``seek``.

    Raises:
        soundfile.LibsndfileError: libsndfile does not open it.
    """
    return _straight_file()(source, closefd=False)


@cache
def _straight_file() -> Any:
    import soundfile

    class StraightFile(soundfile.SoundFile):  # type: ignore[misc]
        """A file that is read straight on: python-soundfile seeks after every block where it believes it can."""

        def seekable(self) -> bool:
            return False

    return StraightFile


def part_of(path: Path, content: io.BytesIO) -> Any:
    """Return a part of a file, as a file of its own.

    Raises:
        UnusableAudio: libsndfile does not open it.
    """
    import soundfile

    try:
        return open_sound(content)
    except soundfile.LibsndfileError as error:
        raise UnusableAudio(path, f"damaged: {said(error)}") from error


def of_parts(files: Sequence[tuple[Any, int]], warnings: tuple[str, ...]) -> Sound:
    """Return several files as one sound."""
    last = files[-1][0]
    frames = sum(count for _, count in files)
    return Sound(
        last.samplerate,
        last.channels,
        frames,
        last.format,
        partial(read_parts, files),
        frames,
        decoder=in_parts(),
        warnings=warnings,
    )


def read_parts(files: Sequence[tuple[Any, int]], first: int, stop: int, most: int) -> Iterator[NDArray[np.float32]]:
    """Read a stretch of files, each with the frames that it holds, as if they were one."""
    begun = 0
    for one, count in files:
        at, until = max(first, begun) - begun, min(stop - begun, count)
        if at < until:
            begins = _begins(one, at)
            one.seek(begins)
            while begins < at and (passed := len(one.read(min(most, at - begins), dtype="float32"))):
                begins += passed
        while at < until:
            block = one.read(min(most, until - at), dtype="float32", always_2d=True)
            if len(block) == 0:
                return
            at += len(block)
            yield block
        begun += count


def plain_name(file: Any) -> str:
    """Name the decoder of a file of which libsndfile reads all."""
    return STRAIGHT if _seeks_badly(file.subtype) else PLAIN


def _seeks_badly(subtype: str) -> bool:
    return subtype == "VORBIS" or subtype.startswith("MPEG_LAYER")


def _begins(file: Any, at: int) -> int:
    """Return the frame to seek, so that decoding from there gives at frame ``at`` what decoding everything gives."""
    if not _seeks_badly(file.subtype):
        return at
    frames: int = file.frames
    return min(at, max(0, frames - _LAST_PAGE)) if file.subtype == "VORBIS" else max(0, at - _RESERVOIR)


def said(error: Any) -> str:
    """Return libsndfile's own words without the decoration that varies between its formats."""
    words: str = error.error_string
    return words.removeprefix("Error :").strip().rstrip(".")
