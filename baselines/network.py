"""A network of the MERT family, by name, from a folder or from the hub: what exports and merges start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UsageError
from .anchors import RANDOM_SHAPES, random_checkpoint
from .base import LoadOptions
from .hub.about import read_trained_on, require_stated_files
from .hub.folders import open_folder
from .mert.checkpoint import MASK_VECTOR, NORMALISED, Checkpoint, read_checkpoint
from .mert.encoder import FORCED, RELEASED, read_released
from .mert.shape import MODEL_TYPES
from .nano import LICENCE, NANO, nano_folder
from .registry import registry


@dataclass(frozen=True)
class Network:
    """A network and who it is."""

    name: str  # of the model
    checkpoint: Checkpoint  # shape, weights and preprocessor
    folder: Path | None  # that it was read from; ``None`` if it was drawn
    licence: str  # of the weights
    source: str  # where they come from, with the commit if it is known
    trained_on: tuple[str, ...]  # corpora


def open_network(name: str, options: LoadOptions) -> Network:
    """Read a model of the MERT family.

    Raises:
        UsageError: it is not of that family, or its files do not fit.
        MissingError: it is not on this machine and cannot be fetched.
    """
    known = {model.hub.name: model for model in RELEASED}
    bare = name.removesuffix(FORCED)
    if bare in known:
        model = known[bare]
        read, found = read_released(model, options)
        if name != bare:
            read = replace(read, preprocessor=replace(read.preprocessor, normalise=True, words=NORMALISED))
        return Network(name, read, found.folder, model.hub.licence, found.source, model.trained_on)
    if name in RANDOM_SHAPES:
        read = random_checkpoint(name)
        return Network(name, read, None, read.licence, "drawn by cmbench", ())
    if name in NANO:
        read = read_checkpoint(nano_folder(name))
        return Network(name, read, nano_folder(name), LICENCE, "built in", read_trained_on(nano_folder(name)))
    if name in registry():
        raise UsageError(f"{name} is not a MERT-shaped network; only those can be exported or merged.")
    folder = open_folder(name, options)
    kind = folder.config.get("model_type")
    if kind not in MODEL_TYPES:
        raise UsageError(
            f"{folder.path}: model_type is {kind!r}; only {' and '.join(MODEL_TYPES)} can be exported or merged."
        )
    read = read_checkpoint(folder.path)
    require_stated_files(folder.path, read.training_only.get(MASK_VECTOR))
    return Network(folder.name, read, folder.path, read.licence, folder.source, read_trained_on(folder.path))
