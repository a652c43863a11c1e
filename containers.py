"""Say what a file is that libsndfile does not read, from its bytes: text, or a codec in a container.

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
    (b"DSD ", "DSD in DSF"),
    (b"FRM8", "DSD in DSDIFF"),
    (b".RMF", "RealAudio"),
    (b"\x0bw", "AC-3"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b"FLV\x01", "Flash video"),
    (b"\0\0\x01\xba", "MPEG program stream"),
)

_MP4 = {
    b"mp4a": "AAC",
    b"alac": "ALAC",
    b"ac-3": "AC-3",
    b"ec-3": "E-AC-3",
    b"Opus": "Opus",
    b"fLaC": "FLAC",
    b".mp3": "mp3",
    b"samr": "AMR",
    b"sawb": "AMR",
    b"sowt": "PCM",
    b"twos": "PCM",
    b"lpcm": "PCM",
    b"in24": "PCM",
    b"fl32": "PCM",
    b"ipcm": "PCM",
    b"ms\0\x55": "mp3",
}
_MPEG_4 = {0x69: "mp3", 0x6B: "mp3", 0xA5: "AC-3", 0xA6: "E-AC-3", 0xDD: "Vorbis"}
"""Object types of what has the name ``mp4a`` and is no AAC (mp4ra.org); Layers 2 and 3 share theirs."""

_OBJECT_TYPE = re.compile(rb"esds.{4}\x03(?:[\x80-\xff]{0,3}.)...\x04(?:[\x80-\xff]{0,3}.)(.)", re.DOTALL)
_CAF = {b"aac ": "AAC", b"alac": "ALAC", b"opus": "Opus", b"lpcm": "PCM", b".mp3": "mp3"}
_MATROSKA = {b"A_MPEG/L3": "mp3", b"A_MPEG/L2": "mp2", b"A_MS/ACM": "audio", b"A_OPUS": "Opus", b"A_VORBIS": "Vorbis"}
_OGG = {b"\x7fFLAC": "FLAC", b"Speex  ": "Speex", b"\x80theora": "video", b"\x01vorbis": "Vorbis", b"OpusHead": "Opus"}
_WAVE = {
    0x0055: "mp3",
    0x0050: "mp2",
    0x00FF: "AAC",
    0x1610: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
    0x0160: "WMA 1",
    0x0161: "WMA 2",
    0x0162: "WMA Pro",
    0x0163: "WMA lossless",
    0x0270: "ATRAC3",
}
"""Format tags of a wave format (RFC 2361), in RIFF and in ASF."""

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")


def foreign_name(beginning: bytes, data: bytes) -> str | None:
    """Return the codec and the container, or ``None`` if this is none of them.

    ``beginning`` are the file's first bytes, tags included; ``data`` is as much of it as is worth looking through.
    """
    if beginning[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return f"{_in_mp4(data)} in {'QuickTime' if beginning[8:10] == b'qt' else 'MP4'}"
    if beginning[:4] == b"\x1aE\xdf\xa3":
        return f"{_in_matroska(data)} in {'WebM' if b'webm' in beginning[:64] else 'Matroska'}"
    if beginning[:16] == _ASF:
        at = data.find(_ASF_AUDIO)
        tag = int.from_bytes(data[at + 54 : at + 56], "little")
        return f"{_WAVE.get(tag, 'audio') if at >= 0 else 'audio'} in ASF"
    if beginning[:4] == b"OggS":
        segments = beginning[26]
        head = beginning[27 + segments : 35 + segments]
        return f"{next((name for mark, name in _OGG.items() if head.startswith(mark)), 'an unknown codec')} in Ogg"
    if beginning[:4] in (b"RIFF", b"RF64") and beginning[8:12] == b"WAVE":
        at = data.find(b"fmt ")
        tag = int.from_bytes(data[at + 8 : at + 10], "little") if at >= 0 else 0
        return f"{_WAVE[tag]} in WAV" if tag in _WAVE else None
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"AVI ":
        return "audio in AVI"
    if beginning[:4] == b"caff":
        at = beginning.find(b"desc")
        return f"{_CAF.get(beginning[at + 20 : at + 24], 'audio') if at >= 0 else 'audio'} in CAF"
    return _raw_name(beginning, data)


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
            return "AAC in ADTS"
    if data[:1] == b"G" and data[188:189] == data[376:377] == b"G":
        return "audio in an MPEG transport stream"
    return next((name for mark, name in _BEGINNINGS if beginning.startswith(mark)), None)


def _in_mp4(data: bytes) -> str:
    """Return the first codec of sound in the sample descriptions (ISO/IEC 14496-12, section 8.5.2)."""
    for at in (m.end() + 12 for m in re.finditer(b"stsd", data)):
        name = _MP4.get(data[at : at + 4])
        if name is not None:
            stated = _OBJECT_TYPE.search(data, at, at + 512) if name == "AAC" else None
            return _MPEG_4.get(stated[1][0], name) if stated else name
    return "audio"


def _in_matroska(data: bytes) -> str:
    """Return the first codec of sound by its identifier: an element 0x86, its length, ``A_…`` (RFC 9559, 5.1.4)."""
    found = re.search(rb"\x86[\x80-\xbf]A_", data)
    if found is None:
        return "audio"
    size = data[found.start() + 1] & 0x3F
    codec = data[found.start() + 2 : found.start() + 2 + size]
    return _MATROSKA.get(codec) or codec.decode("ascii", "replace").removeprefix("A_").split("/")[0]


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
