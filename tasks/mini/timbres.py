"""Instruments as spectral models: how strong each harmonic is, how it starts, how it dies, how the body colours it.

All figures are this project's own choice, set by ear and by spectrogram; they are the mean of a player, around
which :func:`player` varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

VOWELS: tuple[tuple[float, float, float], ...] = (
    (730.0, 1090.0, 2440.0),
    (530.0, 1840.0, 2480.0),
    (270.0, 2290.0, 3010.0),
    (570.0, 840.0, 2410.0),
    (300.0, 870.0, 2240.0),
)
"""First three formants of a, e, i, o, u of men, Hz (Peterson and Barney 1952)."""


@dataclass(frozen=True)
class Timbre:
    """A player's sound."""

    name: str  # the instrument
    kind: str  # ``plucked`` (rings and dies), ``bowed``, ``blown``, ``voice`` or ``keyed`` (held as long as the note)
    centre: float  # Hz near which the tonic is placed
    slope: float = -9.0  # spectral slope, dB per octave (negative)
    even: float = 1.0  # level of the even harmonics relative to the odd ones
    # body resonances ``(Hz, width Hz, gain)``, gain as an amplitude factor added to 1
    peaks: tuple[tuple[float, float, float], ...] = ()
    attack: float = 0.01  # seconds from silence to full
    decay: float = 3.0  # seconds in which a plucked note at 220 Hz falls by 60 dB
    damping: float = 0.25  # how much faster high harmonics die; decay rate grows by ``1 + damping * (harmonic - 1)``
    pluck: float = 0.0  # where the string is struck, as a fraction of its length; 0 for no comb
    course: float = 0.0  # detuning between the strings of a course, cents; 0 for single strings
    breath: float = 0.0  # level of breath, bow or hammer noise relative to the tone
    breath_band: tuple[float, float] = (1000.0, 6000.0)  # Hz range of that noise
    vibrato: tuple[float, float] = (5.0, 0.0)  # ``(rate Hz, depth cents)``
    glide: float = 0.02  # seconds from one note to the next when slurred
    formant: float = 0.0  # factor on the vowels' formants; 0 for instruments
    drive: float = 0.0  # strength of soft distortion; 0 for none


_Peak = tuple[float, float, float]
_Pair = tuple[float, float]


def _plucked(
    name: str,
    centre: float,
    decay: float,
    damping: float,
    slope: float,
    pluck: float,
    course: float,
    *peaks: _Peak,
    **k: Any,
) -> Timbre:
    usual: dict[str, Any] = {"attack": 0.003, "breath": 0.05, "breath_band": (1500.0, 7000.0), "glide": 0.015} | k
    figures: dict[str, Any] = {"decay": decay, "damping": damping, "pluck": pluck, "course": course}
    return Timbre(name, "plucked", centre, slope, peaks=peaks, **figures | usual)


def _bowed(name: str, centre: float, slope: float, vibrato: _Pair, *peaks: _Peak, **k: Any) -> Timbre:
    usual: dict[str, Any] = {"attack": 0.06, "breath": 0.03, "breath_band": (2000.0, 8000.0), "glide": 0.05} | k
    return Timbre(name, "bowed", centre, slope, peaks=peaks, vibrato=vibrato, **usual)


def _blown(
    name: str,
    centre: float,
    slope: float,
    even: float,
    vibrato: _Pair,
    breath: float,
    band: _Pair,
    *peaks: _Peak,
    **k: Any,
) -> Timbre:
    usual: dict[str, Any] = {"attack": 0.05, "glide": 0.05} | k
    return Timbre(name, "blown", centre, slope, even, peaks, vibrato=vibrato, breath=breath, breath_band=band, **usual)


def _voice(name: str, centre: float, formant: float) -> Timbre:
    usual: dict[str, Any] = {"attack": 0.05, "breath": 0.02, "breath_band": (2500.0, 8000.0), "glide": 0.07}
    return Timbre(name, "voice", centre, -8.0, formant=formant, vibrato=(5.3, 30.0), **usual)


