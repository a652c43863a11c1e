"""Acoustic fingerprints: which recordings hold the same sound, whatever their format, level or start.

Landmarks after Wang 2003, *An Industrial-Strength Audio Search Algorithm*, ISMIR: the strongest local peaks of a
spectrogram are joined in pairs, and a pair is named by its two frequencies and the time between them. Two recordings
with the same sound share many pairs at one and the same shift in time; two others share few, and those at shifts all
over. Every constant below is our choice; docs/audit.md has what was measured with them.

A copy is found after lossy encoding, resampling, mixing to mono, a change of level, and cutting at either end; also
where it is up to 1.2 % (20 cents) faster, slower, higher or lower, as from another tape machine: the frequencies of
peaks are kept finer than a bin, and asked for at several speeds. Another performance of the same piece is not a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "landmarks-2"
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

BENT = tuple(1.0 + 0.004 * step for step in (-3, -2, -1, 1, 2, 3))
"""Factors on frequencies at which a recording is looked for besides its own: to 1.2 %, 7 cents apart. Between two of
them a peak at 1 kHz is a quarter of a bin off."""

LEAST_SHARED_BENT, LEAST_SHARE_BENT = 24, 0.07
"""As :data:`LEAST_SHARED` and :data:`LEAST_SHARE`, at another speed: twelve further looks find more by chance."""

_FINE = 64
"""Steps of a bin in which the frequency of a peak is kept."""


@dataclass(frozen=True)
class Fingerprint:
    """The landmarks of one recording."""

    # ``[landmarks]`` uint32, each a pair of peaks: 9 bits of frequency, 9 bits of frequency, 6 bits of time
    names: NDArray[np.uint32]
    # ``[landmarks]`` int32, frames of :data:`HOP` samples from the start to the first peak of the pair
    times: NDArray[np.int32]
    fine: NDArray[np.uint16]  # ``[landmarks, 2]`` uint16, the two frequencies in parts of a bin

    def at(self, factor: float) -> NDArray[np.uint32]:
        """Return the names of the landmarks if all frequencies were higher by a factor."""
        if factor == 1.0:
            return self.names
        first, second = np.rint(self.fine * (factor / _FINE)).astype(np.uint32).T
        named: NDArray[np.uint32] = first << 15 | second << 6 | self.names & 63
        return named


@dataclass(frozen=True)
class Match:
    """Two recordings that hold the same sound."""

    first: int  # place of the one in the list of fingerprints
    second: int  # place of the other, after the first
    shared: int  # landmarks that they share at one shift in time
    share: float  # the same relative to the landmarks of the recording that has fewer, 0 to 1
    shift: float  # seconds by which the sound is later in the first
    pitch: float = 1.0  # by what factor the sound is lower in the first; 1 if it is not
    speed: float = 1.0  # by what factor it is slower in the first; 1 if it is not


def fingerprint(samples: NDArray[np.float32]) -> Fingerprint:
    """Find the landmarks of a recording, mono at :data:`RATE`."""
    times, fine = _peaks(samples)
    bins = np.rint(fine / _FINE).astype(np.uint32)
    names: list[NDArray[np.uint32]] = [np.empty(0, np.uint32)]
    starts: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    pairs: list[NDArray[np.uint16]] = [np.empty((0, 2), np.uint16)]
    for step in range(1, _FAN + 1):
        apart = times[step:] - times[:-step]
        near = (apart > 0) & (apart <= _REACH)
        first, second = bins[:-step][near], bins[step:][near]
        names.append((first << 15 | second << 6 | apart[near]).astype(np.uint32))
        starts.append(times[:-step][near])
        pairs.append(np.stack([fine[:-step][near], fine[step:][near]], axis=1))
    return Fingerprint(np.concatenate(names), np.concatenate(starts), np.concatenate(pairs))


def _peaks(samples: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Return the strongest local peaks by time: frames, and frequencies in parts of a bin, each ``[peaks]``."""
    from scipy.ndimage import maximum_filter, minimum_filter1d

    spectrum = _spectrogram(samples)
    if not spectrum.size:
        return np.empty(0, np.int32), np.empty(0, np.uint16)
    highest = maximum_filter(spectrum, size=(_NEIGHBOURHOOD[1], _NEIGHBOURHOOD[0]), mode="constant")
    lowest = minimum_filter1d(spectrum, _NEIGHBOURHOOD[1], axis=0)
    loud, rises = spectrum > _FLOOR * spectrum.max(), spectrum > _RISE * lowest
    times, bins = np.nonzero((spectrum == highest) & loud & rises)
    seconds = times * HOP // RATE
    order = np.lexsort((bins, -spectrum[times, bins], seconds))
    rank = np.arange(len(order)) - np.searchsorted(seconds[order], seconds[order])
    kept = np.sort(order[rank < _PEAKS_PER_SECOND])
    times, bins = times[kept], bins[kept]
    fine = (bins + _BAND[0] + _within(spectrum, times, bins)) * _FINE
    return times.astype(np.int32), np.rint(fine).astype(np.uint16)


