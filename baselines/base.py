"""What an encoder is: audio in, the mean over time of every hidden state out.

A built-in family is one file in this folder that defines any of ``ENCODERS`` (name -> :class:`EncoderEntry`),
``FOLDER_READERS`` (``model_type`` of a ``config.json``, or a key of one that states none -> :data:`FolderReader`),
``FILE_READERS`` (name or ending -> :data:`FileReader`) and ``PREPARERS`` (name -> :class:`Preparer`). Another
distribution offers encoders through the entry point group ``cmbench.baselines``. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import CmbenchError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EncoderCard:
    """Who an encoder is. Everything that changes a feature is in :attr:`fingerprint`.

    Attributes:
        name: how results name it.
        family: the file it comes from.
        sample_rate: of the audio that it takes, Hz.
        layers: hidden states that ``encode`` returns.
        dim: length of each.
        layer_names: one short name per hidden state.
        min_seconds: shortest window that gives at least one frame, seconds.
        parameters: number of weights.
        licence: of the weights.
        trained_on: corpora of the pre-training; empty if untrained.
        weights_sha256: hash of the weights; of the definition, for encoders without weights.
        code_version: raised whenever the encoder's own arithmetic changes.
        preprocessing: what is done to the waveform before the network, in words.
        dtype: of the arithmetic.
        source: repository and revision of the weights, or ``built in``.
        constant: declares that the features are meant to be the same for every input.
        description: one sentence.
        max_seconds: longest window that it takes, seconds; ``None`` where there is no limit but memory. What a protocol
            makes of it is :meth:`cmbench.benchmark.protocol.Windowing.of`.
    """

    name: str
    family: str
    sample_rate: int
    layers: int
    dim: int
    layer_names: tuple[str, ...]
    min_seconds: float
    parameters: int
    licence: str
    trained_on: tuple[str, ...]
    weights_sha256: str
    code_version: str
    preprocessing: str
    dtype: str = "float32"
    source: str = "built in"
    constant: bool = False
    description: str = ""
    max_seconds: float | None = None

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change whenever a feature may change."""
        facts = asdict(self)
        keep = ("family", "sample_rate", "layers", "dim", "weights_sha256", "code_version", "preprocessing", "dtype")
        text = json.dumps({k: facts[k] for k in keep} | {"pooling": "mean"}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@runtime_checkable
class Encoder(Protocol):
    """A frozen audio encoder. No inheritance is asked for, only these two names."""

    @property
    def card(self) -> EncoderCard:
        """Who it is."""
        ...

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over time of every hidden state.

        Args:
            audio: ``[batch, samples]`` float32, mono, at ``card.sample_rate``, all of the same length.

        Returns:
            ``[batch, layers, dim]`` float32. A row must not depend on the rest of the batch.
        """
        ...


def require_audio(audio: object, card: EncoderCard | None = None) -> None:
    """Raise a usage error for what is not a batch of audio: a numpy array, float32 ``[batch, samples]``.

    With ``card``, also for windows shorter than the encoder takes.
    """
    import numpy as np

    if not isinstance(audio, np.ndarray):
        kind = f"{type(audio).__module__}.{type(audio).__qualname__}"
        tensor = " `.cpu().numpy()` makes one of a tensor." if kind == "torch.Tensor" else ""
        raise UsageError(f"Audio must be a numpy array, float32 [batch, samples], not {kind}.{tensor}")
    if audio.ndim != 2 or audio.dtype != np.float32 or not len(audio):
        raise UsageError(f"Audio must be float32 [batch, samples], not {audio.dtype} {list(audio.shape)}.")
    if card is not None and audio.shape[1] < (shortest := round(card.min_seconds * card.sample_rate)):
        raise UsageError(
            f"{card.name} needs windows of at least {card.min_seconds:.4g} s ({shortest} samples); this one has "
            f"{audio.shape[1]} samples."
        )


def finite(features: NDArray[np.float32], card: EncoderCard) -> NDArray[np.float32]:
    """Return features; raise if one of them is not finite."""
    import numpy as np

    if not np.isfinite(features).all():
        raise CmbenchError(f"{card.name} gives features that are not finite: is its input finite?")
    return features


PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class LoadOptions:
    """How an encoder is to be loaded."""

    device: str = "auto"  # ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …
    offline: bool = False  # never touch the network
    precision: str = "float32"  # of the arithmetic, ``float32`` or ``bfloat16``; a model that cannot is refused


@dataclass(frozen=True)
class EncoderEntry:
    """One line of the registry: enough to list an encoder without loading it."""

    name: str  # how the command line calls it
    summary: str  # one sentence
    licence: str  # of the weights
    source: str  # where the weights come from, or ``built in``
    # returns the encoder; raises :class:`cmbench.errors.MissingError` if its weights are not here
    load: Callable[[LoadOptions], Encoder]
    details: tuple[tuple[str, str], ...] = ()  # further facts to show, in order
    # files and folders that, with the code of this package, decide the whole card; ``None`` if there is more to it, or
    # nothing heavy is loaded for it. See :mod:`.noted`
    made_of: tuple[Path, ...] | None = None


@dataclass(frozen=True)
class ModelFolder:
    """A folder in Hugging Face format that is on this machine."""

    path: Path  # the folder
    name: str  # how results name the model
    source: str  # ``hf:owner/name@commit``, or ``a local folder``
    config: Mapping[str, object]  # the content of its ``config.json``


FolderReader = Callable[[ModelFolder, LoadOptions], Encoder]
"""Loads the encoder of a folder; raises :class:`cmbench.errors.UsageError` if anything in it does not fit."""


FileReader = Callable[[Path, LoadOptions], Encoder]
"""Loads the encoder of a single file; raises :class:`cmbench.errors.UsageError` if it holds another thing."""


@dataclass(frozen=True)
class Preparer:
    """Makes weights that no hub holds usable: ``cmbench models prepare NAME``."""

    name: str  # how the command line calls it
    summary: str  # what is fetched or read, and its size
    licence: str  # of what is fetched
    # puts the converted weights into a folder below the models folder and returns it. Its argument is a folder or file
    # that the user has already, or ``None`` to fetch; it raises :class:`cmbench.errors.CmbenchError` where that cannot
    # be done or a hash is wrong
    prepare: Callable[[Path | None], Path]
