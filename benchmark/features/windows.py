"""From an audio file to windows: decode a stretch, mix to mono, resample, cut.

Memory does not grow with the length of a track: one longer than :data:`HELD_SECONDS` is decoded to its end and judged,
and decoded again as its windows are asked for. A file that cannot be used raises :class:`UnusableAudio` with a short
reason; one that can be used, but whose reader should know something, carries warnings.

A change of the arithmetic here is a new ``Windowing.version`` in :mod:`cmbench.benchmark.protocol`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...decoding import SILENCE, Stretch, blocks, channel_sums, find_stretch, missing_frames, suffix_warning, variances
from ...errors import CmbenchError, UnusableAudio, UsageError
from ...files import FileVersion, file_version
from ...opening import opened
from ...sound import Sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..protocol import Windowing

HELD_SECONDS = 300.0
"""Of a track that is held in memory at most; its file is decoded once."""

_NEAR_SILENCE = 1e-3
"""Deviation under which audio is called nearly silent: -60 dBFS."""

_CANCELLED = 1e-6
"""Power of the mean over channels, relative to the mean power of the channels, under which they cancel: -60 dB."""

_EQUAL = 0.999
"""Share of the power of the strongest channel from which another is as strong; the first of them is used."""

_OVERSCALE = 2.0
"""Peak worth a warning. Lossy decoders overshoot full scale by some percent in any loud piece."""

_OFFSET = 0.1
"""Constant part (full scale 1) worth a warning."""


@dataclass(frozen=True)
class AudioWindows:
    """One track, ready to be encoded."""

    # each ``[samples]`` float32, mono, at the encoder's rate; of equal length but for the last one under
    # ``tail="keep"`` and for the only one of a short track. They may share memory: do not write to them. Those of a
    # long track are decoded whenever they are iterated over
    windows: tuple[NDArray[np.float32], ...] | LongWindows
    seconds: float  # from the start of the track to the end of its last window
    warnings: tuple[str, ...]  # what a reader of the result should know


@dataclass(frozen=True)
class LongWindows:
    """The windows of a long stretch, cut as its file is decoded."""

    path: Path  # of the file
    version: FileVersion | None  # of the file when it was judged
    stretch: Stretch  # what to read
    channel: int | None  # use this one alone; ``None`` for the mean over all
    sample_rate: int  # of the windows, Hz
    resampler: str  # name of soxr's quality
    spans: tuple[tuple[int, int], ...]  # where each window begins and ends, in samples
    samples: int  # of the stretch, at the rate of the windows

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.spans)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Decode the stretch and yield its windows, each ``[samples]``.

        Raises:
            UnusableAudio: the file cannot be read any more.
            CmbenchError: it is not the file that was judged.
        """
        with opened(self.path) as sound:
            mono = _mono(self.path, sound, self.stretch, self.channel)
            pieces = _resampled(mono, sound.samplerate, self.sample_rate, self.resampler)
            if file_version(self.path) == self.version and self.samples == (yield from _cut(pieces, self.spans)):
                return
        raise CmbenchError(f"{self.path} changed while it was read; run the command again.")


class _Levels:
    """Statistics of a stretch, added up while it is decoded."""

    def __init__(self, channels: int) -> None:
        self.frames, self.peak = 0, 0.0  # decoded; largest absolute sample of any channel
        self._sums = np.zeros((channels + 1, 2))  # a row per channel and one for the mix: sum, sum of squares

    def add(self, channels: NDArray[np.float32], mix: NDArray[np.float32]) -> None:
        """Add a block ``[channels, frames]`` and its mean over channels ``[frames]``."""
        self._sums += channel_sums(np.vstack([channels, mix]))
        self.frames += len(mix)
        self.peak = max(self.peak, float(np.abs(channels).max()))

    @property
    def power(self) -> NDArray[np.float64]:
        """Variance of each channel ``[channels]``."""
        return variances(self._sums, self.frames)[:-1]

    @property
    def mix_power(self) -> float:
        """Variance of the mono mix."""
        return float(variances(self._sums, self.frames)[-1])

    @property
    def mix_offset(self) -> float:
        """Mean of the mono mix."""
        return float(self._sums[-1, 0] / max(self.frames, 1))


