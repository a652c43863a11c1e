"""Drums as damped modes and bursts of noise, rendered once per stroke and player, placed on a grid.

Mode ratios of the circular membrane (1, 1.59, 2.14, 2.30, 2.65) and the nearly harmonic ones of the loaded Indian
drum heads (1 to 5; Raman 1934) are physics. Mridangam, ghatam, pakhavaj and the tabla's treble drum are tuned to the
tonic, as they are in concerts (general knowledge); other frequencies, decays and levels are this project's own choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .oscillator import RATE, Audio, band_noise

Modes = tuple[tuple[float, float, float], ...]
"""``(frequency ratio, amplitude, seconds to fall by 60 dB)`` for each mode."""


@dataclass(frozen=True)
class Stroke:
    """One way of hitting one drum."""

    hz: float  # base frequency; negative: a multiple of the tonic instead
    modes: Modes  # damped sinusoids
    # ``(low Hz, high Hz, amplitude, seconds to fall by 60 dB)``
    noise: tuple[float, float, float, float] = (1000.0, 8000.0, 0.0, 0.1)
    bend: float = 0.0  # cents by which the pitch starts above its end


def _skin(decay: float, *levels: float) -> Modes:
    ratios = (1.0, 1.59, 2.14, 2.30, 2.65)
    return tuple((r, a, decay / (1.0 + 0.5 * k)) for k, (r, a) in enumerate(zip(ratios, levels, strict=False)))


def _loaded(decay: float, *levels: float) -> Modes:
    return tuple((k + 1.0, a, decay / (1.0 + 0.35 * k)) for k, a in enumerate(levels))


_BENDIR = {
    "düm": Stroke(82, _skin(0.7, 1.0, 0.5, 0.3, 0.2), (900, 5000, 0.10, 0.35)),
    "tek": Stroke(260, _skin(0.25, 0.5, 0.6, 0.5, 0.4), (1500, 7000, 0.30, 0.10)),
}
_KUDUM = {
    "düm": Stroke(125, _skin(0.45, 1.0, 0.6, 0.3), (400, 3000, 0.15, 0.03)),
    "tek": Stroke(195, _skin(0.30, 1.0, 0.6, 0.3), (500, 4000, 0.20, 0.025)),
}
_DARBUKA = {
    "düm": Stroke(95, _skin(0.5, 1.0, 0.3), (300, 2000, 0.10, 0.03), 150),
    "tek": Stroke(420, _skin(0.12, 0.4, 0.5, 0.5, 0.5), (2500, 9000, 0.60, 0.09)),
    "jingle": Stroke(3000, ((1.0, 0.1, 0.1),), (5500, 10500, 0.35, 0.20)),
}
_MRIDANGAM = {
    "dhin": Stroke(-1.0, _loaded(0.9, 0.5, 1.0, 0.6, 0.2), (300, 3000, 0.15, 0.04)),
    "thom": Stroke(-0.5, _skin(0.5, 1.0, 0.3), (200, 1500, 0.10, 0.04), 120),
    "nam": Stroke(-1.0, _loaded(0.5, 0.3, 1.0, 0.7, 0.3), (1000, 5000, 0.25, 0.03)),
    "ta": Stroke(-2.0, _loaded(0.12, 0.6, 0.5, 0.4), (800, 6000, 0.50, 0.05)),
    "ki": Stroke(180, _skin(0.08, 0.7, 0.4), (600, 4000, 0.40, 0.04)),
}
_TABLA = {
    "na": Stroke(-2.0, _loaded(0.7, 0.3, 1.0, 0.8, 0.3), (2000, 8000, 0.25, 0.025)),
    "tin": Stroke(-2.0, _loaded(0.9, 1.0, 0.5, 0.2), (1500, 5000, 0.10, 0.02)),
    "tun": Stroke(-2.0, _loaded(1.0, 1.0, 0.15), (500, 2000, 0.05, 0.02)),
    "ge": Stroke(92, _skin(0.8, 1.0, 0.2), (150, 900, 0.08, 0.04), -200),
    "kat": Stroke(150, _skin(0.06, 0.5, 0.4), (500, 3500, 0.60, 0.05)),
    "te": Stroke(330, _skin(0.07, 0.5, 0.5, 0.4), (1200, 6000, 0.50, 0.04)),
}
_PAKHAVAJ = {
    "na": Stroke(-1.0, _loaded(0.6, 0.7, 1.0, 0.4), (700, 3500, 0.20, 0.04)),
    "tin": Stroke(-1.0, _loaded(0.9, 1.0, 0.6, 0.2), (500, 2500, 0.10, 0.03)),
    "ge": Stroke(-0.5, _skin(1.0, 1.0, 0.4, 0.2), (100, 700, 0.10, 0.06)),
    "te": Stroke(230, _skin(0.10, 0.6, 0.5, 0.3), (600, 3500, 0.40, 0.05)),
    "kat": Stroke(120, _skin(0.10, 0.7, 0.4), (300, 2500, 0.50, 0.06)),
}
_GHATAM = {
    "dhin": Stroke(-1.0, ((1.0, 1.0, 0.25), (4.1, 0.5, 0.15), (6.3, 0.3, 0.1)), (300, 2000, 0.10, 0.04)),
    "thom": Stroke(-1.0, ((1.0, 1.0, 0.3), (4.0, 0.3, 0.12)), (200, 1500, 0.10, 0.05)),
    "nam": Stroke(820, ((1.0, 1.0, 0.14), (1.52, 0.6, 0.10), (2.31, 0.5, 0.08)), (2000, 8000, 0.35, 0.03)),
    "ta": Stroke(980, ((1.0, 0.9, 0.10), (1.61, 0.6, 0.08), (2.44, 0.4, 0.06)), (2500, 9000, 0.45, 0.03)),
    "ki": Stroke(700, ((1.0, 0.6, 0.08), (1.47, 0.4, 0.06)), (1500, 6000, 0.35, 0.03)),
}
_KHANJIRA = {
    "dhin": Stroke(75, _skin(0.5, 1.0, 0.3), (5000, 10500, 0.18, 0.22), 500),
    "thom": Stroke(65, _skin(0.6, 1.0, 0.3), (5000, 10500, 0.12, 0.20), 700),
    "nam": Stroke(240, _skin(0.12, 0.6, 0.5, 0.3), (4500, 10500, 0.40, 0.18)),
    "ta": Stroke(330, _skin(0.08, 0.5, 0.5, 0.4), (4500, 10500, 0.45, 0.15)),
    "ki": Stroke(280, _skin(0.06, 0.4, 0.3), (4500, 10000, 0.30, 0.12)),
}
_KIT = {
    "kick": Stroke(55, _skin(0.35, 1.0, 0.2), (1000, 4000, 0.10, 0.02), 900),
    "snare": Stroke(185, _skin(0.18, 0.7, 0.4, 0.2), (1500, 9000, 0.60, 0.22)),
    "hat": Stroke(6000, ((1.0, 0.05, 0.05),), (6500, 11000, 0.30, 0.07)),
    "open": Stroke(6000, ((1.0, 0.05, 0.10),), (5500, 11000, 0.30, 0.35)),
    "clap": Stroke(1000, ((1.0, 0.1, 0.05),), (900, 4500, 0.60, 0.20)),
    "tom": Stroke(120, _skin(0.4, 1.0, 0.4), (500, 3000, 0.08, 0.04), 200),
}
_MACHINE = {
    **_KIT,
    "kick": Stroke(46, ((1.0, 1.0, 0.6),), (1500, 5000, 0.05, 0.01), 1700),
    "snare": Stroke(200, ((1.0, 0.6, 0.12), (1.8, 0.4, 0.1)), (2500, 11000, 0.55, 0.18)),
    "hat": Stroke(8000, ((1.0, 0.1, 0.03), (1.34, 0.1, 0.03)), (8000, 11000, 0.35, 0.05)),
}
_CHIP = {
    "kick": Stroke(70, ((1.0, 1.0, 0.12), (3.0, 0.33, 0.12)), (300, 2000, 0.20, 0.06), 2400),
    "snare": Stroke(300, ((1.0, 0.1, 0.05),), (600, 11000, 0.70, 0.15)),
    "hat": Stroke(3000, ((1.0, 0.02, 0.02),), (4000, 11000, 0.35, 0.03)),
}
_BATUCADA = {
    "surdo": Stroke(62, _skin(0.6, 1.0, 0.3), (200, 1200, 0.08, 0.05)),
    "tamborim": Stroke(620, _skin(0.06, 0.7, 0.5, 0.3), (2000, 8000, 0.30, 0.04)),
    "pandeiro": Stroke(210, _skin(0.12, 0.6, 0.4), (5500, 10500, 0.35, 0.16)),
    "caixa": Stroke(230, _skin(0.10, 0.6, 0.4, 0.2), (1800, 9500, 0.60, 0.16)),
    "agogo": Stroke(1150, ((1.0, 1.0, 0.25), (2.7, 0.4, 0.12)), (3000, 9000, 0.10, 0.02)),
}

SIZES = 0.3
"""Octaves by which a drummer's drums may be larger or smaller: no drum gives itself away by a fixed pitch class."""

