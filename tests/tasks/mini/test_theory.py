"""Modes, melodies and cycles against the theory; what is rendered of them is measured in test_intonation.py."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cmbench.tasks.mini.corpus import generator
from cmbench.tasks.mini.melody import metred, walk
from cmbench.tasks.mini.modes import DROMOI, MAKAMS, RAGAS_CARNATIC, RAGAS_HINDUSTANI, WESTERN, Mode, triad
from cmbench.tasks.mini.oscillator import RATE
from cmbench.tasks.mini.percussion import KITS, drum, strokes_of
from cmbench.tasks.mini.rhythms import DANCES, PATTERNS, TALAS, TALS, USULS, Cycle
from cmbench.tasks.mini.timbres import TIMBRES, player


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
