"""The parameters of a model, read from disk a part of a tensor at a time, so that many models fit beside each other.

A model is first read whole and strictly by :mod:`...baselines`, hashed and let go. Weights that are not in safetensors
files are then written into one, in a folder that the caller removes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...baselines.base import LoadOptions
from ...baselines.hub.about import weights_sha256
from ...baselines.hub.layout import weight_files
from ...baselines.mert.checkpoint import MASK_VECTOR, Preprocessor, match_names
from ...baselines.mert.folder import configuration, write_folder
from ...baselines.mert.network import HubertShape
from ...baselines.network import open_network
from ...errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

ALL_ROWS = slice(None)


@dataclass(frozen=True)
class Parameters:
    """A model whose tensors stay on disk.

    Attributes:
        name: of the model.
        source: where it comes from, with the commit if it is known.
        licence: of the weights.
        trained_on: corpora.
        weights_sha256: of the canonical tensors, as on the model's card.
        shape: of the network.
        preprocessor: of the waveform.
        places: canonical name -> file and stored name; with the mask vector, if the model has one.
    """

    name: str
    source: str
    licence: str
    trained_on: tuple[str, ...]
    weights_sha256: str
    shape: HubertShape
    preprocessor: Preprocessor
    places: Mapping[str, tuple[Path, str]]

    def read(self, name: str, rows: slice = ALL_ROWS) -> Tensor:
        """Read one tensor, or some rows of it, in float32; no memory map stays open.

        Args:
            name: canonical.
            rows: of the first dimension.

        Raises:
            KeyError: the model has no such tensor.
        """
        import torch
        from safetensors import safe_open

        file, stored = self.places[name]
        # Opened anew every time: pages of a map that stays open would fill the memory model by model.
        with safe_open(file, "pt") as tensors:
            tensor: Tensor = tensors.get_slice(stored)[rows]
            return tensor.to(torch.float32, copy=True)


def open_parameters(name: str, options: LoadOptions, spool: Path) -> Parameters:
    """Open a model of the MERT family by name, from a folder or from the hub.

    Args:
        name: a short name, a folder, or ``hf:owner/name@revision``.
        options: network policy.
        spool: folder for the weights of models that are not in safetensors files; made if need be.

    Raises:
        UsageError: it is not of that family, or its files do not fit.
        MissingError: it is not on this machine and cannot be fetched.
    """
    network = open_network(name, options)
    read = network.checkpoint
    folder = network.folder
    if folder is None or any(file.suffix != ".safetensors" for file in weight_files(folder)):
        folder = spool / weights_sha256(read.weights)[:16]
        if not folder.exists():
            write_folder(folder, read.shape, read.weights, read.preprocessor, read.training_only.get(MASK_VECTOR))
    return Parameters(
        name=network.name,
        source=network.source,
        licence=network.licence,
        trained_on=network.trained_on,
        weights_sha256=weights_sha256(read.weights),
        shape=read.shape,
        preprocessor=read.preprocessor,
        places=_places(folder, read.shape),
    )


def _places(folder: Path, shape: HubertShape) -> dict[str, tuple[Path, str]]:
    from safetensors import safe_open

    files: dict[str, Path] = {}
    for file in weight_files(folder):
        with safe_open(file, "pt") as tensors:
            files |= dict.fromkeys(tensors.keys(), file)
    network, others = match_names(files, shape, folder)
    kept = network | {name: stored for name, stored in others.items() if name == MASK_VECTOR}
    return {name: (files[stored], stored) for name, stored in kept.items()}


def require_same_network(base: Parameters, other: Parameters) -> None:
    """Check that two models are the same network with the same rate.

    Raises:
        UsageError: a key of their configurations differs, or a tensor's shape; each is named.
    """
    ours, theirs = (configuration(model.shape, model.preprocessor) for model in (base, other))
    differing = [f"{key} is {theirs[key]!r}, not {ours[key]!r}" for key in ours if ours[key] != theirs[key]]
    if differing:
        remedy = ""
        if ours["sample_rate"] != theirs["sample_rate"]:
            remedy = " A folder's rate is in its preprocessor_config.json (sampling_rate); without that it is a guess."
        raise UsageError(
            f"{other.name} ({other.source}) is not the same network as {base.name} ({base.source}): "
            f"{'; '.join(differing)}.{remedy}"
        )
