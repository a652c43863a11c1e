"""A stretch of a file holds the samples that decoding everything gives, wherever it begins."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from cmbench import sound as sound_module
from cmbench.opening import decoder_of, opened
from cmbench.sound import PLAIN, STRAIGHT, FileBytes, joined_bytes

RATE = 22_050

KINDS: dict[str, dict[str, object]] = {
    "vorbis.ogg": {"subtype": "VORBIS"},
    "opus.ogg": {"subtype": "OPUS"},
    "low.mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.99},
    "high.mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.1},
    "constant.mp3": {"bitrate_mode": "CONSTANT", "compression_level": 0.99},
    "plain.flac": {},
    "plain.wav": {},
}


def write(path: Path, seconds: float = 8.0) -> Path:
    """Tones that come and go: frames of very different sizes, which borrow bits from each other."""
    rate = 24_000 if "opus" in path.name else RATE
    t = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * t * (1 + 0.1 * np.sin(t))) for hertz in (220.0, 311.0, 1900.0, 5200.0))
    soundfile.write(path, 0.2 * np.asarray(tones) * (np.sin(9 * t) > 0), rate, **KINDS[path.name])
    return path


def stretch(path: Path, first: int, stop: int) -> np.ndarray:
    with opened(path) as sound:
        return np.concatenate(list(sound.read(first, stop, 5000)))


@pytest.mark.parametrize("name", KINDS)
def test_a_stretch_is_the_slice_of_the_whole(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    with opened(path) as sound:
        whole = np.concatenate(list(sound.read(0, sound.frames, 5000)))
        assert sound.frames == len(whole)
    draw = np.random.default_rng(0)
    late = len(whole) - draw.integers(2000, RATE, 10)  # in the last page of a Vorbis
    for first in [*draw.integers(1, len(whole) - 2000, 20), *late]:
        np.testing.assert_allclose(stretch(path, first, first + 2000), whole[first : first + 2000], atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_blocks_are_those_of_a_file_that_is_read_at_once(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(stretch(path, 0, len(whole)), whole, atol=1e-6)


def test_what_is_read_otherwise_than_before_has_a_name_of_its_own(tmp_path: Path) -> None:
    for name in KINDS:
        path = write(tmp_path / name, seconds=1.0)
        badly = name.endswith("mp3") or "vorbis" in name
        assert decoder_of(path) == (STRAIGHT if badly else None if name.endswith("wav") else PLAIN)


LETTERS = st.lists(st.sampled_from(b"ab"), max_size=60).map(bytes)


@given(
    LETTERS, st.lists(st.sampled_from(b"ab"), min_size=1, max_size=6).map(bytes), st.integers(0, 70), st.integers(0, 70)
)
def test_bytes_of_a_file_are_those_of_the_file(content: bytes, what: bytes, first: int, stop: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sound_module, "_BLOCK_BYTES", 4)
        path = Path(folder) / "a"
        path.write_bytes(content)
        data = FileBytes(path)
        assert len(data) == len(content)
        assert data[first:stop] == content[first:stop]
        assert data.find(what, first, stop) == content.find(what, first, stop)
        assert data.find(what, first) == content.find(what, first)
        assert data.startswith(what, first) == content.startswith(what, first)
        assert data.startswith((what, b"x"), first) == content.startswith((what, b"x"), first)
        if first < len(content):
            assert data[first] == content[first]


@given(st.lists(st.binary(max_size=9) | st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1), st.data())
def test_joined_bytes_are_a_file(pieces: list[bytes | tuple[int, int]], draw: st.DataObject) -> None:
    data = bytes(range(30))
    spans = [p if isinstance(p, bytes) else (min(p), max(p)) for p in pieces]
    content = b"".join(p if isinstance(p, bytes) else data[p[0] : p[1]] for p in spans)
    file = joined_bytes(data, spans)
    assert file.read() == content
    at, count = draw.draw(st.integers(0, 40)), draw.draw(st.integers(0, 40))
    assert (file.seek(at), file.read(count)) == (at, content[at : at + count])
    assert file.seek(0, 2) == len(content)


def test_a_file_that_seems_longer_than_it_is_ends_in_zeros() -> None:
    file = joined_bytes(b"abc", [(0, 3)], 10)
    assert file.seek(0, 2) == 10
    assert file.seek(-4, 2) == 6
    assert (file.read(2), file.tell()) == (bytes(2), 8)
    file.seek(1)
    assert file.read(2) == b"bc"
    assert file.read(2) == b""


def test_what_lies_across_two_blocks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_module, "_BLOCK_BYTES", 8)
    for before in range(20):
        (tmp_path / "a").write_bytes(bytes(before) + b"OggS" + bytes(9))
        data = FileBytes(tmp_path / "a")
        assert (data.find(b"OggS"), data.find(b"OggS", before + 1)) == (before, -1)
