"""A page to hear and see the ``mini`` edition: tracks of each task with players, spectrograms and labels."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ...files import write_atomically
from ...tasks.base import MINI_LABEL, Task
from ...tasks.mini.corpus import TrackSpec, counts, plan
from ...tasks.mini.edition import render_track, tradition
from ...tasks.mini.modes import MODES, Mode
from ...tasks.mini.oscillator import RATE
from ...tasks.mini.stage import open_stage
from ..views.figures import INK, empty_figure, style
from .svg import environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST_HZ = 55.0
OCTAVES = 7.5
"""Up to 9956 Hz; the recordings end near 11 kHz."""
BANDS = 36
"""Bands of the spectrogram per octave."""
QUALITY = 36.0
"""Window length in periods of the octave's lowest frequency: parts two notes a semitone and a half apart."""
FRAMES_PER_SECOND = 100
RANGE_DB = 65.0
_WINDOWS = (512, 8192)
"""Samples of the shortest and the longest window: drums stay sharp, notes of the bass stay parted."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeardTrack:
    """What the page shows of a track."""

    spec: TrackSpec  # the track
    families: Mapping[str, tuple[str, ...]]  # family -> labels that hold
    facts: Mapping[str, str]  # title -> text: what is played, and for modal music the scale's degrees
    audio: str  # ``data:`` address of 16-bit FLAC
    picture: str  # ``data:`` address of the spectrogram
    width: int  # of the spectrogram, pixels
    height: int  # of the spectrogram, pixels
    description: str  # alternative text of the spectrogram


def choose_tracks(specs: Sequence[TrackSpec], count: int) -> list[TrackSpec]:
    """Return tracks of different albums that together show as many labels as they can, one by one."""
    chosen: list[TrackSpec] = []
    shown: set[str] = set()
    for _ in range(count):
        albums = {s.group for s in chosen}
        left = [s for s in specs if s.group not in albums]
        if not left:
            break
        best = max(left, key=lambda s: len(set(s.content.labels) - shown))
        chosen.append(best)
        shown.update(best.content.labels)
    return chosen


def log_spectrogram(audio: Floats) -> Floats:
    """Return levels over log frequency, dB below the loudest.

    A constant-Q transform in steps of an octave: windows of about :data:`QUALITY` periods, rounded to a power of two,
    scaled so that a steady sine has the same level in each (after Brown, "Calculation of a constant Q spectral
    transform", JASA 89(1), 1991).

    Returns:
        ``[bands, frames]``, lowest band first, in [-:data:`RANGE_DB`, 0].
    """
    hop = RATE // FRAMES_PER_SECOND
    frames = len(audio) // hop
    rows: list[Floats] = []
    for octave in range(int(np.ceil(OCTAVES))):
        low = LOWEST_HZ * 2.0**octave
        size = int(np.clip(2.0 ** np.round(np.log2(QUALITY * RATE / low)), *_WINDOWS))
        padded = np.pad(audio, size // 2)
        cut = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:frames]
        window = np.hanning(size)
        magnitude = np.abs(np.fft.rfft(cut * (window / window.sum()), axis=1))
        bands = np.arange(octave * BANDS, min((octave + 1) * BANDS, round(OCTAVES * BANDS)))
        edges = LOWEST_HZ * 2.0 ** ((bands[:, None] + np.array([0.0, 1.0])) / BANDS) * size / RATE
        for first, last in edges:
            inside = magnitude[:, int(np.ceil(first)) : int(np.floor(last)) + 1]
            rows.append(inside.max(axis=1) if inside.shape[1] else _between(magnitude, 0.5 * (first + last)))
    levels = 20.0 * np.log10(np.maximum(np.stack(rows), 1e-12))
    return np.asarray(np.maximum(levels - levels.max(), -RANGE_DB), dtype=np.float64)


def _between(magnitude: Floats, place: float) -> Floats:
    """Read a spectrum ``[frames, bins]`` between two bins: ``[frames]``."""
    whole = int(place)
    part = place - whole
    return np.asarray((1.0 - part) * magnitude[:, whole] + part * magnitude[:, whole + 1], dtype=np.float64)


def _degrees(mode: Mode) -> str:
    def listed(notes: Sequence[float]) -> str:
        return " ".join(f"{note:g}" for note in notes)

    up = listed((*mode.up, 1200.0))
    return up if mode.up == mode.down else f"{up}; descending {listed((1200.0, *mode.down[::-1]))}"


def _facts(spec: TrackSpec, modes: Sequence[Mode], tonic: float) -> dict[str, str]:
    content = spec.content
    facts = {
        "album": spec.group,
        "played": ", ".join(x for x in (content.style, content.form, *content.modes, content.cycle) if x),
        "by": ", ".join(part.replace(":", " ") for part in content.parts),
    }
    if modes:
        facts["tonic"] = f"{tonic:.1f} Hz and its octaves"
    for mode in modes:
        facts[f"{mode.name}: cents above the tonic"] = _degrees(mode)
    return facts


LEFT, WIDE = 0.068, 0.85
"""Where the seconds of a spectrogram begin, and how wide they are: shares of the picture."""


def draw_spectrogram(audio: Floats, tonic: float | None, degrees: Sequence[float]) -> tuple[bytes, int, int]:
    """Draw a spectrogram as WebP; where there is a scale, its degrees are marked at the right.

    ``degrees`` are cents above ``tonic`` (Hz), if there is a scale to mark.

    Returns:
        the file, its width and its height in pixels.
    """
    dpi, width, height = 110, 9.0, 3.0
    seconds = len(audio) / RATE
    top = LOWEST_HZ * 2.0**OCTAVES
    with style("path"):
        figure = empty_figure(width, height)
        axes = figure.add_axes((LEFT, 0.15, WIDE, 0.82))
        extent = (0.0, seconds, 0.0, OCTAVES)
        axes.imshow(log_spectrogram(audio), origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-RANGE_DB)
        marks = [hz for hz in (100, 200, 500, 1000, 2000, 5000) if hz < top]
        axes.set_yticks([float(np.log2(hz / LOWEST_HZ)) for hz in marks], [f"{hz:,}" for hz in marks])
        axes.set_xlabel("seconds")
        axes.set_ylabel("Hz", labelpad=2)
        if tonic is not None:
            _mark_degrees(axes, tonic, degrees)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="webp", dpi=dpi, pil_kwargs={"quality": 82})
    return buffer.getvalue(), round(width * dpi), round(height * dpi)


def _mark_degrees(axes: Axes, tonic: float, degrees: Sequence[float]) -> None:
    """Mark the tonic's octaves and the degrees between, 110 Hz to 1.8 kHz, on an axis at the right."""
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    right.spines["right"].set_visible(True)
    octaves = [float(np.log2(tonic / LOWEST_HZ)) + k for k in range(4)]
    right.set_yticks(octaves, ["tonic"] * len(octaves))
    right.set_yticks([o + d / 1200.0 for o in octaves[:-1] for d in degrees if d > 0], minor=True)
    right.tick_params(axis="y", which="minor", length=5, color=INK)
    right.tick_params(axis="y", which="major", length=10, color=INK)
    for place in octaves:
        axes.axhline(place, color="white", linewidth=0.5, linestyle=(0, (1, 5)))


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _hear(task: Task, spec: TrackSpec) -> HeardTrack:
    import soundfile

    samples = np.round(render_track(spec) * 32767.0).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC", subtype="PCM_16")
    tonic = open_stage(spec, 0.0).tonic
    modes = [MODES[task.name][name] for name in spec.content.modes] if task.name in MODES else []
    degrees = sorted({note for mode in modes for note in (*mode.up, *mode.down)})
    picture, width, height = draw_spectrogram(samples / 32767.0, tonic if modes else None, degrees)
    families: dict[str, tuple[str, ...]] = {}
    for label in spec.content.labels:
        family = task.families[label]
        families[family] = (*families.get(family, ()), label)
    facts = _facts(spec, modes, tonic)
    description = (
        f"Spectrogram of {spec.id}, {spec.seconds} seconds, {LOWEST_HZ:g} Hz to {LOWEST_HZ * 2**OCTAVES:,.0f} Hz on a "
        f"logarithmic axis. Played: {facts['played']}, by {facts['by']}."
        + (f" The scale's degrees above the tonic, {tonic:.0f} Hz, are marked at the right." if modes else "")
    )
    addresses = (_address("audio/flac", file.getvalue()), _address("image/webp", picture))
    return HeardTrack(spec, families, facts, *addresses, width, height, description)


def heard_tracks(task: Task, count: int, seed: int, scale: float) -> Iterator[HeardTrack]:
    """Render tracks of a task's test split, as :func:`choose_tracks` picks them."""
    size = {"test": counts(scale)["test"]}
    for spec in choose_tracks(plan(task.name, tradition(task.name), seed, size), count):
        yield _hear(task, spec)


def write_listening_page(tasks: Sequence[Task], out: Path, count: int = 3, seed: int = 0, scale: float = 1.0) -> Path:
    """Write players, spectrograms and labels of some tracks of each task as one HTML file that needs no network.

    The audio is what a run of the same seed and scale reads, to the sample.

    Returns:
        ``out``.

    Raises:
        UsageError: a task has no ``mini`` edition, or a number is out of range.
    """
    if without := [task.name for task in tasks if "mini" not in task.editions]:
        raise UsageError(f"{without[0]} has no mini edition; the built-in tasks do (`cmbench tasks`).")
    if count not in range(1, (most := counts(1.0)["test"]) + 1):
        raise UsageError(f"--tracks must be from 1 to {most}, not {count}.")
    if not (np.isfinite(scale) and scale > 0):
        raise UsageError(f"The scale of the mini edition must be positive, not {scale}.")
    if out.is_dir():
        raise UsageError(f"--out: {out} is a folder, where a file is needed.")
    parts = [(task, list(heard_tracks(task, count, seed, scale))) for task in tasks]
    page = (
        environment()
        .get_template("listen.html")
        .render(parts=parts, warning=MINI_LABEL, seed=seed, range_db=f"{RANGE_DB:g}", left=LEFT, wide=WIDE)
    )
    write_atomically(out, page.encode())
    return out
