"""How notes are played: glides, gamaka, meend, grace notes, vibrato, strokes; from notes to sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .melody import Note
from .oscillator import CONTROL, RATE, Audio, Controls, band_noise, tone, upsample
from .timbres import Timbre


@dataclass(frozen=True)
class Manner:
    """A tradition's way of playing."""

    vibrato: float = 1.0  # factor on the timbre's vibrato depth
    grace: float = 0.0  # probability of a grace note from the upper neighbour
    trill: float = 0.0  # probability of a short trill at the middle of a long note
    meend: float = 0.0  # probability of a long glide into a note
    meend_seconds: float = 0.25  # its duration
    gamaka: float = 0.0  # factor on the width of a mode's oscillating notes
    gamaka_rate: float = 4.5  # oscillations per second
    staccato: float = 0.04  # share of a note that is silent at its end
    drift: float = 3.0  # slow wandering of the intonation, cents
    # pitch class (cents) -> lowest and highest cents, as :attr:`cmbench.tasks.mini.modes.Mode.gamaka`
    oscillating: Mapping[float, tuple[float, float]] = field(default_factory=dict)


PLAIN = Manner()


def _smooth(x: Audio) -> Audio:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _bend(note: Note, before: float, t: Audio, timbre: Timbre, manner: Manner, rng: np.random.Generator) -> Audio:
    """Cents of one note at times ``t`` after its onset ``[points]``."""
    cents = np.full_like(t, note.cents)
    glide = 0.003 if timbre.kind == "plucked" else timbre.glide
    if manner.meend and rng.random() < manner.meend and abs(before - note.cents) < 750:
        glide = min(manner.meend_seconds, 0.7 * note.duration)
    if before != note.cents:
        cents += (before - note.cents) * (1.0 - _smooth(t / max(glide, 1e-3)))
    pitch_class = note.cents % 1200.0
    if manner.gamaka and pitch_class in manner.oscillating and note.duration > 0.16 and rng.random() < 0.8:
        low, high = manner.oscillating[pitch_class]
        swing = np.where(np.sin(2 * np.pi * manner.gamaka_rate * t) > 0, high - pitch_class, low - pitch_class)
        shape = np.abs(np.sin(2 * np.pi * manner.gamaka_rate * t)) ** 0.7
        stop = note.duration * float(rng.uniform(0.5, 1.3))
        fade = _smooth((t - glide) / 0.04) * (1.0 - _smooth((t - stop) / 0.05))
        cents += manner.gamaka * float(rng.uniform(0.7, 1.0)) * swing * shape * fade
    elif timbre.vibrato[1] and note.duration > 0.22:
        rate = timbre.vibrato[0] * float(rng.uniform(0.93, 1.07))
        cents += manner.vibrato * timbre.vibrato[1] * np.sin(2 * np.pi * rate * t) * _smooth((t - 0.12) / 0.25)
    if manner.grace and note.duration > 0.13 and rng.random() < manner.grace:
        cents += 200.0 * (t < min(0.06, 0.3 * note.duration))
    if manner.trill and note.duration > 0.4 and rng.random() < manner.trill:
        middle = (t > 0.12) & (t < 0.4)
        cents += 170.0 * middle * (np.sin(2 * np.pi * 9.0 * t) > 0)
    return cents


def _strike(t: Audio, f0: Audio, note: Note, timbre: Timbre, manner: Manner) -> Audio:
    rate = np.log(1000.0) / timbre.decay * np.sqrt(f0[0] / 220.0)
    amp = np.asarray(note.accent * np.clip(t / timbre.attack, 0.0, 1.0) * np.exp(-rate * t), dtype=np.float64)
    if manner.staccato > 0.1:
        amp *= 1.0 - _smooth((t - note.duration * (1.0 - manner.staccato)) / 0.03)
    return amp


def _hold(t: Audio, note: Note, timbre: Timbre, manner: Manner, slurred: bool) -> Audio:
    length = note.duration * (1.0 - manner.staccato)
    fade = min(0.05, 0.3 * length)
    rise = np.clip(t / min(timbre.attack, 0.5 * length), 0.0, 1.0)
    if slurred:
        rise = 0.75 + 0.25 * rise
    fall = 1.0 - np.clip((t - length + fade) / fade, 0.0, 1.0)
    swell = 1.0 + 0.15 * np.sin(np.pi * np.clip(t / max(length, 0.05), 0.0, 1.0))
    return np.asarray(note.accent * rise * fall * swell, dtype=np.float64)


