"""Decode a stretch of an audio file, and say in a few words why a file cannot be used.

:mod:`cmbench.opening` chooses the decoder; this module translates its errors, finds what it passes over in silence
(files cut short, NaN), and keeps to the asked stretch. Reasons and warnings never name the file, but for commands to be
typed: whoever prints them does.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import UnusableAudio
from .ffmpeg import FfmpegError
from .opening import SLACK_SECONDS
from .sound import Sound, said

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE = 2.0**-15
"""Deviation (standard, full scale 1) under which audio is silence: one step of 16-bit samples, -90 dBFS."""

_BLOCK_SAMPLES = 2**19
"""Samples of all channels together that are decoded at a time: 2 MiB of float32."""

_PEAK = 2.0**31
"""Largest sample that any integer format could have produced; beyond it, the bytes are not audio."""

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
_REMEDY = "; fetch it again, or encode what is there anew"

_KNOWN_SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


@dataclass(frozen=True)
class Stretch:
    """What to read of a file."""

    first: int  # frame to begin with
    stop: int  # frame to end before; never beyond what the file seems to hold
    length_is_known: bool  # whether the file states its length; if not, ``stop`` may lie beyond its end
    warnings: tuple[str, ...]  # what was noticed on the way


def find_stretch(path: Path, sound: Sound, start: float, end: float | None, max_seconds: float | None) -> Stretch:
    """Turn seconds into frames, and judge whether the file holds what its header promises of them.

    A file cut short after the stretch gives what an intact one would: that is a warning, not a reason. ``max_seconds``
    caps the length from ``start``; without ``end``, the stretch ends with the file.

    Raises:
        UnusableAudio: the stretch is empty or lies outside the file, or the file is cut short within it.
    """
    rate, present = sound.samplerate, sound.frames
    if not start >= 0 or (end is not None and not end > start):
        raise UnusableAudio(path, f"an empty stretch: it starts at {start:g} s and ends at {end} s")
    first = round(start * rate)
    if first >= present:
        raise UnusableAudio(path, f"the track starts at {start:g} s, but the file ends at {present / rate:.2f} s")
    promised = sound.promised
    capped = math.inf if max_seconds is None else start + max_seconds
    asked = min(math.inf if end is None else end, capped)
    stop = promised if asked == math.inf else min(promised, round(asked * rate))
    slack = SLACK_SECONDS * rate
    warnings = list(sound.warnings)
    if promised - present > slack:
        story = f"cut short: the header promises {promised / rate:.2f} s, {present / rate:.2f} s are there"
        if stop - present > slack:
            raise UnusableAudio(path, story + _REMEDY)
        warnings.append(f"{story}; what is used of it is complete")
    elif sound.lacks_end:
        story = f"cut short: no end-of-stream mark after {present / rate:.2f} s"
        if stop >= present:
            raise UnusableAudio(path, story + _REMEDY)
        warnings.append(f"{story}; what is used of it is complete")
    if end is not None and asked == end and end * rate - promised > slack:
        warnings.append(f"the track should end at {end:g} s, but the file ends at {present / rate:.2f} s")
    return Stretch(first, min(stop, present), sound.length_is_known, tuple(warnings))


def missing_frames(path: Path, sound: Sound, stretch: Stretch, frames: int) -> list[str]:
    """Compare what was decoded with what was to be decoded; a warning where the length was only a guess.

    Raises:
        UnusableAudio: the file states its length, and less came out of it.
    """
    rate, expected = sound.samplerate, stretch.stop - stretch.first
    if expected - frames <= SLACK_SECONDS * rate:
        return []
    until = (stretch.first + frames) / rate
    if stretch.length_is_known or frames == 0:
        promised = stretch.stop / rate
        story = f"cut short: {promised:.2f} s were to be read, the decoder stopped at {until:.2f} s"
        raise UnusableAudio(path, story + _REMEDY)
    return [f"the file does not state its length; it ends at {until:.2f} s"]


def blocks(path: Path, sound: Sound, stretch: Stretch) -> Iterator[NDArray[np.float32]]:
    """Yield a stretch as float32 ``[frames, channels]``, full scale 1, in blocks of bounded size.

    Raises:
        UnusableAudio: the decoder fails, or a sample is NaN, infinite or absurdly large.
    """
    import soundfile

    frames = max(1, _BLOCK_SAMPLES // sound.channels)
    at = stretch.first
    reader = sound.read(stretch.first, stretch.stop, frames)
    while True:
        try:
            block = next(reader, None)
        except soundfile.LibsndfileError as error:
            between = f"{at / sound.samplerate:.2f} s and {min(at + frames, stretch.stop) / sound.samplerate:.2f} s"
            raise UnusableAudio(path, f"damaged: the decoder fails between {between} ({said(error)})") from error
        except FfmpegError as error:
            raise UnusableAudio(path, f"damaged after {at / sound.samplerate:.2f} s: {error}") from error
        if block is None:
            return
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            second = (at + int(np.argmin(finite))) / sound.samplerate
            raise UnusableAudio(path, f"holds NaN or infinite samples, the first at {second:.2f} s")
        if np.abs(block).max() > _PEAK:
            raise UnusableAudio(path, f"holds samples as large as {np.abs(block).max():.1e}: not audio")
        at += len(block)
        yield block


def channel_sums(channels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return sum and sum of squares of each row ``[rows, 2]`` of ``[rows, frames]``: what adds up over blocks."""
    wide = channels.astype(np.float64)
    return np.stack([wide.sum(axis=1), np.einsum("cs,cs->c", wide, wide)], axis=1)


def variances(sums: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Return the variance of each row from its sums ``[rows, 2]`` over ``frames``; it decides what is silent."""
    means = sums / max(frames, 1)
    return np.maximum(means[:, 1] - np.square(means[:, 0]), 0.0)


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
