"""Rendered pitch and rhythm, measured, against the tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cmbench.tasks.mini.corpus import generator
from cmbench.tasks.mini.melody import Note, metred, walk
from cmbench.tasks.mini.modes import DROMOI, MAKAMS, RAGAS_CARNATIC, RAGAS_HINDUSTANI, WESTERN, Mode, triad
from cmbench.tasks.mini.oscillator import RATE, Audio
from cmbench.tasks.mini.percussion import KITS, drum, strokes_of
from cmbench.tasks.mini.playing import Manner, play
from cmbench.tasks.mini.rhythms import DANCES, PATTERNS, TALAS, TALS, USULS, Cycle
from cmbench.tasks.mini.timbres import TIMBRES, player

# Measured cents above the tonic of 50 recordings each: facts of MTG/otmm_makam_recognition_dataset.
MEASURED: dict[str, tuple[float, ...]] = {
    "Rast": (0, 207, 384, 496, 701, 908, 1092),
    "Uşşak": (0, 148, 290, 498, 707, 785, 995),
    "Hüseyni": (0, 160, 292, 500, 708, 876, 994),
    "Hicaz": (0, 110, 385, 497, 706, 800, 995),
    "Hüzzam": (0, 112, 321, 476, 696, 818, 1029),
}


def fundamental(audio: Audio, near: float) -> float:
    """Frequency of a steady tone: the strongest of the first four harmonics' spectral peaks, interpolated."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    step = RATE / (1 << 18)
    best = (0.0, 0.0)
    for h in (1, 2, 3, 4):
        low, high = (round(h * near * r / step) for r in (0.95, 1.05))
        top = low + int(spectrum[low:high].argmax())
        a, b, c = np.log(spectrum[top - 1 : top + 2])
        best = max(best, (float(spectrum[top]), (top + 0.5 * (a - c) / (a - 2 * b + c)) * step / h))
    return best[1]


def measured_cents(notes: tuple[float, ...], instrument: str, tonic: float) -> np.ndarray:
    """Cents of a scale played note by note, half a second each, without ornaments."""
    timbre = player(instrument, generator("test", instrument))
    line = [Note(0.5 * i, 0.5, c, 0.8) for i, c in enumerate(notes)]
    seconds = 0.5 * len(notes)
    manner = Manner(vibrato=0.0, drift=0.0)
    audio = play(timbre, [line], seconds, tonic, manner, generator("test", instrument, "track"))
    found = []
    for i, cents in enumerate(notes):
        window = audio[int((0.5 * i + 0.12) * RATE) : int((0.5 * i + 0.46) * RATE)]
        found.append(1200.0 * np.log2(fundamental(window, tonic * 2 ** (cents / 1200)) / tonic))
    return np.array(found)


@pytest.mark.parametrize(
    "instrument", ["oud", "kanun", "ney", "violin", "sitar", "female voice", "klarino", "harmonium"]
)
def test_rendered_scales_lie_within_five_cents(instrument: str) -> None:
    for name, cents in MEASURED.items():
        up = MAKAMS[name].up
        assert up == cents, name
        error = measured_cents((*up, 1200.0), instrument, 223.7) - np.array((*up, 1200.0))
        assert np.abs(error).max() < 5.0, (name, error)


def test_semitones_and_dromoi_lie_within_five_cents() -> None:
    for mode in (DROMOI["hitzaz"], WESTERN["major"], RAGAS_CARNATIC["thodi"], RAGAS_HINDUSTANI["Yaman kalyan"]):
        error = measured_cents(mode.up, "bouzouki", 301.3) - np.array(mode.up)
        assert np.abs(error).max() < 5.0


def test_the_second_of_ussak_is_played_low() -> None:
    assert 140 < MAKAMS["Uşşak"].up[1] < 160
    assert 150 < MAKAMS["Hüseyni"].up[1] < 168


@pytest.mark.parametrize("modes", [MAKAMS, RAGAS_CARNATIC, RAGAS_HINDUSTANI, DROMOI, WESTERN])
def test_scales_ascend_within_the_octave(modes: dict[str, Mode]) -> None:
    for mode in modes.values():
        for notes in (mode.up, mode.down):
            assert notes[0] == 0
            assert all(a < b for a, b in pairwise(notes)), mode.name
            assert notes[-1] < 1200
        assert mode.dominant in mode.up or mode.dominant in mode.down
        assert all(low < note < high for note, (low, high) in mode.gamaka.items())


