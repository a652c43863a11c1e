"""An open audio file as it is read: one file of libsndfile, or several that are read one after another.

A file of hours is never in memory: what counts it, and the parts it is read in, ask for its bytes as they need them.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, overload

from .errors import UnusableAudio

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

_HELD_BYTES = 2**25
"""Of a file that is read as a whole to be counted, at most."""

_BLOCK_BYTES = 2**20
"""That are read at a time of a longer one."""

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
    """An open audio file."""

    samplerate: int  # Hz
    channels: int  # number of
    frames: int  # samples per channel that are there
    format: str  # for example ``MP3``
    # ``read(first, stop, most)`` yields float32 ``[frames, channels]`` of at most about ``most`` frames
    read: Callable[[int, int, int], Iterator[NDArray[np.float32]]]
    promised: int  # samples per channel that the header promises
    length_is_known: bool = True  # whether ``frames`` is stated or counted; if not, it is a guess
    lacks_end: bool = False  # whether the mark that ends such a file is not there
    # what identifies its samples beside its bytes: ``None`` for a format whose header is believed, :data:`PLAIN` or
    # :data:`STRAIGHT` where libsndfile reads all that was counted, else decoder and version
    decoder: str | None = None
    warnings: tuple[str, ...] = ()  # what a reader should know of it


class FileBytes:
    """The bytes of a file, read a block at a time; of :class:`bytes` it has what counting a file needs."""

    def __init__(self, path: Path) -> None:
        self._path, self._size = path, path.stat().st_size
        self._at, self._block = 0, b""

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        """Return a byte by its place from the beginning, or a stretch."""
        first, stop, _ = key.indices(self._size) if isinstance(key, slice) else (key, key + 1, 1)
        self._hold(first, stop)
        content = self._block[first - self._at : max(first, stop) - self._at]
        return content if isinstance(key, slice) else content[0]

    def _hold(self, first: int, stop: int) -> None:
        if first < self._at or stop > self._at + len(self._block):
            with self._path.open("rb", buffering=0) as file:  # opened for each: nobody says when it is done with
                file.seek(first)
                self._at, self._block = first, file.read(max(stop - first, _BLOCK_BYTES))

    def find(self, what: bytes, at: int = 0, stop: int | None = None) -> int:
        """Return where some bytes are first found between two places; -1 if they are not."""
        stop = self._size if stop is None else min(stop, self._size)
        while at + len(what) <= stop:
            self._hold(at, at + len(what))
            if (found := self._block.find(what, at - self._at, stop - self._at)) >= 0:
                return self._at + found
            at = self._at + len(self._block) - len(what) + 1  # they may lie across the end of a block
        return -1

    def startswith(self, prefix: bytes | tuple[bytes, ...], at: int = 0) -> bool:
        """Say whether a place begins with some bytes, or with one of several."""
        return self[at : at + max(map(len, prefix if isinstance(prefix, tuple) else (prefix,)))].startswith(prefix)


Bytes = bytes | FileBytes
"""Of a whole file."""


def bytes_of(path: Path) -> Bytes:
    """Return the bytes of a file: at once where it is short, else as they are asked for."""
    return path.read_bytes() if path.stat().st_size <= _HELD_BYTES else FileBytes(path)


class _Pieces(io.RawIOBase):
    def __init__(self, data: Bytes, pieces: Sequence[Bytes | tuple[int, int]], length: int | None) -> None:
        self._data, self._pieces, self._at = data, pieces, 0
        self._ends = list(accumulate(p[1] - p[0] if isinstance(p, tuple) else len(p) for p in pieces))
        self._there = self._ends[-1]
        self._length = self._there if length is None else length

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a byte, also behind the end."""
        self._at = max(0, (0, self._at, self._length)[whence] + offset)
        return self._at

    def readinto(self, room: WriteableBuffer, /) -> int:
        """Fill a room with what one piece has from here; 0 at the end of the last."""
        view = memoryview(room).cast("B")
        if self._at > self._there and self._length > self._there:
            content = bytes(len(view))
        else:
            number = bisect_right(self._ends, self._at)
            if number == len(self._pieces):
                return 0
            piece = self._pieces[number]
            left = self._ends[number] - self._at
            count = min(left, len(view))
            whole, stop = (self._data, piece[1]) if isinstance(piece, tuple) else (piece, len(piece))
            content = whole[stop - left : stop - left + count]
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


def joined_bytes(data: Bytes, pieces: Sequence[Bytes | tuple[int, int]], length: int | None = None) -> IO[bytes]:
    """Return stretches of ``data`` (first byte, byte after the last), and bytes of others, as one file of its own.

    Up to ``length`` zeros follow what is there, for a decoder that looks for a tag before the end.
    """
    return io.BufferedReader(_Pieces(data, pieces, length), 2**16)


def in_parts() -> str:
    """Name the decoder of a file that libsndfile reads part by part."""
    import soundfile

    return f"libsndfile-parts {soundfile.__libsndfile_version__}"


def open_sound(source: int | IO[bytes]) -> Any:
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


def part_of(path: Path, content: IO[bytes]) -> Any:
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