KITS: Mapping[str, Mapping[str, Stroke]] = {
    "bendir": _BENDIR,
    "kudüm": _KUDUM,
    "percussion": _DARBUKA,
    "mridangam": _MRIDANGAM,
    "tabla": _TABLA,
    "pakhavaj": _PAKHAVAJ,
    "ghatam": _GHATAM,
    "khanjira": _KHANJIRA,
    "kit": _KIT,
    "machine": _MACHINE,
    "chip": _CHIP,
    "batucada": _BATUCADA,
}

_MEANS: Mapping[str, tuple[str, ...]] = {
    "te": ("tek",),
    "ke": ("tek",),
    "ka": ("tek", "kat"),
    "dha": ("na", "ge"),
    "dhin": ("tin", "ge"),
    "din": ("tin", "ge"),
    "ta": ("na",),
    "ti": ("te",),
    "ra": ("te",),
    "ki": ("kat",),
    "tun": ("tin",),
    "ga": ("ge",),
    "di": ("tin",),
}
"""What a syllable consists of on a drum that has no stroke of that name."""


def strokes_of(kit: str, syllable: str) -> tuple[str, ...]:
    """Strokes of a kit that a syllable of a cycle calls for; empty if the kit is silent there."""
    known = KITS[kit]
    if syllable in known:
        return (syllable,)
    return tuple(s for s in _MEANS.get(syllable, ()) if s in known)


