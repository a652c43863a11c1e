"""Carnatic music: raga with gamaka over a tambura, tala on mridangam, ghatam and khanjira; alapana without metre.

Tanam, free but quick, has no label: without it every track without drums would be an alapana.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .corpus import Cast, Draw, Need, TrackSpec, Tradition, needed
from .melody import Beat, Note, free, heterophony, metred, pick, walk
from .modes import RAGAS_CARNATIC
from .oscillator import Audio
from .playing import Manner
from .rhythms import TALAS
from .stage import Stage, open_stage, tempo

DRUMS: Mapping[str, str] = {"Mridangam": "mridangam", "Ghatam": "ghatam", "Khanjira": "khanjira"}
LABELLED_RAGAS = ("thodi", "bhairavi", "kalyani")
_VARNAM = "Varnam - Tana Varnam"
_FORM = {"Kriti": 3.2, _VARNAM: 0.9, "Alapana": 0.9, "Thillana": 0.6, "Tanam": 0.9}
LABELLED_FORMS = ("Kriti", _VARNAM, "Alapana", "Thillana")
_TALA = {"adi": 3.0, "rupaka": 1.1, "mishra chapu": 0.9, "khanda chapu": 0.8}
_RAGA = {
    "thodi": 2.0,
    "bhairavi": 1.6,
    "kalyani": 1.8,
    "ragamalika": 1.2,
    "sankarabharanam": 0.6,
    "karaharapriya": 0.6,
    "kamavardani": 0.5,
    "mohanam": 0.6,
    "hindolam": 0.5,
    "hamsadhvani": 0.5,
    "kamboji": 0.5,
    "abhogi": 0.4,
}
# Which ragas suit which form: wide-ranging ones for the alapana, lighter ones for the thillana. A form's pace and
# texture so say a little about the raga, as in concerts. Factors are this project's own choice.
_REPERTOIRE: Mapping[str, Mapping[str, float]] = {
    "Alapana": {"thodi": 4.0, "kalyani": 1.6, "bhairavi": 0.25},
    "Tanam": {"thodi": 3.5, "kalyani": 1.6, "bhairavi": 0.25},
    _VARNAM: {"bhairavi": 4.0, "kalyani": 1.6, "thodi": 0.25, "ragamalika": 0.25},
    "Thillana": {"thodi": 0.2, "kalyani": 0.2, "bhairavi": 0.4, "ragamalika": 0.5},
    "Kriti": {"thodi": 0.5, "bhairavi": 0.6, "ragamalika": 2.5},
}
# Notes per second and how often an akshara is halved: what tells a form by ear, this project's own choice.
_PACE: Mapping[str, tuple[float, float, float]] = {
    "Kriti": (2.2, 4.2, 0.05),
    _VARNAM: (5.0, 6.8, 0.0),
    "Thillana": (6.5, 9.0, 0.25),
}


def cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw a concert: singer or instrumentalist, violin, mridangam, perhaps ghatam or khanjira."""
    pool = ["Voice"] if rng.random() < 0.80 else []
    if not pool or rng.random() < 0.86:
        pool.append("Violin")
    if rng.random() < 0.88:
        pool.append("Mridangam")
    pool.extend(
        p
        for p, likely in (("Ghatam", 0.30), ("Khanjira", 0.22))
        if rng.random() < min(0.7, likely * need(f"instrument--{p}"))
    )
    return Cast("concert", tuple(pool))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw an item of the concert: form, raga, tala, and who plays."""
    form = pick(rng, needed(_FORM, "form--", need))
    weights = needed(_RAGA, "raga--", need)
    for name, factor in _REPERTOIRE[form].items():
        weights[name] *= factor
    raga = pick(rng, weights)
    free_time = form in ("Alapana", "Tanam")
    if free_time and raga == "ragamalika":
        raga = "kalyani"
    tala = "" if free_time else pick(rng, needed(_TALA, "tala--", need))
    melodic = [p for p in cast.pool if p not in DRUMS]
    parts = [p for p in melodic if p == melodic[0] or rng.random() < 0.88]
    if len(melodic) > 1 and rng.random() < 0.10:
        parts = [melodic[1]]
    parts.extend(p for p in cast.pool if p in DRUMS and tala and rng.random() < 0.82)
    if raga == "ragamalika":
        others = [r for r in _RAGA if r not in (*LABELLED_RAGAS, "ragamalika")]
        modes = tuple(str(r) for r in rng.choice(others, 3, replace=False))
    else:
        modes = (raga,)
    labels = [f"instrument--{p}" for p in parts]
    if form in LABELLED_FORMS:
        labels.append(f"form--{form}")
    if tala:
        labels.append(f"tala--{tala}")
    if raga in (*LABELLED_RAGAS, "ragamalika"):
        labels.append(f"raga--{raga}")
    return Draw("concert", form, modes, tala, tuple(parts), tuple(labels))


def tambura(stage: Stage, level: float, first: float = 700.0) -> None:
    """Add a drone: first string (fifth, fourth or seventh, cents), upper tonic twice, lower tonic, over and over."""
    rng = stage.rng
    every = float(rng.uniform(0.45, 0.9))
    strings: list[list[Note]] = [[], [], [], []]
    at, k = -float(rng.uniform(0.0, 4.0 * every)), 0
    while at < stage.seconds:
        cents = (first, 1200.0, 1200.0, 0.0)[k % 4]
        strings[k % 4].append(Note(at, 4.0 * every, cents, 0.8))
        at, k = at + every, k + 1
    stage.melodic("tambura", strings, Manner(drift=0.0), level)


def _beats(stage: Stage, form: str, cycle: str, pulse: float, offset: float) -> list[Beat]:
    rng = stage.rng
    if form == "Tanam":
        return free(stage.seconds, float(rng.uniform(0.14, 0.22)), rng)
    if not cycle:
        return free(stage.seconds, float(rng.uniform(0.28, 0.5)), rng)
    low, high, split = _PACE[form]
    density = float(np.clip(rng.uniform(low, high) * pulse, 0.15, 2.5))
    return metred(TALAS[cycle], pulse, offset, stage.seconds, density, split, rng)


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``."""
    stage = open_stage(spec, old=0.2)
    rng, content = stage.rng, spec.content
    modes = [RAGAS_CARNATIC[m] for m in content.modes]
    oscillating = {note: ends for m in modes for note, ends in m.gamaka.items()}
    manner = Manner(
        vibrato=0.3,
        gamaka=float(rng.uniform(0.75, 1.0)),
        gamaka_rate=float(rng.uniform(3.6, 5.6)),
        meend=0.25,
        meend_seconds=0.16,
        drift=3.0,
        oscillating=oscillating,
        staccato=0.3 if content.form == "Thillana" else 0.04,
    )
    pulse, offset = tempo(TALAS[content.cycle], rng) if content.cycle else (0.15, 0.0)
    notes = walk(modes, _beats(stage, content.form, content.cycle, pulse, offset), rng)
    if content.form in (_VARNAM, "Thillana"):
        notes = [replace(n, slurred=False) for n in notes]
    melodic = [p for p in content.parts if p not in DRUMS]
    for k, part in enumerate(melodic):
        line = notes if k == 0 else heterophony(notes, rng, 0.05, 0.1)
        sound = stage.singer(0.55) if part == "Voice" else "violin"
        stage.melodic(sound, [line], manner, 1.5 if k == 0 else 2.0)
    for part in content.parts:
        if part in DRUMS:
            stage.drums(
                DRUMS[part], TALAS[content.cycle], pulse, offset, -2.0 if part == "Mridangam" else -4.0, omit=0.25
            )
    tambura(stage, float(rng.uniform(-16.0, -9.0)), 500.0 if 700.0 not in modes[0].up else 700.0)
    return stage.finish()


TRADITION = Tradition(cast, draw)
