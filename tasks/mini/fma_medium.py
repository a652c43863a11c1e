"""FMA in small: genres as a hierarchy (Punk is Rock, Techno is Electronic), each with many arrangements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .corpus import Cast, Draw, Need, TrackSpec, Tradition
from .greek import STYLES as GREEK_STYLES
from .greek import cast as greek_cast
from .greek import draw as greek_draw
from .greek import render as render_greek
from .labels import mini_labels
from .melody import pick
from .oscillator import Audio
from .western import COMPILED, DARK_MODES, POP_MODES, Style, draw_parts, draw_style, render_song

_SONG = {"voice:male voice": 0.55, "voice:female voice": 0.3}

# All figures are this project's own choice.
STYLES: Mapping[str, Style] = {
    "rock": Style(
        1.6,
        {"Rock": 1},
        (95, 155),
        POP_MODES,
        {
            "drums:rock/kit": 0.95,
            "strum:electric guitar": 0.8,
            "strum:distorted guitar": 0.35,
            "bass:bass": 0.9,
            "lead:electric guitar": 0.3,
            **_SONG,
        },
    ),
    "punk": Style(
        1.5,
        {"Punk": 1, "Rock": 0.9},
        (165, 215),
        POP_MODES,
        {
            "drums:punk/kit": 0.97,
            "strum:distorted guitar": 0.95,
            "bass:bass": 0.9,
            "voice:male voice": 0.7,
            "voice:female voice": 0.15,
        },
    ),
    "indie rock": Style(
        1.2,
        {"Indie-Rock": 1, "Rock": 0.9},
        (100, 145),
        POP_MODES,
        {
            "drums:indie/kit": 0.95,
            "strum:electric guitar": 0.8,
            "arp:electric guitar": 0.6,
            "bass:bass": 0.9,
            "pad:pad": 0.2,
            **_SONG,
        },
    ),
    "pop": Style(
        1.2,
        {"Pop": 1},
        (88, 128),
        POP_MODES,
        {
            "drums:pop/kit": 0.6,
            "drums:pop/machine": 0.35,
            "block:electric piano": 0.5,
            "block:piano": 0.3,
            "pad:pad": 0.4,
            "bass:bass": 0.8,
            "voice:female voice": 0.6,
            "voice:male voice": 0.3,
        },
    ),
    "folk": Style(
        1.4,
        {"Folk": 1},
        (70, 125),
        POP_MODES,
        {
            "strum:steel guitar": 0.6,
            "arp:guitar": 0.55,
            "lead:violin": 0.3,
            "bass:double bass": 0.3,
            "drums:brushes/kit": 0.15,
            "lead:accordion": 0.15,
            **_SONG,
        },
    ),
    "hip-hop": Style(
        1.4,
        {"Hip-Hop": 1},
        (78, 102),
        DARK_MODES,
        {
            "drums:hip-hop/machine": 0.7,
            "drums:hip-hop/kit": 0.3,
            "bass:sub bass": 0.85,
            "rap:male voice": 0.7,
            "rap:female voice": 0.12,
            "block:electric piano": 0.4,
            "arp:guitar": 0.2,
            "pad:strings": 0.25,
        },
        3.0,
        0.25,
    ),
    "house": Style(
        1.1,
        {"House": 1, "Electronic": 0.95},
        (118, 128),
        DARK_MODES,
        {
            "drums:house/machine": 0.97,
            "bass:synth bass": 0.8,
            "block:electric piano": 0.5,
            "pad:pad": 0.4,
            "arp:saw": 0.25,
            "voice:female voice": 0.25,
        },
    ),
    "techno": Style(
        1.2,
        {"Techno": 1, "Electronic": 0.95},
        (126, 146),
        DARK_MODES,
        {
            "drums:techno/machine": 0.97,
            "bass:synth bass": 0.8,
            "arp:saw": 0.55,
            "texture:noise": 0.3,
            "pad:pad": 0.2,
            "lead:square": 0.35,
        },
        4.0,
    ),
    "ambient": Style(
        1.2,
        {"Ambient Electronic": 1, "Electronic": 0.95, "Instrumental": 0.25},
        (50, 85),
        POP_MODES,
        {
            "pad:pad": 0.85,
            "texture:noise": 0.4,
            "arp:harp": 0.2,
            "block:piano": 0.25,
            "pad:choir": 0.2,
            "drums:downtempo/machine": 0.25,
            "bass:sub bass": 0.25,
        },
        1.5,
    ),
    "downtempo": Style(
        0.9,
        {"Electronic": 1, "Instrumental": 0.2},
        (76, 108),
        DARK_MODES,
        {
            "drums:downtempo/machine": 0.95,
            "bass:synth bass": 0.6,
            "pad:pad": 0.7,
            "block:electric piano": 0.5,
            "arp:saw": 0.3,
            "voice:female voice": 0.2,
        },
    ),
    "chip": Style(
        1.1,
        {"Chip Music": 1, "Electronic": 0.7},
        (110, 170),
        POP_MODES,
        {
            "drums:chip/chip": 0.5,
            "drums:pop/machine": 0.35,
            "lead:square": 0.7,
            "lead:saw": 0.3,
            "arp:pulse": 0.7,
            "bass:triangle": 0.7,
            "bass:synth bass": 0.3,
        },
        5.0,
    ),
    "experimental": Style(
        1.5,
        {"Experimental": 1, "Electronic": 0.2},
        (40, 180),
        {"chromatic": 2.0, "minor": 0.6, "dorian": 0.5},
        {
            "texture:noise": 0.6,
            "texture:saw": 0.35,
            "texture:violin": 0.3,
            "texture:cello": 0.2,
            "pad:pad": 0.4,
            "texture:electric guitar": 0.3,
            "drums:downtempo/kit": 0.2,
            "voice:male voice": 0.12,
        },
    ),
    "instrumental": Style(
        1.2,
        {"Instrumental": 1},
        (65, 125),
        POP_MODES,
        {
            "arp:piano": 0.5,
            "lead:piano": 0.4,
            "arp:guitar": 0.4,
            "pad:strings": 0.5,
            "pad:pad": 0.3,
            "lead:cello": 0.3,
            "bass:double bass": 0.3,
            "lead:violin": 0.25,
            "drums:brushes/kit": 0.3,
        },
    ),
}
_INTERNATIONAL = Style(1.1, {"International": 1}, (60, 60), {"": 1.0}, {})
_ALL: Mapping[str, Style] = {**STYLES, "international": _INTERNATIONAL}


def _indifferent(_label: str) -> float:
    return 1.0


def _cast(rng: np.random.Generator, need: Need) -> Cast:
    """Draw an artist: a genre and the parts at hand; ``International`` artists are Greek bands."""
    name = draw_style(rng, _ALL, need)
    if name == "international":
        return greek_cast(rng, _indifferent)
    parts = _ALL[name].parts
    pool = tuple(p for p, likely in parts.items() if rng.random() < likely)
    return Cast(name, pool or (max(parts, key=lambda p: parts[p]),))


def draw(rng: np.random.Generator, cast: Cast, need: Need) -> Draw:
    """Draw a track of the artist with its genre and the genres above it; now and then without any."""
    if rng.random() < COMPILED:
        cast = _cast(rng, need)
    if cast.style in GREEK_STYLES:
        labels = ("International", "Folk") if rng.random() < 0.25 else ("International",)
        return replace(greek_draw(rng, cast, _indifferent), labels=labels)
    style = STYLES[cast.style]
    given = {x for x, likely in style.labels.items() if rng.random() < likely}
    if rng.random() < 0.04:
        given = set()
    parts = draw_parts(rng, cast.pool, 0.9)
    known = tuple(x for x in mini_labels("fma_medium") if x in given)
    return Draw(cast.style, "", (pick(rng, style.modes),), "", parts, known)


def render(spec: TrackSpec) -> Audio:
    """Render a track ``[samples]``."""
    if spec.content.style in GREEK_STYLES:
        return render_greek(spec)
    return render_song(spec, STYLES[spec.content.style], old=0.08)


TRADITION = Tradition(_cast, draw)
