"""From an audio file to windows: decode a stretch, mix to mono, resample, cut.

Memory is bounded by the mono result. A file that cannot be used raises :class:`UnusableAudio` with a short reason; one
that can be used, but whose reader should know something, carries warnings.

A change of the arithmetic here is a new ``Windowing.version`` in :mod:`cmbench.benchmark.protocol`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...decoding import SILENCE, Stretch, blocks, channel_sums, find_stretch, missing_frames, suffix_warning, variances
from ...errors import UnusableAudio, UsageError
from ...opening import opened
from ...sound import Sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..protocol import Windowing

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
    """One track, ready to be encoded.

    Attributes:
        windows: each ``[samples]`` float32, mono, at the encoder's rate; of equal length but for the last one under
            ``tail="keep"`` and for the only one of a short track. They may share memory: do not write to them.
        seconds: from the start of the track to the end of its last window.
        warnings: what a reader of the result should know.
    """

    windows: tuple[NDArray[np.float32], ...]
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Levels:
    """Statistics of a decoded stretch.

    Attributes:
        frames: decoded.
        peak: largest absolute sample of any channel.
        power: variance of each channel ``[channels]``.
        mix_power: variance of the mono mix.
        mix_offset: mean of the mono mix.
    """

    frames: int
    peak: float
    power: NDArray[np.float64]
    mix_power: float
    mix_offset: float


def read_windows(
    path: Path,
    start: float,
    end: float | None,
    max_seconds: float | None,
    sample_rate: int,
    windowing: Windowing,
    min_seconds: float,
) -> AudioWindows:
    """Decode a stretch of a file and cut it into windows.

    Mono is the mean over channels, taken before resampling. Where that mean is 60 dB below the channels (antiphase
    stereo), the channel with the most power (the first of equals) is used alone and a warning says so. Start and end
    are rounded to whole frames of the file and cut before resampling, so that a stretch gives the same samples as
    decoding everything.

    Args:
        path: the file; its contents decide the format, not its name.
        start: seconds from the beginning of the file.
        end: seconds from the beginning of the file; ``None`` for the end of the file.
        max_seconds: use at most this much from ``start``; ``None`` for no cap.
        sample_rate: of the windows, Hz.
        windowing: how to cut and resample.
        min_seconds: shortest audio that the encoder can take.

    Raises:
        UnusableAudio: missing, empty, not audio, damaged, cut short, not finite, silent, or too short.
        UsageError: ``windowing`` has an unknown tail rule.
    """
    path = Path(path)
    with opened(path) as sound:
        stretch = find_stretch(path, sound, start, end, max_seconds)
        samples, levels = _mono(path, sound, stretch, None, sample_rate, windowing.resampler)
        warnings = [*suffix_warning(path, sound.format), *stretch.warnings]
        warnings += missing_frames(path, sound, stretch, levels.frames)
        if len(samples) < max(1, math.ceil(min_seconds * sample_rate - 1e-6)):
            length = levels.frames / sound.samplerate
            raise UnusableAudio(path, f"too short: {length:.3g} s, where the encoder needs {min_seconds:.3g} s")
        warnings += _level_warnings(path, levels)
        if levels.mix_power < _CANCELLED * float(levels.power.mean()):
            channel = int(np.argmax(levels.power >= _EQUAL * levels.power.max()))
            samples, _ = _mono(path, sound, stretch, channel, sample_rate, windowing.resampler)
            warnings.append(f"the channels cancel in their mean (antiphase): channel {channel + 1} is used alone")
    spans = window_spans(len(samples), sample_rate, windowing, min_seconds)
    return AudioWindows(
        windows=tuple(samples[first:stop] for first, stop in spans),
        seconds=spans[-1][1] / sample_rate,
        warnings=tuple(warnings),
    )


def window_spans(
    samples: int, sample_rate: int, windowing: Windowing, min_seconds: float = 0.0
) -> tuple[tuple[int, int], ...]:
    """Return where each window begins and ends, in samples.

    The remainder is what lies after the last whole window (and after its hop, where windows leave gaps). Under
    ``tail="end"`` it gets a whole window that ends with the track, under ``keep`` a window of its own length; one
    that is shorter than ``min_tail_seconds`` gets none. A track shorter than a window is one window.

    Args:
        samples: length of the track, at least 1.
        sample_rate: Hz.
        windowing: lengths in seconds, and the tail rule.
        min_seconds: a kept remainder is never shorter than this.

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
    path: Path, sound: Sound, stretch: Stretch, channel: int | None, sample_rate: int, quality: str
) -> tuple[NDArray[np.float32], _Levels]:
    """Decode a stretch block by block into mono at another rate.

    Args:
        path: of the file.
        sound: the open file.
        stretch: what to read.
        channel: use this one alone; ``None`` for the mean over all.
        sample_rate: to resample to, Hz.
        quality: name of soxr's quality.

    Returns:
        ``[samples]`` float32, and the levels of the stretch before resampling.
    """
    import soxr

    same = sound.samplerate == sample_rate
    resampler = None if same else soxr.ResampleStream(sound.samplerate, sample_rate, 1, "float32", quality)
    # filled piece by piece: joining pieces would need twice the memory
    samples = np.empty(math.ceil((stretch.stop - stretch.first) * sample_rate / sound.samplerate) + 1, np.float32)
    filled, frames, peak = 0, 0, 0.0
    sums = np.zeros((sound.channels + 1, 2))  # a row per channel and one for the mix: sum, sum of squares
    for block in blocks(path, sound, stretch):
        channels = np.ascontiguousarray(block.T)
        mix = channels.mean(axis=0, dtype=np.float32) if channel is None else channels[channel]
        sums += channel_sums(np.vstack([channels, mix]))
        frames += len(block)
        peak = max(peak, float(np.abs(block).max()))
        piece = mix if resampler is None else resampler.resample_chunk(mix)
        samples[filled : filled + len(piece)] = piece
        filled += len(piece)
    if resampler is not None:
        piece = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        samples[filled : filled + len(piece)] = piece
        filled += len(piece)
    power = variances(sums, frames)
    levels = _Levels(frames, peak, power[:-1], float(power[-1]), float(sums[-1, 0] / max(frames, 1)))
    return samples[:filled], levels


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