def read_windows(
    path: Path,  # the file; its contents decide the format, not its name
    start: float,  # seconds from the beginning of the file
    end: float | None,  # seconds from the beginning of the file; ``None`` for the end of the file
    max_seconds: float | None,  # use at most this much from ``start``; ``None`` for no cap
    sample_rate: int,  # of the windows, Hz
    windowing: Windowing,  # how to cut and resample
    min_seconds: float,  # shortest audio that the encoder can take
) -> AudioWindows:
    """Decode a stretch of a file and cut it into windows.

    Mono is the mean over channels, taken before resampling. Where that mean is 60 dB below the channels (antiphase
    stereo), the channel with the most power (the first of equals) is used alone and a warning says so. Start and end
    are rounded to whole frames of the file and cut before resampling, so that a stretch gives the same samples as
    decoding everything.

    Raises:
        UnusableAudio: missing, empty, not audio, damaged, cut short, not finite, silent, or too short.
        UsageError: ``windowing`` has an unknown tail rule.
    """
    path = Path(path)
    with opened(path) as sound:
        version, stretch = file_version(path), find_stretch(path, sound, start, end, max_seconds)
        is_long = stretch.stop - stretch.first > HELD_SECONDS * sound.samplerate

        def hold(mono: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
            pieces = _resampled(mono, sound.samplerate, sample_rate, windowing.resampler)
            return _filled(pieces, math.ceil((stretch.stop - stretch.first) * sample_rate / sound.samplerate) + 1)

        levels, channel, samples = _Levels(sound.channels), None, np.empty(0, np.float32)
        mono = _mono(path, sound, stretch, None, levels)
        if is_long:
            deque(mono, maxlen=0)
        else:
            samples = hold(mono)
        count = _resampled_length(levels.frames, sound.samplerate, sample_rate) if is_long else len(samples)
        warnings = [*suffix_warning(path, sound.format), *stretch.warnings]
        warnings += missing_frames(path, sound, stretch, levels.frames)
        if count < max(1, math.ceil(min_seconds * sample_rate - 1e-6)):
            length = levels.frames / sound.samplerate
            raise UnusableAudio(path, f"too short: {length:.3g} s, where the encoder needs {min_seconds:.3g} s")
        warnings += _level_warnings(path, levels)
        if levels.mix_power < _CANCELLED * float(levels.power.mean()):
            channel = int(np.argmax(levels.power >= _EQUAL * levels.power.max()))
            samples = samples if is_long else hold(_mono(path, sound, stretch, channel))
            warnings.append(f"the channels cancel in their mean (antiphase): channel {channel + 1} is used alone")
    spans = window_spans(count, sample_rate, windowing, min_seconds)
    windows: tuple[NDArray[np.float32], ...] | LongWindows = tuple(samples[first:stop] for first, stop in spans)
    if is_long:
        windows = LongWindows(path, version, stretch, channel, sample_rate, windowing.resampler, spans, count)
    return AudioWindows(windows, seconds=spans[-1][1] / sample_rate, warnings=tuple(warnings))


def window_spans(
    samples: int, sample_rate: int, windowing: Windowing, min_seconds: float = 0.0
) -> tuple[tuple[int, int], ...]:
    """Return where each window begins and ends, in samples.

    The remainder is what lies after the last whole window (and after its hop, where windows leave gaps). Under
    ``tail="end"`` it gets a whole window that ends with the track, under ``keep`` a window of its own length; one that
    is shorter than ``min_tail_seconds`` gets none. A track shorter than a window is one window. A kept remainder is
    never shorter than ``min_seconds``.

    Raises:
        UsageError: the tail rule is neither ``end`` nor ``keep``.
    """
    if windowing.tail not in ("end", "keep"):
        raise UsageError(f"There is no tail rule {windowing.tail!r}; it is `end` or `keep`.")
    window = round(windowing.seconds * sample_rate)
    hop = round(windowing.hop_seconds * sample_rate)
    if samples <= window:
        return ((0, samples),)
    spans = [(first, first + window) for first in range(0, samples - window + 1, hop)]
    last, covered = spans[-1]
    rest = max(covered, last + hop)
    shortest = windowing.min_tail_seconds if windowing.tail == "end" else max(windowing.min_tail_seconds, min_seconds)
    if samples - rest >= max(1, math.ceil(shortest * sample_rate - 1e-6)):
        spans.append((samples - window, samples) if windowing.tail == "end" else (rest, samples))
    return tuple(spans)


def _mono(
    path: Path, sound: Sound, stretch: Stretch, channel: int | None, levels: _Levels | None = None
) -> Iterator[NDArray[np.float32]]:
    """Decode a stretch block by block into mono ``[frames]``.

    ``channel`` is used alone; ``None`` for the mean over all. ``levels`` is what is added up on the way.
    """
    for block in blocks(path, sound, stretch):
        channels = np.ascontiguousarray(block.T)
        mix = channels.mean(axis=0, dtype=np.float32) if channel is None else channels[channel]
        if levels is not None:
            levels.add(channels, mix)
        yield mix


def _resampled(
    mono: Iterable[NDArray[np.float32]], rate: int, wanted: int, quality: str
) -> Iterator[NDArray[np.float32]]:
    """Bring pieces from one rate to another, Hz; ``quality`` is the name of soxr's."""
    import soxr

    if rate == wanted:
        yield from mono
        return
    resampler = soxr.ResampleStream(rate, wanted, 1, "float32", quality)
    for piece in mono:
        yield resampler.resample_chunk(piece)
    yield resampler.resample_chunk(np.empty(0, np.float32), last=True)


def _resampled_length(frames: int, rate: int, wanted: int) -> int:
    """Return how many samples soxr makes of so many (``rate_flush`` of libsoxr 0.1.3, ``rate.h``)."""
    return frames if rate == wanted else int(frames / (rate / wanted) + 0.5)


def _filled(pieces: Iterable[NDArray[np.float32]], most: int) -> NDArray[np.float32]:
    """Put pieces one behind the other, at most so many samples; joining them would need twice the memory."""
    samples, filled = np.empty(most, np.float32), 0
    for piece in pieces:
        samples[filled : filled + len(piece)] = piece
        filled += len(piece)
    return samples[:filled]


def _cut(
    pieces: Iterable[NDArray[np.float32]], spans: Sequence[tuple[int, int]]
) -> Generator[NDArray[np.float32], None, int]:
    """Yield the windows of a stretch that comes in pieces, each as soon as it is whole; return the samples met."""
    held: list[NDArray[np.float32]] = []
    begun, met, done = 0, 0, 0
    for piece in pieces:
        met += len(piece)
        if done == len(spans):
            continue
        held.append(piece)
        if spans[done][1] <= met:
            samples = np.concatenate(held)
            while done < len(spans) and spans[done][1] <= met:
                first, stop = spans[done]
                yield samples[first - begun : stop - begun].copy()
                done += 1
            passed = min(spans[done][0], met) if done < len(spans) else met
            held, begun = [samples[passed - begun :].copy()], passed
    return met


def _level_warnings(path: Path, levels: _Levels) -> list[str]:
    """Refuse silence; return warnings about what is nearly silent, beyond full scale, or off centre."""
    deviation = math.sqrt(float(levels.power.max()))
    if deviation < SILENCE:
        raise UnusableAudio(path, "silence from beginning to end")
    warnings = []
    if deviation < _NEAR_SILENCE:
        warnings.append(f"nearly silent: {20 * math.log10(deviation):.0f} dBFS")
    if levels.peak > _OVERSCALE:
        warnings.append(f"samples beyond full scale: peak {levels.peak:.3g}")
    if abs(levels.mix_offset) > _OFFSET:
        warnings.append(f"a constant offset of {levels.mix_offset:+.2f}")
    return warnings
