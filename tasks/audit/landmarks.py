"""Acoustic fingerprints: which recordings hold the same sound, whatever their format, level or start.

Landmarks after Wang 2003, *An Industrial-Strength Audio Search Algorithm*, ISMIR: the strongest local peaks of a
spectrogram are joined in pairs, and a pair is named by its two frequencies and the time between them. Two recordings
with the same sound share many pairs at one and the same shift in time; two others share few, and those at shifts all
over. Every constant below is our choice; docs/audit.md has what was measured with them.

A copy is found after lossy encoding, resampling, mixing to mono, a change of level, and cutting at either end. It is
not found after a change of speed or pitch, and another performance of the same piece is not a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "landmarks-1"
"""Changes whenever a landmark or a verdict may change."""

RATE = 8000
"""Sample rate of the audio, Hz: the band that every lossy encoding keeps."""

WINDOW, HOP = 1024, 256
"""Samples of a spectrum and between two of them: 7.8 Hz and 32 ms apart."""

_BAND = (13, 448)
"""Bins that peaks are looked for in: 100 to 3500 Hz."""

_NEIGHBOURHOOD = (21, 11)
"""Bins and frames around a peak in which it is the largest: 160 Hz, 350 ms."""

_FLOOR = 1e-3
"""Smallest peak, relative to the largest of its recording: -60 dB. What lies below is what encoders take away."""

_RISE = 1.12
"""How far a peak rises above its bin's lowest value in the neighbourhood: 1 dB. A steady tone has no peaks in time."""

_PEAKS_PER_SECOND = 16
_FAN = 4
"""Later peaks that each peak is joined with."""

_REACH = 63
"""Frames between the two peaks of a pair at most: 2 s."""

_COMMON = 256
"""Occurrences from which a pair says too little to be looked up: recordings with drones share some by the thousand,
and a copy shares the rare ones as well."""

_BLOCK = 2048
"""Frames whose whole spectra are held at a time."""

LEAST_SHARED = 16
"""Pairs at one shift that a copy must share."""

LEAST_SHARE = 0.06
"""Share of the pairs of the recording with fewer that a copy must share at one shift."""

LEAST_LANDMARKS = 40
"""Pairs that a recording must have to be judged at all."""


@dataclass(frozen=True)
class Fingerprint:
    """The landmarks of one recording.

    Attributes:
        names: ``[landmarks]`` uint32, each a pair of peaks: 9 bits of frequency, 9 bits of frequency, 6 bits of time.
        times: ``[landmarks]`` int32, frames of :data:`HOP` samples from the start to the first peak of the pair.
    """

    names: NDArray[np.uint32]
    times: NDArray[np.int32]


@dataclass(frozen=True)
class Match:
    """Two recordings that hold the same sound.

    Attributes:
        first: place of the one in the list of fingerprints.
        second: place of the other, after the first.
        shared: landmarks that they share at one shift in time.
        share: the same relative to the landmarks of the recording that has fewer, 0 to 1.
        shift: seconds by which the sound is later in the first.
    """

    first: int
    second: int
    shared: int
    share: float
    shift: float


def fingerprint(samples: NDArray[np.float32]) -> Fingerprint:
    """Find the landmarks of a recording.

    Args:
        samples: ``[samples]`` mono at :data:`RATE`.
    """
    times, bins = _peaks(samples)
    names: list[NDArray[np.uint32]] = [np.empty(0, np.uint32)]
    starts: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    for step in range(1, _FAN + 1):
        apart = times[step:] - times[:-step]
        near = (apart > 0) & (apart <= _REACH)
        first, second = bins[:-step][near], bins[step:][near]
        names.append((first << 15 | second << 6 | apart[near]).astype(np.uint32))
        starts.append(times[:-step][near])
    return Fingerprint(np.concatenate(names), np.concatenate(starts))


