"""Hindustani music: raga with meend over a drone, theka on tabla or pakhavaj; khayal, dhrupad, tarana, instrumental.

Sarod and shehnai have no label; they keep sitar and bansuri from being whatever is not a voice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .carnatic import tambura
from .corpus import Cast, Draw, Need, TrackSpec, Tradition, needed
from .labels import mini_labels
from .melody import Note, free, heterophony, metred, pick, walk
from .modes import RAGAS_HINDUSTANI, Mode
from .oscillator import Audio
from .playing import Manner
from .rhythms import TALS
from .stage import Stage, open_stage, tempo

SOUNDS: Mapping[str, str] = {
    "Sitar": "sitar",
    "Bansuri": "bansuri",
    "Sarangi": "sarangi",
    "Harmonium": "harmonium",
    "Sarod": "sarod",
    "Shehnai": "klarino",
}
LABELLED_RAGAS = ("Bhairabi", "Yaman kalyan", "Bageshree")
LABELLED_TALS = ("Teentaal", "Ektaal", "Jhaptaal", "Rupak")
_STYLE = {"Khayal": 3.0, "Dhrupad": 0.9, "Tarana": 0.8, "Sitar": 0.9, "Bansuri": 0.7, "Sarod": 0.6, "Shehnai": 0.4}
_TAL = {"Teentaal": 2.6, "Ektaal": 1.4, "Jhaptaal": 0.9, "Rupak": 0.8, "Dadra": 0.4}
_RAGA = {
    "Bhairabi": 1.3,
    "Yaman kalyan": 1.2,
    "Bageshree": 1.0,
    "Bhupali": 0.5,
    "Bhairav": 0.5,
    "Ahir Bhairav": 0.4,
    "Bhimpalasi": 0.6,
    "Malkauns": 0.5,
    "Todi": 0.5,
    "Shree": 0.3,
    "Jog": 0.4,
}
_INSTRUMENTAL = {"Bhairabi": 6.0, "Yaman kalyan": 0.3, "Bageshree": 0.25, "Jhaptaal": 1.5, "Rupak": 2.0, "Ektaal": 0.3}
# Which ragas and tals suit which style: Bhairavi closes instrumental concerts and is hardly sung as khayal; slow khayal
# is in ektaal. Timbre and pace so say a little about raga and tal. Factors are this project's own choice.
_REPERTOIRE: Mapping[str, Mapping[str, float]] = {
    "Khayal": {"Bageshree": 3.5, "Bhairabi": 0.15, "Ektaal": 3.0},
    "Tarana": {"Bageshree": 2.5, "Bhairabi": 0.25, "Teentaal": 2.0, "Ektaal": 0.4},
    "Dhrupad": {"Yaman kalyan": 6.0, "Bageshree": 0.2, "Bhairabi": 0.15},
    "Sitar": _INSTRUMENTAL,
    "Bansuri": _INSTRUMENTAL,
    "Sarod": _INSTRUMENTAL,
    "Shehnai": _INSTRUMENTAL,
}


def cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw a performance: a vocal form or a solo instrument, its accompanists and drone."""
    weights = {n: w * max(need(f"form--{n}"), need(f"instrument--{n}")) for n, w in _STYLE.items()}
    style = pick(rng, weights)
    pool = ["Pakhavaj" if style == "Dhrupad" or rng.random() < 0.2 else "Tabla"]
    if style in SOUNDS:
        pool.append(style)
    else:
        pool.append("Voice")
        if style != "Dhrupad":
            pool.extend(
                p
                for p, likely in (("Harmonium", 0.72), ("Sarangi", 0.25))
                if rng.random() < min(0.8, likely * need(f"instrument--{p}"))
            )
        elif rng.random() < 0.2:
            pool.append("Sarangi")
    if rng.random() < 0.6:
        pool.append("Tambura")
    return Cast(style, tuple(pool))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw a stretch of a performance: raga, tal or the metreless opening, and who plays."""
    suits = _REPERTOIRE[cast.style]
    raga = pick(rng, {n: w * suits.get(n, 1.0) for n, w in needed(_RAGA, "raga--", need).items()})
    opening = rng.random() < (0.3 if cast.style in ("Dhrupad", *SOUNDS) else 0.14)
    if opening and cast.style != "Tarana":
        tal = ""
    elif "Pakhavaj" in cast.pool and rng.random() < 0.65:
        tal = "Chautal"
    else:
        tal = pick(rng, {n: w * suits.get(n, 1.0) for n, w in needed(_TAL, "tala--", need).items()})
    drums = ("Tabla", "Pakhavaj")
    lead = "Voice" if "Voice" in cast.pool else cast.style
    parts = tuple(p for p in cast.pool if p == lead or (p not in drums and rng.random() < 0.9) or (p in drums and tal))
    labels = [f"instrument--{p}" for p in parts if f"instrument--{p}" in mini_labels("hindustani")]
    if cast.style in ("Khayal", "Dhrupad", "Tarana"):
        labels.append(f"form--{cast.style}")
    if tal in LABELLED_TALS:
        labels.append(f"tala--{tal}")
    if raga in LABELLED_RAGAS:
        labels.append(f"raga--{raga}")
    return Draw(cast.style, "" if tal else "alap", (raga,), tal, parts, tuple(labels))


def _manner(style: str, mode: Mode, rng: np.random.Generator) -> Manner:
    """Dhrupad: slow, wide glides and swaying notes; tarana: syllables; the rest between."""
    if style == "Dhrupad":
        return Manner(
            vibrato=0.2,
            gamaka=1.0,
            gamaka_rate=float(rng.uniform(2.0, 3.5)),
            meend=0.6,
            meend_seconds=float(rng.uniform(0.3, 0.45)),
            oscillating=mode.gamaka,
        )
    if style == "Tarana":
        return Manner(vibrato=0.4, grace=0.05, meend=0.08, meend_seconds=0.12, staccato=0.28)
    return Manner(
        vibrato=0.6,
        grace=0.08,
        gamaka=0.8,
        gamaka_rate=float(rng.uniform(2.5, 4.0)),
        meend=0.35,
        meend_seconds=float(rng.uniform(0.2, 0.4)),
        oscillating=mode.gamaka,
    )


def _drone(stage: Stage) -> None:
    """Where no tambura sounds: a quiet held tonic and fifth of the electronic drone box, or nothing."""
    if stage.rng.random() < 0.7:
        lines = [[Note(0.0, stage.seconds, cents, 0.8)] for cents in (0.0, 700.0, 1200.0)]
        stage.melodic(
            "harmonium" if stage.rng.random() < 0.4 else "drone", lines, Manner(vibrato=0.0, drift=0.0), -15.0
        )


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``."""
    stage = open_stage(spec, old=0.25)
    rng, content = stage.rng, spec.content
    mode = RAGAS_HINDUSTANI[content.modes[0]]
    pulse, offset = tempo(TALS[content.cycle], rng) if content.cycle else (0.3, 0.0)
    low, high = {"Dhrupad": (1.6, 3.8), "Tarana": (5.0, 7.5)}.get(content.style, (2.0, 5.0))
    if content.cycle:
        rate = float(rng.uniform(low, high)) * pulse
        beats = metred(
            TALS[content.cycle], pulse, offset, stage.seconds, min(rate, 1.2), float(np.clip(rate - 0.8, 0, 0.9)), rng
        )
    else:
        beats = free(stage.seconds, float(rng.uniform(0.35, 0.65)), rng)
    notes = walk(mode, beats, rng)
    if content.style == "Tarana":
        notes = [replace(n, slurred=False) for n in notes]
    manner = _manner(content.style, mode, rng)
    for part in content.parts:
        if part == "Voice":
            stage.melodic(stage.singer(0.7 if content.style == "Dhrupad" else 0.55), [notes], manner, 2.0)
        elif part == content.style:
            stage.melodic(SOUNDS[part], [notes], manner, 1.0)
        elif part == "Harmonium":
            stage.melodic("harmonium", [heterophony(notes, rng, 0.04, 0.15)], Manner(vibrato=0.0, staccato=0.02), -4.0)
        elif part == "Sarangi":
            stage.melodic("sarangi", [heterophony(notes, rng, 0.05, 0.12)], manner, -1.0)
        elif part in ("Tabla", "Pakhavaj"):
            stage.drums(part.lower(), TALS[content.cycle], pulse, offset, -1.0, fill=0.1)
    if "Tambura" in content.parts:
        tambura(stage, float(rng.uniform(-13.0, -6.0)), 500.0 if 700.0 not in mode.up else 700.0)
    else:
        _drone(stage)
    return stage.finish()


TRADITION = Tradition(cast, draw)
