"""musicnn: two supervised music taggers whose weights come in a Python package, so that no hub is needed.

Pons and Serra, *musicnn: pre-trained convolutional neural networks for music audio tagging* (ISMIR 2019, late breaking
demo); package musicnn 0.1.0. The network is written anew here from its description and from the tensors' shapes; its
TensorFlow checkpoints are converted once (``cmbench models prepare musicnn``) and nothing of the package is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CmbenchError
from ...files import whole_file
from ...paths import models_root
from ..base import EncoderCard, EncoderEntry, LoadOptions, Preparer, finite, require_audio
from ..wheels import Wheel
from .network import PENULTIMATE, POOLED, convert, run_network

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

CODE_VERSION = "2"
COMMAND = "cmbench models prepare musicnn"
WHEEL = Wheel("musicnn", "0.1.0", "musicnn-0.1.0-py3-none-any.whl", COMMAND, "ISC")
PACKAGE = WHEEL.requirement

# The package's configuration.
SAMPLE_RATE = 16_000
FRAME, HOP, BANDS = 512, 256, 96
PATCH = 187
"""Frames of the patches that the network was trained on (3 s)."""

_INDEX, _DATA = ".index", ".data-00000-of-00001"


@dataclass(frozen=True)
class MusicnnModel:
    """One of the two models."""

    name: str  # how cmbench calls it
    folder: str  # in the package
    trained_on: str  # what it was trained to tag
    files: Mapping[str, tuple[int, str]]  # name in the package's folder -> bytes and SHA-256
    weights_sha256: str  # of the converted tensors


# Sizes and hashes: those of the wheel musicnn-0.1.0-py3-none-any.whl.
TRAINED = (
    MusicnnModel(
        "musicnn-mtt",
        "MTT_musicnn",
        "MagnaTagATune (supervised, 50 tags)",
        {
            _INDEX: (4948, "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57"),
            _DATA: (9465596, "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab"),
        },
        "cd5cb7b2d70507db80e7e651298910bbf2241f63c931546ed855b670240809e6",
    ),
    MusicnnModel(
        "musicnn-msd",
        "MSD_musicnn",
        "Million Song Dataset (supervised, 50 tags of Last.fm)",
        {
            _INDEX: (4948, "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8"),
            _DATA: (9465596, "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6"),
        },
        "80fb599fc521a3b81a68c098725be58aa238dd5ca8190dea046f092e753a631f",
    ),
)


@dataclass(frozen=True)
class MusicnnEncoder:
    """A frozen musicnn; satisfies :class:`cmbench.baselines.base.Encoder`."""

    card: EncoderCard  # who it is
    weights: Mapping[str, Tensor]  # as :func:`convert` returns them, on the device

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return penultimate layer, mean pool and max pool, averaged over the patches of 3 s.

        The penultimate layer has 200 numbers, the pools 753; the first is filled up with zeros. What is left after the
        last whole patch is not heard, as in the package.
        """
        import numpy as np

        require_audio(audio, self.card)
        features = np.zeros((len(audio), 3, POOLED), np.float32)
        for row, window in zip(features, audio, strict=True):
            found = run_network(self.weights, patches(log_mel(window)))
            row[0, :PENULTIMATE] = found["penultimate"].mean(0)
            row[1] = found["mean pool"].mean(0)
            row[2] = found["max pool"].mean(0)
        return finite(features, self.card)


