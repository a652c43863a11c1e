"""Every encoder by name: the families of this folder, then the entry points of other distributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CmbenchError, UsageError, unknown_name
from ..plugins import of_folder, of_others
from ..written import find_path, is_there, looks_like_a_path
from .base import PRECISIONS, Encoder, EncoderCard, EncoderEntry, LoadOptions
from .hub.folders import open_folder

if TYPE_CHECKING:
    from .base import FileReader, FolderReader, Preparer

ENTRY_POINTS = "cmbench.baselines"


def _by_name(attribute: str) -> dict[str, Any]:
    return {name: one for found in of_folder(__package__, attribute) for name, one in found.items()}


@cache
def folder_readers() -> Mapping[str, FolderReader]:
    """Return what reads a folder, by the ``model_type`` of its configuration, or a key of one that states none."""
    return _by_name("FOLDER_READERS")


@cache
def file_readers() -> Mapping[str, FileReader]:
    """Return what reads a single file, by its name or the ending of it."""
    return _by_name("FILE_READERS")


@cache
def preparers() -> Mapping[str, Preparer]:
    """Return everything that ``cmbench models prepare`` can make, by name."""
    return _by_name("PREPARERS")


@cache
def registry() -> Mapping[str, EncoderEntry]:
    """Every named encoder: the files of this folder, then what :func:`..plugins.of_others` finds."""
    own = _by_name("ENCODERS")
    return {**own, **of_others(ENTRY_POINTS, EncoderEntry, own, _adopt)}


def _adopt(entry: EncoderEntry, origin: str) -> EncoderEntry:
    return replace(entry, load=partial(_load_foreign, entry, origin), made_of=None)


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
    """Load an encoder.

    ``name`` is one of the registry, a path to a folder in Hugging Face format (one that contains a path separator or
    exists), or ``hf:owner/name`` with an optional ``@`` and commit, branch or tag.

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
    """Load an encoder from a file that a family reads (``*.pt``), a folder in Hugging Face format, or the hub.

    The hub's are called ``hf:owner/name`` with an optional ``@`` and commit, branch or tag.

    Raises:
        UsageError: no such folder, or no family reads such a model; the message names the file and what is wrong.
        MissingError: the hub's model is not on this machine and cannot be fetched.
    """
    file = find_path(str(path))
    reader = file_readers().get(file.name, file_readers().get(file.suffix))
    if reader is not None and is_there(str(path)) and file.is_file():
        return reader(file, options)
    found = open_folder(path, options)
    readers = folder_readers()
    kind = found.config.get("model_type", next((key for key in readers if key in found.config), None))
    if not isinstance(kind, str) or kind not in readers:
        known = ", ".join(sorted(readers))
        raise UsageError(f"{found.path / 'config.json'}: model_type is {kind!r}; cmbench reads {known}.")
    return readers[kind](found, options)
