"""Say from a container's structure whether its file has an end: boxes, elements, chunks and pages state their size.

What a container promises in seconds may be wrong, and many promise nothing; a box that ends behind the file is proof.
No byte of sound is looked at, and what follows a container's end (tags, padding) is not judged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

_BOXES = frozenset(b"ftyp styp moov moof mdat sidx ssix mfra meta free skip wide uuid".split())
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_ENDLESS_CLUSTER = frozenset((0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xEC, 0xBF))
"""What may lie in a cluster (RFC 9559); of a cluster without a size, anything else is what follows it."""
_LEVEL_1 = frozenset((0x114D9B74, 0x1549A966, 0x1654AE6B, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367))
_UNKNOWN_RIFF = (0, 0xFFFFFFFF)
"""Sizes that a program leaves in a header that it cannot go back to."""
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_TRANSPORT_PACKET = 188

IN_A_PACKET = "ends in the middle of a packet"


def what_is_lacking(path: Path) -> str | None:
    """Return what a file lacks by the structure of its container, after "it"; ``None`` where nothing shows."""
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(16)
        file.seek(0)
        return next((judge(file, size) for is_of, judge in _KINDS if is_of(beginning)), None)


def _in_the_middle(what: str, size: int, end: int) -> str:
    return f"ends in the middle of {what} ({size:,} of {end:,} bytes are there)"


def _mp4(file: IO[bytes], size: int) -> str | None:
    """Boxes of ISO/IEC 14496-12, section 4.2; a segment index (8.16.3) states the bytes of what follows it."""
    at, index, promised = 0, False, 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if name not in _BOXES:  # what a program has put behind the last box
            break
        index = index or name == b"moov"
        if length == 0:
            break
        if at + length > size:
            before = "" if index and name != b"moov" else ", and its index (moov) is not there"
            return _in_the_middle(f"its {name.decode()} box", size, at + length) + before
        if name == b"sidx":
            promised = max(promised, at + length + _indexed(file.read(length - 16) if length < 2**24 else b"", head))
        at += max(length, 8)
    if not index:
        return "has no index (moov), as where a recording was interrupted"
    return "ends before what its segment index lists" if promised > size else None


def _indexed(body: bytes, head: bytes) -> int:
    """Return the bytes behind a segment index that it speaks of."""
    wide = head[8] == 1
    offset = int.from_bytes(body[12:20] if wide else body[8:12], "big")
    at = 20 if wide else 12
    count = int.from_bytes(body[at + 2 : at + 4], "big")
    return offset + sum(
        int.from_bytes(body[at + 4 + 12 * i : at + 8 + 12 * i], "big") & 0x7FFFFFFF for i in range(count)
    )


def _matroska(file: IO[bytes], size: int) -> str | None:
    """Elements of EBML (RFC 8794): a segment, or where that has no size its clusters, or their blocks."""
    at, inside = 0, False
    while at < size:
        file.seek(at)
        head = file.read(12)
        found = _element(head)
        if found is None:
            return "ends in the middle of an element" if at + 12 > size else None
        name, begins, length = found
        known = _ENDLESS_CLUSTER | _LEVEL_1 if inside else {0x1A45DFA3, _SEGMENT, 0xEC}
        if name not in known:
            return None
        if name == _SEGMENT or length is None:
            inside = True
            if length is not None:
                end = at + begins + length
                return _in_the_middle("its segment", size, end) if end > size else None
            at += begins
            continue
        at += begins + length
    return "ends in the middle of an element" if at > size else None


def _element(head: bytes) -> tuple[int, int, int | None] | None:
    """Return identifier, bytes before the content, and bytes of the content (``None``: not stated) of an element."""
    width = 9 - head[0].bit_length() if head[0] else 9
    if width > 4 or len(head) <= width or not head[width]:
        return None
    more = 9 - head[width].bit_length()
    if len(head) < width + more:
        return None
    length = int.from_bytes(head[width : width + more], "big") & (1 << 7 * more) - 1
    return int.from_bytes(head[:width], "big"), width + more, None if length == (1 << 7 * more) - 1 else length


def _asf(file: IO[bytes], size: int) -> str | None:
    """Size of the file and of its packets, in the file properties object (ASF specification, 3.2)."""
    head = file.read(2**16)
    at = head.find(_ASF_PROPERTIES)
    if at < 0:
        return "ends in the middle of its header" if size < 2**16 else None
    stated = int.from_bytes(head[at + 40 : at + 48], "little")
    is_broadcast = head[at + 88 : at + 89] != b"" and head[at + 88] & 1
    return _in_the_middle("what its header states", size, stated) if not is_broadcast and stated > size else None


def _riff(file: IO[bytes], size: int) -> str | None:
    """Chunks of RIFF; the size of the whole, which many programs get wrong, is not believed."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"RIFF":  # a long AVI has several, one after the other
            at += 12
            continue
        if length in _UNKNOWN_RIFF or not head[:4].isascii():
            return None
        if at + 8 + length > size:
            return _in_the_middle(f"its {head[:4].decode().strip()} chunk", size, at + 8 + length)
        at += 8 + length + length % 2
    return None


def _caf(file: IO[bytes], size: int) -> str | None:
    at = 8
    while at + 12 <= size:
        file.seek(at)
        head = file.read(12)
        length = int.from_bytes(head[4:], "big", signed=True)
        if length < 0 or not head[:4].isascii():  # sound to the end of the file
            return None
        if at + 12 + length > size:
            return _in_the_middle(f"its {head[:4].decode()} chunk", size, at + 12 + length)
        at += 12 + length
    return None


def _ogg(file: IO[bytes], size: int) -> str | None:
    """Pages of Ogg (RFC 3533): the last one is whole and says that it is the last."""
    file.seek(max(0, size - 2 * 65_307))
    tail = file.read()
    at = tail.rfind(b"OggS")
    page = tail[at:] if at >= 0 else b""
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        return "ends in the middle of a page"
    return None if page[5] & 4 else "has no end-of-stream mark"


def _flash(file: IO[bytes], size: int) -> str | None:
    """Tags of FLV (Adobe's specification, annex E): 11 bytes, the content, and the size of both."""
    file.seek(5)
    at = int.from_bytes(file.read(4), "big") + 4
    while at + 4 <= size:
        file.seek(at)
        end = at + 11 + int.from_bytes(file.read(4)[1:], "big") + 4
        if end > size:
            return _in_the_middle("a tag", size, end)
        at = end
    return "ends in the middle of a tag" if at < size else None


def _transport(file: IO[bytes], size: int) -> str | None:
    return IN_A_PACKET if size % _TRANSPORT_PACKET else None


_KINDS: tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes], int], str | None]], ...] = (
    (lambda head: head[4:8] in _BOXES, _mp4),
    (lambda head: head[:4] == b"\x1aE\xdf\xa3", _matroska),
    (lambda head: head[:4] == b"\x30\x26\xb2\x75", _asf),
    (lambda head: head[:4] == b"RIFF", _riff),
    (lambda head: head[:4] == b"caff", _caf),
    (lambda head: head[:4] == b"OggS", _ogg),
    (lambda head: head[:3] == b"FLV", _flash),
    (lambda head: head[:1] == b"G", _transport),
)
"""How a kind is known by its first bytes, and who judges it."""
