"""Rendered audio, measured without the renderer's help, against the theory's tables typed in from their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.tasks.mini.corpus import Draw, TrackSpec, generator
from cmbench.tasks.mini.edition import render_track
from cmbench.tasks.mini.melody import Note
from cmbench.tasks.mini.modes import MODES
from cmbench.tasks.mini.oscillator import RATE
from cmbench.tasks.mini.playing import Manner, play
from cmbench.tasks.mini.stage import open_stage
from cmbench.tasks.mini.timbres import player

Floats = NDArray[np.float64]
Scale = tuple[float, ...]
TOLERANCE = 5.0
"""Cents."""

# Peaks of the pitch distributions of 50 recordings each, cents above the annotated tonic
# (MTG/otmm_makam_recognition_dataset).
MAKAMS: Mapping[str, Scale] = {
    "Hicaz": (0, 110, 385, 497, 706, 800, 995),
    "Nihavent": (0, 209, 299, 500, 704, 802, 1103),
    "Hüzzam": (0, 112, 321, 476, 696, 818, 1029),
    "Kürdilihicazkar": (0, 104, 296, 499, 704, 803, 998),
    "Uşşak": (0, 148, 290, 498, 707, 785, 995),
    "Rast": (0, 207, 384, 496, 701, 908, 1092),
    "Segah": (0, 108, 316, 517, 701, 813, 1113),
    "Hüseyni": (0, 160, 292, 500, 708, 876, 994),
    "Saba": (0, 168, 294, 434, 705, 793, 999),
    "Hicazkar": (0, 110, 393, 499, 705, 812, 1097),
    "Mahur": (0, 209, 394, 496, 704, 909, 1095),
    "Karcigar": (0, 157, 293, 498, 639, 873, 995),
    "Suzinak": (0, 208, 390, 497, 704, 818, 1095),
}

SVARAS = dict(zip(["S", "R1", "R2", "G2", "G3", "M1", "M2", "P", "D1", "D2", "N2", "N3"], range(12), strict=True))
# Arohanas (ravi6/web ragas.js; agreeing with carnatic-music/ragavardhini but for bhairavi).
AROHANAS: Mapping[str, str] = {
    "thodi": "S R1 G2 M1 P D1 N2",
    "bhairavi": "S R2 G2 M1 P D2 N2",
    "kalyani": "S R2 G3 M2 P D2 N3",
    "sankarabharanam": "S R2 G3 M1 P D2 N3",
    "karaharapriya": "S R2 G2 M1 P D2 N2",
    "kamavardani": "S R1 G3 M2 P D1 N3",
    "mohanam": "S R2 G3 P D2",
    "hindolam": "S G2 M1 D1 N2",
    "hamsadhvani": "S R2 G3 P N3",
    "kamboji": "S R2 G3 M1 P D2",
    "abhogi": "S R2 G2 M1 D2",
}
# Measured in one or two recordings each (MTG/musical-bridges-hindustani-tools); of two values the mean. Bhairabi and
# Bageshree are not measured there: semitones. Ascents where they are given (flutisthacker/raagnflute), else all notes.
RAGS: Mapping[str, Scale] = {
    "Bhairabi": (0, 100, 300, 500, 700, 800, 1000),
    "Yaman kalyan": (0, 200, 400, 600, 700, 900, 1100),
    "Bageshree": (0, 300, 500, 900, 1000),
    "Bhupali": (0, 200, 385, 700, 895),
    "Bhairav": (0, 150, 390, 480, 700, 830, 1120),
    "Ahir Bhairav": (0, 100, 390, 495, 700, 890, 1000),
    "Bhimpalasi": (0, 305, 500, 700, 1005),
    "Malkauns": (0, 305, 495, 805, 1000),
    "Todi": (0, 100, 300, 610, 700, 800, 1110),
    "Shree": (0, 100, 395, 610, 705, 805, 1105),
    "Jog": (0, 390, 490, 700, 1000),
}
# Semitone steps (efthymios-ks/bouzouki-scales).
DROMOI: Mapping[str, str] = {
    "rast": "2212221",
    "ousak": "1222122",
    "hitzaz": "1312122",
    "hitzazkiar": "1312131",
    "piraiotikos": "1321131",
    "niavent": "2131131",
    "nikriz": "2131221",
    "kartzigar": "2121312",
    "sabah": "2113122",
    "houseini": "2212212",
    "minor": "2122122",
    "harmonic minor": "2122131",
}

TABLES: Mapping[str, Mapping[str, Scale]] = {
    "turkish_makam": MAKAMS,
    "carnatic": {name: tuple(100.0 * SVARAS[s] for s in notes.split()) for name, notes in AROHANAS.items()},
    "hindustani": RAGS,
    "lyra": {
        name: tuple(100.0 * sum(map(int, steps[:k])) for k in range(len(steps))) for name, steps in DROMOI.items()
    },
}
PLAYERS: Mapping[str, tuple[str, ...]] = {
    "turkish_makam": ("tanbur", "ney", "kemence"),
    "carnatic": ("violin", "female voice"),
    "hindustani": ("sitar", "bansuri", "male voice"),
    "lyra": ("bouzouki", "klarino", "lyra"),
}


def period_hz(frame: Floats, low: float, high: float) -> float:
    """Fundamental of a frame by the difference function of YIN (de Cheveigné and Kawahara 2002); 0 if unvoiced.

    Told nothing of the notes: only a range, which may be several octaves.
    """
    longest = int(4 * RATE / low)
    span = len(frame) - longest - 2
    head = frame[:span]
    energy = np.concatenate([[0.0], np.cumsum(frame**2)])
    size = 1 << (len(frame) + span - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(frame, size) * np.conj(np.fft.rfft(head, size)), size)[: longest + 2]
    lags = np.arange(longest + 2)
    difference = energy[span] + energy[lags + span] - energy[lags] - 2 * product
    mean = np.cumsum(difference[1:]) / lags[1:]
    normal = np.concatenate([[1.0], difference[1:] / np.maximum(mean, 1e-12)])
    start = int(RATE / high)
    under = np.flatnonzero(normal[start : int(RATE / low)] < 0.3)
    if not len(under):
        return 0.0
    at = start + int(under[0])
    while at < longest and normal[at + 1] < normal[at]:
        at += 1
    period = float(at)
    # The last of several periods is as long as all of them: its end tells the length of one more exactly.
    for count in range(1, longest // at):
        near = round(count * period)
        if near + 4 > longest:
            break
        found = near - 2 + int(difference[near - 2 : near + 3].argmin())
        a, b, c = difference[found - 1 : found + 2]
        bend = a - 2 * b + c
        refined = (found + (0.5 * (a - c) / bend if bend > 0 else 0.0)) / count
        if abs(refined - at) > 1.0:
            return 0.0  # nothing steady
        period = refined
    return float(RATE / period)


def track_cents(audio: Floats, tonic: float, frame: float, hop: float) -> Floats:
    """Pitches of a recording in cents above a tonic (Hz), one for each voiced frame (seconds)."""
    size, step = int(frame * RATE), int(hop * RATE)
    found = [period_hz(audio[at : at + size], 60.0, 1500.0) for at in range(0, len(audio) - size, step)]
    return 1200.0 * np.log2(np.array([f for f in found if f > 0]) / tonic)


def scale_errors(scale: Sequence[float], instrument: str, tonic: float) -> Floats:
    """Cents by which each note of a plainly played scale is off; the octave does not matter."""
    line = [Note(0.6 * k, 0.6, cents, 0.8) for k, cents in enumerate(scale)]
    timbre = player(instrument, generator("intonation", instrument))
    manner = Manner(vibrato=0.0, drift=0.0)
    audio = play(timbre, [line], 0.6 * len(scale), tonic, manner, generator("intonation", "track"))
    errors = []
    for k, cents in enumerate(scale):
        note = audio[int((0.6 * k + 0.15) * RATE) : int((0.6 * k + 0.56) * RATE)]
        heard = np.median(track_cents(note, tonic, 0.15, 0.02))
        errors.append((heard - cents + 600.0) % 1200.0 - 600.0)
    return np.array(errors)


@pytest.mark.parametrize("task", TABLES)
def test_the_tables_name_every_mode_with_a_label(task: str) -> None:
    assert set(TABLES[task]) <= set(MODES[task])
    rest = set(MODES[task]) - set(TABLES[task])
    assert rest <= {"pentatonic", *MAKAMS}, "a mode without a table to compare with"


@pytest.mark.parametrize(("task", "instrument"), [(task, name) for task in PLAYERS for name in PLAYERS[task]])
def test_rendered_scales_are_in_tune_with_the_tables(task: str, instrument: str) -> None:
    for name, table in TABLES[task].items():
        played = scale_errors(MODES[task][name].up, instrument, 217.3)
        assert len(played) == len(table), name
        heard = np.array(MODES[task][name].up) + played
        assert np.abs(heard - np.array(table)).max() < TOLERANCE, (name, heard - np.array(table))


def test_the_measurement_would_notice_another_second() -> None:
    theory = (0.0, 181.0, 294.0, 498.0)  # Uşşak by Arel-Ezgi-Uzdilek: eight commas
    heard = np.array(theory) + scale_errors(theory, "ney", 217.3)
    assert heard[1] - MAKAMS["Uşşak"][1] > 25.0


@pytest.mark.parametrize("makam", ["Hicaz", "Uşşak", "Rast", "Hüzzam"])
def test_whole_recordings_keep_the_makam(makam: str) -> None:
    """Taksims with ornaments, room and noise: where the melody rests on a degree, it is in tune."""
    offsets: dict[float, list[float]] = {}
    for k in range(4):
        content = Draw("ensemble", "taksim", (makam,), "", ("Classical kemençe",), ())
        spec = TrackSpec("turkish_makam", f"extra-{k}", "extra", f"extra-{k}", 10, 5, content)
        tonic = open_stage(spec, 0.0).tonic
        cents = track_cents(np.asarray(render_track(spec), dtype=np.float64), tonic, 0.15, 0.02)
        steady = np.abs(np.diff(cents, prepend=cents[0])) < 8.0
        for degree in MAKAMS[makam]:
            away = (cents[steady] - degree + 600.0) % 1200.0 - 600.0
            offsets.setdefault(degree, []).extend(away[np.abs(away) < 30.0])
    well_heard = {degree: float(np.median(found)) for degree, found in offsets.items() if len(found) > 40}
    assert len(well_heard) >= 4
    assert max(map(abs, well_heard.values())) < TOLERANCE, well_heard
