"""What is done to a window of audio before an encoder hears it, and the encoder that hears it so.

Pitch is shifted by a phase vocoder, then soxr, speed by soxr alone, as a tape or a turntable does: 1 % is 17 cents.
Whatever is done, a window becomes no longer, and is the same whatever else is in its batch.
"""

from __future__ import annotations

import importlib.util
import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....baselines.base import Encoder, EncoderCard
from ....errors import UsageError
from ....files import sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Window = NDArray[np.float32]
    Each = Callable[..., Iterable[Sequence[Window]]]
    """Does something to every window of a batch, in their order, as ``map`` does."""

VERSION = 1
"""Raised when the arithmetic here changes; features that were made before are then made again."""

MP3_RATE = 24_000
"""Hz, of what is encoded as mp3 whatever the encoder's rate, so that all hear the same codec."""

_MP3_LEVEL = 0.842
"""libsndfile's compression of MPEG-2 layer III (8 to 160 kbit/s) that LAME takes for 32 kbit/s."""

_MP3_DELAY = 1105
"""Samples by which LAME and a decoder are late: 576 and 529 (LAME's technical FAQ)."""

DISC_HZ = (100.0, 5000.0)
"""About what a 78 rpm disc of the first electrical recordings holds (our choice; acoustic ones hold less)."""

_HOP = 512
"""Samples from frame to frame of the phase vocoder, a quarter of each; librosa's own."""

NOISE_DB = 20.0
"""Of the window above white noise."""

LONGER = 1.02
"""Than its encoder's shortest window an altered one must be before it is altered: some become 1 % shorter."""


@dataclass(frozen=True)
class Alteration:
    """One thing that is done to audio.

    Attributes:
        name: in words; with its version it is part of the key of the features.
        kind: what it is judged as: both directions of a shift are one kind.
        cents: by which all pitches are moved; 0 where they are not, or come back.
        alter: of a window ``[samples]`` and its rate, Hz; returns ``[samples]``, as long or shorter.
    """

    name: str
    kind: str
    cents: float
    alter: Callable[[Window, int], Window]


def require_librosa() -> None:
    """Raise a usage error where librosa is not installed."""
    if importlib.util.find_spec("librosa") is None:
        raise UsageError('Pitch is shifted by librosa: pip install "cmbench[librosa]".')


def shifted(audio: Window, rate: int, cents: float) -> Window:
    """Move all pitches, at the same speed and level; a phase vocoder alone takes a decibel or two.

    The samples are those of ``librosa.effects.pitch_shift``, which analyses a window again for every shift of it.
    """
    from librosa import istft
    from librosa.util import fix_length, phasor

    sizes, angle, turned = _analysed(audio.tobytes())
    speed = 2.0 ** (-cents / 100 / 12)
    steps = np.arange(0, len(turned) - 1, speed)
    first, share = steps.astype(int), (steps % 1.0)[:, None]
    angles = np.empty((len(steps), len(angle)), np.float32)
    angles[0] = angle
    for t in range(1, len(steps)):
        np.add(angles[t - 1], turned[first[t - 1]], out=angles[t], casting="same_kind")
    longer = phasor(angles, mag=(1.0 - share) * sizes[first] + share * sizes[first + 1])
    played_back = istft(longer.T, dtype=np.float32, length=round(len(audio) / speed))
    moved: Window = fix_length(resampled(played_back, rate / speed, rate), size=len(audio))
    return moved * np.float32(audio.std() / max(float(moved.std()), 1e-12))


@lru_cache(maxsize=1)
def _analysed(audio: bytes) -> tuple[Window, Window, NDArray[np.float64]]:
    """Return the magnitudes of a window ``[frames + 2, bins]``, the first phases, and how far each turns in a frame."""
    from librosa import fft_frequencies, stft

    frames = np.pad(stft(np.frombuffer(audio, np.float32)), ((0, 0), (0, 2))).T
    angles, expected = np.angle(frames), _HOP * fft_frequencies(sr=2 * np.pi, n_fft=4 * _HOP)
    beyond = np.diff(angles, axis=0) - expected
    return np.abs(frames), angles[0], expected + (beyond - 2 * np.pi * np.round(beyond / (2 * np.pi)))


def there_and_back(audio: Window, rate: int, cents: float) -> Window:
    """Move all pitches and move them back: what a phase vocoder does to audio by itself."""
    return shifted(shifted(audio, rate, cents), rate, -cents)


def played(audio: Window, rate: int, speed: float) -> Window:
    """Play at another speed, pitch and all; what becomes longer loses its end."""
    return resampled(audio, rate * speed, rate)[: len(audio)]


def resampled(audio: Window, rate: float, wanted: float) -> Window:
    """Bring audio to another rate, Hz."""
    import soxr

    found: Window = soxr.resample(audio, rate, wanted, "HQ")
    return found


def coded(audio: Window, rate: int) -> Window:
    """Encode as mp3 of 32 kbit/s and decode, in step with what it was."""
    import soundfile

    mono = audio if rate == MP3_RATE else resampled(audio, rate, MP3_RATE)
    held = io.BytesIO()
    late = np.concatenate([mono, np.zeros(2 * _MP3_DELAY, np.float32)])
    soundfile.write(held, late, MP3_RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=_MP3_LEVEL)
    held.seek(0)
    decoded = soundfile.read(held, dtype="float32")[0][_MP3_DELAY : _MP3_DELAY + len(mono)]
    return _as_long(decoded if rate == MP3_RATE else resampled(decoded, MP3_RATE, rate), audio)


