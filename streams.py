"""What an mp3 or a FLAC file holds, counted from its bytes: nobody's word is taken for a length.

An mp3 may have no index, one that lies, or those of several recordings joined into one file; a
FLAC file may state a wrong length. libsndfile believes the first index it meets, or guesses from the first
frames. Here every frame is visited, none is decoded: about a millisecond for a minute of mp3.

Frame headers: ISO/IEC 11172-3 and 13818-3, section 2.4.2.3, and "MPEG 2.5" as every decoder knows it. Indexes: the
Xing and Info frames of LAME (http://gabriel.mp3-tech.org/mp3infotag.html) and Fraunhofer's VBRI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import IO

from .sound import Bytes, joined_bytes

_KILOBITS = {
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates 1 to 14 by whether it is MPEG 1 and by the two bits of the layer (3: layer I, 1: layer III)."""

_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
"""Sample rates by the two bits of the version (3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5)."""

_FLAC_BEGINS = (b"fLaC\x00\0\0\x22", b"fLaC\x80\0\0\x22")
"""A stream and the head of its first block, which has 34 bytes (RFC 9639, section 8)."""

_MONO = 3
_IN_A_ROW = 3
"""Frames that must follow each other before bytes are taken for mp3."""

_JUNK = 2**16
"""How far into a file the first frame is looked for, tags and zero bytes not counted."""


@dataclass(frozen=True)
class Family:
    """What all frames of one mp3 have in common: the bits of version and layer, the place of the rate, mono or not."""

    version: int
    layer: int
    rate: int
    mono: bool

    @property
    def hertz(self) -> int:
        """Sample rate."""
        return _HERTZ[self.version][self.rate]

    @property
    def samples(self) -> int:
        """Samples of a frame, per channel."""
        return 384 if self.layer == 3 else 1152 if self.layer == 2 or self.version == 3 else 576

    @property
    def side(self) -> int:
        """Bytes of side information in a frame of layer III; an index stands behind it."""
        return (17 if self.mono else 32) if self.version == 3 else (9 if self.mono else 17)

    def size(self, kilobits: int, padded: bool) -> int:
        """Bytes of a frame."""
        if self.layer == 3:
            return (12_000 * kilobits // self.hertz + padded) * 4
        return self.samples // 8 * 1000 * kilobits // self.hertz + padded

    @property
    def kilobits(self) -> tuple[int, ...]:
        """Bit rates 1 to 14."""
        return _KILOBITS[self.version == 3, self.layer]

    def header(self, place: int, padded: bool = False) -> int:
        """Return the 32 bits of a frame's header at the bit rate of a place, without a checksum."""
        bits = 0x7FF << 21 | self.version << 19 | self.layer << 17 | 1 << 16 | place << 12 | self.rate << 10
        return bits | padded << 9 | (_MONO if self.mono else 0) << 6


@cache
def _sizes(family: Family) -> dict[int, int]:
    found = {}
    for place, kilobits in enumerate(family.kilobits, 1):
        for padded in (False, True):
            for free in range(16):  # checksum, private bit, mode
                checksum, private, mode = free >> 3 & 1, free >> 2 & 1, free & 3
                if (mode == _MONO) == family.mono:
                    bits = family.header(place, padded) & ~(1 << 16 | 3 << 6)
                    bits |= checksum << 16 | private << 8 | mode << 6
                    found[bits >> 6] = family.size(kilobits, padded)
    return found


def _family(header: int) -> Family | None:
    """Return the family of a frame, or ``None`` if these are not the 32 bits of a header (or of a free bit rate)."""
    version, layer, place, rate = header >> 19 & 3, header >> 17 & 3, header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 0 or place in (0, 15) or rate == 3:
        return None
    return Family(version, layer, rate, header >> 6 & 3 == _MONO)


@dataclass(frozen=True)
class Index:
    """What an mp3's index states: where its numbers stand, frames and bytes; 0 for what it does not state."""

    at: int
    frames: int
    bytes: int


@dataclass(frozen=True)
class Mp3Part:
    """One recording of an mp3 file."""

    family: Family  # of its frames
    # first byte and byte after the last of every run of frames, the index's frame included
    spans: tuple[tuple[int, int], ...]
    frames: int  # counted, without the index's
    index: Index | None  # what it states of itself; ``None`` if it states nothing

    @property
    def samples(self) -> int:
        """Samples per channel before any that an encoder added are taken off."""
        return self.frames * self.family.samples

    @property
    def promised(self) -> int:
        """Samples that the index promises; those that are there if there is none."""
        return self.index.frames * self.family.samples if self.index else self.samples

    @property
    def is_whole(self) -> bool:
        """Whether there are as many frames and bytes as the index states: what follows is another recording."""
        there = sum(stop - first for first, stop in self.spans)
        return self.index is not None and (self.index.frames, self.index.bytes) == (self.frames, there)

    @property
    def is_cut(self) -> bool:
        """Whether the index promises more frames, and not only frames but bytes too."""
        there = sum(stop - first for first, stop in self.spans)
        return self.promised > self.samples and self.index is not None and not 0 < self.index.bytes <= there + 1

    @property
    def index_lies(self) -> bool:
        """Whether the index states another number of frames than an intact recording holds."""
        return self.promised != self.samples and not self.is_cut

    @property
    def widest_gap(self) -> int:
        """Bytes between two of its spans at most: something that is not mp3."""
        return max((after[0] - before[1] for before, after in pairwise(self.spans)), default=0)

    def without_index(self, data: Bytes) -> Mp3Part:
        """Return the recording without the frame of its index."""
        first, stop = self.spans[0]
        first += _sizes(self.family)[int.from_bytes(data[first : first + 4], "big") >> 6]
        return replace(self, spans=((first, stop), *self.spans[1:]), index=None)

    def opened(self, data: Bytes) -> IO[bytes]:
        """Return the recording as a file of its own that no decoder misjudges.

        An index that lies is corrected. A file without an index seems to be long: the decoder guesses the length from
        its size, and is to guess too much, never too little. (An index made for it would cost 529 samples: a decoder
        that meets one drops the delay of its own filters.)
        """
        if self.index is None:
            longest = self.family.size(self.family.kilobits[-1], padded=True)
            return joined_bytes(data, self.spans, (self.frames + 2) * longest)
        if not self.index_lies:
            return joined_bytes(data, self.spans)
        (first, stop), at = self.spans[0], self.index.at
        corrected = ((first, at), self.frames.to_bytes(4, "big"), (at + 4, stop))
        return joined_bytes(data, (*corrected, *self.spans[1:]))


def mp3_parts(data: Bytes, at: int = 0) -> tuple[Mp3Part, ...]:
    """Return the recordings in an mp3 file in their order; none if it holds no frames (or of a free bit rate).

    A recording begins with a tag, an index, or another kind of frame than before, and ends where its index says so.
    """
    parts: list[Mp3Part] = []
    at, _ = _past_tags(data, at)
    while data[at : at + 1] == b"\0":
        at += len(data[at : at + _JUNK]) - len(data[at : at + _JUNK].lstrip(b"\0"))
    limit = at + _JUNK
    tagged = True
    while (first := _next_frame(data, at, limit)) is not None:
        for number, part in enumerate(_run(data, first)):
            joins = parts and not (number or tagged or part.index or parts[-1].is_whole)
            if joins and part.family == parts[-1].family:
                last = parts.pop()
                part = replace(last, spans=last.spans + part.spans, frames=last.frames + part.frames)
            parts.append(part)
            at = part.spans[-1][1]
        ends = data.startswith((b"TAG", b"APETAGEX"), at)
        at, tagged = _past_tags(data, at)
        tagged = tagged or ends
        limit = len(data)
    return tuple(part for part in parts if part.frames)


def _past_tags(data: Bytes, at: int) -> tuple[int, bool]:
    """Skip ID3v2 tags, one after another, and say whether there was one (ID3v2.4, sections 3.1 and 3.4)."""
    begun = at
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        head = data[at : at + 10]
        at += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)
    return at, at > begun


