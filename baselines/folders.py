"""From a folder in Hugging Face format to an encoder: which family reads it is said by its configuration."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UsageError
from .base import Encoder, LoadOptions, ModelFolder, folder_readers
from .checkpoint import read_json
from .hub import Repository, locate

ON_THE_HUB = "hf:"


def load_folder(path: str | Path, options: LoadOptions) -> Encoder:
    """Load an encoder from a folder, or from the hub as ``hf:owner/name@revision``.

    Args:
        path: a folder in Hugging Face format, or ``hf:owner/name`` with an optional ``@`` and commit, branch or tag.
        options: device and network policy.

    Raises:
        UsageError: no such folder, or no family reads such a model; the message names the file and what is wrong.
        MissingError: the hub's model is not on this machine and cannot be fetched.
    """
    found = open_folder(path, options)
    kind = found.config.get("model_type")
    readers = folder_readers()
    if kind not in readers:
        known = ", ".join(sorted(readers))
        raise UsageError(f"{found.path / 'config.json'}: model_type is {kind!r}; cmbench reads {known}.")
    return readers[str(kind)](found, options)


def open_folder(path: str | Path, options: LoadOptions) -> ModelFolder:
    """Find a model's folder, fetching it from the hub if need be, and read its configuration.

    Raises:
        UsageError: no such folder, or it has no readable ``config.json``.
        MissingError: the hub's model is not on this machine and cannot be fetched.
    """
    text = path if isinstance(path, str) else path.as_posix()
    if text.startswith(ON_THE_HUB):
        repository, _, revision = text.removeprefix(ON_THE_HUB).partition("@")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise UsageError(f"{text!r} should read hf:owner/name or hf:owner/name@revision.")
        found = locate(Repository(repository.replace("/", "--"), repository, revision or None), options)
        return ModelFolder(found.folder, repository, found.source, read_json(found.folder / "config.json"))
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UsageError(f"There is no model folder {folder}. `cmbench models` lists the models known by name.")
    return ModelFolder(folder, folder.resolve().name, "a local folder", read_json(folder / "config.json"))
