"""Tiny sound files, whole and broken, in the forms in which publishers and users have them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import soundfile

SECONDS = 1.5
"""Of a whole clip or recording."""

SHORT = 0.4
"""Of one that was cut: under the second that a track must have at least."""

FAULTS = {"missing": "missing", "corrupt": "unreadable", "short": "too short", "container": "unreadable"}
"""What is done to a file -> what ``tasks verify`` must call it."""

HARMLESS = "riff"
"""A WAV file under the name of an mp3: odd, and as good as any, for the content says what it is."""


def encoded(name: str, tags: tuple[str, ...], seconds: float = SECONDS, form: str = "MP3", rate: int = 16000) -> bytes:
    """A few tones that the tags choose, in noise that the name chooses.

    Args:
        name: of the track; two tracks never sound the same.
        tags: of the track; the first ones can be heard.
        seconds: length.
        form: ``MP3``, ``WAV`` or ``OGG``.
        rate: samples a second.
    """
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    time = np.arange(int(seconds * rate)) / rate
    wave = 0.02 * draw.standard_normal(len(time))
    for place, tag in enumerate(tags[:3]):
        pitch = 110 * 2 ** (zlib.crc32(tag.encode()) % 48 / 12)
        wave += 0.2 / (place + 1) * np.sin(2 * np.pi * pitch * time)
    target = io.BytesIO()
    soundfile.write(target, wave.astype(np.float32), rate, format=form)
    return target.getvalue()


def file_of(name: str, tags: tuple[str, ...], fault: str = "") -> bytes | None:
    """The mp3 of a track as its publisher delivers it; ``None`` where he has none.

    Args:
        name: of the track.
        tags: of the track.
        fault: one of :data:`FAULTS`, :data:`HARMLESS`, or nothing.
    """
    if fault == "missing":
        return None
    if fault == "corrupt":
        return np.random.default_rng(zlib.crc32(name.encode())).bytes(3000)
    if fault == "container":  # what a downloader leaves that was told to call everything .mp3
        return struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"M4A ", 0, b"M4A ", b"isom") + b"\0" * 2000
    return encoded(name, tags, SHORT if fault == "short" else SECONDS, "WAV" if fault == HARMLESS else "MP3")
