"""Turkish makam music: one melody in heterophony, usul on a drum, or a free taksim over a held tonic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .corpus import Cast, Draw, Need, TrackSpec, Tradition, needed
from .melody import Beat, Note, free, heterophony, metred, pick, walk
from .modes import MAKAMS
from .oscillator import Audio
from .playing import Manner
from .rhythms import USULS
from .stage import Stage, open_stage, tempo

SOUNDS: Mapping[str, str] = {
    "Kanun": "kanun",
    "Tanbur": "tanbur",
    "Ney": "ney",
    "Oud": "oud",
    "Classical kemençe": "kemence",
    "Cello": "cello",
    "Violin": "violin",
    "Clarinet": "clarinet",
}
DRUMS: Mapping[str, str] = {"Bendir": "bendir", "Kudüm": "kudüm", "Percussion": "percussion"}

_MELODIC = {
    "Kanun": 5.0,
    "Tanbur": 5.0,
    "Ney": 5.0,
    "Oud": 4.0,
    "Classical kemençe": 4.0,
    "Cello": 3.0,
    "Violin": 3.0,
    "Clarinet": 2.4,
}
_DRUM = {"": 1.2, "Percussion": 1.5, "Bendir": 1.0, "Kudüm": 0.8}
_MAKAM = {
    "Hicaz": 3.0,
    "Nihavent": 1.9,
    "Hüzzam": 1.7,
    "Kürdilihicazkar": 1.4,
    "Uşşak": 1.5,
    "Rast": 1.2,
    "Segah": 1.1,
    "Hüseyni": 0.9,
    "Saba": 0.4,
    "Hicazkar": 0.4,
    "Mahur": 0.4,
    "Karcigar": 0.3,
    "Suzinak": 0.3,
}
_USUL = {
    "Aksak": 2.4,
    "Düyek": 2.2,
    "Aksaksemai": 1.9,
    "Curcuna": 1.4,
    "Yürüksemai": 1.1,
    "Sofyan": 1.2,
    "Ağıraksak": 1.0,
    "Semai": 0.4,
    "Devr-i Hindi": 0.4,
}
# What is more often played with what: hymns with kudüm, folk songs with bendir, urban song with darbuka and cello.
# Timbre so says a little about makam and usul, as it does in real recordings. Factors are this project's own choice.
_REPERTOIRE: Mapping[str, Mapping[str, float]] = {
    "Kudüm": {
        "Segah": 5.0, "Hüzzam": 4.0, "Rast": 2.5, "Nihavent": 0.3, "Kürdilihicazkar": 0.2, "Hicaz": 0.5,
        "Düyek": 5.0, "Yürüksemai": 3.0, "Aksak": 0.5, "Curcuna": 0.5,
    },
    "Bendir": {
        "Uşşak": 5.0, "Hüseyni": 5.0, "Hicaz": 0.4, "Nihavent": 0.3, "Kürdilihicazkar": 0.3, "Hüzzam": 0.5,
        "Sofyan": 3.0, "Curcuna": 2.0, "Aksaksemai": 0.4, "Düyek": 0.25,
    },
    "Percussion": {
        "Kürdilihicazkar": 3.0, "Nihavent": 2.5, "Hicaz": 2.5, "Segah": 0.3, "Uşşak": 0.3, "Hüseyni": 0.3,
        "Aksak": 2.5, "Aksaksemai": 1.5, "Yürüksemai": 0.4, "Düyek": 0.25, "Sofyan": 0.5,
    },
    "performing orchestra": {"Düyek": 3.0, "Aksaksemai": 0.5},
    "Cello": {"Nihavent": 2.0, "Kürdilihicazkar": 2.0},
}  # fmt: skip
_MODULATES = 0.4
"""Probability that a piece passes through another makam on the same tonic (geçki) in its middle third."""
_MANNER = Manner(vibrato=0.9, grace=0.10, trill=0.12, meend=0.08, meend_seconds=0.18)
_LEVEL: Mapping[str, float] = {"Ney": 2.5, "Classical kemençe": 2.0, "Clarinet": 1.0}
"""dB above the other melodic instruments: soft sounds that would not be heard among strings."""
_SLIDING: Mapping[str, Manner] = {
    "Clarinet": Manner(vibrato=2.0, grace=0.15, trill=0.2, meend=0.35, meend_seconds=0.22),
    "Classical kemençe": Manner(vibrato=1.2, grace=0.12, trill=0.12, meend=0.4, meend_seconds=0.2),
}


def _suited(weights: Mapping[str, float], pool: Sequence[str]) -> dict[str, float]:
    """Return weights of makams or usuls in the repertoire of an ensemble."""
    return {
        name: w * math.prod(_REPERTOIRE.get(part, {}).get(name, 1.0) for part in pool) for name, w in weights.items()
    }


def cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw an ensemble: an orchestra, or two to four melodic instruments, a drum, perhaps a singer."""
    drum = pick(rng, needed(_DRUM, "instrument--", need))
    singer = ("Voice",) if rng.random() < 0.74 else ()
    if rng.random() < 0.06 * need("instrument--performing orchestra"):
        return Cast("orchestra", tuple(p for p in ("performing orchestra", *singer, drum) if p))
    weights = needed(_MELODIC, "instrument--", need)
    pool: list[str] = []
    for _ in range(int(rng.integers(2, 4))):
        pool.append(pick(rng, weights))
        del weights[pool[-1]]
    return Cast("ensemble", tuple(p for p in (*pool, *singer, drum) if p))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw a piece: makam, usul or none, and who of the ensemble plays."""
    makam = pick(rng, _suited(needed(_MAKAM, "makam--", need), cast.pool))
    free_time = rng.random() < 0.12 and cast.style != "orchestra"
    usul = "" if free_time else pick(rng, _suited(needed(_USUL, "usul--", need), cast.pool))
    melodic = [p for p in cast.pool if p in SOUNDS]
    if cast.style == "orchestra":
        parts = ["performing orchestra"]
    else:
        rng.shuffle(melodic)
        parts = melodic[: 1 if not usul else int(rng.integers(1, len(melodic) + 1))]
    if "Voice" in cast.pool and rng.random() < 0.88:
        parts.append("Voice")
    if usul:
        parts.extend(p for p in cast.pool if p in DRUMS and rng.random() < 0.9)
    labels = [f"instrument--{p}" for p in parts]
    if makam in tuple(_MAKAM)[:8]:
        labels.append(f"makam--{makam}")
    if usul in tuple(_USUL)[:7]:
        labels.append(f"usul--{usul}")
    modes: tuple[str, ...] = (makam,)
    if rng.random() < _MODULATES:
        modes = (makam, str(rng.choice([m for m in _MAKAM if m != makam])), makam)
    return Draw(cast.style, "" if usul else "taksim", modes, usul, tuple(parts), tuple(labels))


def _orchestra(stage: Stage, notes: list[Note]) -> None:
    for name in ("strings", "kanun", "strings", "tanbur", "ney"):
        line = heterophony(notes, stage.rng, 0.022, 0.04)
        stage.melodic(name, [line], _MANNER, -2.0 if name == "strings" else -5.0)


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``: the melody by each melodic part, the usul by each drum."""
    stage = open_stage(spec, old=0.18)
    rng, content = stage.rng, spec.content
    modes = [MAKAMS[name] for name in content.modes]
    pulse, offset = 0.25, 0.0
    beats: list[Beat]
    if content.cycle:
        usul = USULS[content.cycle]
        pulse, offset = tempo(usul, rng)
        # Notes follow the pulse: a fast usul has more of them per second.
        density = float(rng.uniform(0.65, 0.95))
        beats = metred(usul, pulse, offset, stage.seconds, density, float(np.clip(1.6 * pulse - 0.25, 0.0, 0.3)), rng)
    else:
        beats = free(stage.seconds, float(rng.uniform(0.2, 0.38)), rng)
    notes = walk(modes, beats, rng)
    for k, part in enumerate(content.parts):
        if part == "performing orchestra":
            _orchestra(stage, notes)
        elif part == "Voice":
            stage.melodic(stage.singer(), [heterophony(notes, rng, 0.01, 0.12)], _MANNER, 0.5)
        elif part in SOUNDS:
            line = notes if k == 0 else heterophony(notes, rng, 0.014)
            # The kanun doubles in octaves; clarinet and kemençe slide.
            lines = [line, [replace(n, cents=n.cents + 1200.0) for n in line]] if part == "Kanun" else [line]
            stage.melodic(SOUNDS[part], lines, _SLIDING.get(part, _MANNER), _LEVEL.get(part, 0.0))
        else:
            stage.drums(DRUMS[part], USULS[content.cycle], pulse, offset, 0.5)
    if not content.cycle and rng.random() < 0.5:
        held = [Note(0.0, stage.seconds, 0.0, 0.8)]
        stage.melodic("strings" if rng.random() < 0.5 else "ney", [held], Manner(vibrato=0.0), -14.0)
    return stage.finish(2.0)


TRADITION = Tradition(cast, draw)
