"""Tokens of a sample of tracks, counted: those of EnCodec, or of a stand-in that is fitted here.

EnCodec's are the tokens that MERT learns to predict (24 kHz, 6 kbit/s: eight codebooks of 1,024 tokens, 75 frames per
second; https://github.com/yizhilll/MERT, scripts/prepare_codecs_from_manifest.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....baselines.tokens.base import Tokeniser
from ....baselines.tokens.kmeans import RATE, ResidualKMeans, fit_residual_kmeans, log_mel
from ....errors import CmbenchError, UnusableAudio
from ....opening import opened
from ...features.windows import read_windows
from ...protocol import Windowing
from .samples import Measured, Sample

if TYPE_CHECKING:
    from ....tasks.base import Progress, Track

FIT_FRAMES = 24_000
"""Frames that the stand-in is fitted on, over all tasks: 94 for each token of a codebook."""


def middle(track: Track, max_seconds: float | None, seconds: float) -> Track:
    """Return the middle of a track as a track: recordings begin and end with silence, tuning and applause.

    It is ``seconds`` long, or the whole of a shorter track; ``max_seconds`` is the task's cap on each track, within
    which the middle lies.

    Raises:
        UnusableAudio: the file cannot be opened.
    """
    end = track.end
    if end is None:
        with opened(track.path) as sound:
            end = sound.frames / sound.samplerate
    if max_seconds is not None:
        end = min(end, track.start + max_seconds)
    start = max(track.start, (track.start + end - seconds) / 2)
    return replace(track, start=start, end=min(end, start + seconds))


def decoded(
    sample: Sample, rate: int, seconds: float, progress: Progress, what: str
) -> Iterator[tuple[Track, NDArray[np.float32]]]:
    """Yield the tracks of a sample that can be decoded, with the mono audio of their middle ``[samples]``.

    Args:
        sample: tracks of one task.
        rate: of the audio, Hz.
        seconds: length of the middle.
        progress: called after each track.
        what: is done with them, for the progress.

    Raises:
        CmbenchError: less than half of the tracks could be decoded; raised after the last of them.
    """
    whole = Windowing(seconds=1e6, hop_seconds=1e6)
    failed: list[UnusableAudio] = []
    for done, track in enumerate(sample.tracks, 1):
        try:
            part = middle(track, sample.data.task.max_track_seconds, seconds)
            (audio,) = read_windows(part.path, part.start, part.end, None, rate, whole, 0.1).windows
        except UnusableAudio as error:
            failed.append(error)
        else:
            yield track, audio
        progress(f"{what} {sample.data.task.name}", done, len(sample.tracks))
    if 2 * len(failed) > len(sample.tracks):
        listed = "".join(f"\n  {error.path.name}: {error.reason}" for error in failed[:10])
        raise CmbenchError(
            f"{sample.data.task.name}: {len(failed)} of the {len(sample.tracks)} tracks of the sample cannot be used; "
            f"mend or replace these files:{listed}"
        )


def count_sample(tokeniser: Tokeniser, sample: Sample, seconds: float, progress: Progress) -> Measured:
    """Count the tokens in the middle of each track of a sample: ``seconds`` of it, or the whole of a shorter one.

    Raises:
        CmbenchError: less than half of the tracks could be decoded.
    """
    tracks, counts = [], []
    for track, audio in decoded(sample, tokeniser.sample_rate, seconds, progress, "Tokens of"):
        tracks.append(track)
        books = tokeniser.tokens(audio)
        counts.append(np.stack([np.bincount(book, minlength=tokeniser.codebook_size) for book in books]))
    return Measured(sample, tuple(tracks), np.stack(counts))


def fit_stand_in(samples: Sequence[Sample], seconds: float, size: int, seed: int, progress: Progress) -> ResidualKMeans:
    """Fit the stand-in, codebooks of ``size`` tokens, on as many frames of each task, drawn evenly from its tracks.

    Raises:
        UsageError: there are too few frames for codebooks of that size.
        CmbenchError: less than half of a task's tracks could be decoded.
    """
    draw = np.random.default_rng(seed)
    found = []
    for sample in samples:
        wanted = -(-FIT_FRAMES // (len(samples) * len(sample.tracks)))
        for _, audio in decoded(sample, RATE, seconds, progress, "Spectra of"):
            frames = log_mel(audio)
            found.append(frames[draw.permutation(len(frames))[:wanted]])
    return fit_residual_kmeans(np.concatenate(found), size, seed)
