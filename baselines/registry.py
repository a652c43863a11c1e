"""Every encoder by name: the families of this folder, then the entry points of other distributions."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import CmbenchError, UsageError, unknown_name
from ..written import find_path, is_there, looks_like_a_path
from .base import PRECISIONS, Encoder, EncoderCard, EncoderEntry, LoadOptions
from .hub.folders import open_folder

if TYPE_CHECKING:
    from .base import FileReader, FolderReader, Preparer

ENTRY_POINTS = "cmbench.baselines"


def _families() -> Iterator[ModuleType]:
    package = importlib.import_module(__package__)
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        yield importlib.import_module(f".{module}", __package__)


@cache
def folder_readers() -> Mapping[str, FolderReader]:
    """Return what reads a folder, by the ``model_type`` of its configuration."""
    return {kind: reader for family in _families() for kind, reader in getattr(family, "FOLDER_READERS", {}).items()}


@cache
def file_readers() -> Mapping[str, FileReader]:
    """Return what reads a single file, by the ending of its name."""
    return {ending: reader for family in _families() for ending, reader in getattr(family, "FILE_READERS", {}).items()}


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
    if name not in registry() and (looks_like_a_path(name) or is_there(name)):
        return load_folder(name, options)
    return get_encoder_entry(name).load(options)


def load_folder(path: str | Path, options: LoadOptions) -> Encoder:
    """Load an encoder from a folder or file, or from the hub as ``hf:owner/name@revision``.

    Args:
        path: a fairseq checkpoint (``*.pt``) of MERT, a folder in Hugging Face format, or ``hf:owner/name`` with an
            optional ``@`` and commit, branch or tag.
        options: device and network policy.

    Raises:
        UsageError: no such folder, or no family reads such a model; the message names the file and what is wrong.
        MissingError: the hub's model is not on this machine and cannot be fetched.
    """
    file = find_path(str(path))
    reader = file_readers().get(file.suffix)
    if reader is not None and is_there(str(path)) and file.is_file():
        return reader(file, options)
    found = open_folder(path, options)
    kind = found.config.get("model_type")
    readers = folder_readers()
    if not isinstance(kind, str) or kind not in readers:
        known = ", ".join(sorted(readers))
        raise UsageError(f"{found.path / 'config.json'}: model_type is {kind!r}; cmbench reads {known}.")
    return readers[kind](found, options)
