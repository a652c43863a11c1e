"""From a folder in Hugging Face format to an encoder: which family reads it is said by its configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ...errors import UsageError, quoted
from ...files import read_json
from ...written import find_path, is_there
from ..base import Encoder, EncoderEntry, FolderReader, LoadOptions, ModelFolder
from .about import NOT_STATED
from .layout import find_model
from .repository import Repository, locate

ON_THE_HUB = "hf:"

# Stricter than the hub where a name could lead out of its cache folder, and never looser.
_WORD = r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_WORD}/{_WORD}(?<!\.git)", re.ASCII)
_REVISION = re.compile(r"(?!.*\.\.)[\w][\w./+-]{0,199}", re.ASCII)


def open_folder(path: str | Path, options: LoadOptions) -> ModelFolder:
    """Find a model's folder, fetching it from the hub if need be, and read its configuration.

    Raises:
        UsageError: no such folder, or it has no readable ``config.json``.
        MissingError: the hub's model is not on this machine and cannot be fetched.
    """
    text = path if isinstance(path, str) else path.as_posix()
    if text.startswith(ON_THE_HUB):
        named = parse_hub_name(text)
        return replace(open_repository(named, options), name=named.repository)
    if not is_there(text):
        raise UsageError(f"There is no model folder {text}. `cmbench models` lists the models known by name.")
    place = find_model(find_path(text))
    return ModelFolder(place.folder, place.name, place.source, read_json(place.folder / "config.json"))


def open_repository(hub: Repository, options: LoadOptions) -> ModelFolder:
    """Find a repository's files, fetching them if need be, and read the configuration; it has cmbench's name.

    Raises:
        UsageError: it has no readable ``config.json``.
        MissingError: it is not on this machine and cannot be fetched.
    """
    found = locate(hub, options)
    return ModelFolder(found.folder, hub.name, found.source, read_json(found.folder / "config.json"))


Reader = Callable[[ModelFolder, LoadOptions, str, tuple[str, ...], str], Encoder]
"""Loads a folder's encoder, with the licence, the corpora and the description that its card shall have."""


def folder_reader(read: Reader, description: str) -> FolderReader:
    """Return what reads a folder of which nobody says more than lies in it."""
    return lambda folder, options: read(folder, options, "not stated", NOT_STATED, description)


def hub_entry(hub: Repository, summary: str, trained_on: tuple[str, ...], read: Reader) -> EncoderEntry:
    """Return the registry's line of a model on the hub."""
    load = partial(_load, hub, summary, trained_on, read)
    details = (("trained on", ", ".join(trained_on)), ("revision", hub.pinning))
    return EncoderEntry(hub.name, summary, hub.licence, hub.source, load, details)


def _load(hub: Repository, summary: str, trained_on: tuple[str, ...], read: Reader, options: LoadOptions) -> Encoder:
    return read(open_repository(hub, options), options, hub.licence, trained_on, summary)


def parse_hub_name(text: str) -> Repository:
    """Return the repository of the hub that ``hf:owner/name@revision`` names; the prefix may be left out.

    Raises:
        UsageError: it is not of that form.
    """
    repository, _, revision = text.removeprefix(ON_THE_HUB).partition("@")
    if not _REPOSITORY.fullmatch(repository) or (revision and not _REVISION.fullmatch(revision)):
        raise UsageError(f"{quoted(text)} should read hf:owner/name or hf:owner/name@revision.")
    return Repository(repository.replace("/", "--"), repository, revision or None)
