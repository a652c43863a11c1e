"""What an encoder is: audio in, the mean over time of every hidden state out.

A built-in family is one file in this folder that defines any of ``ENCODERS`` (name -> :class:`EncoderEntry`),
``FOLDER_READERS`` (``model_type`` of a ``config.json`` -> :data:`FolderReader`) and ``PREPARERS`` (name ->
:class:`Preparer`). Another distribution offers encoders through the entry point group ``cmbench.baselines``. Nothing
here imports torch.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import CmbenchError, UsageError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENTRY_POINTS = "cmbench.baselines"


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


PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class LoadOptions:
    """How an encoder is to be loaded.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …
        offline: never touch the network.
        precision: of the arithmetic, ``float32`` or ``bfloat16``; a model that cannot is refused.
    """

    device: str = "auto"
    offline: bool = False
    precision: str = "float32"


@dataclass(frozen=True)
class EncoderEntry:
    """One line of the registry: enough to list an encoder without loading it.

    Attributes:
        name: how the command line calls it.
        summary: one sentence.
        licence: of the weights.
        source: where the weights come from, or ``built in``.
        load: returns the encoder; raises :class:`cmbench.errors.MissingError` if its weights are not here.
        details: further facts to show, in order.
    """

    name: str
    summary: str
    licence: str
    source: str
    load: Callable[[LoadOptions], Encoder]
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ModelFolder:
    """A folder in Hugging Face format that is on this machine.

    Attributes:
        path: the folder.
        name: how results name the model.
        source: ``hf:owner/name@commit``, or ``a local folder``.
        config: the content of its ``config.json``.
    """

    path: Path
    name: str
    source: str
    config: Mapping[str, object]


FolderReader = Callable[[ModelFolder, LoadOptions], Encoder]
"""Loads the encoder of a folder; raises :class:`cmbench.errors.UsageError` if anything in it does not fit."""


@dataclass(frozen=True)
class Preparer:
    """Makes weights that no hub holds usable: ``cmbench models prepare NAME``.

    Attributes:
        name: how the command line calls it.
        summary: what is fetched or read, and its size.
        licence: of what is fetched.
        prepare: puts the converted weights into a folder below the models folder and returns it. Its argument is a
            folder or file that the user has already, or ``None`` to fetch; it raises
            :class:`cmbench.errors.CmbenchError` where that cannot be done or a hash is wrong.
    """

    name: str
    summary: str
    licence: str
    prepare: Callable[[Path | None], Path]


def _families() -> Iterator[ModuleType]:
    package = importlib.import_module(__package__)
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        yield importlib.import_module(f".{module}", __package__)


@cache
def folder_readers() -> Mapping[str, FolderReader]:
    """Return what reads a folder, by the ``model_type`` of its configuration."""
    return {kind: reader for family in _families() for kind, reader in getattr(family, "FOLDER_READERS", {}).items()}


@cache
def preparers() -> Mapping[str, Preparer]:
    """Return everything that ``cmbench models prepare`` can make, by name."""
    return {name: one for family in _families() for name, one in getattr(family, "PREPARERS", {}).items()}


@cache
def registry() -> Mapping[str, EncoderEntry]:
    """Every named encoder: the files of this folder, then the entry points of other distributions.

    Raises:
        UsageError: two encoders share a name, or an entry point cannot be loaded or does not give
            :class:`EncoderEntry` objects.
    """
    found: dict[str, EncoderEntry] = {}
    for family in _families():
        found.update(getattr(family, "ENCODERS", {}))
    for point in entry_points(group=ENTRY_POINTS):
        try:
            offered = point.load()
        except Exception as error:
            raise UsageError(
                f"Entry point {point.value!r} of group {ENTRY_POINTS}{_distribution(point)} cannot be loaded "
                f"({type(error).__name__}: {error}). Mend or uninstall it."
            ) from error
        entries = offered.values() if isinstance(offered, Mapping) else (offered,)
        for entry in entries:
            if not isinstance(entry, EncoderEntry):
                raise UsageError(
                    f"Entry point {point.value!r} of group {ENTRY_POINTS} gives {type(entry).__name__}, "
                    "not an EncoderEntry."
                )
            if entry.name in found:
                raise UsageError(f"Entry point {point.value!r} names an encoder {entry.name!r}, which exists already.")
            found[entry.name] = replace(entry, load=partial(_load_foreign, entry, _distribution(point)))
    return found


def _distribution(point: EntryPoint) -> str:
    return f" of distribution {point.dist.name}" if point.dist else ""


def _load_foreign(entry: EncoderEntry, origin: str, options: LoadOptions) -> Encoder:
    """Load an encoder of another distribution; what goes wrong there is said to be wrong there."""
    try:
        encoder = entry.load(options)
        whole = isinstance(encoder, Encoder) and isinstance(encoder.card, EncoderCard)
    except CmbenchError:
        raise
    except Exception as error:
        raise CmbenchError(f"Model {entry.name}{origin} cannot be loaded ({type(error).__name__}: {error}).") from error
    if not whole:
        raise CmbenchError(
            f"Model {entry.name}{origin} gives {type(encoder).__name__}, which lacks encode or a card (an EncoderCard)."
        )
    return encoder


def get_encoder_entry(name: str) -> EncoderEntry:
    """Return the registry's entry of that name.

    Raises:
        UsageError: there is none; the closest names are in the message.
    """
    entries = registry()
    if name not in entries:
        raise unknown_name("model", name, entries, "cmbench models")
    return entries[name]


def load_encoder(name: str, options: LoadOptions | None = None) -> Encoder:
    """Load an encoder by name, from a folder in Hugging Face format, or from the hub.

    Args:
        name: a name of the registry, a path to a folder (one that contains a path separator or exists), or
            ``hf:owner/name`` with an optional ``@`` and commit, branch or tag.
        options: device and network policy.

    Raises:
        UsageError: no such name or folder, the folder is not a model that cmbench reads, or the model cannot compute
            in the precision asked for.
        MissingError: the weights are not on this machine.
    """
    options = options or LoadOptions()
    if options.precision not in PRECISIONS:
        raise UsageError(f"There is no precision {options.precision!r}; choose {' or '.join(PRECISIONS)}.")
    encoder = _load(name, options)
    if options.precision != encoder.card.dtype:
        raise UsageError(f"{name} computes in {encoder.card.dtype} only, not in {options.precision}.")
    return encoder


def _load(name: str, options: LoadOptions) -> Encoder:
    from .folders import is_folder, load_folder

    if name not in registry() and ("/" in name or "\\" in name or is_folder(name)):
        return load_folder(name, options)
    return get_encoder_entry(name).load(options)
