"""What a model folder says of itself: its licence, what it was trained on, and the hash of its weights."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...files import SEAL, file_sha256, read_json, seal_is_broken, sealed
from ...untrusted import parse_yaml, read_head
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


FACTS = ("merge.json", "pretraining.json")
"""Files in which cmbench states the hashes of what it wrote beside them."""

CARD = "README.md"
"""Prose that people rewrite; what cmbench reads of it counts as said by whoever wrote it last."""

_FILES, _MASK = "files_sha256", "mask_vector_sha256"


def with_hashes(facts: str, folder: Path, names: Iterable[str], mask_vector: Tensor | None) -> str:
    """Return the text of one of :data:`FACTS` with the hashes of the files beside it, sealed."""
    said = json.loads(facts) | {_FILES: {name: file_sha256(folder / name) for name in sorted(names)}}
    if mask_vector is not None:
        said[_MASK] = weights_sha256({"": mask_vector.float()})
    return json.dumps(sealed(said), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _facts(folder: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    for file in (folder / name for name in FACTS):
        if not file.is_file():
            continue
        facts = read_json(file)
        # Those of earlier releases have neither hashes of files nor a seal.
        if seal_is_broken(facts) or (_FILES in facts) != (SEAL in facts):
            raise UsageError(f"{file}: it is not as it was written. {_REMEDY} {file.name}.")
        yield file, facts


_REMEDY = "Copy the folder again or make it again; if it was changed on purpose, remove"


def require_stated_files(folder: Path, mask_vector: Tensor | None = None, card: bool = False) -> None:
    """Check that what lies beside a folder's weights is what cmbench wrote there, if it did.

    ``mask_vector`` is given where it is used; ``card`` asks for the model card as it was written, too.

    Raises:
        UsageError: something is not, or the configuration is gone, or the file that says so is damaged.
    """
    for file, facts in _facts(folder):
        stated = facts.get(_FILES, {})
        for name, digest in stated.items() if isinstance(stated, dict) else ():
            path = folder / name
            there = path.is_file()
            if (name == CARD and not card) or (not there and not name.endswith("config.json")):
                continue
            if not there or file_sha256(path) != digest:
                what = "it is not the file that was written there" if there else "it is gone"
                raise UsageError(f"{path}: {what} ({file.name} states its sha256). {_REMEDY} {file.name}.")
        if mask_vector is not None and facts.get(_MASK, (own := weights_sha256({"": mask_vector.float()}))) != own:
            raise UsageError(f"{folder}: the mask vector is not the one that was written there. {_REMEDY} {file.name}.")


def require_stated_weights(folder: Path, digest: str) -> None:
    """Check that a folder's weights are those that cmbench wrote there, if it did.

    ``digest`` is :func:`weights_sha256` of what was read.

    Raises:
        UsageError: they are others, or the file that says so is damaged.
    """
    for file, facts in _facts(folder):
        stated = facts.get("weights_sha256")
        if stated and stated != digest:
            raise UsageError(
                f"{folder}: the weights are not those that were written there ({file.name} states sha256 "
                f"{str(stated)[:12]}, these have {digest[:12]}). {_REMEDY} {file.name}."
            )


def read_licence(folder: Path) -> str:
    """Return the licence that the front matter of a folder's model card states, else ``not stated``."""
    file = folder / "README.md"
    text = read_head(file, 400_000)[:4000] if file.is_file() else ""
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
    text = read_head(file, 400_000)[:100_000] if file.is_file() else ""
    front = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    if not front or f"{key}:" not in front[1]:
        return None
    try:
        stated = parse_yaml(front[1], file)[1]
    except UsageError:
        # A card is prose by anyone; weights are not refused for it.
        return None
    return stated.get(key) if isinstance(stated, dict) else None
