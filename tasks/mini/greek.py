"""Greek folk music: regional styles, each with its instruments, modes and dances; chords or a drone underneath."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .corpus import Cast, Draw, Need, TrackSpec, Tradition
from .melody import Note, heterophony, metred, pick, walk
from .modes import MODES, Mode
from .oscillator import Audio
from .playing import Manner
from .rhythms import DANCES, Cycle
from .stage import Stage, open_stage, tempo

SOUNDS: Mapping[str, str] = {
    "Violin": "violin",
    "Laouto": "laouto",
    "Guitar": "steel guitar",
    "Klarino": "klarino",
    "Bass": "double bass",
    "Accordion": "accordion",
    "Santouri": "santouri",
    "Bouzouki": "bouzouki",
    "Lyra": "lyra",
    "Oud": "oud",
    "Kanonaki": "kanonaki",
}
CHORDAL = ("Laouto", "Guitar", "Bass")
LEADS = ("Bouzouki", "Klarino", "Lyra", "Violin", "Kanonaki", "Accordion", "Santouri", "Oud")


@dataclass(frozen=True)
class RegionalStyle:
    """A regional style: weight, labels, and what is likely in it (probabilities for parts, weights for the rest)."""

    weight: float
    labels: tuple[str, ...]
    parts: Mapping[str, float]
    modes: Mapping[str, float]
    dances: Mapping[str, float]


_TRADITIONAL, _NONE = "genres--Traditional", "place--None"
_EPIRUS = ("genres--Epirotic", "place--Epirus")

# Who plays what where: Lyra's instrument counts per genre guided the choice; the figures are this project's own.
STYLES: Mapping[str, RegionalStyle] = {
    "aegean": RegionalStyle(
        2.4,
        (_TRADITIONAL, "genres--Nisiotiko", "place--Aegean-sea"),
        {
            "Violin": 0.85,
            "Laouto": 0.85,
            "Voice": 0.7,
            "Santouri": 0.35,
            "Percussion": 0.3,
            "Guitar": 0.2,
            "Lyra": 0.15,
        },
        {"minor": 2, "rast": 2, "ousak": 1.5, "houseini": 1, "hitzaz": 0.7},
        {"syrtos 2/4": 3, "kalamatianos 7/8": 1},
    ),
    "islands": RegionalStyle(
        1.3,
        (_TRADITIONAL, "genres--Nisiotiko", _NONE),
        {"Violin": 0.7, "Guitar": 0.7, "Laouto": 0.5, "Voice": 0.8, "Bass": 0.4, "Accordion": 0.4, "Percussion": 0.3},
        {"rast": 2, "minor": 2, "ousak": 1},
        {"syrtos 2/4": 2, "hasapiko 2/4": 1, "kalamatianos 7/8": 0.5},
    ),
    "epirus": RegionalStyle(
        1.6,
        (_TRADITIONAL, *_EPIRUS),
        {"Klarino": 0.9, "Violin": 0.6, "Laouto": 0.8, "Percussion": 0.65, "Voice": 0.6, "Accordion": 0.15},
        {"pentatonic": 1.6, "minor": 0.5, "houseini": 0.4},
        {"pogonisios 4/4": 2, "tsamikos 3/4": 1, "pentari 5/8": 0.6},
    ),
    "asia minor": RegionalStyle(
        1.7,
        (_TRADITIONAL, "genres--Mikrasiatiko"),
        {"Violin": 0.6, "Kanonaki": 0.6, "Oud": 0.65, "Percussion": 0.6, "Voice": 0.7, "Lyra": 0.2, "Santouri": 0.2},
        {
            "Hicaz": 2,
            "Uşşak": 2,
            "Rast": 1.2,
            "Segah": 1,
            "Hüseyni": 1,
            "Nihavent": 0.7,
            "hitzaz": 0.8,
            "ousak": 0.8,
            "niavent": 0.4,
        },
        {"karsilamas 9/8": 2, "tsifteteli 4/4": 1.5, "syrtos 2/4": 1, "aptalikos 9/8": 0.6},
    ),
    "rebetiko": RegionalStyle(
        1.7,
        ("genres--Rebetiko", _NONE),
        {"Bouzouki": 0.92, "Guitar": 0.8, "Voice": 0.8, "Bass": 0.4, "Accordion": 0.25, "Oud": 0.1},
        {
            "hitzaz": 2,
            "hitzazkiar": 1.2,
            "ousak": 1.5,
            "niavent": 1,
            "rast": 1.2,
            "piraiotikos": 0.7,
            "sabah": 0.5,
            "harmonic minor": 1,
        },
        {"zeibekiko 9/8": 2, "hasapiko 2/4": 2, "tsifteteli 4/4": 1, "aptalikos 9/8": 0.5},
    ),
    "macedonia": RegionalStyle(
        1.3,
        (_TRADITIONAL, "place--Macedonia"),
        {
            "Klarino": 0.6,
            "Accordion": 0.5,
            "Percussion": 0.75,
            "Voice": 0.5,
            "Lyra": 0.3,
            "Guitar": 0.3,
            "Bass": 0.35,
            "Laouto": 0.25,
        },
        {"ousak": 1.5, "houseini": 1.2, "minor": 1.2, "kartzigar": 0.7, "hitzaz": 0.6},
        {"mantilatos 7/8": 2, "karsilamas 9/8": 1, "pentari 5/8": 1, "hasapiko 2/4": 0.6},
    ),
    "mainland": RegionalStyle(
        0.9,
        (_TRADITIONAL,),
        {"Klarino": 0.7, "Santouri": 0.5, "Violin": 0.5, "Laouto": 0.6, "Voice": 0.6, "Percussion": 0.4, "Guitar": 0.2},
        {"houseini": 1, "hitzaz": 1, "rast": 1, "nikriz": 0.7, "ousak": 1},
        {"kalamatianos 7/8": 1.5, "tsamikos 3/4": 1.5},
    ),
    "crete": RegionalStyle(
        0.9,
        (_TRADITIONAL,),
        {"Lyra": 0.95, "Laouto": 0.9, "Voice": 0.7, "Percussion": 0.15},
        {"minor": 1, "ousak": 1, "rast": 1},
        {"syrtos 2/4": 2, "hasapiko 2/4": 1},
    ),
}
COMMON = ("rast", "minor", "ousak", "hitzaz", "houseini")
"""Modes that every region plays."""
_BORROWED = 0.1
"""Probability that a piece is in one of them, whatever its region prefers."""
_LEVEL: Mapping[str, float] = {"Lyra": 2.5, "Violin": 1.0, "Santouri": 1.0}
"""dB above the other leads: what dance music lets one hear."""
_MANNER = Manner(vibrato=0.8, grace=0.14, trill=0.18, meend=0.05, meend_seconds=0.15)
_KLARINO = Manner(vibrato=1.3, grace=0.2, trill=0.25, meend=0.3, meend_seconds=0.3)


def cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw a band: a region, and four out of five of the instruments that fit it."""
    style = pick(rng, {n: s.weight * max((need(x) for x in s.labels), default=1.0) for n, s in STYLES.items()})
    parts = STYLES[style].parts
    pool = [p for p, likely in parts.items() if rng.random() < likely * min(1.6, need(f"instruments--{p}"))]
    if not any(p in LEADS for p in pool):
        pool.append(max((p for p in parts if p in LEADS), key=lambda p: parts[p]))
    return Cast(style, tuple(pool))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw a piece of the band's repertoire; some of the band may pause."""
    style = STYLES[cast.style]
    leads = [p for p in cast.pool if p in LEADS]
    keep = leads[int(rng.integers(len(leads)))]
    parts = tuple(p for p in cast.pool if p == keep or rng.random() < 0.64)
    labels = [f"instruments--{p}" for p in parts]
    labels.extend(x for x in style.labels if x != _TRADITIONAL or rng.random() < 0.9)
    mode = str(rng.choice(COMMON)) if rng.random() < _BORROWED else pick(rng, style.modes)
    return Draw(cast.style, "", (mode,), pick(rng, style.dances), parts, tuple(labels))