def mel_spectrogram(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mel power spectrogram ``[1 + samples // 256, 96]`` of ``[samples]`` at 16 kHz.

    Equal to ``librosa.feature.melspectrogram(sr=16000, n_fft=512, hop_length=256, n_mels=96)`` of librosa 0.10 and
    later (zeros beyond the ends; earlier ones mirrored the signal there, which changes the first and last frame).
    """
    import numpy as np
    import scipy.fft

    from ..spectral.encoder import mel_filters

    padded = np.pad(window, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    spectrum = scipy.fft.rfft(frames * hann, axis=1).astype(np.complex64)
    # As librosa does: half as many numbers then fall on the other side of the edge between two float16.
    power = np.abs(spectrum) ** 2
    bands: NDArray[np.float32] = (mel_filters(SAMPLE_RATE, FRAME, BANDS) @ np.ascontiguousarray(power.T)).T
    return bands


def log_mel(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``log10(10000 S + 1)`` of the mel spectrogram, ``[frames, 96]`` float32, as the package computes it.

    The package does so in float16, and every number that it can tell is the same here. Above a power of 6.55 its
    float16 overflows, and from there on it tells nothing but NaN of the whole patch: on music of usual loudness that
    is the rule. There this takes the same formula in float32.
    """
    import numpy as np

    power = mel_spectrogram(window)
    with np.errstate(over="ignore"):
        half = np.log10(np.float16(10_000) * power.astype(np.float16) + np.float16(1))
    full = np.log10(10_000 * power + 1)
    return np.where(np.isfinite(half), half, full).astype(np.float32)


def patches(spectrogram: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut ``[frames, 96]`` into whole patches side by side, ``[patches, 187, 96]``."""
    count = len(spectrogram) // PATCH
    return spectrogram[: count * PATCH].reshape(count, PATCH, BANDS)


def prepare(source: Path | None) -> Path:
    """Convert both models into ``<models folder>/musicnn``.

    Without ``source``, the wheel is fetched with pip.

    Raises:
        CmbenchError: it cannot be fetched, a file is missing, or a hash is not that of the published package.
    """
    from safetensors.torch import save_file

    from ..hub.about import weights_sha256
    from .checkpoint import read_checkpoint_tensors

    if source is None:
        return WHEEL.fetched(prepare)
    target = models_root() / "musicnn"
    for model in TRAINED:
        files = model.files.items()
        index, data = (WHEEL.content(source, f"musicnn/{model.folder}/{name}", *facts) for name, facts in files)
        weights = convert(read_checkpoint_tensors(index, data))
        if weights_sha256(weights) != model.weights_sha256:
            raise CmbenchError(f"{model.name}: the converted weights are not the known ones; please report this.")
        with whole_file(_file(model)) as half:
            save_file(weights, half, metadata={"source": PACKAGE, "licence": "ISC"})
    return target


def _file(model: MusicnnModel) -> Path:
    return models_root() / "musicnn" / f"{model.name}.safetensors"


def _load(model: MusicnnModel, options: LoadOptions) -> MusicnnEncoder:
    from ..device import choose_device

    weights = WHEEL.weights(_file(model), model.name, model.weights_sha256)
    place = choose_device(options.device)
    card = EncoderCard(
        name=model.name,
        family="musicnn",
        sample_rate=SAMPLE_RATE,
        layers=3,
        dim=POOLED,
        layer_names=("penultimate", "mean pool", "max pool"),
        min_seconds=(PATCH - 1) * HOP / SAMPLE_RATE,
        parameters=sum(t.numel() for name, t in weights.items() if not name.endswith((".mean", ".variance"))),
        licence="ISC",
        trained_on=(model.trained_on,),
        weights_sha256=model.weights_sha256,
        code_version=CODE_VERSION,
        preprocessing="log10(10000 S + 1) of 96 Slaney mel bands (512/256 samples); windows are cut into whole patches "
        "of 187 frames (3 s) and averaged; the 200 numbers of the penultimate layer are filled up with zeros to 753",
        source=f"{PACKAGE} (Python package)",
        description=_summary(model),
    )
    return MusicnnEncoder(card, {name: tensor.to(place) for name, tensor in weights.items()})


def _summary(model: MusicnnModel) -> str:
    known = " Knows the labels of the magnatagatune task: not a transfer result there." if "mtt" in model.name else ""
    return f"musicnn, a convolutional tagger supervised on {model.trained_on.partition(' (')[0]}.{known}"


def _entry(model: MusicnnModel) -> EncoderEntry:
    load: Callable[[LoadOptions], MusicnnEncoder] = partial(_load, model)
    return EncoderEntry(model.name, _summary(model), "ISC", COMMAND, load, (("trained on", model.trained_on),))


ENCODERS: dict[str, EncoderEntry] = {model.name: _entry(model) for model in TRAINED}
PREPARERS: dict[str, Preparer] = {
    "musicnn": Preparer(
        "musicnn",
        f"Converts both models of the Python package {PACKAGE} (29 MB, fetched with pip, not installed).",
        "ISC",
        prepare,
    )
}
