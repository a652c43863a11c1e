"""Containers made by hand, a few bytes each: what lacks its end, and what only looks so."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from cmbench.endings import what_is_lacking

UNKNOWN = b"\x01" + b"\xff" * 7
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(14)
PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def box(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(body) if size is None else size, name) + body


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def element(name: str, body: bytes, size: bytes | None = None) -> bytes:
    return bytes.fromhex(name) + (size or struct.pack(">Q", 1 << 56 | len(body))) + body


def segment_index(*parts: int, wide: bool = False) -> bytes:
    head = struct.pack(">BxxxII", wide, 1, 1) + struct.pack(">QQ" if wide else ">II", 0, 0)
    return box(
        b"sidx", head + struct.pack(">HH", 0, len(parts)) + b"".join(struct.pack(">III", n, 1, 0) for n in parts)
    )


def asf(stated: int, flags: int) -> bytes:
    return ASF + PROPERTIES + struct.pack("<Q16xQ", 104, stated) + bytes(40) + struct.pack("<I", flags) + bytes(12)


def page(flags: int, body: bytes = b"abc") -> bytes:
    return b"OggS\0" + bytes([flags]) + bytes(20) + bytes([1, len(body)]) + body


FTYP, MOOV = box(b"ftyp", b"isom"), box(b"moov", bytes(8))
EBML = element("1a45dfa3", bytes(3))
BLOCKS = element("e7", b"\0") + element("a3", bytes(9))
LIVE = EBML + element("18538067", b"", UNKNOWN)
CAF = b"caff\0\1\0\0"
WHOLE = {
    "mp4": FTYP + MOOV + box(b"mdat", bytes(9)),
    "mp4, long box": FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 20) + bytes(4),
    "mp4, box to the end": FTYP + MOOV + box(b"mdat", bytes(9), 0),
    "mp4 with something behind it": FTYP + MOOV + box(b"mdat", bytes(9)) + b"TAG and so on, and so on",
    "mp4 with an index": FTYP + MOOV + segment_index(17, 17) + 2 * box(b"mdat", bytes(9)),
    "Matroska": EBML + element("18538067", element("1f43b675", BLOCKS)) + b"junk behind",
    "Matroska, live": LIVE + 2 * element("1f43b675", BLOCKS),
    "Matroska, live, clusters without a size": LIVE + 2 * element("1f43b675", BLOCKS, UNKNOWN),
    "ASF": asf(134, 2),
    "ASF, broadcast": asf(0, 1) + bytes(7),
    "AVI": b"RIFF" + struct.pack("<I", 999) + b"AVI " + chunk(b"LIST", bytes(9)) + chunk(b"idx1", bytes(4)),
    "AVI in two": 2 * (b"RIFF" + struct.pack("<I", 16) + b"AVI " + chunk(b"LIST", bytes(4))),
    "wave of a stream": b"RIFF\xff\xff\xff\xffWAVE" + chunk(b"data", bytes(9), 0xFFFFFFFF),
    "CAF": CAF + b"data" + struct.pack(">q", 4) + bytes(4),
    "CAF of a stream": CAF + b"data" + struct.pack(">q", -1) + bytes(4),
    "Ogg": page(2) + page(4),
    "transport stream": b"G" * 188 * 3,
    "something else": b"fLaC" + bytes(30),
    "nothing": b"",
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_lacks_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(WHOLE[name])
    assert what_is_lacking(tmp_path / "a") is None


@pytest.mark.parametrize(
    ("name", "lost", "words"),
    [
        ("mp4", 3, "ends in the middle of its mdat box (42 of 45 bytes are there)"),
        ("mp4, long box", 3, "ends in the middle of its mdat box (45 of 48 bytes are there)"),
        ("mp4 with an index", 3, "ends in the middle of its mdat box (115 of 118 bytes are there)"),
        ("mp4 with an index", 17, "ends before what its segment index lists"),
        ("Matroska", 14, "ends in the middle of its segment (64 of 67 bytes are there)"),
        ("Matroska, live", 3, "ends in the middle of an element"),
        ("Matroska, live, clusters without a size", 3, "ends in the middle of an element"),
        ("ASF", 3, "ends in the middle of what its header states (131 of 134 bytes are there)"),
        ("AVI", 3, "ends in the middle of its idx1 chunk (39 of 42 bytes are there)"),
        ("AVI in two", 3, "ends in the middle of its LIST chunk (45 of 48 bytes are there)"),
        ("CAF", 3, "ends in the middle of its data chunk (21 of 24 bytes are there)"),
        ("Ogg", 2, "ends in the middle of a page"),
        ("Ogg", 31, "has no end-of-stream mark"),
        ("transport stream", 3, "ends in the middle of a packet"),
    ],
)
def test_what_is_cut_is_told(tmp_path: Path, name: str, lost: int, words: str) -> None:
    (tmp_path / "a").write_bytes(WHOLE[name][:-lost])
    assert what_is_lacking(tmp_path / "a") == words


def test_an_interrupted_recording_has_no_index(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(FTYP + box(b"mdat", bytes(9)))
    assert what_is_lacking(tmp_path / "a") == "has no index (moov), as where a recording was interrupted"
    (tmp_path / "a").write_bytes(FTYP + box(b"mdat", bytes(9), 40))
    assert str(what_is_lacking(tmp_path / "a")).endswith(
        "(29 of 52 bytes are there), and its index (moov) is not there"
    )
    (tmp_path / "a").write_bytes(FTYP + box(b"mdat", bytes(9)) + MOOV[:-1])
    assert str(what_is_lacking(tmp_path / "a")).endswith("bytes are there), and its index (moov) is not there")


@pytest.mark.parametrize("wide", [False, True])
def test_an_index_of_either_width_counts_what_follows_it(tmp_path: Path, wide: bool) -> None:
    (tmp_path / "a").write_bytes(FTYP + MOOV + segment_index(17, 99, wide=wide) + box(b"mdat", bytes(9)))
    assert what_is_lacking(tmp_path / "a") == "ends before what its segment index lists"
