"""Chinese melodies in the five pentatonic modes, for one or two instruments, with or without a light beat.

Instruments are the nearest that :mod:`..timbres` has; who plays with whom and how is this project's own choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..corpus import Cast, Draw, Need, TrackSpec, Tradition, of_one_mode
from ..melody import Note, free, heterophony, metred, walk
from ..modes import CHINESE
from ..oscillator import Audio
from ..playing import Manner
from ..rhythms import Cycle
from ..stage import Stage, open_stage, tempo

SOUNDS: Mapping[str, str] = {
    "dizi": "bansuri",
    "xiao": "ney",
    "erhu": "kemence",
    "guzheng": "kanun",
    "pipa": "tanbur",
    "yangqin": "santouri",
}
_PLUCKED = ("guzheng", "pipa", "yangqin")
METRES: Mapping[str, Cycle] = {
    "2/4": Cycle("2/4", 4, ((0.0, "düm", 1.0), (2.0, "tek", 0.7)), (0.18, 0.34)),
    "4/4": Cycle("4/4", 8, ((0.0, "düm", 1.0), (2.0, "tek", 0.6), (4.0, "tek", 0.85), (6.0, "tek", 0.6)), (0.18, 0.34)),
}


def cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw a player, and for half of the albums a second one."""
    names = [str(name) for name in rng.permutation(list(SOUNDS))]
    return Cast("ensemble", tuple(names[: 1 + int(rng.random() < 0.5)]))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw a piece: its metre, or none, and who of the cast plays; the mode is drawn by :func:`of_one_mode`."""
    metre = "" if rng.random() < 0.2 else str(rng.choice(list(METRES)))
    return Draw("ensemble", "", (), metre, cast.pool, ())


def _accompany(stage: Stage, pulse: float, offset: float, cycle: Cycle, dominant: float) -> None:
    """Let a zither strike the tonic on the first beat and the dominant halfway, as a light ground."""
    length = cycle.pulses * pulse
    notes = []
    for bar in range(int(stage.seconds / length) + 2):
        at = bar * length - offset
        notes.extend([Note(at, length / 2, 0.0, 0.7), Note(at + length / 2, length / 2, dominant, 0.6)])
    stage.melodic("kanun", [[note for note in notes if 0.0 <= note.onset < stage.seconds]], Manner(), -9.0)


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``."""
    stage = open_stage(spec, old=0.15)
    rng, content = stage.rng, spec.content
    mode = CHINESE[content.modes[0]]
    if content.cycle:
        cycle = METRES[content.cycle]
        pulse, offset = tempo(cycle, rng)
        beats = metred(cycle, pulse, offset, stage.seconds, float(rng.uniform(0.5, 0.9)), 0.15, rng)
        if rng.random() < 0.5:
            _accompany(stage, pulse, offset, cycle, mode.dominant)
        if rng.random() < 0.4:
            stage.drums("percussion", cycle, pulse, offset, -8.0)
    else:
        beats = free(stage.seconds, float(rng.uniform(0.4, 0.7)), rng)
    notes = walk(mode, beats, rng)
    for k, part in enumerate(content.parts):
        manner = Manner(vibrato=0.0, grace=0.15) if part in _PLUCKED else Manner(vibrato=0.7, grace=0.1, meend=0.2)
        stage.melodic(SOUNDS[part], [notes if k == 0 else heterophony(notes, rng, 0.04, 0.15)], manner, 1.0 - k)
    return stage.finish()


TRADITION = of_one_mode(Tradition(cast, draw), {f"mode--{name}": name for name in CHINESE})
