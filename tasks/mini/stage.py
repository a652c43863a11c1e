"""What every tradition's renderer shares: the players and the room of an album, the tonic and tempo of a track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .corpus import TrackSpec, generator
from .melody import Note
from .mix import Room, Stem, draw_room, mixdown
from .oscillator import Audio
from .percussion import drum
from .playing import Manner, play
from .rhythms import Cycle
from .timbres import TIMBRES, Timbre, player

BACKGROUND = ("tambura", "drone", "bass", "strings", "guitar")
"""Who accompanies: the same in another telling, whose melody others play."""


@dataclass
class Stage:
    """One track being rendered."""

    spec: TrackSpec  # the track
    rng: np.random.Generator  # the track's generator
    room: Room  # the album's room
    tonic: float  # pitch class of the tonic as Hz in [110, 220)
    stems: list[Stem] = field(default_factory=list)  # parts so far

    @property
    def seconds(self) -> float:
        """Length of the track."""
        return float(self.spec.seconds)

    def timbre(self, instrument: str) -> Timbre:
        """Return the album's player of an instrument; in another telling, one of another instrument."""
        spec = self.spec
        if not spec.telling or instrument in BACKGROUND:
            return player(instrument, generator(spec.seed, spec.task, spec.group, instrument))
        draw = generator(spec.seed, spec.task, spec.id, instrument, "telling", spec.telling)
        return player(str(draw.choice([name for name in TIMBRES if name not in BACKGROUND])), draw)

    def singer(self, male: float = 0.55) -> str:
        """Name the album's singer: a man with probability ``male``, else a woman."""
        drawn = generator(self.spec.seed, self.spec.task, self.spec.group, "singer").random()
        return "male voice" if drawn < male else "female voice"

    def tonic_of(self, timbre: Timbre) -> float:
        """Return the tonic in the octave nearest to the timbre's register, Hz."""
        return float(self.tonic * 2.0 ** np.round(np.log2(timbre.centre / self.tonic)))

    def add(self, audio: Audio, level: float) -> None:
        """Add a part at a level in dB relative to the others."""
        self.stems.append(Stem(audio, level))

    def melodic(self, instrument: str, lines: Sequence[Sequence[Note]], manner: Manner, level: float) -> None:
        """Let an instrument of the album play lines of notes."""
        timbre = self.timbre(instrument)
        self.add(play(timbre, lines, self.seconds, self.tonic_of(timbre), manner, self.rng), level)

    def drums(
        self, kit: str, cycle: Cycle, pulse: float, offset: float, level: float, fill: float = 0.15, omit: float = 0.05
    ) -> None:
        """Let a drummer of the album play a cycle.

        ``level`` is in dB; ``fill`` and ``omit`` are probabilities of a light stroke on an empty pulse, and that an
        unaccented one is left out.
        """
        events: list[tuple[float, str, float]] = []
        light = min(cycle.strokes, key=lambda s: s[2])[1]
        empty = [p for p in range(cycle.pulses) if all(int(s[0]) != p for s in cycle.strokes)]
        start = -offset
        while start < self.seconds:
            for at, syllable, accent in cycle.strokes:
                if accent > 0.8 or self.rng.random() > omit:
                    events.append((start + at * pulse, syllable, accent))
            events.extend((start + p * pulse, light, 0.4) for p in empty if self.rng.random() < fill)
            start += cycle.pulses * pulse
        made = generator(self.spec.seed, self.spec.task, self.spec.group, kit)
        self.add(drum(kit, events, self.seconds, self.tonic, made, self.rng), level)

    def finish(self, spread: float = 3.0) -> Audio:
        """Mix what was added."""
        return mixdown(self.stems, self.room, self.rng, spread)


def open_stage(spec: TrackSpec, old: float) -> Stage:
    """Begin a track: its generator, its album's room, a tonic uniform over the octave.

    ``old``: probability that the album is a historical recording.
    """
    rng = generator(spec.seed, spec.task, spec.id)
    key = float(rng.random())
    place = generator(spec.seed, spec.task, spec.group, "room")
    if spec.telling:
        place = generator(spec.seed, spec.task, spec.id, "room", "telling", spec.telling)
        key = float(place.random())
    return Stage(spec, rng, draw_room(place, old), 110.0 * 2.0**key)


def tempo(cycle: Cycle, rng: np.random.Generator) -> tuple[float, float]:
    """Draw a pulse (seconds) and the place in the cycle at which the track begins (seconds)."""
    low, high = cycle.pulse_seconds
    pulse = low * (high / low) ** float(rng.random())
    return pulse, float(rng.uniform(0.0, cycle.pulses)) * pulse
