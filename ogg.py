"""The pages of an Ogg file (RFC 3533): which streams it chains, whether they are whole; none is decoded.

libsndfile reads the first of chained streams, passes over pages that fail their checksum, and takes what is there for
all there was.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .containers import conversion
from .errors import UnusableAudio
from .sound import Bytes

_BEGINS, _ENDS = 2, 4
"""Bits of a page's header: its stream begins, ends with it."""

_NO_TIME = -1
"""What a page states within which no packet ends."""

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Every byte with its bits in the other order."""


@dataclass(frozen=True)
class OggLink:
    """One of the links of an Ogg file."""

    first: int  # byte
    stop: int  # byte after its last
    heads: tuple[bytes, ...]  # the first bytes of each of its streams' first packet; they name the codec
    ends: bool = False  # whether the page that ends a stream is there for each of them
    is_damaged: bool = False  # whether a page is missing between its pages, is not whole, or fails its checksum
    goes_back: bool = False  # whether a page states an earlier time than one before it


def ogg_links(data: Bytes) -> tuple[OggLink, ...]:
    """Return the links of an Ogg file in their order; none if it is no such file (RFC 3533, section 6).

    What stands behind the last whole page, a tag or the beginning of a page, is not called damage: whether something
    is missing there is told by ``ends``.
    """
    links: list[OggLink] = []
    running: set[bytes] = set()
    times: dict[bytes, int] = {}
    numbers: dict[bytes, int] = {}
    end, beginning = 0, False
    for first, stop in _ogg_pages(data):
        kind, serial = data[first + 5], data[first + 14 : first + 18]
        time = int.from_bytes(data[first + 6 : first + 14], "little", signed=True)
        number = int.from_bytes(data[first + 18 : first + 22], "little")
        gap, end = first > end, stop
        if kind & _BEGINS:  # those of one link stand together
            if not beginning:
                links.append(OggLink(first, stop, ()))
                running.clear()
                times.clear()
            body = first + 27 + data[first + 26]
            links[-1] = replace(links[-1], heads=(*links[-1].heads, data[body : body + 9]))
            running.add(serial)
        elif links and (gap or number != numbers.get(serial, number) + 1):
            links[-1] = replace(links[-1], is_damaged=True)
        numbers[serial] = number
        beginning = bool(kind & _BEGINS)
        if kind & _ENDS:
            running.discard(serial)
        if links:
            back = links[-1].goes_back or (time != _NO_TIME and time < times.get(serial, 0))
            links[-1] = replace(links[-1], stop=stop, ends=not running, goes_back=back)
            times[serial] = max(time, times.get(serial, 0))
    return tuple(links)


def lacks_end(links: Sequence[OggLink]) -> bool:
    """Whether the last link of an Ogg file is not there to its end."""
    return not all(link.ends for link in links[-1:])


def told_of(path: Path, links: Sequence[OggLink]) -> tuple[str, ...]:
    """Return what a reader should know of the links of an Ogg file.

    Raises:
        UnusableAudio: its pages do not say how long it is.
    """
    if any(link.goes_back for link in links):
        raise UnusableAudio(path, f"damaged: its pages go back in time; {conversion(path)}")
    many = (f"{len(links)} Ogg streams chained; they are read one after the other",) if len(links) > 1 else ()
    has_holes = any(link.is_damaged for link in links) or not all(link.ends for link in links[:-1])
    return (*many, "damaged: some of its pages are not whole; the rest is read") if has_holes else many


def _ogg_pages(data: Bytes) -> Iterator[tuple[int, int]]:
    """Yield the first byte of every whole page of an Ogg file and the one after its last."""
    at = 0
    while (at := data.find(b"OggS", at)) >= 0:
        body = at + 27 + (data[at + 26] if at + 27 <= len(data) else 0)
        stop = body + sum(data[at + 27 : body])
        if stop <= len(data) and _ogg_sum(data[at:stop]) == data[at + 22 : at + 26]:
            yield at, stop
            at = stop
        else:
            at += 4


def _ogg_sum(page: bytes) -> bytes:
    """Return the checksum of a page: that of zlib with all bits mirrored and nothing inverted."""
    content = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    return (zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "big").translate(_MIRRORED)