def controls(
    notes: Sequence[Note], seconds: float, tonic: float, timbre: Timbre, manner: Manner, rng: np.random.Generator
) -> Controls:
    """Control curves of one line of notes that do not overlap."""
    points = int(seconds * CONTROL) + 2
    cents = np.full(points, notes[0].cents)
    amp = np.zeros(points)
    stage = np.full(points, 0.0 if timbre.kind == "plucked" else 0.5)
    time = np.arange(points) / CONTROL
    before, vowel = notes[0].cents, float(rng.random())
    for k, note in enumerate(notes):
        start = int(np.clip(np.ceil(note.onset * CONTROL), 0, points))
        end = points if k + 1 == len(notes) else int(np.clip(np.ceil(notes[k + 1].onset * CONTROL), start, points))
        if end <= start:
            continue
        t = time[start:end] - note.onset
        cents[start:end] = _bend(note, before, t, timbre, manner, rng)
        f0 = tonic * 2.0 ** (cents[start : start + 1] / 1200.0)
        if timbre.kind == "plucked":
            amp[start:end] = _strike(t, f0, note, timbre, manner)
            stage[start:end] = t
        else:
            amp[start:end] = _hold(t, note, timbre, manner, note.slurred)
            target = float(rng.random()) if timbre.kind == "voice" and not note.slurred else vowel
            shape = vowel + (target - vowel) * _smooth(t / 0.09)
            stage[start:end] = shape if timbre.kind == "voice" else np.clip(amp[start:end], 0.0, 1.0)
            vowel = target
        before = note.cents
    if manner.drift:
        cents += manner.drift * np.interp(time, np.linspace(0, seconds, 9), rng.standard_normal(9))
    return Controls(tonic * 2.0 ** (cents / 1200.0), amp, stage)


def play(
    timbre: Timbre,
    lines: Sequence[Sequence[Note]],
    seconds: float,
    tonic: float,
    manner: Manner,
    rng: np.random.Generator,
) -> Audio:
    """One instrument playing one or several simultaneous lines (the notes of chords).

    A single line of a plucked instrument is spread over two strings in turn, so that a note rings into the next.

    Returns:
        ``[seconds * RATE]`` samples.
    """
    samples = int(seconds * RATE)
    strings: list[Sequence[Note]] = [line for line in lines if line]
    if timbre.kind == "plucked" and len(strings) == 1 and manner.meend < 0.2 and len(strings[0]) > 3:
        strings = [strings[0][0::2], strings[0][1::2]]
    out = np.zeros(samples)
    for line in strings:
        curves = controls(line, seconds, tonic, timbre, manner, rng)
        out += tone(timbre, curves, samples, rng)
        if timbre.kind == "plucked" and timbre.breath > 0:
            out += _click(timbre, curves, samples, rng)
    if timbre.kind == "voice":
        out += _consonants(strings, samples, rng)
    if timbre.drive > 0:
        level = max(float(np.abs(out).max()), 1e-9)
        out = np.tanh(timbre.drive * out / level) * level
    return out


def _click(timbre: Timbre, curves: Controls, samples: int, rng: np.random.Generator) -> Audio:
    """Noise of the plectrum, hammer or finger: 8 ms after each stroke."""
    shape = curves.amp * np.exp(-curves.stage / 0.008)
    return timbre.breath * upsample(shape, samples) * band_noise(timbre.breath_band, samples, rng)


def _consonants(lines: Sequence[Sequence[Note]], samples: int, rng: np.random.Generator) -> Audio:
    """Bursts of noise, 30 to 90 ms, before some syllables."""
    out = np.zeros(samples)
    for line in lines:
        for note in line:
            if note.slurred or rng.random() > 0.5:
                continue
            length = int(rng.uniform(0.03, 0.09) * RATE)
            start = int(note.onset * RATE) - length
            if start < 0 or start + length > samples:
                continue
            low = float(rng.uniform(1500.0, 5000.0))
            burst = band_noise((low, low + 3000.0), length, rng) * np.hanning(length)
            out[start : start + length] += 0.12 * note.accent * burst
    return out
