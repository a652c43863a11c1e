"""Frames and pages, counted; against headers that are built here bit by bit."""

from __future__ import annotations

import io
import random
import struct

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.streams import Family, _sizes, flac_samples, mp3_parts

FAMILIES = st.builds(
    Family, version=st.sampled_from([0, 2, 3]), layer=st.integers(1, 3), rate=st.integers(0, 2), mono=st.booleans()
)


def frames(family: Family, count: int, draw: random.Random) -> bytes:
    """Frames of any bit rates without content."""
    made = []
    for _ in range(count):
        place, padded = draw.randrange(1, 15), draw.random() < 0.5
        header = family.header(place, padded).to_bytes(4, "big")
        made.append(header.ljust(family.size(family.kilobits[place - 1], padded), b"\0"))
    return b"".join(made)


def indexed(family: Family, count: int, draw: random.Random, stated: int | None = None) -> bytes:
    body = frames(family, count, draw)
    size = family.size(family.kilobits[-1], padded=False)
    index = struct.pack(">4sIII", b"Xing", 3, count if stated is None else stated, size + len(body))
    return (family.header(14).to_bytes(4, "big") + bytes(family.side) + index).ljust(size, b"\0") + body


@settings(max_examples=60, deadline=None)
@given(FAMILIES, st.integers(3, 40), st.integers(0, 2**16 - 1), st.integers(0, 2**32))
def test_frames_are_counted_behind_anything(family: Family, count: int, junk: int, seed: int) -> None:
    draw = random.Random(seed)
    body = frames(family, count, draw)
    data = bytes(junk) + body + b"TAG".ljust(128, b"\xff")
    (part,) = mp3_parts(data)
    assert (part.family, part.frames, part.spans) == (family, count, ((junk, junk + len(body)),))
    assert part.index is None
    assert part.samples == part.promised == count * family.samples
    assert mp3_parts(data[: junk + len(body) - 1])[0].frames == count - 1 or count == 3


@settings(max_examples=40, deadline=None)
@given(
    st.builds(Family, version=st.sampled_from([0, 2, 3]), layer=st.just(1), rate=st.integers(0, 2), mono=st.booleans()),
    st.lists(st.integers(3, 12), min_size=1, max_size=4),
    st.integers(1, 99),
    st.integers(0, 2**32),
)
def test_an_index_begins_a_recording_and_is_compared_with_its_frames(
    family: Family, counts: list[int], stated: int, seed: int
) -> None:
    draw = random.Random(seed)
    data = b"".join(indexed(family, count, draw, stated) for count in counts)
    parts = mp3_parts(data)
    assert [part.frames for part in parts] == counts
    assert [part.index_lies for part in parts] == [count != stated for count in counts]
    for part in parts:
        assert mp3_parts(part.opened(data).read())[0].promised == part.samples
        alone = part.without_index(data)
        assert (alone.frames, mp3_parts(alone.opened(data).read())[0].frames) == (part.frames, part.frames)


def test_an_index_that_promises_bytes_too_is_that_of_a_file_cut_short() -> None:
    family = Family(3, 1, 0, mono=False)
    data = indexed(family, 30, random.Random(0))
    whole = mp3_parts(data)[0]
    assert (whole.is_cut, whole.index_lies) == (False, False)
    cut = mp3_parts(data[: len(data) // 2])[0]
    assert (cut.is_cut, cut.index_lies, cut.promised) == (True, False, whole.samples)


def test_a_tag_begins_a_recording_and_junk_does_not() -> None:
    family, draw = Family(3, 1, 0, mono=True), random.Random(1)
    first, second = frames(family, 10, draw), frames(family, 12, draw)
    tag = b"ID3\4\0\0" + bytes([0, 0, 1, 0]) + bytes(128)
    assert [part.frames for part in mp3_parts(first + tag + second)] == [10, 12]
    (part,) = mp3_parts(first + bytes(3000) + second)
    assert (part.frames, part.widest_gap, len(part.spans)) == (22, 3000, 2)


def test_fraunhofers_index_is_known() -> None:
    family, draw = Family(3, 1, 0, mono=False), random.Random(2)
    body = frames(family, 20, draw)
    size = family.size(320, padded=False)
    index = b"VBRI" + struct.pack(">HHHII", 1, 0, 0, size + len(body), 20)
    data = (family.header(14).to_bytes(4, "big") + bytes(32) + index).ljust(size, b"\0") + body
    (part,) = mp3_parts(data)
    assert (part.frames, part.index is not None, part.index_lies) == (20, True, False)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff" * 5000, bytes(5000), b"ID3", random.Random(3).randbytes(60_000)]
)
def test_what_holds_no_frames_has_no_parts(data: bytes) -> None:
    assert mp3_parts(data) == ()


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_anything_is_walked_to_its_end(before: bytes, after: bytes) -> None:
    mp3_parts(before + frames(Family(3, 1, 0, mono=True), 3, random.Random(0)) + after)


def test_sizes_are_those_of_the_standard() -> None:
    family = Family(3, 1, 0, mono=False)
    assert _sizes(family)[0xFFFB9000 >> 6] == 417  # MPEG 1 layer III, 128 kbit/s at 44.1 kHz: 144 * 128000 / 44100
    assert _sizes(family)[0xFFFB9200 >> 6] == 418  # padded
    assert Family(2, 1, 1, mono=True).size(64, padded=False) == 192  # MPEG 2, 24 kHz: 72 * 64000 / 24000
    assert Family(3, 3, 0, mono=True).size(384, padded=True) == 420  # layer I: slots of four bytes


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("frames", [17, 4096, 4097, 60_000])
def test_the_last_frame_of_a_flac_file_says_where_it_ends(frames: int, level: float) -> None:
    noise, file = random.Random(frames), io.BytesIO()
    samples = [[noise.uniform(-1, 1), noise.uniform(-1, 1)] for _ in range(frames)]
    soundfile.write(file, samples, 44_100, format="FLAC", compression_level=level)
    data = file.getvalue()
    assert flac_samples(data[:26], data) == (frames, frames)
    head = data[:21] + bytes([data[21] & 0xF0]) + (frames + 1).to_bytes(4, "big")
    assert flac_samples(head, data[-40_000:]) == (frames + 1, frames)
    assert flac_samples(head, data[:-1]) is None
    assert flac_samples(b"ID3" + head, data) is None
