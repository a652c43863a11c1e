"""Rhythmic cycles: usul, tala, Greek dances, Western drum patterns.

Sources: usul groupings from MTG/makam-symbolic-phrase-segmentation ``usuls.txt``, syllables from muzikkervaniyiz.com
and karagoz.net (Aksak's by general knowledge); thekas from MTG/musical-bridges-hindustani-tools ``talInfo``;
Carnatic counts from MTG/dunya ``carnatic_taala.json`` (the 4+6 of khanda chapu and adi's 4+2+2 by general
knowledge); Greek patterns from efthymios-ks/bouzouki-notes ``Rhythms.js``. Tempi, chautal's bols and the Western
patterns are this project's own choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cycle:
    """A rhythmic cycle."""

    name: str  # as in the task's label, where it is one
    pulses: int  # length in its shortest counted unit
    # ``(pulse, syllable, accent)``, pulse in [0, pulses), may be fractional; accent in (0, 1]
    strokes: tuple[tuple[float, str, float], ...]
    pulse_seconds: tuple[float, float]  # shortest and longest pulse that is played

    @property
    def accents(self) -> tuple[float, ...]:
        """Accent of each whole pulse; 0 where nothing is struck."""
        weight = [0.0] * self.pulses
        for at, _, accent in self.strokes:
            if at == int(at):
                weight[int(at)] = max(weight[int(at)], accent)
        return tuple(weight)


def _grouped(name: str, groups: tuple[int, ...], syllables: str, tempo: tuple[float, float]) -> Cycle:
    strokes = []
    at = 0
    for length, syllable in zip(groups, syllables.split(), strict=True):
        accent = 1.0 if at == 0 else 0.85 if syllable == "düm" else 0.6
        strokes.append((float(at), syllable, accent))
        at += length
    return Cycle(name, at, tuple(strokes), tempo)


def _by_name(*cycles: Cycle) -> dict[str, Cycle]:
    return {c.name: c for c in cycles}


USULS: Mapping[str, Cycle] = _by_name(
    _grouped("Aksak", (2, 1, 1, 2, 2, 1), "düm te ke düm tek tek", (0.14, 0.20)),
    _grouped("Ağıraksak", (2, 1, 1, 2, 2, 1), "düm te ke düm tek tek", (0.32, 0.44)),
    _grouped("Düyek", (1, 2, 1, 2, 2), "düm tek tek düm tek", (0.21, 0.32)),
    _grouped("Aksaksemai", (2, 1, 2, 2, 2, 1), "düm te ka düm tek tek", (0.24, 0.34)),
    _grouped("Curcuna", (2, 1, 2, 2, 2, 1), "düm te ka düm tek tek", (0.10, 0.14)),
    _grouped("Yürüksemai", (1, 1, 1, 1, 2), "düm tek tek düm tek", (0.16, 0.23)),
    _grouped("Sofyan", (2, 1, 1), "düm te ke", (0.32, 0.48)),
    _grouped("Semai", (1, 1, 1), "düm tek tek", (0.30, 0.45)),
    _grouped("Devr-i Hindi", (2, 1, 2, 2), "düm tek düm tek", (0.18, 0.28)),
)


def _tala(name: str, groups: tuple[int, ...], tempo: tuple[float, float]) -> Cycle:
    strokes: list[tuple[float, str, float]] = []
    at = 0
    for g, length in enumerate(groups):
        for k in range(length):
            if k == 0:
                strokes.append((float(at), "dhin" if g == 0 else "thom", 1.0 if g == 0 else 0.85))
            elif k == length - 1:
                strokes.append((float(at + k), "ta", 0.6))
            elif k % 2 == 0:
                strokes.append((float(at + k), "nam", 0.55))
            else:
                strokes.append((float(at + k), "ki", 0.3))
        at += length
    return Cycle(name, at, tuple(strokes), tempo)


TALAS: Mapping[str, Cycle] = _by_name(
    _tala("adi", (4, 4, 4, 4, 4, 4, 4, 4), (0.105, 0.17)),
    _tala("rupaka", (4, 4, 4), (0.12, 0.20)),
    _tala("mishra chapu", (6, 4, 4), (0.11, 0.18)),
    _tala("khanda chapu", (4, 6), (0.12, 0.19)),
)


def _theka(name: str, bols: str, tempo: tuple[float, float], vibhag: tuple[int, ...]) -> Cycle:
    starts = {sum(vibhag[:i]) for i in range(len(vibhag))}
    strokes: list[tuple[float, str, float]] = []
    for matra, bol in enumerate(bols.split()):
        parts = bol.split("-")
        for k, part in enumerate(parts):
            accent = 1.0 if matra == 0 else 0.85 if matra in starts else 0.7
            strokes.append((matra + k / len(parts), part, accent if k == 0 else 0.5))
    return Cycle(name, sum(vibhag), tuple(strokes), tempo)


TALS: Mapping[str, Cycle] = _by_name(
    _theka(
        "Teentaal", "dha dhin dhin dha dha dhin dhin dha dha tin tin ta ta dhin dhin dha", (0.17, 0.38), (4, 4, 4, 4)
    ),
    _theka("Ektaal", "dhin dhin dha-ge ti-ra-ki-te tun na kat tin dha-ge ti-ra-ki-te dhin na", (0.36, 0.58), (2,) * 6),
    _theka("Jhaptaal", "dhin na dhin dhin na tin na dhin dhin na", (0.26, 0.42), (2, 3, 2, 3)),
    _theka("Rupak", "tin tin na dhin na dhin na", (0.22, 0.34), (3, 2, 2)),
    _theka("Chautal", "dha dha din ta ki-te dha din ta ti-te ka-te ga-di ga-na", (0.25, 0.48), (2,) * 6),
    _theka("Dadra", "dha dhin na dha tin na", (0.20, 0.34), (3, 3)),
)


def _dance(name: str, pulses: int, pattern: str, tempo: tuple[float, float]) -> Cycle:
    """Read ``D`` as a deep stroke, ``t`` as a light one, ``.`` as none, one character per pulse."""
    words = {"D": ("düm", 0.9), "t": ("tek", 0.6)}
    strokes = tuple(
        (float(i), words[c][0], 1.0 if i == 0 else words[c][1]) for i, c in enumerate(pattern) if c in words
    )
    return Cycle(name, pulses, strokes, tempo)


DANCES: Mapping[str, Cycle] = _by_name(
    _dance("syrtos 2/4", 8, "D..t..t.", (0.105, 0.15)),
    _dance("hasapiko 2/4", 4, "DtDt", (0.17, 0.27)),
    _dance("kalamatianos 7/8", 7, "DttDtDt", (0.15, 0.22)),
    _dance("mantilatos 7/8", 7, "DtDtDtt", (0.13, 0.20)),
    _dance("karsilamas 9/8", 9, "DtDtDtDtt", (0.13, 0.20)),
    _dance("zeibekiko 9/8", 18, "Dt.tD.t.Dt.tD.t.t.", (0.17, 0.26)),
    _dance("aptalikos 9/8", 18, "D.t.t.Dt.tD.t.Dt.t", (0.15, 0.22)),
    _dance("tsifteteli 4/4", 8, "Dt.tD.t.", (0.16, 0.25)),
    _dance("tsamikos 3/4", 6, "D.t.tt", (0.22, 0.32)),
    _dance("pentari 5/8", 5, "DttDt", (0.14, 0.20)),
    _dance("pogonisios 4/4", 8, "D..tD.t.", (0.20, 0.32)),
)

# Sixteen steps to the bar: kick, snare, hi-hat. Accents 0-9, "." none.
PATTERNS: Mapping[str, Mapping[str, str]] = {
    "rock": {"kick": "9.....7.9.......", "snare": "....9.......9...", "hat": "7.5.7.5.7.5.7.5."},
    "punk": {"kick": "9...9...9...9...", "snare": "..9...9...9...9.", "hat": "8.8.8.8.8.8.8.8."},
    "metal": {"kick": "9.9.9.9.9.9.9.9.", "snare": "....9.......9...", "hat": "8...8...8...8..."},
    "indie": {"kick": "9..6..9...9.....", "snare": "....8.......8..4", "hat": "6.4.6.4.6.4.6.46"},
    "pop": {"kick": "9.......9.7.....", "snare": "....8.......8...", "hat": "6.6.6.6.6.6.6.6."},
    "hip-hop": {"kick": "9.....6...97....", "snare": "....9.......9...", "hat": "7.4.6.5.7.44645."},
    "house": {
        "kick": "9...9...9...9...",
        "clap": "....8.......8...",
        "open": "..7...7...7...7.",
        "hat": "4.4.4.4.4.4.4.4.",
    },
    "techno": {
        "kick": "9...9...9...9...",
        "hat": "..8...8...8...8.",
        "open": "..............6.",
        "tom": "...4..4.....4...",
    },
    "downtempo": {"kick": "9.........7.....", "snare": "....6.......6...", "hat": "5...4.4.5...4..."},
    "chip": {"kick": "9...7...9...7...", "snare": "....8.......8.8.", "hat": "5.5.5.5.5.5.5.5."},
    "brushes": {"kick": "6.......5.......", "hat": "5.3.5.3.5.3.5.3."},
}
