"""Western popular and classical music: keys, functional harmony, backbeats; parts named ``role:sound``.

Roles: ``drums`` (sound = pattern/kit), ``bass``, ``strum``, ``block``, ``arp``, ``pad``, ``lead``, ``voice``, ``rap``,
``texture``. A part belongs to a style with a probability, so that one style has many arrangements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from .corpus import Need, TrackSpec, generator
from .melody import Note, free, heterophony, metred, pick, walk
from .modes import PROGRESSIONS, WESTERN, Mode, triad
from .oscillator import RATE, Audio, band_noise
from .percussion import drum
from .playing import Manner
from .rhythms import PATTERNS, Cycle
from .stage import Stage, open_stage

BAR = Cycle("bar", 16, tuple((float(4 * i), "düm", 1.0 if i == 0 else 0.8) for i in range(4)), (0.08, 0.25))


@dataclass(frozen=True)
class Style:
    """A kind of song."""

    weight: float  # how common it is
    labels: Mapping[str, float]  # label -> probability that it is given
    bpm: tuple[float, float]  # slowest and fastest tempo, beats per minute
    modes: Mapping[str, float]  # mode -> weight
    parts: Mapping[str, float]  # ``role:sound`` -> probability
    pace: float = 3.0  # notes per second of leads
    swing: float = 0.0  # how far every second sixteenth is late, as a share of it


COMPILED = 0.6
"""Probability that a track of an album is in another style than the album's own (compilations, side projects)."""

POP_MODES: Mapping[str, float] = {"major": 2.0, "minor": 1.5, "mixolydian": 0.4}
DARK_MODES: Mapping[str, float] = {"minor": 3.0, "dorian": 1.0, "minor pentatonic": 0.7}
CLASSICAL_MODES: Mapping[str, float] = {"major": 1.5, "minor": 0.5, "harmonic minor": 1.0}


def draw_style(rng: np.random.Generator, styles: Mapping[str, Style], need: Need) -> str:
    """Draw a style, preferring those whose labels are still lacking."""
    weights = {n: s.weight * max((p * need(x) for x, p in s.labels.items()), default=1.0) for n, s in styles.items()}
    return pick(rng, weights)


def draw_parts(rng: np.random.Generator, pool: tuple[str, ...], keep: float) -> tuple[str, ...]:
    """Draw which of a band's parts sound in a track; never none."""
    parts = tuple(p for p in pool if rng.random() < keep)
    return parts or pool[:1]


@dataclass(frozen=True)
class _Song:
    """Tempo, key and harmony of one track: bar in seconds, where it begins, a chord per bar, tunes once drawn."""

    mode: Mode
    bar: float
    offset: float
    chords: tuple[tuple[float, float, float], ...]
    pace: float
    swing: float
    tunes: dict[bool, list[Note]] = field(default_factory=dict)

    def bars(self, seconds: float) -> list[tuple[float, tuple[float, float, float]]]:
        """Return the onset (seconds, the first may lie before 0) and the chord (cents) of every bar of a track."""
        count = int(np.ceil((seconds + self.offset) / self.bar))
        return [(i * self.bar - self.offset, self.chords[i % len(self.chords)]) for i in range(count)]


def _song(stage: Stage, style: Style) -> _Song:
    rng = stage.rng
    mode = WESTERN[stage.spec.content.modes[0]]
    bar = 240.0 / float(rng.uniform(*style.bpm))
    major = 400.0 in mode.up
    options = PROGRESSIONS["major" if major else "minor"]
    degrees = options[int(rng.integers(len(options)))]
    scale = mode if len(mode.up) == 7 else WESTERN["major" if major else "minor"]
    chords = tuple(triad(scale, d) for d in degrees)
    folded = tuple((r - 1200.0 * (r > 700), t - 1200.0 * (r > 700), f - 1200.0 * (r > 700)) for r, t, f in chords)
    return _Song(mode, bar, float(rng.uniform(0.0, 4.0 * bar)), folded, style.pace, style.swing)


def _place(
    lines: list[list[Note]], onset: float, length: float, cents: tuple[float, ...], accent: float, spread: float = 0.0
) -> None:
    for k, c in enumerate(cents):
        lines[k].append(Note(onset + spread * k, length, c, accent))


def _late(song: _Song, step: int) -> float:
    return song.bar / 16.0 * (step + (song.swing if step % 2 else 0.0))


def _drums(stage: Stage, song: _Song, sound: str) -> None:
    pattern, kit = sound.split("/")
    rng = stage.rng
    events = []
    for start, _ in song.bars(stage.seconds):
        for name, steps in PATTERNS[pattern].items():
            for k, mark in enumerate(steps):
                if mark != "." and rng.random() > 0.04:
                    events.append((start + _late(song, k), name, int(mark) / 9.0))
    made = generator(stage.spec.seed, stage.spec.task, stage.spec.group, kit)
    stage.add(drum(kit, events, stage.seconds, stage.tonic, made, rng), 1.0)


def _bass(stage: Stage, song: _Song, sound: str) -> None:
    rng = stage.rng
    steps = [(0, 6, 8, 14), (0, 4, 8, 12), (0, 2, 4, 6, 8, 10, 12, 14), (0, 3, 6, 8, 11, 14), (0, 8)][
        int(rng.integers(5))
    ]
    line: list[list[Note]] = [[]]
    for start, chord in song.bars(stage.seconds):
        for k in steps:
            step = chord[0] if k == 0 or rng.random() < 0.75 else chord[2] - (1200.0 if chord[2] > 900 else 0.0)
            _place(line, start + _late(song, k), song.bar / len(steps), (step,), 0.9 if k == 0 else 0.75)
    stage.melodic(sound, line, Manner(drift=0.0, staccato=0.12), 0.0)