def without_tags(data: Bytes, at: int = 0, stop: int | None = None) -> tuple[int, int]:
    """Return where what the tags stand around begins and ends: ID3v2 before it, APEv2 and ID3v1 behind it."""
    at, _ = _past_tags(data, at)
    stop = len(data) if stop is None else stop
    while True:
        foot = data[max(at, stop - 32) : stop]
        if data[max(at, stop - 128) : stop].startswith(b"TAG") and stop - at >= 128:
            stop -= 128
        elif foot.startswith(b"APETAGEX") and len(foot) == 32:
            size = int.from_bytes(foot[12:16], "little") + 32 * (foot[23] >> 7)
            if size > stop - at:
                return at, stop
            stop -= size
        else:
            return at, stop


def flac_parts(data: Bytes) -> tuple[tuple[int, int], ...]:
    """Return the first byte of every FLAC stream of a file, one joined to the other, and the one after its last."""
    begins, at = [], -1
    while (at := data.find(b"fLaC", at + 1)) >= 0:
        begins += [at] * data.startswith(_FLAC_BEGINS, at)
    return tuple(without_tags(data, *span) for span in pairwise([*begins, len(data)]))


def _next_frame(data: Bytes, at: int, limit: int) -> int | None:
    """Return where the next frames in a row begin, or ``None``."""
    while (at := data.find(b"\xff", at, limit)) >= 0:
        family = _family(int.from_bytes(data[at : at + 4], "big"))
        if family is not None:
            place, row, sizes = at, 0, _sizes(family)
            while row < _IN_A_ROW and (size := sizes.get(int.from_bytes(data[place : place + 4], "big") >> 6)):
                place += size
                row += 1
            at_end = place == len(data) or data[place : place + 3] in (b"TAG", b"ID3", b"APE")
            if row == _IN_A_ROW or (row > 0 and at_end):
                return at
        at += 1
    return None


