"""Pages against an independent checksum and against what libsndfile writes."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.errors import UnusableAudio
from cmbench.ogg import OggLink, _ogg_sum, lacks_end, ogg_links, told_of


def stream(kind: str, seed: int = 0, seconds: float = 2.0) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, int(seconds * 48_000))
    soundfile.write(file, noise, 48_000, format="OGG", subtype=kind)
    return file.getvalue()


def pages(data: bytes) -> list[int]:
    """Where the pages of an intact file begin."""
    places, at = [], 0
    while at < len(data):
        assert data[at : at + 4] == b"OggS"
        places.append(at)
        at += 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])
    return places


def restated(data: bytes, at: int, time: int) -> bytes:
    """The file with another time in one of its pages."""
    stop = min([p for p in pages(data) if p > at], default=len(data))
    page = bytearray(data[at:stop])
    page[6:14] = time.to_bytes(8, "little")
    page[22:26] = _ogg_sum(bytes(page))
    return data[:at] + bytes(page) + data[stop:]


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=27, max_size=300))
def test_the_checksum_is_that_of_rfc_3533(page: bytes) -> None:
    value = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    assert _ogg_sum(page) == value.to_bytes(4, "little")


def test_links_and_their_codecs() -> None:
    pieces = [stream(kind, seed) for seed, kind in enumerate(["VORBIS", "OPUS", "VORBIS"])]
    links = ogg_links(b"".join(pieces))
    ends = np.cumsum([0] + [len(piece) for piece in pieces])
    assert [(link.first, link.stop) for link in links] == list(pairwise(ends))
    assert [link.heads[0][:8] for link in links] == [b"\x01vorbis\0", b"OpusHead", b"\x01vorbis\0"]
    assert all(link.ends and not link.is_damaged and not link.goes_back for link in links)
    assert ogg_links(pieces[0] + b"TAG".ljust(128)) == links[:1]


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_wherever_a_stream_is_cut_it_has_no_end(kind: str) -> None:
    data = stream(kind)
    edges = [edge + off for edge in pages(data)[2:] for off in (-1, 0, 1, 30)]
    for cut in [*edges, len(data) - 1]:
        (link,) = ogg_links(data[:cut])
        assert (link.ends, link.is_damaged) == (False, False)


def test_a_link_that_is_cut_does_not_hide_the_next() -> None:
    first, second = stream("VORBIS", 1), stream("VORBIS", 2)
    for lost in (1, 30, 2000):
        cut, whole = ogg_links(first[:-lost] + second)
        assert (cut.ends, whole.ends) == (False, True)
        assert (whole.first, whole.stop) == (len(first) - lost, len(first) - lost + len(second))


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 0.999), st.integers(0, 7))
def test_a_flipped_bit_is_damage_or_no_end(place: float, bit: int) -> None:
    data = bytearray(stream("VORBIS"))
    data[int(place * len(data))] ^= 1 << bit
    links = ogg_links(bytes(data))
    assert any(link.is_damaged or not link.ends for link in links)


def test_a_page_that_is_missing_is_damage() -> None:
    data = stream("OPUS")
    places = pages(data)
    for place, after in list(pairwise(places))[2:-1]:
        (link,) = ogg_links(data[:place] + data[after:])
        assert (link.ends, link.is_damaged) == (True, True)


def test_times_that_go_back_are_seen() -> None:
    data = stream("VORBIS", seconds=6.0)
    last, before = pages(data)[-1], pages(data)[-2]
    time = int.from_bytes(data[before + 6 : before + 14], "little")
    assert ogg_links(restated(data, last, time - 1))[0].goes_back
    assert not ogg_links(restated(data, last, time))[0].goes_back


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_anything_is_walked_to_its_end(before: bytes, after: bytes) -> None:
    assert all(isinstance(link, OggLink) for link in ogg_links(before + b"OggS" + after))
    assert ogg_links(before.replace(b"OggS", b"")) == ()


def test_what_is_not_whole_is_told() -> None:
    whole, open_ended = OggLink(0, 9, (), ends=True), OggLink(9, 12, ())
    path = Path("a.ogg")
    assert not lacks_end(())
    assert not lacks_end([open_ended, whole])
    assert lacks_end([whole, open_ended])
    assert told_of(path, [whole]) == told_of(path, [open_ended]) == ()
    many, damaged = told_of(path, [open_ended, whole])
    assert many.startswith("2 Ogg streams chained")
    assert damaged.startswith("damaged: some of its pages are not whole")
    with pytest.raises(UnusableAudio, match="go back in time"):
        told_of(path, [OggLink(0, 9, (), ends=True, goes_back=True)])
