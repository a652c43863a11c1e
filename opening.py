"""Open an audio file with the decoder that reads all of it, and say what can be relied on.

libsndfile reads the formats. Where it would read less than there is (an mp3 without an index or with one that lies,
joined and chained recordings), the file is counted by :mod:`cmbench.streams` and read part by part; what it cannot read
at all is read through FFmpeg, if PyAV is installed. Both are another decoder, named in :class:`Sound`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from . import ffmpeg
from .containers import _promised_frames, as_text, conversion, ends_of, foreign_name, wave_extent
from .errors import UnusableAudio
from .ogg import OggLink, lacks_end, ogg_links, told_of
from .sound import (
    PLAIN,
    STRAIGHT,
    Bytes,
    Sound,
    bytes_of,
    in_parts,
    joined_bytes,
    of_parts,
    open_sound,
    part_of,
    plain_name,
    read_parts,
    said,
)
from .streams import Mp3Part, flac_parts, flac_samples, mp3_parts, without_tags

_RATES = (2_000, 768_000)
"""Sample rates in Hz that a file may state; outside, its header is damaged (1 Hz makes hours out of a small file)."""

_MOST_FRAMES = 2**48
"""More frames than any file holds: what libsndfile reports for a stream of unknown length, which it cannot seek in."""

_FLAC_TAIL = 2**17
"""Bytes at the end of a FLAC file in which its last frame begins."""

_GAP_BYTES = 1000
"""Bytes between two frames of an mp3 that libsndfile passes over; after more it stops (mpg123 gives up at 1024)."""

_ROUNDED = 16
"""Samples by which a guess from a constant bit rate may be short of the frames: less than a byte's worth."""

_TRIMMED = 8192 + 529
"""Samples at most that an index declares to be an encoder's or a decoder's own (two numbers of 12 bits)."""

SLACK_SECONDS = 0.1
"""Missing audio shorter than this is rounding: padding of an encoder, header sizes that count themselves."""


@dataclass(frozen=True)
class _Foreign:
    """A file that only FFmpeg reads: its codec and container."""

    name: str

    @property
    def decoder(self) -> str | None:
        """What decodes it here; ``None`` where nothing does."""
        return ffmpeg.ffmpeg_name()


@contextmanager
def opened(path: Path) -> Iterator[Sound]:
    """Yield a file, ready to be read.

    The descriptor is handed over, not the name: its contents alone decide how it is read.

    Raises:
        UnusableAudio: missing, empty, not audio, no samples, or a header that cannot be true.
    """
    with _found(path) as found:
        sound = _through_ffmpeg(path, found.name) if isinstance(found, _Foreign) else found
        if sound.frames <= 0:
            raise UnusableAudio(path, "a header without any samples")
        if not _RATES[0] <= sound.samplerate <= _RATES[1]:
            raise UnusableAudio(path, f"damaged header: it states a sample rate of {sound.samplerate} Hz")
        if sound.frames > _MOST_FRAMES:
            raise UnusableAudio(path, f"a {sound.format} stream of unknown length; encode it anew to give it one")
        yield sound


def decoder_of(path: Path) -> str | None:
    """Return what identifies a file's samples beside its bytes (see :class:`Sound`); ``None`` if it cannot be opened.

    Features of a file are those of the file and of this.
    """
    try:
        with _found(path) as found:
            return found.decoder
    except UnusableAudio:
        return None


def decoders() -> frozenset[str]:
    """Return the decoders of this machine that give samples of their own."""
    return frozenset(name for name in (in_parts(), ffmpeg.ffmpeg_name()) if name)


def _require_file(path: Path) -> None:
    kind = path.stat().st_mode
    if stat.S_ISFIFO(kind):  # opening it would wait for somebody to write
        raise UnusableAudio(path, "a pipe, not a file")
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):  # some never end
        raise UnusableAudio(path, "a device, not a file")


