"""Lengths as another decoder finds them, on files made with random parameters; and who decoded."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
from numpy.typing import NDArray

from cmbench import ffmpeg, opening
from cmbench.decoding import blocks, find_stretch, missing_frames
from cmbench.errors import UnusableAudio
from cmbench.opening import decoder_of, decoders, opened
from cmbench.sound import PLAIN, STRAIGHT, Sound, in_parts

SEEDS = range(4)
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Draw:
    """Random parameters of one recording."""

    rate: int
    channels: int
    seconds: float
    seed: int

    @classmethod
    def of(cls, seed: int, **fixed: int) -> Draw:
        draw = np.random.default_rng(seed)
        rate = fixed.get("rate") or int(draw.choice([16_000, 22_050, 24_000, 32_000, 44_100, 48_000]))
        channels = fixed.get("channels") or int(draw.integers(1, 3))
        return cls(rate, channels, float(draw.uniform(1.5, 4.0)), seed)

    @property
    def samples(self) -> Samples:
        """Quiet, then loud: a variable bit rate begins with small frames or with large ones, as the seed is odd."""
        draw = np.random.default_rng(self.seed)
        white = draw.normal(size=(round(self.seconds * self.rate), self.channels))
        sound = scipy.signal.lfilter([1.0], [1.0, -0.9], white, axis=0)
        sound *= 0.1 / np.abs(sound).max() * np.where(np.arange(len(sound)) < len(sound) / 2, 0.02, 5.0)[:, None]
        return np.asarray(sound if self.seed % 2 else sound[::-1], np.float32)

    def write(self, path: Path, **kwargs: object) -> Path:
        soundfile.write(path, self.samples, self.rate, **kwargs)
        return path


def by_another_decoder(path: Path) -> int:
    """Samples per channel by FFmpeg."""
    av = pytest.importorskip("av", reason="PyAV is not installed: no other decoder to compare with")
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(container.streams.audio[0]))


def decode(path: Path, start: float = 0.0, end: float | None = None) -> tuple[Sound, Samples, tuple[str, ...]]:
    with opened(path) as sound:
        stretch = find_stretch(path, sound, start, end, None)
        found = list(blocks(path, sound, stretch))
        samples = np.concatenate(found)
        assert missing_frames(path, sound, stretch, len(samples)) == []
    return sound, samples, stretch.warnings


def reason(path: Path) -> str:
    with pytest.raises(UnusableAudio) as caught:
        decode(path)
    return caught.value.reason


def variable(path: Path, draw: Draw) -> Path:
    return draw.write(path, bitrate_mode="VARIABLE", compression_level=0.3)


def constant(path: Path, draw: Draw) -> Path:
    return draw.write(path, bitrate_mode="CONSTANT", compression_level=0.6)


def without_index(path: Path) -> Path:
    """Take the first frame off an mp3 that soundfile wrote: it holds the index alone."""
    data = path.read_bytes()
    mark = max(data.find(b"Xing"), data.find(b"Info"))
    following = data.index(data[:2], mark + 120)
    path.write_bytes(data[following:])
    return path


Make = Callable[[Path, Draw], Path]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [variable, constant])
def test_an_intact_mp3_is_read_by_libsndfile_as_it_is(tmp_path: Path, make: Make, seed: int) -> None:
    path = make(tmp_path / "a.mp3", Draw.of(seed))
    sound, samples, warnings = decode(path)
    assert (sound.decoder, warnings) == (STRAIGHT, ())
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32", always_2d=True)[0])
    assert len(samples) == by_another_decoder(path)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [variable, constant])
def test_an_mp3_without_an_index_is_read_to_its_end(tmp_path: Path, make: Make, seed: int) -> None:
    path = without_index(make(tmp_path / "a.mp3", Draw.of(seed)))
    sound, samples, warnings = decode(path)
    assert len(samples) == sound.frames == by_another_decoder(path)
    assert warnings == ()
    guessed = soundfile.read(path, dtype="float32", always_2d=True)[0]
    assert sound.decoder == (STRAIGHT if len(guessed) >= len(samples) - 16 else in_parts())
    np.testing.assert_array_equal(samples[: len(guessed)], guessed[: len(samples)])


def test_a_guess_that_is_short_is_among_them(tmp_path: Path) -> None:
    lengths = {seed: soundfile.info(without_index(variable(tmp_path / f"{seed}.mp3", Draw.of(seed)))) for seed in SEEDS}
    assert any(info.frames < 0.8 * Draw.of(seed).seconds * info.samplerate for seed, info in lengths.items())


def test_a_stretch_behind_the_guess_is_read(tmp_path: Path) -> None:
    seed = next(s for s in range(20) if s % 2)
    path = without_index(variable(tmp_path / "a.mp3", Draw.of(seed, rate=44_100, channels=1)))
    _, whole, _ = decode(path)
    seconds = len(whole) / 44_100
    _, part, _ = decode(path, seconds - 1.0, seconds - 0.5)
    np.testing.assert_allclose(
        part, whole[round((seconds - 1.0) * 44_100) : round((seconds - 0.5) * 44_100)], atol=1e-6
    )
    with pytest.raises(UnusableAudio, match=rf"the track starts at 9 s, but the file ends at {seconds:.2f} s"):
        decode(path, 9.0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("share", [0.2, 0.9, 3.0])
def test_an_index_that_lies_is_not_believed(tmp_path: Path, seed: int, share: float) -> None:
    path = variable(tmp_path / "a.mp3", Draw.of(seed))
    honest = decode(path)[1]
    data = bytearray(path.read_bytes())
    at = data.index(b"Xing") + 8
    (frames,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", data, at, round(frames * share))
    path.write_bytes(data)
    sound, samples, warnings = decode(path)
    np.testing.assert_array_equal(samples, honest)
    assert sound.decoder == in_parts()
    assert len(warnings) == 1
    assert f"{len(honest) / sound.samplerate:.2f} s are there and are read" in warnings[0]


def test_an_index_of_a_file_that_was_cut_is_no_lie(tmp_path: Path) -> None:
    path = variable(tmp_path / "a.mp3", Draw.of(1, rate=44_100))
    seconds = len(decode(path)[1]) / 44_100
    path.write_bytes(path.read_bytes()[: round(0.6 * path.stat().st_size)])
    words = reason(path)
    assert words.startswith(f"cut short: the header promises {seconds:.2f} s")
    _, samples, warnings = decode(path, 0.0, 0.5)
    assert len(samples) == 22_050
    assert words.split(";")[0] in warnings[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("indexed", [True, False])
def test_joined_mp3_are_read_one_after_the_other(tmp_path: Path, seed: int, indexed: bool) -> None:
    draw = np.random.default_rng(seed)
    parts = []
    for number in range(int(draw.integers(2, 5))):
        path = variable(tmp_path / f"{number}.mp3", Draw.of(10 * seed + number, rate=32_000, channels=1))
        parts.append(path if indexed else without_index(path))
    tag = b"ID3\4\0\0" + struct.pack(">BBBB", 0, 0, 16, 0) + bytes(2048)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join((b"" if indexed else tag) + part.read_bytes() for part in parts))
    sound, samples, warnings = decode(joined)
    assert len(samples) == sum(map(by_another_decoder, parts))
    np.testing.assert_allclose(samples, np.concatenate([decode(part)[1] for part in parts]), atol=1e-6)
    assert sound.decoder == in_parts()
    assert warnings == (f"{len(parts)} mp3 recordings joined; they are read one after the other",)
    at = 1.0 / 32_000 * (len(decode(parts[0])[1]) - 100)  # over the joint
    np.testing.assert_allclose(
        decode(joined, at, at + 0.5)[1], samples[round(at * 32_000) : round((at + 0.5) * 32_000)], atol=1e-6
    )


def test_joined_recordings_of_two_kinds_are_named(tmp_path: Path) -> None:
    first = variable(tmp_path / "a.mp3", Draw.of(0, rate=32_000, channels=1))
    second = variable(tmp_path / "b.mp3", Draw.of(1, rate=44_100, channels=2))
    joined = tmp_path / "two kinds.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    assert reason(joined) == (
        "2 mp3 recordings joined, mono at 32000 Hz and stereo at 44100 Hz: "
        "convert it in its folder: ffmpeg -i 'two kinds.mp3' 'two kinds.wav'"
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("indexed", [True, False])
def test_zeros_and_tags_before_the_first_frame_are_passed_over(tmp_path: Path, seed: int, indexed: bool) -> None:
    path = constant(tmp_path / "a.mp3", Draw.of(seed))
    honest = decode(path if indexed else without_index(path))[1]
    draw = np.random.default_rng(seed)
    sizes = [int(size) for size in draw.integers(100, 100_000, 2)]
    words = b"TXXX Information, Xing and VBRI "
    tags = b"".join(
        b"ID3\4\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + words.ljust(size, b"\0")
        for size in sizes
    )
    data = path.read_bytes()
    for junk in (bytes(int(draw.integers(1, 200_000))), tags, tags + bytes(3000)):
        path.write_bytes(junk + data)
        _, samples, warnings = decode(path)
        assert warnings == ()
        np.testing.assert_allclose(samples, honest, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [variable, constant])
def test_mp3_in_a_wave_is_read_to_its_end(tmp_path: Path, make: Make, seed: int) -> None:
    draw = Draw.of(seed)
    content = without_index(make(tmp_path / "a.mp3", draw)).read_bytes()
    expected = by_another_decoder(tmp_path / "a.mp3")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, draw.channels, draw.rate, 16_000, 1, 0, 12, 1, 2, 1152, 1, 1393)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<II", 4, expected)
    chunks += b"data" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    path = tmp_path / "mp3.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    _, samples, warnings = decode(path)
    assert len(samples) == expected
    assert warnings == ()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_chained_ogg_is_read_link_after_link(tmp_path: Path, kind: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    links = [
        Draw.of(10 * seed + i, rate=48_000, channels=1).write(tmp_path / f"{i}.ogg", format="OGG", subtype=kind)
        for i in range(int(draw.integers(2, 5)))
    ]
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(b"".join(link.read_bytes() for link in links))
    sound, samples, warnings = decode(chained)
    assert len(samples) == sum(map(by_another_decoder, links))
    np.testing.assert_array_equal(samples, np.concatenate([decode(link)[1] for link in links]))
    assert [decode(link)[0].decoder for link in links] == [STRAIGHT if kind == "VORBIS" else PLAIN] * len(links)
    assert sound.decoder == in_parts()
    assert warnings == (f"{len(links)} Ogg streams chained; they are read one after the other",)
    whole = chained.read_bytes()
    for lost in (1, 5000):
        chained.write_bytes(whole[:-lost])
        assert "cut short: no end-of-stream mark" in reason(chained)


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_an_ogg_that_lacks_something_is_told_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    path = Draw.of(1, rate=48_000).write(tmp_path / "a.ogg", format="OGG", subtype=kind)
    whole = path.read_bytes()
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    for cut in (*pages[3:], (pages[-1] + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert "cut short" in reason(path)
    path.write_bytes(whole[: pages[-2] + 60] + bytes([whole[pages[-2] + 60] ^ 1]) + whole[pages[-2] + 61 :])
    with opened(path) as sound:
        assert sound.warnings == ("damaged: some of its pages are not whole; the rest is read",)
    path.write_bytes(whole[:-30] + whole)
    with opened(path) as sound:
        assert sound.warnings[-1] == "damaged: some of its pages are not whole; the rest is read"


def test_damage_in_the_middle_of_an_mp3_is_told(tmp_path: Path) -> None:
    path = without_index(constant(tmp_path / "a.mp3", Draw.of(3, rate=44_100)))
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(8000) + data[middle:])
    _, samples, warnings = decode(path)
    assert warnings[0].startswith("damaged: ")
    assert len(samples) == pytest.approx(Draw.of(3, rate=44_100).seconds * 44_100, abs=4 * 1152)


def test_formats_that_state_their_length_have_no_decoder_of_their_own(tmp_path: Path) -> None:
    for suffix in ("wav", "aiff", "au"):
        assert decode(Draw.of(1).write(tmp_path / f"a.{suffix}"))[0].decoder is None
    assert decoder_of(tmp_path / "gone.wav") is None


def test_the_decoders_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_parts() in decoders()
    assert all(len(name.split(" ")) == 2 for name in decoders())
    monkeypatch.setattr(ffmpeg, "ffmpeg_name", lambda: None)
    assert decoders() == {in_parts()}


def test_ffmpeg_is_imported_only_where_it_is_needed(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = constant(tmp_path / "a.mp3", Draw.of(1))
    code = (
        "import sys; from pathlib import Path; from cmbench.opening import opened\n"
        f"with opened(Path({str(path)!r})): print('av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# joined, tagged, and what headers leave out

ID3 = b"ID3\4\0\0" + struct.pack(">BBBB", 0, 0, 8, 0) + bytes(1024)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8)
ID3V1 = b"TAG".ljust(128, b"x")


def is_whole(path: Path, expected: Samples, atol: float = 0.0) -> tuple[str, ...]:
    """Compare a file and an excerpt of it with samples; return what is told of it."""
    sound, samples, warnings = decode(path)
    np.testing.assert_allclose(samples, expected, atol=atol)
    first, stop = len(expected) // 3, len(expected) // 2
    part = decode(path, first / sound.samplerate, stop / sound.samplerate)[1]
    np.testing.assert_allclose(part, expected[first:stop], atol=1e-6)
    return warnings


@pytest.mark.parametrize("between", [b"", ID3V1, APE + ID3V1, ID3])
def test_an_mp3_without_an_index_is_not_taken_for_the_end_of_one_that_has_it(tmp_path: Path, between: bytes) -> None:
    draws = [Draw.of(seed, rate=32_000, channels=1) for seed in (3, 4)]
    first, second = variable(tmp_path / "a.mp3", draws[0]), without_index(variable(tmp_path / "b.mp3", draws[1]))
    expected = np.concatenate([decode(first)[1], decode(second)[1]])
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + between + second.read_bytes())
    assert is_whole(joined, expected, 1e-6) == ("2 mp3 recordings joined; they are read one after the other",)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_index_that_states_no_length_is_no_reason_to_guess(tmp_path: Path, seed: int) -> None:
    path = variable(tmp_path / "a.mp3", Draw.of(seed))
    data, honest = bytearray(path.read_bytes()), len(decode(path)[1])
    at = data.index(b"Xing") + 8
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    _, samples, warnings = decode(path)
    assert len(samples) == honest
    assert warnings[0].startswith("its index states no length, ")


def test_an_index_that_promises_less_than_is_taken_off_is_not_believed(tmp_path: Path) -> None:
    path = variable(tmp_path / "a.mp3", Draw.of(2, rate=11_025, channels=1))
    data, honest = bytearray(path.read_bytes()), decode(path)[1]
    at = data.index(b"Xing") + 8
    data[at : at + 4] = (1).to_bytes(4, "big")
    path.write_bytes(data)
    (warning,) = is_whole(path, honest, 1e-6)
    assert warning.startswith("its index promises 0.")


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_mp3_in_a_wave_that_is_cut_is_named(tmp_path: Path, share: float) -> None:
    for seed in range(4):
        content = without_index(variable(tmp_path / "a.mp3", Draw.of(seed, rate=16_000, channels=1))).read_bytes()
        form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16_000, 16_000, 1, 0, 12, 1, 2, 1152, 1, 1393)
        chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(content)) + content
        path = tmp_path / "mp3.wav"
        path.write_bytes((b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)[: int(share * len(chunks))])
        assert reason(path).startswith("cut short: the header promises")


@pytest.mark.parametrize("states", [1.0, 0.5, 0.0])
@pytest.mark.parametrize(("before", "behind"), [(b"", ID3V1), (ID3, b""), (2 * ID3, APE + ID3V1)])
def test_tags_around_a_flac_file_hide_nothing_of_it(
    tmp_path: Path, before: bytes, behind: bytes, states: float
) -> None:
    path = Draw.of(5).write(tmp_path / "a.flac")
    expected, data = decode(path)[1], bytearray(path.read_bytes())
    stated = int(len(expected) * states)
    data[21:26] = (data[21] >> 4 << 36 | stated).to_bytes(5, "big")
    path.write_bytes(before + data + behind)
    warnings = is_whole(path, expected)
    assert len(warnings) == (states == 0.5)


def test_joined_flac_and_joined_waves_are_read_one_after_the_other(tmp_path: Path) -> None:
    for suffix, words in (("flac", "FLAC streams"), ("wav", "waves")):
        parts = [Draw.of(seed, rate=8000, channels=1).write(tmp_path / f"{seed}.{suffix}") for seed in range(3)]
        joined = tmp_path / f"joined.{suffix}"
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        told = is_whole(joined, np.concatenate([decode(part)[1] for part in parts]))
        assert told == (f"3 {words} joined; they are read one after the other",)
        joined.write_bytes(joined.read_bytes()[: -parts[-1].stat().st_size // 2])
        assert reason(joined).startswith(("cut short: ", "damaged: the decoder fails between"))
        other = Draw.of(3, rate=16_000, channels=2).write(tmp_path / f"other.{suffix}")
        joined.write_bytes(parts[0].read_bytes() + other.read_bytes())
        assert f"2 {words} joined, 1 channels at 8000 Hz and 2 channels at 16000 Hz: convert" in reason(joined)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wave_whose_header_states_less_is_read_to_its_end(tmp_path: Path, subtype: str) -> None:
    path = Draw.of(6, rate=16_000, channels=2).write(tmp_path / "a.wav", subtype=subtype)
    expected, data = decode(path)[1], bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    (size,) = struct.unpack_from("<I", data, at)
    for behind in (ID3V1, bytes(50_000), b"LIST\4\0\0\0INFO"):
        path.write_bytes(data + behind)
        assert is_whole(path, expected) == ()
    for states, words in ((0, "no samples"), (size // 24 * 8, r"\d\.\d\d s")):
        struct.pack_into("<I", data, at, states)
        path.write_bytes(data)
        (warning,) = is_whole(path, expected)
        assert re.fullmatch(rf"its header states {words}, \d\.\d\d s are there and are read", warning)


@pytest.mark.parametrize("kind", ["OGG", "W64"])
def test_a_tag_before_any_file_is_passed_over(tmp_path: Path, kind: str) -> None:
    path = Draw.of(7).write(tmp_path / "a", format=kind)
    expected, data = decode(path)[1], path.read_bytes()
    path.write_bytes(ID3 + data)
    assert is_whole(path, expected) == ()
    path.write_bytes(ID3 + data[: len(data) // 2])
    assert "cut short: " in reason(path)


def test_parts_of_a_long_file_are_read_as_those_of_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is too long to be held is counted and read a block at a time."""
    draws = [Draw.of(seed, rate=22_050, channels=1) for seed in (4, 5)]
    paths = []
    for name, pieces in {
        "a.mp3": [without_index(variable(tmp_path / f"{i}.mp3", draw)).read_bytes() for i, draw in enumerate(draws)],
        "a.flac": [draw.write(tmp_path / f"{i}.flac").read_bytes() for i, draw in enumerate(draws)],
        "a.ogg": [draw.write(tmp_path / f"{i}.ogg").read_bytes() for i, draw in enumerate(draws)],
        "a.wav": [draw.write(tmp_path / f"{i}.wav").read_bytes() for i, draw in enumerate(draws)],
    }.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(b"".join(pieces))
    held = [decode(path)[:2] for path in paths]
    monkeypatch.setattr("cmbench.sound._HELD_BYTES", -1)
    monkeypatch.setattr("cmbench.sound._BLOCK_BYTES", 1009)
    opening._walk.cache_clear()
    for path, (sound, samples) in zip(paths, held, strict=True):
        again, same, _ = decode(path)
        assert (again.frames, again.decoder, again.warnings) == (sound.frames, sound.decoder, sound.warnings)
        assert sound.decoder == in_parts(), "none is read straight"
        np.testing.assert_array_equal(same, samples)
