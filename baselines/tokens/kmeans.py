"""Tokens where no codec is at hand: residual k-means on log-mel spectra, fitted on the tracks at hand.

It has the shape of the tokens that MERT predicts: eight codebooks, 75 frames per second. What it says of two traditions
is not what EnCodec would say, and what a model learns from it is not what EnCodec would teach; results carry its name
and the word stand-in.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..spectral.encoder import mel_levels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

LEVELS = 8
"""Codebooks, as many as MERT's EnCodec tokens have."""

CODEBOOK_SIZE = 256
"""Tokens of each; EnCodec's 1,024 would need more frames than a small sample has to fill them."""

ROUNDS = 25
"""Passes of k-means at most; it stops before where no frame changes its token."""

FIT = 2
"""Version of the fit: other codebooks of the same name would be taken for the same."""

RATE = 24_000
HOP = 320
"""Samples between frames: 75 in a second, as EnCodec's and MERT's."""

BANDS = 64

FRAMES_PER_TOKEN = 10
"""Frames that a fit needs at least, for each token of a codebook."""


def log_mel(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mel levels of 24 kHz mono in bels ``[frames, 64]``, 75 frames per second, less the mean over the whole.

    With the mean, how loud a record was cut would tell corpora apart before any music does.
    """
    import numpy as np

    levels = mel_levels(audio, HOP, BANDS).T
    return np.asarray(levels - levels.mean(), np.float32)


def log_frequency(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log power of 24 kHz mono ``[frames, 216]``, 36 bands to an octave from 82.4 Hz, as :func:`log_mel` is."""
    import numpy as np
    import torch

    from ..mert.melody import MelodyShape, log_spectrum

    levels = log_spectrum(MelodyShape(hop=HOP), torch.from_numpy(np.asarray(audio, np.float32))[None])[0]
    return np.asarray(levels - levels.mean(), np.float32)


FEATURES: Mapping[str, tuple[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]]] = {
    "log_mel": ("log-mel spectra", log_mel),
    "log_frequency": ("log-frequency spectra", log_frequency),
}
"""What codebooks can be fitted on: name -> words, and what makes them of audio."""


@dataclass(frozen=True, eq=False)
class ResidualKMeans:
    """Codebooks, each fitted on what the ones before leave over; satisfies :class:`.base.Tokeniser`."""

    codebooks: NDArray[np.float32]  # ``[levels, size, bands]``
    mean: NDArray[np.float32]  # taken off every frame ``[bands]``
    deviation: NDArray[np.float32]  # every frame is divided by ``[bands]``
    # mean squared residual of the frames it was fitted on, before the first level and after each
    errors: tuple[float, ...]
    seed: int  # of the fit
    fit: int = FIT  # version of the fit; 1 was cmbench's own, 2 is scikit-learn's
    features: str = "log_mel"  # that it was fitted on, one of :data:`FEATURES`

    @property
    def name(self) -> str:
        """Who it is, in words."""
        how = f"{self.levels} x {self.codebook_size}, seed {self.seed}" + (f", fit {self.fit}" if self.fit > 1 else "")
        return f"residual k-means on {FEATURES[self.features][0]} ({how}; stand-in)"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what its tokens follow from."""
        import numpy as np

        digest = hashlib.sha256()
        for array in (self.codebooks, self.mean, self.deviation):
            digest.update(f"{list(array.shape)}\n".encode())
            digest.update(np.ascontiguousarray(array, "<f4").data)
        return digest.hexdigest()

    @property
    def sample_rate(self) -> int:
        """Of the audio that it takes, Hz."""
        return RATE

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return HOP

    @property
    def levels(self) -> int:
        """Codebooks."""
        return len(self.codebooks)

    @property
    def codebook_size(self) -> int:
        """Tokens of each codebook."""
        return int(self.codebooks.shape[1])

    def tokens(self, audio: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the tokens ``[levels, frames]`` of mono audio at 24 kHz ``[samples]``."""
        return self.quantise(FEATURES[self.features][1](audio))[0]

    def quantise(self, frames: Floats) -> tuple[NDArray[np.int64], tuple[float, ...]]:
        """Return tokens ``[levels, frames]`` and the mean squared residual before and after each level."""
        import numpy as np

        residual = ((frames - self.mean) / self.deviation).astype(np.float32)
        tokens, errors = [], [float(np.square(residual).mean())]
        for codebook in self.codebooks:
            nearest = _nearest(residual, codebook)
            residual = residual - codebook[nearest]
            tokens.append(nearest)
            errors.append(float(np.square(residual).mean()))
        return np.stack(tokens), tuple(errors)


def fit_residual_kmeans(
    frames: Floats, size: int = CODEBOOK_SIZE, seed: int = 0, levels: int = LEVELS, features: str = "log_mel"
) -> ResidualKMeans:
    """Fit codebooks one after the other.

    ``frames`` are spectra ``[frames, bands]``, as many of each tradition, made by ``features`` (:data:`FEATURES`).

    Raises:
        UsageError: there are fewer than ten frames for each token, or the frames do not differ.
    """
    import numpy as np

    if size < 2 or len(frames) < FRAMES_PER_TOKEN * size:
        raise UsageError(
            f"{len(frames)} frames are too few for codebooks of {size} tokens ({FRAMES_PER_TOKEN} for each at "
            f"least, two tokens or more); "
            "choose a smaller codebook size, or more tracks or seconds of them."
        )
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    if not deviation.any():
        raise UsageError("All frames are the same: there is nothing to tell tokens apart by.")
    deviation = np.where(deviation > 0, deviation, 1.0)
    residual = ((frames - mean) / deviation).astype(np.float32)
    codebooks, errors = [], [float(np.square(residual).mean())]
    draw = np.random.default_rng(seed)
    for _ in range(levels):
        codebook = _kmeans(residual, size, int(draw.integers(2**32)))
        residual = residual - codebook[_nearest(residual, codebook)]
        codebooks.append(codebook)
        errors.append(float(np.square(residual).mean()))
    return ResidualKMeans(
        np.stack(codebooks),
        mean.astype(np.float32),
        deviation.astype(np.float32),
        tuple(errors),
        seed,
        features=features,
    )


def _nearest(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the nearest centre ``[size, dim]`` of each point ``[points, dim]``; the first of equals."""
    import numpy as np

    half = np.square(centres).sum(axis=1) / 2
    step = max(1, (1 << 24) // len(centres))
    parts = [np.argmax(points[i : i + step] @ centres.T - half, axis=1) for i in range(0, len(points), step)]
    return np.concatenate(parts)


def _kmeans(points: NDArray[np.float32], size: int, seed: int) -> NDArray[np.float32]:
    """Lloyd's algorithm from k-means++; the same for any number of threads."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # Threads add up their sums in the order in which they end. Fewer kinds of frames than tokens are no fault.
    with threadpool_limits(limits=1, user_api="openmp"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(size, n_init=1, max_iter=ROUNDS, tol=0.0, random_state=seed).fit(points)
    centres: NDArray[np.float32] = fitted.cluster_centers_
    return centres
