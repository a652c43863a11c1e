"""What a model folder says of itself: its licence, what it was trained on, and the hash of its weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .layout import weight_files

if TYPE_CHECKING:
    from torch import Tensor

NOT_STATED = ("not stated",)
"""The corpora of a model whose card does not list them."""

# What soundfile and soxr are asked for at most, Hz.
HIGHEST_RATE = 192_000


def has_weights(folder: Path) -> bool:
    """Whether the folder holds a configuration and at least one file of weights."""
    return (folder / "config.json").is_file() and bool(weight_files(folder))


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """Hash names, types, shapes and values in the order of the names.

    Of canonical tensors (:func:`match_tensors`) it does not depend on the file's format, key style or stored precision.
    """
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(weights):
        array = weights[name].numpy()
        digest.update(f"{name} {array.dtype.newbyteorder('<').str} {list(array.shape)}\n".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def read_licence(folder: Path) -> str:
    """Return the licence that the front matter of a folder's model card states, else ``not stated``."""
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace")[:4000] if file.is_file() else ""
    stated = re.match(r"---\n(?:.*\n)*?license:[ \t]*(\S.*)\n", text)
    return stated.group(1).strip() if stated else "not stated"


def read_trained_on(folder: Path) -> tuple[str, ...]:
    """Return the corpora that the front matter of a folder's model card lists under ``trained_on``.

    ``("not stated",)`` where there is no such list of texts; an empty list says that the model is untrained.
    """
    listed = _stated(folder, "trained_on")
    return tuple(listed) if isinstance(listed, list) and all(isinstance(one, str) for one in listed) else NOT_STATED


def read_is_merge(folder: Path) -> bool:
    """Return whether a folder's model card says, as cards of the hub do, that the model is a merge of others."""
    return _stated(folder, "base_model_relation") == "merge"


def _stated(folder: Path, key: str) -> object:
    """Return what the front matter of a folder's model card says under ``key``; ``None`` where it says nothing."""
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace")[:100_000] if file.is_file() else ""
    front = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    if not front or f"{key}:" not in front[1]:
        return None
    import yaml

    try:
        return yaml.safe_load(front[1])[key]
    except (yaml.YAMLError, KeyError, TypeError, RecursionError):
        # A card is prose by anyone; weights are not refused for it.
        return None
