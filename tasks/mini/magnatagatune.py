"""MagnaTagATune in small: styles of a mixed label catalogue, tags given by listeners who forget some."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .corpus import Cast, Draw, Need, TrackSpec, Tradition
from .hindustani import render as render_hindustani
from .labels import mini_labels
from .melody import pick
from .oscillator import Audio
from .western import CLASSICAL_MODES, COMPILED, DARK_MODES, POP_MODES, Style, draw_parts, draw_style, render_song

REMEMBERED = 0.9
"""Probability that a tag which holds is given: listeners of the real data tag incompletely."""

# Tags that a part brings when it sounds; the rest come with the style. All figures are this project's own choice.
TAGS: Mapping[str, tuple[str, ...]] = {
    "guitar": ("guitar",),
    "steel guitar": ("guitar",),
    "electric guitar": ("guitar",),
    "distorted guitar": ("guitar",),
    "violin": ("violin", "strings"),
    "cello": ("cello", "strings"),
    "strings": ("strings",),
    "piano": ("piano",),
    "harpsichord": ("harpsichord",),
    "harp": ("harp",),
    "flute": ("flute",),
    "choir": ("choir", "vocal"),
    "male voice": ("male", "vocal"),
    "female voice": ("female", "vocal"),
    "pad": ("synth",),
    "saw": ("synth",),
    "synth bass": ("synth",),
}
STYLES: Mapping[str, Style] = {
    "keyboard": Style(
        1.2,
        {"classical": 1, "solo": 1},
        (60, 140),
        CLASSICAL_MODES,
        {"arp:piano": 0.8, "lead:piano": 0.8, "block:piano": 0.4},
        4.5,
    ),
    "harpsichord": Style(
        1.1,
        {"classical": 1, "solo": 0.7, "harpsichord": 1},
        (80, 130),
        CLASSICAL_MODES,
        {"arp:harpsichord": 0.9, "lead:harpsichord": 0.9, "lead:violin": 0.3, "lead:flute": 0.25},
        5.0,
    ),
    "strings": Style(
        1.5,
        {"classical": 1, "violin": 0.8, "cello": 0.7},
        (55, 130),
        CLASSICAL_MODES,
        {"lead:violin": 0.85, "bass:cello": 0.8, "pad:strings": 0.6, "block:harpsichord": 0.25},
        4.0,
    ),
    "chamber": Style(
        1.0,
        {"classical": 0.8, "harp": 0.7, "flute": 0.7},
        (55, 110),
        CLASSICAL_MODES,
        {"lead:flute": 0.8, "arp:harp": 0.8, "pad:strings": 0.3, "lead:cello": 0.25, "block:piano": 0.2},
        3.0,
    ),
    "opera": Style(
        1.0,
        {"classical": 1, "choir": 0.6, "female": 0.5},
        (50, 100),
        CLASSICAL_MODES,
        {"pad:choir": 0.7, "voice:female voice": 0.6, "voice:male voice": 0.3, "pad:strings": 0.5, "block:piano": 0.2},
    ),
    "guitar": Style(
        1.1,
        {"solo": 0.8, "guitar": 1},
        (60, 130),
        POP_MODES,
        {"arp:guitar": 0.9, "lead:guitar": 0.8, "strum:steel guitar": 0.3},
        3.5,
    ),
    "songwriter": Style(
        1.2,
        {"guitar": 0.8, "male": 0.5, "female": 0.5},
        (70, 120),
        POP_MODES,
        {
            "strum:steel guitar": 0.85,
            "voice:male voice": 0.5,
            "voice:female voice": 0.45,
            "drums:brushes/kit": 0.4,
            "bass:double bass": 0.4,
            "lead:flute": 0.15,
            "lead:violin": 0.15,
        },
    ),
    "rock": Style(
        1.6,
        {"rock": 1, "drums": 0.5, "beat": 0.2},
        (100, 160),
        POP_MODES,
        {
            "drums:rock/kit": 0.95,
            "strum:electric guitar": 0.8,
            "strum:distorted guitar": 0.4,
            "bass:bass": 0.9,
            "voice:male voice": 0.55,
            "voice:female voice": 0.25,
            "lead:electric guitar": 0.3,
        },
    ),
    "metal": Style(
        0.9,
        {"metal": 1, "rock": 0.8},
        (120, 190),
        DARK_MODES,
        {
            "drums:metal/kit": 0.95,
            "strum:distorted guitar": 1,
            "bass:bass": 0.8,
            "voice:male voice": 0.5,
            "lead:distorted guitar": 0.4,
        },
        6.0,
    ),
    "pop": Style(
        1.2,
        {"pop": 1, "drums": 0.5, "beat": 0.25},
        (88, 128),
        POP_MODES,
        {
            "drums:pop/kit": 0.9,
            "voice:female voice": 0.6,
            "voice:male voice": 0.35,
            "block:electric piano": 0.4,
            "block:piano": 0.3,
            "strum:steel guitar": 0.4,
            "pad:pad": 0.4,
            "bass:bass": 0.8,
        },
    ),
    "techno": Style(
        1.5,
        {"techno": 1, "electronic": 0.9, "beat": 0.8, "drums": 0.4},
        (122, 146),
        DARK_MODES,
        {
            "drums:techno/machine": 0.95,
            "bass:synth bass": 0.85,
            "arp:saw": 0.6,
            "pad:pad": 0.4,
            "lead:square": 0.2,
            "voice:female voice": 0.12,
        },
        4.0,
    ),
    "downtempo": Style(
        0.9,
        {"electronic": 0.9, "beat": 0.8},
        (76, 104),
        DARK_MODES,
        {
            "drums:downtempo/machine": 0.95,
            "bass:synth bass": 0.6,
            "pad:pad": 0.7,
            "block:electric piano": 0.5,
            "lead:flute": 0.15,
            "arp:saw": 0.2,
            "voice:female voice": 0.25,
        },
    ),
    "ambient": Style(
        1.3,
        {"ambient": 1, "electronic": 0.5},
        (50, 80),
        POP_MODES,
        {
            "pad:pad": 0.95,
            "pad:choir": 0.25,
            "arp:harp": 0.25,
            "lead:flute": 0.2,
            "texture:noise": 0.35,
            "block:piano": 0.2,
        },
        1.5,
    ),
    "indian": Style(
        1.2,
        {"indian": 1, "sitar": 0.8},
        (60, 60),
        {"Yaman kalyan": 1, "Bhimpalasi": 1, "Bhairabi": 1, "Jog": 0.6},
        {"Sitar": 0.8, "Bansuri": 0.35, "Tabla": 0.75, "Tambura": 0.6},
    ),
}
_VOCAL = ("voice:male voice", "voice:female voice", "pad:choir")


def _cast(rng: np.random.Generator, need: Need) -> Cast:
    name = draw_style(rng, STYLES, need)
    parts = STYLES[name].parts
    lacking = {p: max((need(t) for t in TAGS.get(p.split(":")[-1], ())), default=1.0) for p in parts}
    pool = tuple(p for p, likely in parts.items() if rng.random() < likely * min(1.5, lacking[p]))
    return Cast(name, pool or (max(parts, key=lambda p: parts[p]),))


def _tempo_tags(style: Style, rng: np.random.Generator) -> list[str]:
    """``slow`` and ``fast`` as listeners hear them in a style."""
    slowest, fastest = style.bpm
    slow = float(np.clip((105.0 - 0.5 * (slowest + fastest)) / 40.0, 0.0, 0.85))
    fast = float(np.clip((0.5 * (slowest + fastest) - 108.0) / 40.0, 0.0, 0.8))
    return [tag for tag, likely in (("slow", slow), ("fast", fast)) if rng.random() < likely]


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw a clip of the artist and the tags that its listeners remember."""
    if rng.random() < COMPILED:
        cast = _cast(rng, need)
    style = STYLES[cast.style]
    parts = draw_parts(rng, cast.pool, 0.88)
    if cast.style == "indian":
        lead = "Sitar" if "Sitar" in parts or "Bansuri" not in parts else "Bansuri"
        parts = (lead, *(p for p in parts if p in ("Tabla", "Tambura")))
        tags = ["indian", *(["sitar"] if lead == "Sitar" else ["flute"]), *(["drums"] if "Tabla" in parts else [])]
        cycle = "Teentaal" if "Tabla" in parts else ""
    else:
        lead, cycle = cast.style, ""
        tags = [t for p in parts for t in TAGS.get(p.split(":")[1], ())]
        sung = any(p in _VOCAL for p in parts)
        own = {t: p for t, p in style.labels.items() if t not in {x for tagged in TAGS.values() for x in tagged}}
        tags.extend(
            t
            for t, likely in own.items()
            if rng.random() < likely and (t not in ("drums", "beat") or "drums" in str(parts))
        )
        if not sung and rng.random() < 0.5:
            tags.append("no vocals")
        if "solo" in tags and (sung or len({p.split(":")[1] for p in parts}) > 1):
            tags.remove("solo")
    tags.extend(_tempo_tags(style, rng))
    known = [t for t in mini_labels("magnatagatune") if t in tags and rng.random() < REMEMBERED]
    return Draw(lead, "", (pick(rng, style.modes),), cycle, parts, tuple(known))


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``."""
    if spec.content.style in STYLES:
        return render_song(spec, STYLES[spec.content.style], old=0.12)
    return render_hindustani(spec)


TRADITION = Tradition(_cast, draw)
