"""Scales of five traditions in cents above the tonic, with what a melody does on them.

Sources, named once and cited by their letter below:

- [O] MTG/otmm_makam_recognition_dataset: peaks of the measured pitch distributions of 50 recordings per makam,
  cents above the annotated tonic. The second of Uşşak and Hüseyni is *played* at 148-160 cents, not at the
  181 of the Arel-Ezgi-Uzdilek theory, and that is what is rendered.
- [S] MTG/SymbTr: degrees in Holdrian commas (1200/53 cents) with their share of the duration.
- [H] MTG/musical-bridges-hindustani-tools ``ragInfo``/``recordingsInfo``: measured intonation; ascent and descent
  from flutisthacker/raagnflute.
- [C] ravi6/web ``ragas.js`` and carnatic-music/ragavardhini: arohana and avarohana; svara n stands at n semitones.
- [G] efthymios-ks/bouzouki-scales: dromoi in semitone steps (the fretted bouzouki's simplification).
- [P] this project's own choice from general knowledge: dominants (güçlü), direction (seyir), resting notes,
  which svaras oscillate and between what.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mode:
    """A scale and how melodies move on it."""

    name: str  # as in the task's label, where it is one
    up: tuple[float, ...]  # cents in [0, 1200) of the notes used when moving upwards, ascending from 0
    down: tuple[float, ...]  # the same for moving downwards
    dominant: float  # cents of the note that phrases lean on besides the tonic
    seyir: int = 0  # 1 if melodies begin low and climb, -1 if they begin high and descend, 0 otherwise
    # note (cents) -> lowest and highest cents between which it oscillates
    gamaka: Mapping[float, tuple[float, float]] = field(default_factory=dict)
    phrases: tuple[tuple[float, ...], ...] = ()  # characteristic phrases, cents relative to the tonic


def _mode(
    name: str,
    up: Sequence[float],
    dominant: float,
    seyir: int = 0,
    down: Sequence[float] | None = None,
    phrases: Sequence[Sequence[float]] = (),
    gamaka: Mapping[float, tuple[float, float]] | None = None,
) -> Mode:
    """Build a mode from whole or fractional cents; the descent is the ascent unless given."""
    return Mode(
        name,
        tuple(map(float, up)),
        tuple(map(float, up if down is None else down)),
        float(dominant),
        seyir,
        dict(gamaka or {}),
        tuple(tuple(map(float, p)) for p in phrases),
    )


def _by_name(*modes: Mode) -> dict[str, Mode]:
    return {m.name: m for m in modes}


# [O]; alternates (descending sevenths, Hüzzam's and Segah's leading note) from the round brackets; [P].
MAKAMS: Mapping[str, Mode] = _by_name(
    _mode("Hicaz", (0, 110, 385, 497, 706, 800, 995), 497, 0, phrases=((497, 385, 110, 0), (0, 110, 385, 497))),
    _mode(
        "Nihavent",
        (0, 209, 299, 500, 704, 802, 1103),
        704,
        0,
        (0, 209, 299, 500, 704, 802, 1001),
        ((704, 500, 299, 209, 0), (0, -97, 0, 209, 299)),
    ),
    _mode(
        "Hüzzam",
        (0, 112, 321, 476, 696, 818, 1029),
        321,
        0,
        phrases=((321, 476, 696, 476, 321), (321, 112, 0, -120, 0)),
    ),
    _mode(
        "Kürdilihicazkar",
        (0, 104, 296, 499, 704, 803, 998),
        704,
        -1,
        phrases=((1200, 998, 803, 704), (704, 499, 296, 104, 0)),
    ),
    _mode("Uşşak", (0, 148, 290, 498, 707, 785, 995), 498, 1, phrases=((0, 148, 290, 498), (290, 148, 0, -205, 0))),
    _mode(
        "Rast",
        (0, 207, 384, 496, 701, 908, 1092),
        701,
        1,
        (0, 207, 384, 496, 701, 908, 996),
        ((0, -292, 0, 207, 384), (384, 207, 0)),
    ),
    _mode(
        "Segah",
        (0, 108, 316, 517, 701, 813, 1113),
        316,
        1,
        (0, 108, 316, 517, 701, 813, 1026),
        ((0, -87, 0, 108, 316), (316, 108, 0)),
    ),
    _mode("Hüseyni", (0, 160, 292, 500, 708, 876, 994), 708, 0, phrases=((708, 876, 708, 500, 708), (292, 160, 0))),
    _mode("Saba", (0, 168, 294, 434, 705, 793, 999), 294, 1, phrases=((294, 434, 294, 168, 0),)),
    _mode("Hicazkar", (0, 110, 393, 499, 705, 812, 1097), 705, -1),
    _mode("Mahur", (0, 209, 394, 496, 704, 909, 1095), 704, -1),
    _mode("Karcigar", (0, 157, 293, 498, 639, 873, 995), 498, 0),
    _mode("Suzinak", (0, 208, 390, 497, 704, 818, 1095), 704, 0),
)

_Swing = Mapping[float, tuple[float, float]]
_KALYANI: _Swing = {200: (130, 270), 400: (300, 430), 600: (530, 700), 900: (830, 960), 1100: (1030, 1190)}
_THODI: _Swing = {100: (60, 150), 300: (140, 420), 500: (430, 540), 800: (740, 900), 1000: (860, 1150)}
_BHAIRAVI: _Swing = {200: (150, 260), 300: (210, 450), 500: (400, 560), 900: (820, 960), 1000: (900, 1130)}
_PLAIN: _Swing = {300: (240, 360), 400: (340, 440), 900: (850, 960), 1000: (930, 1060), 1100: (1040, 1160)}

# Notes and order [C]; oscillation, dominants and phrases [P].
RAGAS_CARNATIC: Mapping[str, Mode] = _by_name(
    _mode(
        "thodi",
        (0, 100, 300, 500, 700, 800, 1000),
        700,
        phrases=((1000, 800, 500, 300, 100, 0), (300, 500, 800, 1000)),
        gamaka=_THODI,
    ),
    _mode(
        "bhairavi",
        (0, 200, 300, 500, 700, 900, 1000),
        700,
        0,
        (0, 200, 300, 500, 700, 800, 1000),
        ((700, 900, 1000, 1200), (1000, 800, 700, 500, 300, 200, 0)),
        _BHAIRAVI,
    ),
    _mode(
        "kalyani",
        (0, 200, 400, 600, 700, 900, 1100),
        700,
        phrases=((600, 900, 1100), (400, 600, 900), (1100, 900, 600, 400)),
        gamaka=_KALYANI,
    ),
    _mode("sankarabharanam", (0, 200, 400, 500, 700, 900, 1100), 700, gamaka=_PLAIN),
    _mode("karaharapriya", (0, 200, 300, 500, 700, 900, 1000), 700, gamaka=_PLAIN),
    _mode("kamavardani", (0, 100, 400, 600, 700, 800, 1100), 700, gamaka=_PLAIN),
    _mode("mohanam", (0, 200, 400, 700, 900), 700, gamaka=_PLAIN),
    _mode("hindolam", (0, 300, 500, 800, 1000), 500, gamaka=_PLAIN),
    _mode("hamsadhvani", (0, 200, 400, 700, 1100), 700, gamaka=_PLAIN),
    _mode("kamboji", (0, 200, 400, 500, 700, 900), 700, 0, (0, 200, 400, 500, 700, 900, 1000), gamaka=_PLAIN),
    _mode("abhogi", (0, 200, 300, 500, 900), 500, gamaka=_PLAIN),
)

_ANDOLAN: Mapping[float, tuple[float, float]] = {
    100: (70, 130),
    150: (100, 170),
    800: (780, 830),
    830: (790, 850),
    300: (270, 320),
}

# Intonation, notes and order [H]; Bhairavi and Bageshree have no measured values there and stand on the semitones
# of their note names, Bageshree's thirds and sevenths as in Bhimpalasi. Dominants (vadi) and phrases [P].
RAGAS_HINDUSTANI: Mapping[str, Mode] = _by_name(
    _mode(
        "Bhairabi",
        (0, 100, 300, 500, 700, 800, 1000),
        500,
        0,
        phrases=((300, 500, 800, 700), (300, 100, 0), (500, 300, 100, 0)),
        gamaka={100.0: (80, 130), 800.0: (780, 830)},
    ),
    _mode(
        "Yaman kalyan",
        (0, 200, 400, 600, 700, 900, 1100),
        400,
        0,
        (0, 200, 400, 520, 600, 700, 900, 1100),
        ((-100, 200, 400), (600, 400, 520, 400, 200), (400, 600, 900, 1100), (700, 600, 400, 200, 0)),
    ),
    _mode(
        "Bageshree",
        (0, 300, 500, 900, 1000),
        500,
        0,
        (0, 200, 300, 500, 900, 1000),
        ((300, 500, 900, 1000, 900), (900, 500, 300, 500, 300, 200, 0)),
    ),
    _mode("Bhupali", (0, 200, 385, 700, 895), 385),
    _mode("Bhairav", (0, 150, 390, 480, 700, 830, 1120), 830, gamaka=_ANDOLAN),
    _mode("Ahir Bhairav", (0, 100, 390, 495, 700, 890, 1000), 495, gamaka=_ANDOLAN),
    _mode("Bhimpalasi", (0, 305, 500, 700, 1005), 500, 0, (0, 205, 305, 500, 700, 900, 1005)),
    _mode("Malkauns", (0, 305, 495, 805, 1000), 495),
    _mode("Todi", (0, 100, 300, 610, 700, 800, 1110), 800, gamaka=_ANDOLAN),
    _mode("Shree", (0, 100, 395, 610, 705, 805, 1105), 705),
    _mode("Jog", (0, 390, 490, 700, 1000), 700, 0, (0, 295, 390, 490, 700, 1000)),
)


def _steps(*steps: int) -> tuple[float, ...]:
    notes = [0.0]
    for step in steps[:-1]:
        notes.append(notes[-1] + 100.0 * step)
    return tuple(notes)


# [G]; the anhemitonic pentatonic of Epirus and all dominants [P].
DROMOI: Mapping[str, Mode] = _by_name(
    _mode("rast", _steps(2, 2, 1, 2, 2, 2, 1), 700, 0, _steps(2, 2, 1, 2, 2, 1, 2)),
    _mode("ousak", _steps(1, 2, 2, 2, 1, 2, 2), 500, 1),
    _mode("hitzaz", _steps(1, 3, 1, 2, 1, 2, 2), 500),
    _mode("hitzazkiar", _steps(1, 3, 1, 2, 1, 3, 1), 700, -1),
    _mode("piraiotikos", _steps(1, 3, 2, 1, 1, 3, 1), 700),
    _mode("niavent", _steps(2, 1, 3, 1, 1, 3, 1), 700),
    _mode("nikriz", _steps(2, 1, 3, 1, 2, 2, 1), 700),
    _mode("kartzigar", _steps(2, 1, 2, 1, 3, 1, 2), 500),
    _mode("sabah", _steps(2, 1, 1, 3, 1, 2, 2), 300),
    _mode("houseini", _steps(2, 2, 1, 2, 2, 1, 2), 700, 0, _steps(2, 1, 2, 2, 1, 2, 2)),
    _mode("minor", _steps(2, 1, 2, 2, 1, 2, 2), 700),
    _mode("harmonic minor", _steps(2, 1, 2, 2, 1, 3, 1), 700),
    _mode("pentatonic", (0, 300, 500, 700, 1000), 700, -1, phrases=((700, 500, 300, 0), (0, -200, 0))),
)


def _rotated(scale: Sequence[float], tonic: float) -> tuple[float, ...]:
    return tuple(sorted((note - tonic) % 1200.0 for note in scale))


# One scale on each of its five notes: the tonic stands 0, 2, 4, 7 or 9 semitones above the gong (the order and these
# distances: a public reader of CNPM's labels). Equal temperament; dominants [P].
_GONG = (0.0, 200.0, 400.0, 700.0, 900.0)
CHINESE: Mapping[str, Mode] = _by_name(
    _mode("Gong", _rotated(_GONG, 0.0), 700),
    _mode("Shang", _rotated(_GONG, 200.0), 700),
    _mode("Jue", _rotated(_GONG, 400.0), 800),
    _mode("Zhi", _rotated(_GONG, 700.0), 700),
    _mode("Yu", _rotated(_GONG, 900.0), 700),
)

# Equal temperament.
WESTERN: Mapping[str, Mode] = _by_name(
    _mode("major", (0, 200, 400, 500, 700, 900, 1100), 700),
    _mode("minor", (0, 200, 300, 500, 700, 800, 1000), 700),
    _mode("harmonic minor", (0, 200, 300, 500, 700, 800, 1100), 700, 0, (0, 200, 300, 500, 700, 800, 1000)),
    _mode("dorian", (0, 200, 300, 500, 700, 900, 1000), 700),
    _mode("mixolydian", (0, 200, 400, 500, 700, 900, 1000), 700),
    _mode("minor pentatonic", (0, 300, 500, 700, 1000), 700),
    _mode("major pentatonic", (0, 200, 400, 700, 900), 700),
    _mode("chromatic", tuple(100.0 * i for i in range(12)), 600),
)

MODES: Mapping[str, Mapping[str, Mode]] = {
    "turkish_makam": MAKAMS,
    "carnatic": RAGAS_CARNATIC,
    "hindustani": RAGAS_HINDUSTANI,
    "lyra": {**DROMOI, **MAKAMS},
    "carnatic_raga": RAGAS_CARNATIC,
    "hindustani_raga": RAGAS_HINDUSTANI,
    "chinese_modes": CHINESE,
}
"""Modes by name for each task of modal music; Greek songs of Asia Minor keep the makams' intonation."""

# Functional harmony [P]: progressions as scale degrees (0 = tonic triad), one chord per bar.
PROGRESSIONS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 1, 4), (5, 3, 0, 4), (0, 3, 0, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 3, 6, 2), (0, 0, 3, 4)),
}


def triad(mode: Mode, degree: int) -> tuple[float, float, float]:
    """Cents of the triad on a degree of a seven-note mode (root, third, fifth, within two octaves)."""
    n = len(mode.up)
    notes = [mode.up[(degree + k) % n] + 1200.0 * ((degree + k) // n) for k in (0, 2, 4)]
    return notes[0], notes[1], notes[2]
