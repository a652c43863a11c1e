"""Melodies and rhythms as lists of notes: phrases that walk a mode and rest where the mode rests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .modes import Mode
from .rhythms import Cycle

LONGEST = 1.5
"""Seconds without a new note after which a metred melody sounds again."""


@dataclass(frozen=True)
class Note:
    """One note of one player."""

    onset: float  # seconds from the beginning of the track; may be a little negative
    duration: float  # seconds until the next note or rest
    cents: float  # pitch above the tonic
    accent: float = 0.8  # loudness, 0 to 1
    slurred: bool = False  # no new syllable, bow or tongue stroke


@dataclass(frozen=True)
class Beat:
    """A moment at which a melody may sound: onset (s), time to the next (s), accent (0 to 1)."""

    onset: float
    duration: float
    accent: float


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Draw one name with probability proportional to its weight."""
    names = list(weights)
    p = np.array([weights[n] for n in names], dtype=np.float64)
    return names[int(rng.choice(len(names), p=p / p.sum()))]


def metred(
    cycle: Cycle, pulse: float, offset: float, seconds: float, density: float, split: float, rng: np.random.Generator
) -> list[Beat]:
    """Onsets that follow a cycle: two one-cycle patterns in the order A A B A, strong strokes rarely left out.

    An average pulse carries a note with probability ``density``, and is halved then with probability ``split``.
    """
    accents = cycle.accents

    def pattern() -> list[tuple[float, float]]:
        places: list[tuple[float, float]] = []
        for at, accent in enumerate(accents):
            silent = (at - places[-1][0]) * pulse if places else LONGEST
            if silent >= LONGEST or rng.random() < density * (0.45 + 0.75 * accent):
                places.append((float(at), 0.45 + 0.5 * accent))
                if rng.random() < split:
                    places.append((at + 0.5, 0.45))
        return places

    first, second = pattern(), pattern()
    onsets: list[tuple[float, float]] = []
    length = cycle.pulses * pulse
    start, count = -offset, 0
    while start < seconds:
        for at, accent in second if count % 4 == 2 else first:
            onset = start + at * pulse
            if onset < seconds - 0.05:
                onsets.append((onset, accent))
        start, count = start + length, count + 1
    ends = [o for o, _ in onsets[1:]] + [seconds]
    return [Beat(o, e - o, a) for (o, a), e in zip(onsets, ends, strict=True) if e > 0.0]


def free(seconds: float, typical: float, rng: np.random.Generator) -> list[Beat]:
    """Onsets without metre: durations spread log-normally about ``typical`` seconds, some of them long."""
    beats: list[Beat] = []
    at = -float(rng.uniform(0.0, typical))
    while at < seconds - 0.1:
        length = typical * float(np.exp(0.55 * rng.standard_normal()))
        if rng.random() < 0.12:
            length *= 3.0
        length = min(max(length, 0.09), seconds - at)
        beats.append(Beat(at, length, float(rng.uniform(0.55, 0.95))))
        at += length
    return beats


def _ladder(notes: Sequence[float]) -> list[float]:
    return [n + 1200.0 * octave for octave in (-1, 0, 1, 2) for n in notes]


def _step(position: float, mode: Mode, steps: int) -> float:
    """Move by scale steps: upwards on the ascent's notes, downwards on the descent's."""
    if steps == 0:
        return position
    ladder = _ladder(mode.up if steps > 0 else mode.down)
    at = bisect_right(ladder, position + 1.0) - 1 if steps > 0 else bisect_left(ladder, position - 1.0)
    return ladder[int(np.clip(at + steps, 0, len(ladder) - 1))]


def _centre(mode: Mode, progress: float) -> float:
    """Where melodies dwell as a piece goes on (seyir), cents."""
    shapes = {1: (150.0, 650.0, 150.0), 0: (500.0, 700.0, 250.0), -1: (1100.0, 650.0, 200.0)}
    return float(np.interp(progress, (0.0, 0.5, 1.0), shapes[mode.seyir]))