def on_disc(audio: Window, rate: int) -> Window:
    """Leave the band of an old disc; Butterworth of order 4, forth and back, so that nothing is late."""
    from scipy.signal import butter, sosfiltfilt

    low, high = DISC_HZ
    # An encoder of a low rate hears no more than half of it anyway.
    if 2 * high < rate:
        sections = butter(4, (low, high), "bandpass", fs=rate, output="sos")
    else:
        sections = butter(4, low, "highpass", fs=rate, output="sos")
    return np.ascontiguousarray(sosfiltfilt(sections, audio), dtype=np.float32)


def noisy(audio: Window, rate: int) -> Window:
    """Add white noise; the same audio always gets the same."""
    noise = np.random.default_rng(zlib.crc32(audio.tobytes())).standard_normal(len(audio))
    return (audio + noise * float(audio.std()) * 10 ** (-NOISE_DB / 20)).astype(np.float32)


def _as_long(found: Window, wanted: Window) -> Window:
    """Return audio of the same length; a rate that came back may be a sample short."""
    return np.pad(found, (0, max(0, len(wanted) - len(found))))[: len(wanted)]


def _pitches(cents: float) -> tuple[Alteration, ...]:
    kind = f"pitch ±{cents:g} cents"
    moved = ((sign * cents, f"pitch {sign * cents:+g} cents") for sign in (1, -1))
    return tuple(Alteration(name, kind, by, partial(shifted, cents=by)) for by, name in moved)


THERE_AND_BACK = "pitch there and back"
"""Name of the control: what shifting does without a shift."""

_ALL = (
    Alteration(THERE_AND_BACK, THERE_AND_BACK, 0.0, partial(there_and_back, cents=50.0)),
    *(one for cents in (10.0, 20.0, 50.0, 100.0) for one in _pitches(cents)),
    Alteration("1 % faster", "speed ±1 %", 17.2, partial(played, speed=1.01)),
    Alteration("1 % slower", "speed ±1 %", -17.4, partial(played, speed=0.99)),
    Alteration("mp3 32 kbit/s", "mp3 32 kbit/s", 0.0, coded),
    Alteration("78 rpm band", "78 rpm band", 0.0, on_disc),
    Alteration("noise 20 dB", "noise 20 dB", 0.0, noisy),
)

ALTERATIONS: Mapping[str, Alteration] = {one.name: one for one in _ALL}

KINDS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(one.name for one in _ALL if one.kind == kind) for kind in dict.fromkeys(one.kind for one in _ALL)
}
"""The alterations that are judged as one: their scores are averaged."""


@dataclass(frozen=True)
class Altering:
    """Alters windows, each once in every form for all encoders of a rate, and keeps them on disk while it is asked.

    Attributes:
        folder: where.
        alterations: the forms.
        each: does it to several windows at once, as ``map`` does: a phase vocoder takes longer than a small encoder.
    """

    folder: Path
    alterations: Sequence[Alteration]
    each: Each = map

    def altered(self, audio: NDArray[np.float32], rate: int, alteration: Alteration) -> NDArray[np.float32]:
        """Return windows ``[batch, samples]`` of a rate, Hz, in one form."""
        files = [self.folder / f"{sha256_of(rate.to_bytes(4) + one.tobytes())}.npz" for one in audio]
        lacking = {file: one for file, one in zip(files, audio, strict=True) if not file.exists()}
        made = self.each(_in_every_form, lacking.values(), repeat(rate), repeat(self.alterations))
        for file, forms in zip(lacking, made, strict=True):
            np.savez(file, *forms)
        part = f"arr_{self.alterations.index(alteration)}"
        return np.stack([_read(file, part) for file in files])


def _read(file: Path, part: str) -> Window:
    with np.load(file) as there:
        found: Window = there[part]
    return found


def _in_every_form(audio: Window, rate: int, alterations: Sequence[Alteration]) -> list[Window]:
    return [one.alter(audio, rate) for one in alterations]


@dataclass(frozen=True)
class Altered:
    """An encoder that hears everything altered; its features are its own, by the fingerprint of its card.

    Attributes:
        inner: hears what was made.
        alteration: what is done.
        altering: does it.
    """

    inner: Encoder
    alteration: Alteration
    altering: Altering

    @property
    def card(self) -> EncoderCard:
        """Who it is."""
        return altered_card(self.inner.card, self.alteration)

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode windows ``[batch, samples]``, each altered; see :meth:`....baselines.base.Encoder.encode`."""
        return self.inner.encode(self.altering.altered(audio, self.inner.card.sample_rate, self.alteration))


def altered_card(card: EncoderCard, alteration: Alteration) -> EncoderCard:
    """Return the card of an encoder that hears everything altered: another fingerprint, so another store."""
    return replace(
        card,
        name=f"{card.name} ({alteration.name})",
        preprocessing=f"{card.preprocessing}; before it: {alteration.name}, version {VERSION}",
        min_seconds=LONGER * card.min_seconds,
    )
