"""What FFmpeg reads: whole, in parts, damaged; on files made with random parameters."""

from __future__ import annotations

import builtins
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cmbench import ffmpeg
from cmbench.containers import conversion
from cmbench.decoding import blocks, find_stretch, missing_frames
from cmbench.errors import UnusableAudio
from cmbench.opening import decoder_of, opened
from cmbench.sound import STRAIGHT

av = pytest.importorskip("av", reason="PyAV is not installed")

# container -> codec, its name, samples that a lossy codec may add or lose at 48 kHz, whether the samples are kept
KINDS = {
    "a.m4a": ("aac", "AAC in MP4", 2048, False),
    "a.mp4": ("alac", "ALAC in MP4", 0, True),
    "b.mp4": ("aac", "AAC in MP4", 2048, False),
    "a.mov": ("pcm_s16le", "PCM in QuickTime", 0, True),
    "a.mka": ("flac", "FLAC in Matroska", 0, True),
    "a.webm": ("libopus", "Opus in WebM", 960, False),
    "a.wma": ("wmav2", "WMA 2 in ASF", 4096, False),
    "a.aac": ("aac", "AAC in ADTS", 3072, False),
    "a.oga": ("flac", "FLAC in Ogg", 0, True),
    "a.ac3": ("ac3", "AC-3", 3072, False),
    "a.wv": ("wavpack", "WavPack", 0, True),
}
READ_BY_LIBSNDFILE = {"a.mp2": "mp2"}


def sound_of(seed: int, rate: int) -> NDArray[np.int16]:
    draw = np.random.default_rng(seed)
    time = np.arange(round(draw.uniform(0.7, 2.5) * rate)) / rate
    pair = [np.sin(2 * np.pi * draw.uniform(200, 900) * time) * 8000 for _ in range(int(draw.integers(1, 3)))]
    return np.stack(pair).astype(np.int16)


def encode(
    path: Path,
    codec: str,
    samples: NDArray[np.int16],
    rate: int,
    options: dict[str, str] | None = None,
    begins: float = 0.0,
    pause: float = 0.0,
) -> Path:
    """Write a file; its sound begins and is interrupted for some seconds, in which nothing is recorded."""
    form = {".aac": "adts", ".oga": "ogg", ".wma": "asf", ".mka": "matroska", ".m4a": "ipod"}.get(path.suffix)
    layout = "mono" if len(samples) == 1 else "stereo"
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        context = stream.codec_context
        if codec == "wavpack":
            context.format = "s16p"
        if codec in ("aac", "wmav2", "ac3", "libopus"):
            context.bit_rate = 128_000
        resampler = av.AudioResampler(context.format, layout, rate, context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout=layout)
        frame.sample_rate, frame.pts = rate, round(begins * rate)
        for number, piece in enumerate([*resampler.resample(frame), *resampler.resample(None)]):
            piece.pts = (piece.pts or 0) + round(pause * rate) * (number > 5)
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def decode(path: Path, start: float = 0.0, end: float | None = None) -> tuple[NDArray[np.float32], int, str, Any]:
    with opened(path) as sound:
        stretch = find_stretch(path, sound, start, end, None)
        samples = np.concatenate(list(blocks(path, sound, stretch)))
        assert missing_frames(path, sound, stretch, len(samples)) == []
        assert stretch.warnings == ()
        return samples, sound.samplerate, sound.format, sound.decoder


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", KINDS)
def test_every_container_is_read_to_its_end(tmp_path: Path, name: str, seed: int) -> None:
    codec, words, slack, kept = KINDS[name]
    rate = 48_000 if codec == "libopus" else int(np.random.default_rng(seed).choice([32_000, 44_100, 48_000]))
    original = sound_of(seed, rate)
    path = encode(tmp_path / name, codec, original, rate)
    samples, found_rate, form, decoder = decode(path)
    assert (found_rate, form, decoder) == (rate, words, ffmpeg.ffmpeg_name())
    assert samples.dtype == np.float32
    assert samples.shape[1] == len(original)
    assert abs(len(samples) - original.shape[1]) <= slack
    if kept:
        np.testing.assert_array_equal(samples, original.T / np.float32(32768))
    else:
        near = range(-slack, slack + 1, 1)
        middle = original[0, 8000:12_000] / 32768.0
        distances = [np.abs(samples[8000 + s : 12_000 + s, 0] - middle).mean() for s in near if 8000 + s >= 0]
        assert min(distances) < 0.05 * np.abs(middle).mean()