def _within(spectrum: NDArray[np.float32], times: NDArray[np.intp], bins: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return by how much of a bin each peak lies above its bin's middle, within half a bin.

    The top of the parabola through the logarithms of a peak and its neighbours (J. O. Smith, *Spectral Audio Signal
    Processing*, "Quadratic Interpolation of Spectral Peaks"); 0 at the edge of the band.
    """
    inside = (bins > 0) & (bins < spectrum.shape[1] - 1)
    near = [np.clip(bins + step, 0, spectrum.shape[1] - 1) for step in (-1, 0, 1)]
    tiny = np.finfo(np.float32).tiny
    below, at, above = (np.log(np.maximum(spectrum[times, place], tiny).astype(np.float64)) for place in near)
    bend = below - 2.0 * at + above
    within = np.divide(0.5 * (below - above), bend, out=np.zeros(len(bins)), where=inside & (bend < 0))
    # The rounded frequency must remain the bin.
    edge = 0.5 - 1.0 / _FINE
    return np.clip(within, -edge, edge)


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

    A recording of fewer than :data:`LEAST_LANDMARKS` landmarks matches nothing.
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
    best: dict[int, Match] = {}
    for pitch in (1.0, *BENT):
        for match in _matches_at(pitch, place, one, prints, names, owners, times):
            if match.second not in best or match.shared > best[match.second].shared:
                best[match.second] = match
    yield from (best[other] for other in sorted(best))


def _matches_at(
    pitch: float,
    place: int,
    one: Fingerprint,
    prints: Sequence[Fingerprint],
    names: NDArray[np.uint32],
    owners: NDArray[np.int32],
    times: NDArray[np.int32],
) -> Iterator[Match]:
    """Yield the matches of one recording with later ones that are higher by a factor, at its speed or faster by it."""
    own = one.at(pitch)
    # A peak of a copy may be a frame off, so the time between two of them may be too.
    asked = np.concatenate([own - 1, own, own + 1])
    landmark = np.tile(np.arange(len(one.names)), 3)
    low, high = np.searchsorted(names, asked, "left"), np.searchsorted(names, asked, "right")
    rare = high - low <= _COMMON
    low, counts = low[rare], (high - low)[rare]
    found = np.repeat(low, counts) + np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    mine = np.repeat(landmark[rare], counts)
    later = owners[found] > place
    found, mine = found[later], mine[later]
    least, share = (LEAST_SHARED, LEAST_SHARE) if pitch == 1.0 else (LEAST_SHARED_BENT, LEAST_SHARE_BENT)
    enough = np.bincount(owners[found], minlength=len(prints)) >= least
    for other in np.flatnonzero(enough).tolist():
        fewer = min(len(one.names), len(prints[other].names))
        if len(prints[other].names) < LEAST_LANDMARKS:
            continue
        theirs = owners[found] == other
        heard, there = mine[theirs], times[found[theirs]]
        for speed in dict.fromkeys((1.0, pitch)):
            here = np.rint(one.times[heard] / speed).astype(np.int32)
            shift, shared = _best_shift(here - there, heard)
            if shared >= max(least, share * fewer):
                yield Match(place, other, shared, min(1.0, shared / fewer), shift * HOP / RATE, pitch, speed)


def _best_shift(shifts: NDArray[np.int32], landmarks: NDArray[np.int64]) -> tuple[int, int]:
    """Return the shift in frames at which most landmarks agree to within a frame, and how many do.

    ``shifts`` are of every pair of equal landmarks; each of ``landmarks`` counts once.
    """
    values, counts = np.unique(shifts, return_counts=True)
    around = np.array([counts[abs(values - v) <= 1].sum() for v in values])
    best = int(values[np.argmax(around)])
    return best, len(np.unique(landmarks[abs(shifts - best) <= 1]))