def _goal(mode: Mode, position: float, last: bool, rng: np.random.Generator) -> float:
    if last or rng.random() < 0.42:
        note = 0.0
    elif rng.random() < 0.68:
        note = mode.dominant
    else:
        note = mode.up[int(rng.integers(len(mode.up)))]
    return note + 1200.0 * float(np.clip(np.round((position - note) / 1200.0), 0, 1)) * (not last)


def _phrase(
    mode: Mode, position: float, goal: float, count: int, centre: float, rng: np.random.Generator
) -> list[float]:
    """Pitches of one phrase that ends on ``goal``."""
    pitches: list[float] = []
    if mode.phrases and count >= 5 and rng.random() < 0.55:
        chosen = mode.phrases[int(rng.integers(len(mode.phrases)))]
        pitches = list(chosen[: count - 1])
        position = pitches[-1]
    while len(pitches) < count:
        left = count - len(pitches) - 1
        away = abs(goal - position) / 170.0
        if left == 0:
            position = goal
        elif away >= left:
            position = _step(position, mode, 1 if goal > position else -1)
        else:
            rise = 1.0 / (1.0 + np.exp(-(centre - position) / 220.0))
            size = int(rng.choice((0, 1, 2, 3), p=(0.12, 0.66, 0.17, 0.05)))
            position = _step(position, mode, size if rng.random() < rise else -size)
        pitches.append(position)
    return pitches


def walk(
    mode: Mode | Sequence[Mode], beats: Sequence[Beat], rng: np.random.Generator, closes: bool = True
) -> list[Note]:
    """Compose a melody on given beats.

    Phrases of 5 to 11 notes lead to the tonic, the dominant or another note; each ends with a longer note and often a
    rest; the last ends on the tonic. Of several modes, each has an equal share of the time (a ragamalika); ``closes``:
    the last phrase ends on the tonic.
    """
    modes = [mode] if isinstance(mode, Mode) else list(mode)
    total = max(beats[-1].onset, 1e-6)
    position = {1: 0.0, 0: modes[0].dominant, -1: 1200.0}[modes[0].seyir]
    notes: list[Note] = []
    at = 0
    while at < len(beats):
        count = min(int(rng.integers(5, 12)), len(beats) - at)
        if len(beats) - at - count < 4:
            count = len(beats) - at
        progress = float(np.clip(beats[at].onset / total, 0.0, 1.0))
        now = modes[min(int(progress * len(modes)), len(modes) - 1)]
        last = closes and at + count >= len(beats)
        goal = _goal(now, position, last, rng)
        pitches = _phrase(now, position, goal, count, _centre(now, progress), rng)
        for k, (beat, cents) in enumerate(zip(beats[at : at + count], pitches, strict=True)):
            slurred = k > 0 and rng.random() < 0.35
            notes.append(Note(beat.onset, beat.duration, cents, beat.accent, slurred))
        position = pitches[-1]
        at += count
        if at < len(beats) - 1 and rng.random() < 0.7:
            notes[-1] = replace(notes[-1], duration=notes[-1].duration + 0.8 * beats[at].duration)
            at += 1
    return notes


def heterophony(notes: Sequence[Note], rng: np.random.Generator, looseness: float, skip: float = 0.08) -> list[Note]:
    """Give the same melody to another player: slightly early or late, some notes left out, accents of their own.

    ``looseness``: standard deviation of the onsets, seconds; ``skip``: probability that a note is left out.
    """
    kept: list[Note] = []
    for n in notes:
        if kept and rng.random() < skip:
            kept[-1] = replace(kept[-1], duration=n.onset + n.duration - kept[-1].onset)
            continue
        onset = n.onset + float(rng.normal(0.0, looseness))
        onset = max(onset, kept[-1].onset + 0.03) if kept else onset
        accent = float(np.clip(n.accent + rng.normal(0.0, 0.08), 0.2, 1.0))
        kept.append(Note(onset, n.duration, n.cents, accent, n.slurred))
    return kept