def _strum(stage: Stage, song: _Song, sound: str) -> None:
    rng = stage.rng
    patterns = ((0, 4, 6, 8, 12, 14), (0, 2, 4, 6, 8, 10, 12, 14), (0, 4, 8, 12), (0, 6, 10, 12), (4, 12))
    steps = patterns[int(rng.integers(len(patterns)))]
    power = sound == "distorted guitar"
    lines: list[list[Note]] = [[] for _ in range(4)]
    for start, chord in song.bars(stage.seconds):
        cents = (chord[0], chord[2], chord[0] + 1200.0) if power else (*chord, chord[0] + 1200.0)
        for k in steps:
            _place(
                lines,
                start + _late(song, k),
                song.bar / len(steps),
                cents,
                0.9 if k % 8 == 0 else 0.65,
                0.0 if power else 0.008,
            )
    stage.melodic(sound, lines, Manner(drift=0.0, staccato=float(rng.choice((0.05, 0.35)))), -2.0)


def _chords(stage: Stage, song: _Song, sound: str, times: int, level: float) -> None:
    """Held chords, ``times`` per bar."""
    lines: list[list[Note]] = [[], [], []]
    for start, chord in song.bars(stage.seconds):
        for k in range(times):
            onset = start + k * song.bar / times
            if onset + song.bar / times > 0:
                _place(lines, max(onset, 0.0), min(song.bar / times, onset + song.bar / times), chord, 0.8)
    stage.melodic(sound, lines, Manner(vibrato=0.4, staccato=0.06), level)


def _arp(stage: Stage, song: _Song, sound: str) -> None:
    rng = stage.rng
    order = [(0, 1, 2, 3), (0, 2, 1, 2), (3, 2, 1, 0), (0, 2, 3, 2)][int(rng.integers(4))]
    every = int(rng.choice((1, 2))) if song.bar > 1.6 else 2
    line: list[list[Note]] = [[]]
    for start, chord in song.bars(stage.seconds):
        notes = (*chord, chord[0] + 1200.0)
        for i, k in enumerate(range(0, 16, every)):
            _place(
                line,
                start + _late(song, k),
                every * song.bar / 16.0,
                (notes[order[i % 4]],),
                0.9 if k % 4 == 0 else 0.65,
            )
    stage.melodic(sound, line, Manner(drift=0.0), -1.0)


def _lead(stage: Stage, song: _Song, sound: str, level: float, voice: bool) -> None:
    """Play a tune; singers share theirs, and so do solo instruments."""
    rng = stage.rng
    if voice not in song.tunes:
        pulse = song.bar / 16.0
        density = float(np.clip((2.6 if voice else song.pace) * pulse * rng.uniform(0.8, 1.3), 0.08, 1.2))
        beats = metred(BAR, pulse, song.offset % song.bar, stage.seconds, density, 0.0, rng)
        song.tunes[voice] = walk(song.mode, beats, rng, closes=False)
    notes = heterophony(song.tunes[voice], rng, 0.012, 0.05)
    manner = Manner(vibrato=1.0, grace=0.03, meend=0.15 if voice else 0.0, meend_seconds=0.12)
    stage.melodic(sound, [notes], manner, level)


def _rap(stage: Stage, song: _Song, sound: str) -> None:
    """Speech in rhythm: syllables on sixteenths, pitch falling within each phrase."""
    rng = stage.rng
    beats = metred(BAR, song.bar / 16.0, song.offset % song.bar, stage.seconds, 0.75, 0.0, rng)
    notes = [
        Note(b.onset, b.duration, -300.0 - 40.0 * (k % 7) + float(rng.normal(0, 90)), b.accent)
        for k, b in enumerate(beats)
    ]
    stage.melodic(sound, [notes], Manner(vibrato=0.0, staccato=0.2, drift=40.0), 2.0)


def _texture(stage: Stage, song: _Song, sound: str) -> None:
    """Noise bands that come and go, or notes without key and metre."""
    rng = stage.rng
    samples = int(stage.seconds * RATE)
    if sound == "noise":
        low = float(rng.uniform(100.0, 3000.0))
        shape = np.interp(np.arange(samples), np.linspace(0, samples, 14), rng.random(14) ** 2)
        stage.add(band_noise((low, low * float(rng.uniform(1.2, 4.0))), samples, rng) * shape, -2.0)
        return
    notes = [
        Note(b.onset, b.duration, float(rng.uniform(-1200, 2200)), b.accent) for b in free(stage.seconds, 0.3, rng)
    ]
    stage.melodic(sound, [notes], Manner(meend=0.6, meend_seconds=0.5, drift=20.0), 0.0)


_ROLES: Mapping[str, Callable[[Stage, _Song, str], None]] = {
    "drums": _drums,
    "bass": _bass,
    "strum": _strum,
    "block": lambda stage, song, sound: _chords(stage, song, sound, 2, -2.0),
    "pad": lambda stage, song, sound: _chords(stage, song, sound, 1, -4.0),
    "arp": _arp,
    "lead": lambda stage, song, sound: _lead(stage, song, sound, 0.0, voice=False),
    "voice": lambda stage, song, sound: _lead(stage, song, sound, 3.0, voice=True),
    "rap": _rap,
    "texture": _texture,
}


def render_song(spec: TrackSpec, style: Style, old: float) -> Audio:
    """Render a track ``[samples]``: each part of its content in turn."""
    stage = open_stage(spec, old)
    song = _song(stage, style)
    for part in spec.content.parts:
        role, sound = part.split(":")
        _ROLES[role](stage, song, sound)
    return stage.finish(2.5)