@pytest.mark.parametrize(("name", "codec"), READ_BY_LIBSNDFILE.items())
def test_mp2_needs_no_ffmpeg(tmp_path: Path, name: str, codec: str) -> None:
    samples, _, form, decoder = decode(encode(tmp_path / name, codec, sound_of(1, 44_100), 44_100))
    assert (form, decoder) == ("MP3", STRAIGHT)
    assert abs(len(samples) - sound_of(1, 44_100).shape[1]) <= 2 * 1152


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mka"])
def test_a_stretch_holds_the_samples_of_the_whole(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, KINDS[name][0], sound_of(3, 48_000), 48_000)
    whole = decode(path)[0]
    np.testing.assert_array_equal(decode(path, 0.2503, 0.6)[0], whole[round(0.2503 * 48_000) : round(0.6 * 48_000)])
    with pytest.raises(UnusableAudio, match="the track starts at 9 s, but the file ends at"):
        decode(path, 9.0)


def test_blocks_are_bounded(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mka", "flac", sound_of(1, 48_000), 48_000)
    total = ffmpeg.hear(path).frames
    pieces = [len(piece) for piece in ffmpeg.read(path, 100, total, 10_000)]
    assert sum(pieces) == total - 100
    assert max(pieces) < 10_000 + 2**16
    assert len(pieces) > 2


def test_without_pyav_both_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {
        name: encode(tmp_path / f"my song{Path(name).suffix}", codec, sound_of(0, 48_000), 48_000)
        for name, (codec, *_) in KINDS.items()
        if name != "b.mp4"
    }
    true_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "av")
    monkeypatch.setattr(builtins, "__import__", without)
    for name, path in paths.items():
        with pytest.raises(UnusableAudio) as caught:
            decode(path)
        assert caught.value.reason == (
            f'{KINDS[name][1]}, which needs FFmpeg: pip install "cmbench[av]", or convert it in its folder: '
            f"ffmpeg -i '{path.name}' 'my song.wav'"
        )
        assert decoder_of(path) is None


def test_a_film_without_sound_is_named(tmp_path: Path) -> None:
    silent = tmp_path / "film.mp4"
    with av.open(str(silent), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 10 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnusableAudio, match="audio in MP4: holds no sound, only pictures"):
        decode(silent)


def test_a_list_of_other_files_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.wav"
    soundfile.write(other, np.random.default_rng(0).normal(scale=0.1, size=8000), 8000)
    for name, text in {
        "a.m4a": f"ffconcat version 1.0\nfile {other}\n",
        "b.m4a": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
    }.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(UnusableAudio, match="text, not audio"):
            decode(path)
        with pytest.raises(ffmpeg.FfmpegError):
            ffmpeg.hear(path)


def test_samples_of_every_kind_are_of_full_scale() -> None:
    for form, value, expected in (
        ("u8", 192, 0.5),
        ("s16", 16_384, 0.5),
        ("s32", 2**30, 0.5),
        ("flt", 0.5, 0.5),
        ("dblp", 0.5, 0.5),
        ("s16p", -16_384, -0.5),
    ):
        kind = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}[form.removesuffix("p")]
        shape = (2, 3) if form.endswith("p") else (1, 6)
        frame = av.AudioFrame.from_ndarray(np.full(shape, value, kind), format=form, layout="stereo")
        np.testing.assert_allclose(ffmpeg._samples(frame), np.full((3, 2), expected), atol=1e-7)


def test_a_wave_of_a_foreign_codec_is_named(tmp_path: Path) -> None:
    form = struct.pack("<HHIIHH", 0x2000, 2, 48_000, 24_000, 1, 0)
    body = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 64) + bytes(64)
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    with pytest.raises(UnusableAudio, match="AC-3 in WAV: "):
        decode(path)


# what lacks its end, and what does not

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "300000"}
INDEXED = {"movflags": "dash+global_sidx", "frag_duration": "300000"}
# container -> codec, options of the muxer, whether the seconds are told where the file is cut
CUT = {
    "fast.m4a": ("aac", {"movflags": "faststart"}, True),
    "parts.mp4": ("aac", FRAGMENTED, True),
    "index.mp4": ("aac", INDEXED, True),
    "at end.m4a": ("alac", {}, False),
    "a.mka": ("flac", {}, True),
    "live.mka": ("flac", {"live": "1"}, True),
    "live.webm": ("libopus", {"live": "1"}, True),
    "a.wma": ("wmav2", {}, True),
    "a.aac": ("aac", {}, True),
    "a.ac3": ("ac3", {}, True),
    "a.eac3": ("eac3", {}, True),
    "a.wv": ("wavpack", {}, True),
    "a.tta": ("tta", {}, True),
    "a.oga": ("flac", {}, True),
    "a.caf": ("pcm_s16be", {}, True),
    "a.ts": ("aac", {}, True),
    "a.avi": ("libmp3lame", {}, True),
    "a.flv": ("aac", {}, True),
}


def refused(path: Path) -> str:
    with pytest.raises(UnusableAudio) as caught:
        decode(path)
    return caught.value.reason


