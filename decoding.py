"""Decode a stretch of an audio file, and say in a few words why a file cannot be used.

libsndfile reads the formats; this module translates its errors, finds what it passes over in silence (files cut short,
NaN), and keeps to the asked stretch. Reasons and warnings never name the file: whoever prints them does.

Known limits. A file cut short is recognised where its container says how long it should be (wav, aiff, au, w64, rf64,
flac, ogg, mp3 with a Xing or VBRI header). An mp3 without such a header does not say so: what libsndfile can reach
of it is used.
"""

from __future__ import annotations

import logging
import math
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CmbenchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK_SAMPLES = 2**19
"""Samples of all channels together that are decoded at a time: 2 MiB of float32."""

_RATES = (2_000, 768_000)
"""Sample rates in Hz that a file may state; outside, its header is taken to be damaged (a rate of 1 Hz would make
hours of nothing out of a small file)."""

_MOST_FRAMES = 2**48
"""More frames than any file holds: what libsndfile reports for a stream of unknown length, which it cannot seek in."""

_PEAK = 2.0**31
"""Largest sample that any integer format could have produced; beyond it, the bytes are not audio."""

_SLACK_SECONDS = 0.1
"""Missing audio shorter than this is rounding: padding of an encoder, header sizes that count themselves."""

_STREAMED_BYTES = 0x7FFF0000
"""Sizes from here on are what programs write into a header when they cannot know the length of a stream."""

_PROMISE = re.compile(r"^\s*(?P<chunk>[^:\n]+?)\s*: (?P<stated>\d+) \(should be (?P<present>\d+)\)", re.MULTILINE)
"""How the log of libsndfile reports a chunk that is longer in the header than in the file."""

_NO_END = re.compile(r"lacks an end-of-stream bit")