def _run(data: Bytes, first: int) -> Iterator[Mp3Part]:
    """Yield the recordings in the frames that follow each other from ``first``; an index begins and ends one."""
    family = _family(int.from_bytes(data[first : first + 4], "big"))
    assert family is not None
    sizes, marks = _sizes(family), _indexes(data, first, family)
    begun, at, frames, whole = first, first, 0, len(data)
    while (size := sizes.get(int.from_bytes(data[at : at + 4], "big") >> 6)) and at + size <= whole:
        index = marks.get(begun)
        ends = index is not None and (index.frames, index.bytes) == (frames, at - begun)
        if at in marks or ends:
            if at > begun:
                yield Mp3Part(family, ((begun, at),), frames, index)
            begun, frames = at, -1 if at in marks else 0
        frames += 1
        at += size
    if at > begun:
        yield Mp3Part(family, ((begun, at),), frames, marks.get(begun))


def _indexes(data: Bytes, first: int, family: Family) -> dict[int, Index]:
    """Return what could be an index, by where its frame would begin."""
    found: dict[int, Index] = {}
    if family.layer != 1:
        return found
    for mark, places, offset in (
        (b"Xing", (4 + family.side, 6 + family.side), 8),
        (b"Info", (4 + family.side, 6 + family.side), 8),
        (b"VBRI", (36,), 14),
    ):
        at = data.find(mark, first)
        while at >= 0:
            number = [int.from_bytes(data[at + i : at + i + 4], "big") for i in (4, offset, offset + 4, 10)]
            flags, frames, second, vbri_bytes = number
            stated = (frames, vbri_bytes) if mark == b"VBRI" else (frames * (flags & 1), second * (flags >> 1 & 1))
            if mark == b"VBRI" or flags & 1:
                found |= {at - place: Index(at + offset, *stated) for place in places}
            at = data.find(mark, at + 1)
    return found


def flac_samples(head: bytes, tail: bytes) -> tuple[int, int] | None:
    """Return the samples that a FLAC file states (0: none) and those that its last frame ends with (RFC 9639).

    ``head`` is the first 26 bytes, ``tail`` at least one whole frame.

    Returns:
        ``None`` if the file does not begin as FLAC does, or does not end with a whole frame.
    """
    if head[:4] != b"fLaC" or head[4] & 127 or len(head) < 26:
        return None
    stated = int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        end = _flac_end(tail[at : at + 16], int.from_bytes(head[8:10], "big"))
        if end is not None and (end == stated or _crc(tail[at:-2], 16, 0x8005) == int.from_bytes(tail[-2:], "big")):
            return stated, end
    return None


def _flac_end(header: bytes, nominal: int) -> int | None:
    """Return the samples up to the end of a frame, or ``None`` if this is no frame's header (RFC 9639, section 9.1)."""
    if (len(header) < 16 and not header[:1]) or header[1:2] not in (b"\xf8", b"\xf9"):
        return None
    header = header.ljust(16, b"\0")
    size, rate = header[2] >> 4, header[2] & 15
    ones = 8 - (header[4] ^ 0xFF).bit_length()  # as in UTF-8, up to seven bytes
    following = max(0, ones - 1)
    if size == 0 or rate == 15 or header[3] & 1 or ones in (1, 8):
        return None
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 5 + following]:
        number = number << 6 | byte & 63
    at = 5 + following
    extra = {6: 1, 7: 2}.get(size, 0)
    samples = int.from_bytes(header[at : at + extra], "big") + 1
    if not extra:
        samples = 192 if size == 1 else 576 << size - 2 if size < 6 else 256 << size - 8
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if at > 15 or _crc(header[:at], 8, 0x07) != header[at]:
        return None
    return (number if header[1] & 1 else number * nominal) + samples


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    """Return a checksum of ``bits`` that starts at 0 and mirrors nothing, as FLAC's two."""
    table, value, mask = _crc_table(bits, polynomial), 0, (1 << bits) - 1
    for byte in data:
        value = value << 8 & mask ^ table[value >> bits - 8 ^ byte]
    return value


@cache
def _crc_table(bits: int, polynomial: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> bits - 1 else 0)) & (1 << bits) - 1
        table.append(value)
    return tuple(table)
