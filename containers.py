"""Say what a file is that libsndfile does not read, from its bytes: text, or a container.

The names are for people, and what has one is worth trying with FFmpeg (:mod:`cmbench.ffmpeg`).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

_STREAMED_BYTES = 0x7FFF0000
"""Sizes from here on are what programs write into a header when they cannot know the length of a stream."""

_PROMISE = re.compile(r"^\s*(?P<chunk>[^:\n]+?)\s*: (?P<stated>\d+) \(should be (?P<present>\d+)\)", re.MULTILINE)
"""How the log of libsndfile reports a chunk that is longer in the header than in the file."""

COUNTED_SUFFIXES = (".flac", ".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus")
"""What files are usually called whose frames or pages are counted."""

_END_BYTES = 2**21

_AFTER_DATA = (
    b"LIST",
    b"id3 ",
    b"ID3 ",
    b"bext",
    b"cue ",
    b"smpl",
    b"fact",
    b"PEAK",
    b"JUNK",
    b"iXML",
    b"_PMX",
    b"afsp",
)
"""What stands behind the samples of a wave, or behind none."""

_BEGINNINGS = (
    (b"wvpk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"#!AMR", "AMR"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"DSD ", "DSF"),
    (b"FRM8", "DSDIFF"),
    (b".RMF", "RealAudio"),
    (b"\x0bw", "AC-3"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b"FLV\x01", "Flash video"),
    (b"\0\0\x01\xba", "MPEG program stream"),
)

_CONTAINERS = (
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "ASF (WMA)"),
    (b"OggS", "Ogg"),
    (b"caff", "CAF"),
)
_WAVE = (0x0050, 0x0055, 0x00FF, 0x0160, 0x0161, 0x0162, 0x0163, 0x0270, 0x1610, 0x2000, 0x2001)
"""Format tags of a wave (RFC 2361) that libsndfile does not read: MPEG, AAC, WMA, ATRAC3, AC-3, DTS."""


def foreign_name(beginning: bytes, data: bytes) -> str | None:
    """Return the container, or the codec of what has none; ``None`` if this is none of them.

    ``beginning`` are the file's first bytes, tags included; ``data`` is as much of it as is worth looking through.
    """
    if beginning[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return "QuickTime" if beginning[8:10] == b"qt" else "MP4"
    if beginning[:4] == b"\x1aE\xdf\xa3":
        return "WebM" if b"webm" in beginning[:64] else "Matroska"
    if beginning[:4] in (b"RIFF", b"RF64") and beginning[8:12] == b"WAVE":
        at = data.find(b"fmt ")
        return "compressed WAV" if at >= 0 and int.from_bytes(data[at + 8 : at + 10], "little") in _WAVE else None
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"AVI ":
        return "AVI"
    named = next((name for mark, name in _CONTAINERS if beginning.startswith(mark)), None)
    return named or _raw_name(beginning, data)


def _raw_name(beginning: bytes, data: bytes) -> str | None:
    """Name what has no container, or hardly one; tags may stand before it."""
    at = 0
    while beginning[:3] == b"ID3" and len(beginning) >= 10:
        at += 10 + (beginning[6] << 21 | beginning[7] << 14 | beginning[8] << 7 | beginning[9])
        beginning = data[at : at + 10]
    if len(beginning) >= 7 and beginning[0] == 0xFF and beginning[1] & 0xF6 == 0xF0 and beginning[2] >> 2 & 15 < 13:
        size = (beginning[3] & 3) << 11 | beginning[4] << 3 | beginning[5] >> 5
        at = data.find(beginning[:2])
        if data[at + size : at + size + 2] in (beginning[:2], b""):  # the next frame
            return "AAC"
    if data[:1] == b"G" and data[188:189] == data[376:377] == b"G":
        return "MPEG transport stream"
    return next((name for mark, name in _BEGINNINGS if beginning.startswith(mark)), None)


def as_text(beginning: bytes) -> str | None:
    """Return the first bytes of a file as text, or ``None`` if they are none."""
    try:
        text = beginning.decode("utf-8", errors="strict" if len(beginning) < 512 else "ignore")
    except UnicodeDecodeError:
        return None
    is_text = len(text.encode()) > 0.95 * len(beginning) and all(c.isprintable() or c.isspace() for c in text)
    return text if is_text else None


def ends_of(path: Path) -> bytes:
    """Return the first and the last megabytes of a file: where containers describe what they hold."""
    with path.open("rb") as file:
        beginning = file.read(_END_BYTES)
        file.seek(max(_END_BYTES, path.stat().st_size - _END_BYTES))
        return beginning + file.read(_END_BYTES)


def conversion(path: Path) -> str:
    """Return the command that makes a file of one kind that libsndfile reads."""
    source, target = (shlex.quote(name) for name in (path.name, f"{path.stem}.wav"))
    if source == target:
        target = shlex.quote(f"{path.stem}.flac")
    return f"convert it in its folder: ffmpeg -i {source} {target}"


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


@dataclass(frozen=True)
class WaveExtent:
    """How far a wave reaches within its file."""

    samples: int  # byte with which they begin
    stop: int  # byte after what the header states of them; before it stands nothing else
    # whether more samples follow: a recorder that is interrupted leaves the size that it noted last
    goes_on: bool = False
    following: int | None = None  # byte with which another wave begins; ``None`` if none does


def wave_extent(file: IO[bytes], at: int = 0) -> WaveExtent | None:
    """Return how far the wave reaches that begins at a byte; ``None`` if none does, or without samples.

    Zeros, and what looks like a chunk or a tag, are no samples.
    """
    size = file.seek(0, 2)
    file.seek(at)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return None
    at, found = at + 12, None
    while at + 8 <= size:
        file.seek(at)
        head = file.read(12)
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        if found:
            if name == b"RIFF" and head[8:] == b"WAVE":
                return replace(found, following=at)
            is_chunk = name in _AFTER_DATA or (min(name) >= 32 and max(name) < 127 and at + 8 + length <= size + 1)
            if not is_chunk:
                is_tag = head.startswith((b"TAG", b"APETAGEX", b"ID3", b"LYRICS"))
                return replace(found, goes_on=not is_tag and bool((head + file.read(2**20)).strip(b"\0")))
        if name == b"data" and not found:
            found = WaveExtent(at + 8, min(at + 8 + length, size))
        at += 8 + length + length % 2
    return found