_SUFFIXES = {
    "WAV": (".wav", ".wave", ".bwf"),
    "WAVEX": (".wav", ".wave", ".bwf"),
    "RF64": (".rf64", ".wav", ".bwf"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2", ".mpga"),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "W64": (".w64",),
    "CAF": (".caf",),
}
_KNOWN_SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


class UnusableAudio(CmbenchError):  # noqa: N818 - it names what the audio is, like the reason it carries
    """A file, or the asked stretch of it, holds nothing to encode.

    Attributes:
        path: the file.
        reason: why, in a few words that do not name the file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)  # both, or the error cannot travel between processes
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """Name the file and the reason."""
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Stretch:
    """What to read of a file.

    Attributes:
        first: frame to begin with.
        stop: frame to end before; never beyond what the file seems to hold.
        length_is_known: whether the file states its length; if not, ``stop`` may lie beyond its end.
        warnings: what was noticed on the way.
    """

    first: int
    stop: int
    length_is_known: bool
    warnings: tuple[str, ...]


def _require_file(path: Path) -> None:
    kind = path.stat().st_mode
    if stat.S_ISFIFO(kind):  # opening it would wait for somebody to write
        raise UnusableAudio(path, "a pipe, not a file")
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # some never end
        raise UnusableAudio(path, "a device, not a file")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Yield the ``soundfile.SoundFile`` of a path.

    The descriptor is handed over, not the name: libsndfile then goes by the contents alone.

    Raises:
        UnusableAudio: missing, empty, not audio, no samples, or a header that cannot be true.
    """
    import soundfile

    try:
        _require_file(path)
        stream = path.open("rb", buffering=0)  # the descriptor must stand where the stream does
    except FileNotFoundError:
        raise UnusableAudio(path, "there is no such file") from None
    except IsADirectoryError:
        raise UnusableAudio(path, "a folder, not a file") from None
    except OSError as error:
        raise UnusableAudio(path, f"cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a zero byte
        raise UnusableAudio(path, f"no file can have this name ({error})") from error
    with stream:
        try:
            beginning = stream.read(512)
        except OSError as error:  # a disk that fails
            raise UnusableAudio(path, f"cannot be read: {error.strerror}") from error
        if not beginning:
            raise UnusableAudio(path, "an empty file (0 bytes)")
        stream.seek(0)
        try:
            sound = soundfile.SoundFile(stream.fileno(), closefd=False)
        except soundfile.LibsndfileError as error:
            raise UnusableAudio(path, _why_not_audio(beginning, _said(error))) from error
        with sound:
            if sound.frames == 0:
                raise UnusableAudio(path, "a header without any samples")
            if not _RATES[0] <= sound.samplerate <= _RATES[1]:
                raise UnusableAudio(path, f"damaged header: it states a sample rate of {sound.samplerate} Hz")
            if sound.frames > _MOST_FRAMES:
                raise UnusableAudio(path, f"a {sound.format} stream of unknown length; encode it anew to give it one")
            yield sound


def _said(error: Any) -> str:
    """Return libsndfile's own words without the decoration that varies between its formats."""
    words: str = error.error_string
    return words.removeprefix("Error :").strip().rstrip(".")


def _why_not_audio(beginning: bytes, message: str) -> str:
    """Say what a file is that libsndfile does not open, from its first bytes and libsndfile's own words."""
    if "not recognised" not in message:
        return f"damaged: {message}"
    try:
        text = beginning.decode("utf-8", errors="strict" if len(beginning) < 512 else "ignore")
    except UnicodeDecodeError:
        text = ""
    if len(text.encode()) > 0.95 * len(beginning) and all(c.isprintable() or c.isspace() for c in text):
        return f"text, not audio; it begins with {' '.join(text.split())[:40]!r}"
    return "not audio in any format that libsndfile knows"


def find_stretch(path: Path, sound: Any, start: float, end: float | None, max_seconds: float | None) -> Stretch:
    """Turn seconds into frames, and judge whether the file holds what its header promises of them.

    A file cut short after the stretch gives what an intact one would: that is a warning, not a reason.

    Args:
        path: of the file.
        sound: the open ``soundfile.SoundFile``.
        start: seconds.
        end: seconds; ``None`` for the end of the file.
        max_seconds: cap on the length from ``start``; ``None`` for none.

    Raises:
        UnusableAudio: the stretch is empty or lies outside the file, or the file is cut short within it.
    """
    rate, present = sound.samplerate, sound.frames
    if not start >= 0 or (end is not None and not end > start):
        raise UnusableAudio(path, f"an empty stretch: it starts at {start:g} s and ends at {end} s")
    first = round(start * rate)
    if first >= present:
        raise UnusableAudio(path, f"the track starts at {start:g} s, but the file ends at {present / rate:.2f} s")
    log = sound.extra_info
    promised, length_is_known = _promised_frames(log, present)
    length_is_known = length_is_known and not (sound.format == "MP3" and not _states_length(path))
    capped = math.inf if max_seconds is None else start + max_seconds
    asked = min(math.inf if end is None else end, capped)
    stop = promised if asked == math.inf else min(promised, round(asked * rate))
    slack = _SLACK_SECONDS * rate
    warnings = []
    if promised - present > slack:
        story = f"cut short: the header promises {promised / rate:.2f} s, {present / rate:.2f} s are there"
        if stop - present > slack:
            raise UnusableAudio(path, story)
        warnings.append(f"{story}; what is used of it is complete")
    elif _NO_END.search(log):
        story = f"cut short: no end-of-stream mark after {present / rate:.2f} s"
        if stop >= present:
            raise UnusableAudio(path, story)
        warnings.append(f"{story}; what is used of it is complete")
    if end is not None and asked == end and end * rate - promised > slack:
        warnings.append(f"the track should end at {end:g} s, but the file ends at {present / rate:.2f} s")
    return Stretch(first, min(stop, present), length_is_known, tuple(warnings))


def _promised_frames(log: str, present: int) -> tuple[int, bool]:
    """Return the frames that the header promises, and whether it states a length at all.

    The data chunk is believed before the size of the whole file, which many programs get wrong.
    """
    found = {m["chunk"].lower(): (int(m["stated"]), int(m["present"])) for m in _PROMISE.finditer(log)}
    data = next((found[c] for c in ("data", "ssnd", "data size") if c in found), None)
    stated, there = data or next(iter(found.values()), (1, 1))
    if stated >= _STREAMED_BYTES and there < _STREAMED_BYTES:
        return present, False
    return (round(present * stated / there) if stated > there > 0 else present), True


def _states_length(path: Path) -> bool:
    """Whether an mp3 begins with a Xing, Info or VBRI frame; without one, its length is a guess from the bit rate."""
    with path.open("rb") as stream:
        head = stream.read(10)
        if head[:3] == b"ID3":  # ID3v2.4, section 3.1: the size is four bytes of seven bits, the header not counted
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            stream.seek(10 + size)
        else:
            stream.seek(0)
        frame = stream.read(4096)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def missing_frames(path: Path, sound: Any, stretch: Stretch, frames: int) -> list[str]:
    """Compare what was decoded with what was to be decoded; a warning where the length was only a guess.

    Raises:
        UnusableAudio: the file states its length, and less came out of it.
    """
    rate, expected = sound.samplerate, stretch.stop - stretch.first
    if expected - frames <= _SLACK_SECONDS * rate:
        return []
    until = (stretch.first + frames) / rate
    if stretch.length_is_known or frames == 0:
        promised = stretch.stop / rate
        raise UnusableAudio(path, f"cut short: {promised:.2f} s were to be read, the decoder stopped at {until:.2f} s")
    return [f"the file does not state its length; it ends at {until:.2f} s"]


def blocks(path: Path, sound: Any, stretch: Stretch) -> Iterator[NDArray[np.float32]]:
    """Yield a stretch as float32 ``[frames, channels]``, full scale 1, in blocks of bounded size.

    Raises:
        UnusableAudio: the decoder fails, or a sample is NaN, infinite or absurdly large.
    """
    import soundfile

    frames = max(1, _BLOCK_SAMPLES // sound.channels)
    at = stretch.first
    while at < stretch.stop:
        try:
            if at == stretch.first:
                sound.seek(at)
            block = sound.read(min(frames, stretch.stop - at), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            between = f"{at / sound.samplerate:.2f} s and {min(at + frames, stretch.stop) / sound.samplerate:.2f} s"
            raise UnusableAudio(path, f"damaged: the decoder fails between {between} ({_said(error)})") from error
        if len(block) == 0:
            return
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            second = (at + int(np.argmin(finite))) / sound.samplerate
            raise UnusableAudio(path, f"holds NaN or infinite samples, the first at {second:.2f} s")
        if np.abs(block).max() > _PEAK:
            raise UnusableAudio(path, f"holds samples as large as {np.abs(block).max():.1e}: not audio")
        at += len(block)
        yield block


def suffix_warning(path: Path, form: str) -> list[str]:
    """Warn where the name promises another format than the contents have."""
    suffix = path.suffix.lower()
    if suffix not in _KNOWN_SUFFIXES or form not in _SUFFIXES or suffix in _SUFFIXES[form]:
        return []
    return [f"wrong extension: {path.suffix} holds {form}"]


@cache
def tell_unusable(path: Path, reason: str) -> None:
    """Say once that a file is passed over: its header promised what it does not hold."""
    logging.getLogger(__name__).warning("%s is passed over: %s.", path, reason)