def _keyed(name: str, centre: float, slope: float, even: float, *peaks: _Peak, **k: Any) -> Timbre:
    usual: dict[str, Any] = {"attack": 0.03, "glide": 0.004} | k
    return Timbre(name, "keyed", centre, slope, even, peaks, **usual)


_PLUCKED = (
    _plucked("oud", 150, 2.2, 0.45, -9, 0.22, 2.5, (220, 90, 2.0), (420, 160, 1.2)),
    _plucked("tanbur", 165, 4.5, 0.10, -4, 0.08, 3.0, (700, 300, 1.0), (2600, 1200, 1.4)),
    _plucked("kanun", 290, 2.6, 0.16, -5, 0.12, 4.0, (500, 200, 1.0), (3200, 1800, 1.2)),
    _plucked("laouto", 165, 3.0, 0.20, -5, 0.12, 5.0, (240, 90, 1.4), (900, 400, 1.0), (2800, 1200, 1.0)),
    _plucked("bouzouki", 290, 3.4, 0.09, -3, 0.09, 4.0, (420, 150, 1.3), (2400, 1000, 2.0)),
    _plucked("santouri", 330, 4.5, 0.14, -5, 0.14, 6.0, (900, 400, 0.8), (3500, 1500, 0.8), breath=0.10),
    _plucked("kanonaki", 290, 2.4, 0.18, -5.5, 0.13, 4.5, (480, 200, 1.1), (3000, 1600, 1.0)),
    _plucked("sitar", 185, 4.0, 0.07, -3.5, 0.11, 1.5, (300, 120, 1.0), (1700, 700, 1.8), (3800, 1500, 1.0)),
    _plucked("sarod", 180, 3.6, 0.08, -3.5, 0.12, 1.2, (350, 120, 1.2), (1600, 700, 1.7), (3600, 1500, 0.7)),
    _plucked("tambura", 130, 6.0, 0.02, -2, 0.0, 0.0, (900, 600, 1.6), (2200, 1200, 1.6), breath=0.0, attack=0.05),
    _plucked("guitar", 165, 3.5, 0.28, -8, 0.20, 0.0, (110, 40, 1.8), (210, 80, 1.4), (400, 150, 0.6)),
    _plucked("steel guitar", 165, 4.0, 0.13, -5, 0.13, 0.0, (110, 40, 1.2), (200, 80, 1.2), (2500, 1200, 1.0)),
    _plucked("electric guitar", 165, 5.0, 0.12, -6, 0.16, 0.0, (1200, 900, 0.8), (2800, 900, 1.2), drive=1.5),
    _plucked("distorted guitar", 110, 9.0, 0.05, -6, 0.16, 3.0, (1500, 1200, 1.0), drive=9.0),
    _plucked("bass", 62, 4.0, 0.35, -9, 0.2, 0.0, (90, 50, 1.0), (700, 500, 0.4)),
    _plucked("double bass", 62, 1.8, 0.5, -10, 0.2, 0.0, (100, 40, 1.4)),
    _plucked("harp", 330, 4.0, 0.40, -10, 0.4, 0.0, (300, 150, 1.0)),
    _plucked("harpsichord", 260, 2.4, 0.07, -2, 0.11, 2.0, (1200, 800, 0.8), (4000, 2000, 1.2), breath=0.12),
    _plucked("piano", 260, 5.0, 0.22, -8.5, 0.13, 1.2, (180, 90, 0.8), (1000, 800, 0.4), breath=0.04, attack=0.005),
    _plucked("electric piano", 260, 3.5, 0.6, -12, 0.0, 0.8, (800, 500, 0.6), breath=0.02, attack=0.004),
)
_HELD = (
    _bowed("violin", 370, -6.5, (5.8, 18), (480, 120, 1.6), (1050, 300, 1.2), (2700, 900, 1.6)),
    _bowed("kemence", 330, -7, (5.2, 10), (420, 120, 1.2), (950, 250, 2.4), (3400, 700, 0.8), breath=0.05, glide=0.07),
    _bowed("cello", 140, -7, (5.4, 16), (210, 70, 1.6), (430, 130, 1.2), (1500, 700, 1.0)),
    _bowed("lyra", 390, -5, (5.6, 8), (620, 150, 1.4), (1500, 350, 2.0), (3000, 800, 1.8), breath=0.07, glide=0.04),
    _bowed(
        "sarangi", 300, -5.5, (5.4, 12), (500, 140, 1.8), (1300, 300, 2.2), (2100, 500, 1.4), breath=0.06, glide=0.10
    ),
    _bowed("strings", 280, -8, (5.5, 14), (450, 200, 1.0), (1200, 600, 0.8), breath=0.02),
    _blown("ney", 330, -14, 0.8, (5.0, 12), 0.16, (900, 6500), (700, 500, 0.6), attack=0.07),
    _blown("klarino", 300, -8, 0.30, (5.2, 12), 0.03, (2000, 7000), (1500, 500, 1.2), (3000, 900, 0.8), attack=0.03),
    _blown("clarinet", 250, -10, 0.22, (5.0, 10), 0.03, (1800, 6500), (1200, 600, 0.8), attack=0.03),
    _blown("bansuri", 420, -13, 0.7, (4.8, 14), 0.12, (800, 6000), (900, 500, 0.5), attack=0.06, glide=0.09),
    _blown("flute", 620, -12, 0.6, (5.3, 16), 0.08, (1500, 7500), (1100, 600, 0.5), attack=0.04),
    _voice("male voice", 165, 1.0),
    _voice("female voice", 330, 1.17),
    _voice("choir", 240, 1.08),
    _keyed("harmonium", 270, -5, 0.8, (600, 250, 0.8), (1700, 600, 1.0), attack=0.05, course=5.0, breath=0.01),
    _keyed("accordion", 330, -4.5, 0.9, (900, 400, 0.8), (2300, 800, 1.0), attack=0.03, course=12.0, breath=0.01),
    _keyed("pad", 280, -9, 0.9, (700, 600, 1.0), attack=0.4, course=14.0, vibrato=(0.4, 6)),
    _keyed("saw", 330, -6, 1.0, attack=0.006, course=9.0),
    _keyed("square", 440, -6, 0.0, attack=0.002),
    _keyed("pulse", 330, -3, 0.7, attack=0.002),
    _keyed("triangle", 130, -12, 0.0, attack=0.002),
    _keyed("synth bass", 62, -7, 0.7, (200, 150, 1.5), attack=0.004, course=4.0),
    _keyed("sub bass", 50, -16, 0.4, attack=0.008),
    _keyed("drone", 110, -8, 0.9, (500, 400, 1.0), attack=0.8, course=16.0, vibrato=(0.2, 10)),
)