def hit(stroke: Stroke, tonic: float, size: float, rng: np.random.Generator) -> Audio:
    """One stroke, ``[samples]``, peak about 1; pitch and decay vary by the generator.

    ``size`` is a factor on the pitch of drums that are not tuned to ``tonic`` (Hz).
    """
    base = -stroke.hz * tonic if stroke.hz < 0 else stroke.hz * size * float(np.exp(0.05 * rng.standard_normal()))
    longest = max(max(d for _, _, d in stroke.modes), stroke.noise[3])
    t = np.arange(int(min(longest * 1.1, 1.0) * RATE)) / RATE
    bend = 2.0 ** (stroke.bend / 1200.0 * np.exp(-t / 0.05))
    cycles = np.cumsum(bend) / RATE * base
    out = np.zeros_like(t)
    for ratio, level, decay in stroke.modes:
        if base * ratio < 0.45 * RATE:
            slower = decay * float(np.exp(0.2 * rng.standard_normal()))
            level *= float(np.exp(0.15 * rng.standard_normal()))
            out += level * np.sin(2 * np.pi * ratio * cycles) * np.exp(-np.log(1000.0) * t / slower)
    low, high, level, decay = stroke.noise
    if level > 0:
        scale = float(np.exp(0.15 * rng.standard_normal()))
        out += level * np.exp(-np.log(1000.0) * t / decay) * band_noise((low * scale, high * scale), len(t), rng)
    out *= np.minimum(1.0, t / 0.001)
    return out / max(float(np.abs(out).max()), 1e-9)


def drum(
    kit: str,
    events: Iterable[tuple[float, str, float]],
    seconds: float,
    tonic: float,
    player: np.random.Generator,
    rng: np.random.Generator,
) -> Audio:
    """Play a drummer's part.

    ``kit`` is a key of :data:`KITS`; ``events`` are ``(onset in seconds, syllable, accent)``; ``player`` draws the
    drums, ``rng`` timing and force.

    Returns:
        ``[seconds * RATE]`` samples.
    """
    samples = int(seconds * RATE)
    out = np.zeros(samples)
    size = 2.0 ** float(player.uniform(-SIZES, SIZES))
    sounds = {name: hit(stroke, tonic, size, player) for name, stroke in KITS[kit].items()}
    late = float(player.uniform(0.003, 0.010))
    for onset, syllable, accent in events:
        start = int((onset + float(rng.normal(0.0, late))) * RATE)
        for name in strokes_of(kit, syllable):
            sound = sounds[name]
            end = min(start + len(sound), samples)
            if 0 <= start < end:
                out[start:end] += accent * float(rng.uniform(0.8, 1.1)) * sound[: end - start]
    return out