@pytest.mark.parametrize("name", CUT)
def test_what_lacks_its_end_is_named_with_its_seconds_and_a_remedy(tmp_path: Path, name: str) -> None:
    codec, options, told = CUT[name]
    rate = 48_000 if codec == "libopus" else 44_100
    original = np.concatenate([sound_of(2, rate)[:1], sound_of(3, rate)[:1], sound_of(4, rate)[:1]], axis=1)
    path = encode(tmp_path / name, codec, original, rate, options)
    assert abs(len(decode(path)[0]) - original.shape[1]) <= 4096
    content, draw = path.read_bytes(), np.random.default_rng(len(name))
    for share in draw.uniform(0.45, 0.97, 3):
        path.write_bytes(content[: int(len(content) * share)])
        reason = refused(path)
        assert "cut short: " in reason
        assert "Fetch it again" in reason or "promises" in reason
        # FFmpeg does not open a file that ends within what describes the next part.
        seconds = r"\d\.\d\d s are there|in the middle of its moof box \(\S+ of \S+ bytes are there\)"
        assert re.search(seconds if told else r"bytes are there\), and its index \(moov\) is not there", reason)
        if "convert" in reason:
            assert reason.endswith(f"convert it in its folder: {conversion(path).partition(': ')[2]}")


def test_flash_that_lacks_less_than_its_duration_is_rounded_by_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.flv", "libmp3lame", np.concatenate([sound_of(2, 44_100)[:1]] * 3, axis=1), 44_100)
    content = path.read_bytes()
    for lost in (1, 5, 100, 333, 901):
        path.write_bytes(content[:-lost])
        assert "cut short: " in refused(path)


@pytest.mark.parametrize("name", ["a.mka", "a.webm", "a.mp4", "a.wma"])
def test_a_recording_whose_times_begin_late_is_not_cut_short(tmp_path: Path, name: str) -> None:
    codec = KINDS.get(name, ("aac",))[0]
    original = sound_of(1, 48_000)
    samples = decode(encode(tmp_path / name, codec, original, 48_000, begins=33.0))[0]
    assert abs(len(samples) - original.shape[1]) <= KINDS[name][2]


def test_times_that_jump_are_told(tmp_path: Path) -> None:
    reason = refused(encode(tmp_path / "a.webm", "libopus", sound_of(1, 48_000), 48_000, pause=2.0))
    assert re.search(r"damaged after 0\.1\d s \(its times jump by 2\.\d\d s, as after a pause\)\. Fetch", reason)


def test_damage_in_the_middle_is_not_called_a_cut(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aac", "aac", np.concatenate([sound_of(1, 48_000)[:1]] * 3, axis=1), 48_000)
    content = bytearray(path.read_bytes())
    content[10_000:11_000] = np.random.default_rng(0).bytes(1000)
    path.write_bytes(content)
    assert re.search(
        r"AAC in ADTS: damaged after \d\.\d\d s \(Invalid data .*\)\. Fetch it again, or keep", refused(path)
    )


def test_the_last_packet_of_alac_is_not_shortened_twice(tmp_path: Path) -> None:
    original = sound_of(0, 44_100)
    assert original.shape[1] % 4096 > 2048
    samples, _, form, _ = decode(encode(tmp_path / "a.caf", "alac", original, 44_100))
    assert form == "ALAC in CAF"
    np.testing.assert_array_equal(samples, original.T / np.float32(32768))


@pytest.mark.parametrize(("codec", "words"), [("libmp3lame", "mp3"), ("aac", "AAC"), ("ac3", "AC-3")])
def test_codecs_that_share_a_name_in_mp4_are_told_apart(tmp_path: Path, codec: str, words: str) -> None:
    path = encode(tmp_path / "a.mp4", codec, sound_of(1, 48_000), 48_000)
    assert decode(path)[2] == f"{words} in MP4"


@pytest.mark.parametrize("name", ["a.aac", "a.wv", "a.ac3", "a.tta"])
def test_tags_around_a_stream_are_no_damage(tmp_path: Path, name: str) -> None:
    path = encode(tmp_path / name, KINDS.get(name, ("tta",))[0], sound_of(1, 48_000), 48_000)
    expected, content = decode(path)[0], path.read_bytes()
    tag = b"ID3\x04\0\0\0\0\x07\x76" + bytes(1014)
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 50, 1, 0xA0000000) + bytes(8)
    items = ape[:23] + b"\xa0" + bytes(8) + b"x" * 50 + ape[:23] + b"\x80" + bytes(8)
    for before, behind in ((2 * tag, b"TAG" + b"x" * 125), (b"", items), (tag, items + b"TAG" + b"x" * 125)):
        path.write_bytes(before + content + behind)
        np.testing.assert_array_equal(decode(path)[0], expected)
