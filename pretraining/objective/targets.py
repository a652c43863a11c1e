"""Targets of the token heads: EnCodec's tokens, or those of residual k-means where EnCodec is absent.

MERT's labels are the tokens of ``encodec_model_24khz`` at 6 kbit/s, eight codebooks at 75 frames per second, of whole
tracks in one go; a crop's labels are a slice of its track's (https://github.com/yizhilll/MERT,
scripts/prepare_codecs_from_manifest.py and mert_fairseq/data/mert_dataset.py ``collater_frm_label``).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...baselines.base import LoadOptions
from ...baselines.tokens.base import Tokeniser
from ...baselines.tokens.encodec import load_encodec
from ...baselines.tokens.kmeans import FEATURES, ResidualKMeans, fit_residual_kmeans
from ...decoding import tell_unusable
from ...errors import UnusableAudio, UsageError
from ...files import whole_file
from ..recipes.recipe import HOP, LOG_MEL, RATE
from .cached import cached_array

LEVELS = 8

TEACHER = "teacher.npz"
"""The file of a fitted teacher in a model folder."""

_FORMAT = 2
"""Of the files of tokens. It is part of their key."""

Teacher = Tokeniser
"""A tokeniser of eight codebooks at 24 kHz and 75 frames per second; :func:`open_teacher` checks that."""


def open_teacher(name: str, options: LoadOptions) -> Teacher:
    """Load EnCodec as a teacher.

    Args:
        name: a folder, ``hf:owner/name@revision``, or ``encodec-24khz``.
        options: device and network policy.

    Raises:
        UsageError: it is no EnCodec model, or its tokens are not eight at 75 Hz.
        MissingError: it is not on this machine and cannot be fetched.
    """
    return require_teacher(load_encodec(name, options))


def require_teacher(tokeniser: Tokeniser) -> Teacher:
    """Check that a tokeniser's frames and codebooks are those of MERT's labels, and return it.

    Raises:
        UsageError: they are not.
    """
    has = (tokeniser.sample_rate, tokeniser.hop, tokeniser.levels)
    if has != (RATE, HOP, LEVELS):
        raise UsageError(
            f"{tokeniser.name} gives {has[2]} tokens every {has[1]} samples at {has[0]} Hz; pre-training needs "
            f"{LEVELS} every {HOP} samples at {RATE} Hz."
        )
    return tokeniser


def fit_teacher(
    tracks: Sequence[Callable[[], NDArray[np.float32]]],
    size: int,
    seed: int,
    frames: int | None = None,
    features: str = LOG_MEL,
) -> ResidualKMeans:
    """Fit residual k-means with eight levels on spectra, as many frames of every track.

    Args:
        tracks: each gives the mono audio of a track at 24 kHz ``[samples]`` when called; one is in memory at a time.
        size: tokens of each codebook.
        seed: of the frames and of the fit.
        frames: drawn over all tracks; 100 for each token of a codebook if not given (our choice).
        features: which spectra, one of :data:`...baselines.tokens.kmeans.FEATURES`.

    Raises:
        UsageError: there are no tracks that can be decoded, or too few frames for codebooks of that size.
    """
    if not tracks:
        raise UsageError("There are no tracks to fit a teacher on.")
    draw = np.random.default_rng(seed)
    wanted = -(-(frames or 100 * size) // len(tracks))
    found = []
    for read in tracks:
        try:
            spectra = FEATURES[features][1](read())
        except UnusableAudio as error:
            tell_unusable(error.path, error.reason)
            continue
        found.append(spectra[np.sort(draw.permutation(len(spectra))[:wanted])])
    if not found:
        raise UsageError(f"None of the {len(tracks)} tracks to fit a teacher on can be decoded.")
    return fit_residual_kmeans(np.concatenate(found), size, seed, LEVELS, features)


def save_teacher(folder: Path, teacher: ResidualKMeans) -> None:
    """Write a fitted teacher beside a model, so that others can train on with it.

    Args:
        folder: of the model; made if need be.
        teacher: fitted.
    """
    facts = {"errors": teacher.errors, "seed": teacher.seed, "fit": teacher.fit}
    if teacher.features != LOG_MEL:  # the only one of earlier versions
        facts["features"] = teacher.features
    with whole_file(folder / TEACHER) as half, half.open("wb") as out:
        np.savez(
            out, codebooks=teacher.codebooks, mean=teacher.mean, deviation=teacher.deviation, facts=json.dumps(facts)
        )


def read_teacher(folder: Path) -> ResidualKMeans:
    """Read the teacher that :func:`save_teacher` wrote.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    file = folder / TEACHER
    try:
        # Opened here: numpy leaves the file open where it is no archive.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            read = ResidualKMeans(
                codebooks=np.asarray(stored["codebooks"], np.float32),
                mean=np.asarray(stored["mean"], np.float32),
                deviation=np.asarray(stored["deviation"], np.float32),
                errors=tuple(map(float, facts["errors"])),
                seed=int(facts["seed"]),
                fit=int(facts.get("fit", 1)),
                features=str(facts.get("features", LOG_MEL)),
            )
    except FileNotFoundError as error:
        raise UsageError(f"{folder}: there is no {TEACHER}: the model had no fitted teacher.") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{file}: this is not a teacher that cmbench wrote ({error}).") from error
    arrays = (read.codebooks, read.mean, read.deviation)
    fits = read.codebooks.ndim == 3 and read.mean.shape == read.deviation.shape == read.codebooks.shape[2:]
    fits = fits and read.features in FEATURES
    if not fits or not all(np.isfinite(array).all() for array in arrays) or not read.deviation.all():
        raise UsageError(f"{file}: this is not a teacher that cmbench wrote (shapes or values are wrong).")
    return read