def _chord(mode: Mode, root: float) -> tuple[float, ...]:
    """Root, the mode's third above it if it is near a third of equal temperament, fifth."""
    thirds = [n for n in (*mode.up, *(x + 1200.0 for x in mode.up)) if 270.0 <= n - root <= 420.0]
    third = (root + round((thirds[0] - root) / 100.0) * 100.0,) if thirds else ()
    return (root, *third, root + 700.0)


def _accompany(
    stage: Stage, part: str, mode: Mode, cycle: Cycle, pulse: float, offset: float, roots: list[float]
) -> None:
    """Bass notes on deep strokes, chords (or an open fifth) on light ones."""
    length = cycle.pulses * pulse
    lines: list[list[Note]] = [[], [], [], []]
    count = 0
    start = -offset
    while start < stage.seconds:
        root = roots[count % len(roots)]
        chord = _chord(mode, root)
        for at, syllable, accent in cycle.strokes:
            onset = start + at * pulse
            if onset >= stage.seconds - 0.05:
                continue
            if part == "Bass" or syllable == "düm":
                low = root - 1200.0 if root > 600.0 else root
                lines[0].append(Note(onset, pulse, low, accent))
            elif part != "Bass":
                for k, cents in enumerate(chord):
                    lines[k + 1].append(Note(onset + 0.006 * k, pulse, cents, 0.8 * accent))
        start, count = start + length, count + 1
    if any(lines):
        manner = Manner(staccato=0.3 if part == "Guitar" else 0.05, drift=0.0)
        # A bass that always stood out would be told by any spectrum.
        stage.melodic(SOUNDS[part], lines, manner, float(stage.rng.uniform(-14.0, -5.0)) if part == "Bass" else -3.5)


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``: leads and voice share the melody, the others accompany."""
    stage = open_stage(spec, old=0.15)
    rng, content = stage.rng, spec.content
    mode = MODES["lyra"][content.modes[0]]
    dance = DANCES[content.cycle]
    pulse, offset = tempo(dance, rng)
    density = float(np.clip(rng.uniform(3.0, 5.0) * pulse, 0.3, 1.0))
    notes = walk(
        mode,
        metred(dance, pulse, offset, stage.seconds, density, float(np.clip(2.5 * pulse - 0.3, 0.0, 0.4)), rng),
        rng,
    )
    roots = [0.0, 0.0, mode.dominant, 0.0] if rng.random() < 0.6 else [0.0, mode.up[-1] - 1200.0, 0.0, 0.0]
    leads = [p for p in content.parts if p in LEADS or p == "Voice"]
    for k, part in enumerate(leads):
        manner = _KLARINO if part == "Klarino" else _MANNER
        line = notes if k == 0 else heterophony(notes, rng, 0.016, 0.12)
        sound = stage.singer(0.5) if part == "Voice" else SOUNDS[part]
        stage.melodic(sound, [line], manner, 3.0 if part == "Voice" else _LEVEL.get(part, -0.5))
    for part in content.parts:
        if part in CHORDAL:
            _accompany(stage, part, mode, dance, pulse, offset, roots)
        elif part == "Percussion":
            stage.drums("bendir" if rng.random() < 0.5 else "percussion", dance, pulse, offset, -1.5)
    return stage.finish(2.0)


TRADITION = Tradition(cast, draw)