def _peaks(samples: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Return the strongest local peaks of the spectrogram: frames and bins, each ``[peaks]``, in order of time."""
    from scipy.ndimage import maximum_filter, minimum_filter1d

    spectrum = _spectrogram(samples)
    if not spectrum.size:
        return np.empty(0, np.int32), np.empty(0, np.uint32)
    highest = maximum_filter(spectrum, size=(_NEIGHBOURHOOD[1], _NEIGHBOURHOOD[0]), mode="constant")
    lowest = minimum_filter1d(spectrum, _NEIGHBOURHOOD[1], axis=0)
    loud, rises = spectrum > _FLOOR * spectrum.max(), spectrum > _RISE * lowest
    times, bins = np.nonzero((spectrum == highest) & loud & rises)
    seconds = times * HOP // RATE
    order = np.lexsort((bins, -spectrum[times, bins], seconds))
    rank = np.arange(len(order)) - np.searchsorted(seconds[order], seconds[order])
    kept = np.sort(order[rank < _PEAKS_PER_SECOND])
    return times[kept].astype(np.int32), (bins[kept] + _BAND[0]).astype(np.uint32)


def _spectrogram(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return magnitudes ``[frames, bins]`` of the band; no frame for less than a window of samples."""
    from scipy.fft import rfft
    from scipy.signal.windows import hann

    frames = 1 + (len(samples) - WINDOW) // HOP if len(samples) >= WINDOW else 0
    window = hann(WINDOW, sym=False).astype(np.float32)
    band = slice(*_BAND)
    out = np.empty((frames, _BAND[1] - _BAND[0]), np.float32)
    for start in range(0, frames, _BLOCK):  # whole spectra of an hour would need gigabytes
        count = min(_BLOCK, frames - start)
        stretch = samples[start * HOP : (start + count - 1) * HOP + WINDOW]
        cut = np.lib.stride_tricks.sliding_window_view(stretch, WINDOW)[::HOP]
        out[start : start + count] = np.abs(rfft(cut * window, axis=1)[:, band])
    return out


def matches(prints: Sequence[Fingerprint]) -> Iterator[Match]:
    """Yield every pair of recordings that hold the same sound, by place.

    Args:
        prints: of all recordings; one with fewer than :data:`LEAST_LANDMARKS` landmarks matches nothing.
    """
    owners = np.repeat(np.arange(len(prints), dtype=np.int32), [len(p.names) for p in prints])
    names = np.concatenate([p.names for p in prints]) if prints else np.empty(0, np.uint32)
    times = np.concatenate([p.times for p in prints]) if prints else np.empty(0, np.int32)
    order = np.argsort(names, kind="stable")
    names, owners, times = names[order], owners[order], times[order]
    for place, one in enumerate(prints):
        yield from _matches_of(place, one, prints, names, owners, times)


def _matches_of(
    place: int,
    one: Fingerprint,
    prints: Sequence[Fingerprint],
    names: NDArray[np.uint32],
    owners: NDArray[np.int32],
    times: NDArray[np.int32],
) -> Iterator[Match]:
    """Yield the matches of one recording with later ones, given all landmarks in order of their names."""
    if len(one.names) < LEAST_LANDMARKS:
        return
    # A peak of a copy may be a frame off, so the time between two of them may be too.
    asked = np.concatenate([one.names - 1, one.names, one.names + 1])
    landmark = np.tile(np.arange(len(one.names)), 3)
    low, high = np.searchsorted(names, asked, "left"), np.searchsorted(names, asked, "right")
    rare = high - low <= _COMMON
    low, counts = low[rare], (high - low)[rare]
    found = np.repeat(low, counts) + np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    mine = np.repeat(landmark[rare], counts)
    later = owners[found] > place
    found, mine = found[later], mine[later]
    enough = np.bincount(owners[found], minlength=len(prints)) >= LEAST_SHARED
    for other in np.flatnonzero(enough).tolist():
        fewer = min(len(one.names), len(prints[other].names))
        if len(prints[other].names) < LEAST_LANDMARKS:
            continue
        theirs = owners[found] == other
        shift, shared = _best_shift(one.times[mine[theirs]] - times[found[theirs]], mine[theirs])
        if shared >= max(LEAST_SHARED, LEAST_SHARE * fewer):
            yield Match(place, other, shared, min(1.0, shared / fewer), shift * HOP / RATE)


def _best_shift(shifts: NDArray[np.int32], landmarks: NDArray[np.int64]) -> tuple[int, int]:
    """Return the shift in frames at which most landmarks agree to within a frame, and how many do.

    Args:
        shifts: ``[found]`` of every pair of equal landmarks.
        landmarks: ``[found]`` which landmark of the first recording it is; each counts once.
    """
    values, counts = np.unique(shifts, return_counts=True)
    around = np.array([counts[abs(values - v) <= 1].sum() for v in values])
    best = int(values[np.argmax(around)])
    return best, len(np.unique(landmarks[abs(shifts - best) <= 1]))