def cached_tokens(
    root: Path, teacher: Teacher, track: str, read: Callable[[], NDArray[np.float32]]
) -> NDArray[np.int16]:
    """Return the tokens of a whole track, from the cache if they are there.

    Args:
        root: of the cache; a folder for each teacher is made in it.
        teacher: what makes the tokens.
        track: names the audio for good, for example the hash of its file with the part that is used.
        read: gives the audio at 24 kHz ``[samples]``; called where the tokens are not there yet.

    Returns:
        ``[levels, frames]``, read-only and on disk: slices of it are read when they are used.

    Raises:
        UsageError: a teacher has more tokens than fit, or its tokens are not what it says.
    """
    if teacher.codebook_size > np.iinfo(np.int16).max:
        raise UsageError(f"{teacher.name}: {teacher.codebook_size} tokens to a codebook are more than the cache holds.")
    key = hashlib.sha256(f"{_FORMAT} {teacher.fingerprint} {track}".encode()).hexdigest()
    file = root / "tokens" / hashlib.sha256(teacher.fingerprint.encode()).hexdigest()[:16] / key[:2] / f"{key}.npy"

    def make() -> NDArray[np.int16]:
        tokens = teacher.tokens(read())
        if tokens.shape[0] != teacher.levels or tokens.min() < 0 or tokens.max() >= teacher.codebook_size:
            raise UsageError(f"{teacher.name} gives tokens {list(tokens.shape)} outside its codebooks.")
        return tokens.astype(np.int16)

    return cached_array(file, "tokens", make)


def slice_tokens(tokens: NDArray[np.integer], start: int, frames: int) -> NDArray[np.int64]:
    """Return the tokens of a crop from those of its track.

    The first frame is that nearest to the crop's start, as in MERT, so tokens and crop are up to half a frame apart.

    Args:
        tokens: of the whole track ``[levels, frames]``.
        start: of the crop, samples at 24 kHz.
        frames: that the encoder gives for the crop.

    Returns:
        ``[levels, frames]``.

    Raises:
        UsageError: the track has too few frames.
    """
    first = round(start / HOP)
    if start < 0 or first + frames > tokens.shape[1]:
        raise UsageError(f"Tokens {first} to {first + frames} are asked for; the track has {tokens.shape[1]}.")
    return tokens[:, first : first + frames].astype(np.int64)