def test_dromoi_sum_to_an_octave() -> None:
    assert list(DROMOI["hitzazkiar"].up) == [0, 100, 400, 500, 700, 800, 1100]
    assert list(DROMOI["sabah"].up) == [0, 200, 300, 400, 700, 800, 1000]


def test_triads() -> None:
    assert triad(WESTERN["major"], 0) == (0, 400, 700)
    assert triad(WESTERN["minor"], 4) == (700, 1000, 1400)


def test_melodies_use_only_their_mode_and_end_on_the_tonic() -> None:
    rng = generator("melody")
    for mode in (*MAKAMS.values(), *RAGAS_CARNATIC.values(), *RAGAS_HINDUSTANI.values()):
        allowed = {c % 1200 for c in (*mode.up, *mode.down)} | {c % 1200 for p in mode.phrases for c in p}
        notes = walk(mode, metred(USULS["Düyek"], 0.2, 0.3, 12.0, 0.9, 0.2, rng), rng)
        assert {n.cents % 1200 for n in notes} <= allowed
        assert notes[-1].cents == 0
        assert all(a.onset < b.onset for a, b in pairwise(notes))


def test_sparse_melodies_still_sound() -> None:
    for k in range(20):
        rng = generator("sparse", k)
        beats = metred(TALS["Ektaal"], 0.5, 5.9, 6.0, 0.0, 0.0, rng)
        notes = walk(RAGAS_CARNATIC["abhogi"], beats, rng)
        assert notes
        assert all(b.onset - a.onset < 2.6 for a, b in pairwise(beats))


def test_usul_groupings() -> None:
    places = {name: [s[0] for s in cycle.strokes] for name, cycle in USULS.items()}
    assert places["Aksak"] == places["Ağıraksak"] == [0, 2, 3, 4, 6, 8]
    assert places["Curcuna"] == places["Aksaksemai"] == [0, 2, 3, 5, 7, 9]
    assert places["Düyek"] == [0, 1, 3, 4, 6]
    assert {n: c.pulses for n, c in USULS.items()} | {"Semai": 3} == {
        "Aksak": 9, "Ağıraksak": 9, "Düyek": 8, "Aksaksemai": 10, "Curcuna": 10, "Yürüksemai": 6, "Sofyan": 4,
        "Semai": 3, "Devr-i Hindi": 7,
    }  # fmt: skip


def test_tala_and_dance_lengths() -> None:
    assert {n: c.pulses for n, c in TALAS.items()} == {"adi": 32, "rupaka": 12, "mishra chapu": 14, "khanda chapu": 10}
    assert {n: TALS[n].pulses for n in ("Teentaal", "Ektaal", "Jhaptaal", "Rupak")} == {
        "Teentaal": 16, "Ektaal": 12, "Jhaptaal": 10, "Rupak": 7,
    }  # fmt: skip
    for cycle in (*TALS.values(), *DANCES.values()):
        assert max(s[0] for s in cycle.strokes) < cycle.pulses
    for name in ("Teentaal", "Jhaptaal", "Rupak"):
        assert len(TALS[name].strokes) == TALS[name].pulses
    assert all(len(steps) == 16 for pattern in PATTERNS.values() for steps in pattern.values())


@pytest.mark.parametrize(
    ("kit", "cycles"),
    [
        ("bendir", USULS),
        ("kudüm", USULS),
        ("percussion", DANCES),
        ("mridangam", TALAS),
        ("ghatam", TALAS),
        ("khanjira", TALAS),
        ("tabla", TALS),
        ("pakhavaj", TALS),
    ],
)
def test_every_syllable_has_a_stroke(kit: str, cycles: dict[str, Cycle]) -> None:
    for cycle in cycles.values():
        for _, syllable, _ in cycle.strokes:
            assert strokes_of(kit, syllable), (kit, syllable)


def test_drums_sound_where_the_cycle_says() -> None:
    for kit in KITS:
        events = [(0.5, next(iter(KITS[kit])), 1.0), (1.5, next(iter(KITS[kit])), 1.0)]
        audio = drum(kit, events, 2.5, 150.0, generator(kit), generator(kit, 1))
        loud = np.flatnonzero(np.abs(audio) > 0.2) / RATE
        assert abs(loud[0] - 0.5) < 0.05
        assert abs(loud[loud > 1.4][0] - 1.5) < 0.05


def test_players_differ_but_less_than_instruments() -> None:
    slopes = [player("oud", generator(i)).slope for i in range(40)]
    assert 0.5 < np.std(slopes) < 3.0
    assert {t.kind for t in TIMBRES.values()} == {"plucked", "bowed", "blown", "voice", "keyed"}