@contextmanager
def _found(path: Path) -> Iterator[Sound | _Foreign]:
    """Yield what a file is found to be."""
    import soundfile

    try:
        _require_file(path)
        stream = path.open("rb", buffering=0)  # the descriptor must stand where the stream does
    except FileNotFoundError:
        raise UnusableAudio(path, "there is no such file") from None
    except IsADirectoryError:
        raise UnusableAudio(path, "a folder, not a file") from None
    except OSError as error:
        raise UnusableAudio(path, f"cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a zero byte
        raise UnusableAudio(path, f"no file can have this name ({error})") from error
    with stream:
        try:
            beginning = stream.read(512)
        except OSError as error:  # a disk that fails
            raise UnusableAudio(path, f"cannot be read: {error.strerror}") from error
        if not beginning:
            raise UnusableAudio(path, "an empty file (0 bytes)")
        stream.seek(0)
        with ExitStack() as held:
            try:
                plain = held.enter_context(open_sound(stream.fileno()))
            except soundfile.LibsndfileError as error:
                found = _otherwise(path, beginning, said(error))
            else:
                found = _counted(path, plain)
            yield found


def _counted(path: Path, plain: Any) -> Sound | _Foreign:
    """Return the sound of a file that libsndfile opens, counted where its word is not enough."""
    promised, known = _promised_frames(plain.extra_info, plain.frames)
    sound = Sound(
        plain.samplerate,
        plain.channels,
        plain.frames,
        plain.format,
        partial(read_parts, [(plain, plain.frames)]),
        promised,
        known,
    )
    if plain.subtype.startswith("MPEG_LAYER"):
        return _counted_mp3(path, plain, sound)
    if plain.format == "FLAC":
        return _counted_flac(path, sound)
    if plain.format == "OGG":
        links = _walked(path).links
        if len(links) > 1 or (links and len(links[0].heads) > 1):
            return _chained(path, links)
        return replace(sound, decoder=plain_name(plain), lacks_end=lacks_end(links), warnings=told_of(path, links))
    return _extended_wave(path) or sound


def _extended_wave(path: Path) -> Sound | None:
    """Return the sound of a wave with what its header leaves out and waves joined to it; ``None`` if nothing is."""
    with path.open("rb") as file:
        extent, begins = wave_extent(file), [0]
        while extent is not None and extent.following is not None:
            begins.append(extent.following)
            extent = wave_extent(file, extent.following)
    if extent is None or (len(begins) == 1 and not extent.goes_on):
        return None
    data = bytes_of(path)
    pieces: list[tuple[bytes | tuple[int, int], ...]] = [(span,) for span in pairwise([*begins, len(data)])]
    stated = part_of(path, joined_bytes(data, pieces[-1]))
    promised, _ = _promised_frames(stated.extra_info, stated.frames)
    if extent.goes_on:
        at = extent.samples
        size = min(len(data) - at, 2**32 - 1).to_bytes(4, "little")
        pieces[-1] = ((begins[-1], at - 4), size, (at, len(data)))
    files = [(one, one.frames) for one in (part_of(path, joined_bytes(data, piece)) for piece in pieces)]
    _require_one_kind(path, files, "waves joined")
    more = files[-1][1] - stated.frames
    if len(pieces) == 1 and stated.frames and more <= SLACK_SECONDS * stated.samplerate:  # not worth a word
        return None
    warnings = [f"{len(pieces)} waves joined; they are read one after the other"] if len(pieces) > 1 else []
    if more > 0:
        told = f"{stated.frames / stated.samplerate:.2f} s" if stated.frames else "no samples"
        warnings.append(f"its header states {told}, {files[-1][1] / stated.samplerate:.2f} s are there and are read")
    joined = of_parts(files, tuple(warnings))
    return replace(joined, promised=joined.frames + max(0, promised - files[-1][1]))


def _counted_flac(path: Path, sound: Sound) -> Sound:
    """Return the sound of a FLAC file; with its length corrected where its last frame ends later than it states.

    libsndfile reads the first of joined streams, and loses its way in one behind a tag: each becomes a file.
    """
    spans = _walked(path).flacs
    if not spans:
        return replace(sound, decoder=PLAIN)
    with path.open("rb") as file:
        facts = [_flac_facts(file, *span) for span in spans]
    is_short = any(stated < end < 2**36 for stated, end in facts)
    if len(spans) == 1 and not is_short and spans[0][0] == 0:
        return replace(sound, decoder=PLAIN)
    data, files = bytes_of(path), []
    warnings = [f"{len(spans)} FLAC streams joined; they are read one after the other"] if len(spans) > 1 else []
    for (first, stop), (stated, end) in zip(spans, facts, strict=True):
        content: tuple[bytes | tuple[int, int], ...] = ((first, stop),)
        if stated < end < 2**36:
            corrected = (data[first + 21] >> 4 << 36 | end).to_bytes(5, "big")
            content = ((first, first + 21), corrected, (first + 26, stop))
            told, there = (f"{samples / sound.samplerate:.2f} s" for samples in (stated, end))
            warnings += [f"its header states {told}, {there} are there and are read"] * (stated > 0)
        file = part_of(path, joined_bytes(data, content))
        files.append((file, file.frames))
    _require_one_kind(path, files, "FLAC streams joined")
    joined = of_parts(files, tuple(warnings))
    return joined if len(spans) > 1 or is_short else replace(joined, decoder=PLAIN)


def _flac_facts(file: IO[bytes], first: int, stop: int) -> tuple[int, int]:
    """Return the samples that a FLAC stream states and those it is found to have; 0 where that cannot be told."""
    file.seek(first)
    head = file.read(26)
    file.seek(max(first + 26, stop - _FLAC_TAIL))
    return flac_samples(head, file.read(stop - file.tell())) or (0, 0)


def _require_one_kind(path: Path, files: Sequence[tuple[Any, int]], what: str) -> None:
    """Raise :class:`UnusableAudio` if recordings that are read as one differ in sample rate or channels."""
    kinds = list(dict.fromkeys((one.samplerate, one.channels) for one, _ in files))
    if len(kinds) > 1:
        shown = " and ".join(f"{channels} channels at {rate} Hz" for rate, channels in kinds)
        raise UnusableAudio(path, f"{len(files)} {what}, {shown}: {conversion(path)}")


@dataclass(frozen=True)
class _Walk:
    """What was counted in a file: the recordings of an mp3, the links of an Ogg, the streams of a FLAC."""

    parts: tuple[Mp3Part, ...] = ()
    links: tuple[OggLink, ...] = ()
    flacs: tuple[tuple[int, int], ...] = ()


def _walked(path: Path) -> _Walk:
    """Count a file; the second time it is known, until the file changes."""
    facts = path.stat()
    return _walk(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=2**16)
def _walk(path: Path, size: int, changed: int) -> _Walk:
    data = bytes_of(path)
    begin, _ = without_tags(data)
    if data.startswith(b"OggS", begin):
        return _Walk(links=ogg_links(data))
    if data.startswith(b"fLaC", begin):
        return _Walk(flacs=flac_parts(data))
    begins = data.find(b"data", 12) + 8 if data.startswith((b"RIFF", b"RF64")) else 0
    return _Walk(parts=mp3_parts(data, begins))


def _counted_mp3(path: Path, plain: Any, sound: Sound) -> Sound:
    """Return the sound of an mp3 that libsndfile opens: as it is where it reads all that is there, else in parts."""
    parts = _walked(path).parts
    if not parts:  # a free bit rate: its frames do not say how long they are
        return replace(sound, length_is_known=False, decoder=STRAIGHT)
    part = parts[0]
    container = sound.promised / max(1, sound.frames)  # of a wave that is cut, more than 1
    if len(parts) > 1 or part.index_lies or part.widest_gap > _GAP_BYTES:
        return _promising(_joined(path, parts), container)
    rate, cut = plain.samplerate, max(0, part.promised - part.samples) if part.is_cut else 0
    lost = part.promised - plain.frames
    if lost > (_TRIMMED if part.index else _ROUNDED):
        return _promising(_joined(path, parts), container)
    frames = min(plain.frames, part.promised)
    if sound.promised - sound.frames > SLACK_SECONDS * rate:  # a wave that is cut
        frames, cut = min(frames, part.samples), sound.promised - sound.frames
        return replace(sound, frames=frames, promised=frames + cut, length_is_known=True, decoder=STRAIGHT)
    return replace(sound, frames=frames - cut, promised=frames, length_is_known=True, decoder=STRAIGHT)


def _promising(sound: Sound, share: float) -> Sound:
    """Return a sound of which its container promises a multiple."""
    return replace(sound, promised=round(sound.frames * share))


def _joined(path: Path, parts: Sequence[Mp3Part]) -> Sound:
    """Return the sound of an mp3 that libsndfile would not read to its end: every recording as a file of its own."""
    kinds = list(dict.fromkeys((part.family.hertz, part.family.mono) for part in parts))
    if len(kinds) > 1:
        shown = " and ".join(f"{'mono' if mono else 'stereo'} at {rate} Hz" for rate, mono in kinds)
        raise UnusableAudio(path, f"{len(parts)} mp3 recordings joined, {shown}: {conversion(path)}")
    data = bytes_of(path)
    files: list[tuple[Any, int]] = []
    warnings = [f"{len(parts)} mp3 recordings joined; they are read one after the other"] if len(parts) > 1 else []
    for part in parts:
        file, count = _one_mp3(path, part, data)
        files.append((file, count))
        lacking = max(0, part.promised - part.samples + count)
        there, promised = (samples / file.samplerate for samples in (count, lacking))
        if part.is_cut:
            raise UnusableAudio(path, f"cut short: the header promises {promised:.2f} s, {there:.2f} s are there")
        if part.index_lies:
            stated = f"promises {promised:.2f} s" if part.promised else "states no length"
            warnings.append(f"its index {stated}, {there:.2f} s are there and are read")
        if part.widest_gap > _GAP_BYTES:
            warnings.append(f"damaged: {part.widest_gap} bytes between its frames are not mp3; the rest is read")
    return of_parts(files, tuple(warnings))


def _one_mp3(path: Path, part: Mp3Part, data: Bytes) -> tuple[Any, int]:
    """Return a recording of an mp3 as a file of its own, and the samples that it holds."""
    file = part_of(path, part.opened(data))
    if part.index and 0 <= max(part.samples, part.promised * part.is_cut) - file.frames <= _TRIMMED:
        return file, file.frames
    if part.index:  # of a kind that the decoder does not know
        file = part_of(path, part.without_index(data).opened(data))
    return file, part.samples


def _chained(path: Path, links: Sequence[OggLink]) -> Sound | _Foreign:
    """Return the sound of a chained Ogg file: every link as a file of its own."""
    if any(len(link.heads) != 1 or not link.heads[0].startswith((b"\x01vorbis", b"OpusHead")) for link in links):
        return _Foreign("several streams in Ogg")
    data = bytes_of(path)
    files = [part_of(path, joined_bytes(data, [(link.first, link.stop)])) for link in links]
    counted = [(one, one.frames) for one in files]
    _require_one_kind(path, counted, "Ogg streams chained")
    return replace(of_parts(counted, told_of(path, links)), lacks_end=lacks_end(links))


def _otherwise(path: Path, beginning: bytes, message: str) -> Sound | _Foreign:
    """Return the sound of a file that libsndfile does not open."""
    if (text := as_text(beginning)) is not None:
        raise UnusableAudio(path, f"text, not audio; it begins with {' '.join(text.split())[:40]!r}")
    name = foreign_name(beginning, ends_of(path))
    if name is not None:
        return _Foreign(name)
    walked = _walked(path).parts if "not recognised" in message or "does not exist" in message else ()
    if walked:  # libsndfile finds no frames, or takes off more of them than an index promises
        return _joined(path, walked)
    if "embedding not supported" in message:
        return _behind_tag(path)
    if "not recognised" not in message:
        if joined := _extended_wave(path):  # libsndfile opens no wave behind which another stands
            return joined
        raise UnusableAudio(path, f"damaged: {message}")
    raise UnusableAudio(path, "not audio in any format that libsndfile knows")


def _behind_tag(path: Path) -> Sound | _Foreign:
    """Return the sound of a file of a kind before which libsndfile does not pass over an ID3 tag."""
    data = bytes_of(path)
    if links := _walked(path).links:
        return _chained(path, links)
    file = part_of(path, joined_bytes(data, [(without_tags(data)[0], len(data))]))
    promised, known = _promised_frames(file.extra_info, file.frames)
    return replace(of_parts([(file, file.frames)], ()), promised=promised, length_is_known=known)


def _through_ffmpeg(path: Path, name: str) -> Sound:
    """Return the sound of a file that only FFmpeg reads; say both remedies where it is not installed."""
    decoder = ffmpeg.ffmpeg_name()
    if decoder is None:
        raise UnusableAudio(path, f'{name}, which needs FFmpeg: pip install "cmbench[av]", or {conversion(path)}')
    try:
        heard = ffmpeg.hear(path)
    except ffmpeg.FfmpegError as error:
        raise UnusableAudio(path, f"{name}: {error}") from error
    read = partial(ffmpeg.read, path)
    sound = Sound(heard.rate, heard.channels, heard.frames, name, read, heard.promised, decoder=decoder)
    links = _walked(path).links if name.endswith("in Ogg") else ()
    return replace(sound, lacks_end=lacks_end(links), warnings=told_of(path, links))