TIMBRES: Mapping[str, Timbre] = {t.name: t for t in (*_PLUCKED, *_HELD)}


def player(name: str, rng: np.random.Generator) -> Timbre:
    """Draw one player's sound of an instrument: the mean model with every figure varied."""
    mean = TIMBRES[name]

    def about(value: float, spread: float) -> float:
        return float(value * np.exp(spread * rng.standard_normal()))

    return replace(
        mean,
        centre=about(mean.centre, 0.16),
        slope=mean.slope + float(rng.normal(0.0, 1.2)),
        even=float(np.clip(about(mean.even, 0.25), 0.0, 1.2)),
        peaks=tuple((about(f, 0.09), about(w, 0.2), about(g, 0.25)) for f, w, g in mean.peaks),
        attack=about(mean.attack, 0.35),
        decay=about(mean.decay, 0.35),
        damping=about(mean.damping, 0.4),
        pluck=float(np.clip(about(mean.pluck, 0.25), 0.0, 0.5)),
        course=about(mean.course, 0.4),
        breath=about(mean.breath, 0.5),
        vibrato=(about(mean.vibrato[0], 0.08), about(mean.vibrato[1], 0.4)),
        glide=about(mean.glide, 0.3),
        formant=about(mean.formant, 0.05),
        drive=about(mean.drive, 0.3),
    )
