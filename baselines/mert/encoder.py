"""MERT and CultureMERT: HuBERT networks for music at 24 kHz; and any folder that holds such a network.

The remote code of the released models is never run: their weights are read into :mod:`.network` by
:mod:`.checkpoint`. Model facts: the model cards of m-a-p and ntua-slp on the hub.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from ...errors import CmbenchError, UsageError
from ..base import EncoderCard, EncoderEntry, FileReader, FolderReader, LoadOptions, ModelFolder, finite, require_audio
from ..hub.about import (
    NOT_STATED,
    read_is_merge,
    read_trained_on,
    require_stated_files,
    require_stated_weights,
    weights_sha256,
)
from ..hub.repository import Located, Repository, locate
from .checkpoint import NORMALISED, Checkpoint, Preprocessor, read_checkpoint
from .network import HubertShape, pooled_states, prepare
from .shape import MODEL_TYPES

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

CODE_VERSION = "2"
FORCED = "@marble-norm"


@dataclass(frozen=True)
class HubertEncoder:
    """A frozen HuBERT network with its preprocessing; satisfies :class:`cmbench.baselines.base.Encoder`.

    Attributes:
        card: who it is.
        shape: of the network.
        normalise: whether each window is brought to zero mean and unit variance first.
        device: where it computes.
        weights: as :func:`.network.prepare` returns them.
    """

    card: EncoderCard
    shape: HubertShape
    normalise: bool
    device: torch.device
    weights: Mapping[str, Tensor]

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over time of every hidden state.

        On a CPU the clips of a batch are computed one by one: a long clip fills the machine by itself, and a row is
        then the same to the last bit whatever else is in the batch.

        Args:
            audio: ``[batch, samples]`` float32, mono, at ``card.sample_rate``.

        Returns:
            ``[batch, layers, dim]`` float32.

        Raises:
            UsageError: another shape or type, or windows shorter than ``card.min_seconds``.
            CmbenchError: a feature is not finite.
        """
        import numpy as np
        import torch

        require_audio(audio, self.card)
        audio = np.ascontiguousarray(unit_variance(audio) if self.normalise else audio)
        step = 1 if self.device.type == "cpu" else len(audio)
        parts = [
            pooled_states(self.weights, self.shape, torch.tensor(audio[i : i + step], device=self.device)).cpu()
            for i in range(0, len(audio), step)
        ]
        return finite(np.concatenate([np.asarray(part, np.float32) for part in parts]), self.card)


def unit_variance(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring each row of ``[batch, samples]`` to zero mean and unit variance.

    As ``Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`` of transformers, eps 1e-7; a silent row stays silent.
    """
    import numpy as np

    centred = audio - audio.mean(1, keepdims=True)
    scaled: NDArray[np.float32] = centred / np.sqrt(audio.var(1, keepdims=True) + np.float32(1e-7))
    return scaled


def build_encoder(
    card: EncoderCard,
    shape: HubertShape,
    weights: Mapping[str, Tensor],
    preprocessor: Preprocessor,
    options: LoadOptions,
) -> HubertEncoder:
    """Put an encoder together; what follows from shape, weights and preprocessor is filled into the card.

    Args:
        card: name, family, licence, source, corpora and description; the rest is replaced.
        shape: of the network.
        weights: canonical float32 tensors.
        preprocessor: of the waveform.
        options: device and precision.

    Raises:
        UsageError: there is no such device, or it does not gain from that precision.
        CmbenchError: the precision changes the features too much, see :func:`in_bfloat16`.
    """
    from ..device import choose_device

    place = choose_device(options.device)
    card = replace(
        card,
        sample_rate=preprocessor.sample_rate,
        layers=shape.layers + 1,
        dim=shape.hidden,
        layer_names=tuple(f"L{i}" for i in range(shape.layers + 1)),
        min_seconds=shape.least_samples / preprocessor.sample_rate,
        parameters=sum(tensor.numel() for tensor in weights.values()),
        weights_sha256=weights_sha256(weights),
        code_version=CODE_VERSION,
        preprocessing=preprocessor.words,
    )
    exact = HubertEncoder(card, shape, preprocessor.normalise, place, prepare(weights, shape, place))
    return in_bfloat16(exact) if options.precision == "bfloat16" else exact


BFLOAT16_TOLERANCE = 0.05
"""Largest deviation of bfloat16 features that is accepted, as a share of the spread between clips (our choice)."""


def in_bfloat16(exact: HubertEncoder) -> HubertEncoder:
    """Return the encoder in bfloat16, if its device gains from that and its features stay what they are.

    Eight seconds of synthetic sound are encoded in both precisions. In each hidden state the root mean square of the
    deviation may be at most :data:`BFLOAT16_TOLERANCE` of the standard deviation between the sounds, which is what a
    probe sees. The card's name then ends in ``@bfloat16``: its results never stand in for those in float32.

    Raises:
        UsageError: the device has no bfloat16 units.
        CmbenchError: the features deviate more.
    """
    import numpy as np
    import torch

    from ..device import gains_from_bfloat16

    if not gains_from_bfloat16(exact.device):
        raise UsageError(
            f"Device {exact.device} has no bfloat16 units and would only be slower. Leave --precision out."
        )
    card = replace(exact.card, dtype="bfloat16", name=f"{exact.card.name}@bfloat16")
    rough = replace(exact, card=card, weights={n: t.to(torch.bfloat16) for n, t in exact.weights.items()})
    sounds = eight_sounds(exact.card.sample_rate)
    truth, approximation = exact.encode(sounds), rough.encode(sounds)
    spread = np.sqrt(truth.var(axis=0).mean(axis=-1))
    deviation = np.sqrt(((approximation - truth) ** 2).mean(axis=(0, -1))) / np.maximum(spread, 1e-12)
    if deviation.max() > BFLOAT16_TOLERANCE:
        worst = exact.card.layer_names[int(deviation.argmax())]
        raise CmbenchError(
            f"{exact.card.name} in bfloat16 deviates from float32 by {deviation.max():.0%} of the spread between "
            f"sounds in {worst} (at most {BFLOAT16_TOLERANCE:.0%} is accepted). Leave --precision out."
        )
    return rough


def eight_sounds(rate: int) -> NDArray[np.float32]:
    """Return one second each of decaying harmonic tones an odd step apart, the even ones in noise ``[8, rate]``."""
    import numpy as np

    time = np.arange(rate) / rate
    draw = np.random.default_rng(0)
    sounds = []
    for i in range(8):
        pitch = 110.0 * 2 ** (i * 7 / 12)
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6) if pitch * k < rate / 2)
        noise = draw.standard_normal(rate) * (0.2 if i % 2 else 0.01)
        sounds.append(0.2 * tone * np.exp(-3 * (time * (1 + i % 3) % 1)) + 0.1 * noise)
    return np.stack(sounds).astype(np.float32)


def bare_card(
    name: str, family: str, licence: str, trained_on: tuple[str, ...], source: str, description: str
) -> EncoderCard:
    """Return a card for :func:`build_encoder` to complete."""
    return EncoderCard(
        name, family, 0, 0, 0, (), 0.0, 0, licence, trained_on, "", "", "", source=source, description=description
    )


def read_folder(folder: ModelFolder, options: LoadOptions) -> HubertEncoder:
    """Load a HuBERT or MERT network from a folder.

    Raises:
        UsageError: it does not hold such a network; the message names the file and the tensor.
    """
    require_stated_files(folder.path)
    read = read_checkpoint(folder.path)
    trained_on = read_trained_on(folder.path)
    what = "A merge of HuBERT networks" if read_is_merge(folder.path) else "A HuBERT network"
    card = bare_card(folder.name, "mert", read.licence, trained_on, folder.source, f"{what} read from a folder.")
    encoder = build_encoder(card, read.shape, read.weights, read.preprocessor, options)
    require_stated_weights(folder.path, encoder.card.weights_sha256)
    return encoder


def read_file(file: Path, options: LoadOptions) -> HubertEncoder:
    """Load the encoder of a fairseq checkpoint of MERT (``MERT-v1-95M_fairseq.pt``); nothing in its pickle is run.

    Raises:
        UsageError: it is no such file; the message names the tensor.
    """
    from .fairseq import read_encoder

    read = read_encoder(file)
    rate = read.sample_rate
    if rate is None:
        rate = 24_000
        logging.getLogger(__name__).warning("%s does not state its sample rate: audio is taken at %d Hz.", file, rate)
    preprocessor = Preprocessor(rate, read.normalise, NORMALISED if read.normalise else "none")
    what = "The encoder of a fairseq checkpoint."
    card = bare_card(file.stem, "mert", "not stated", NOT_STATED, "a local file", what)
    return build_encoder(card, read.shape, read.weights, preprocessor, options)


@dataclass(frozen=True)
class Released:
    """A model that its authors have published.

    Attributes:
        hub: where it is.
        summary: one sentence.
        trained_on: corpora of its pre-training.
        layers: Transformer layers that its configuration must have.
        hidden: length of a hidden state that its configuration must have.
    """

    hub: Repository
    summary: str
    trained_on: tuple[str, ...]
    layers: int = 12
    hidden: int = 768


_LICENCE = "CC BY-NC 4.0"
_CULTURES = ("Lyra 50 h", "Turkish-makam 200 h", "Hindustani 200 h", "Carnatic 200 h", "Music4All 20 h (replay)")

# Hours of MERT: its README. Hours of CultureMERT: its model card; both of its models start from MERT-v1-95M.
RELEASED: tuple[Released, ...] = (
    Released(
        Repository("MERT-v1-95M", "m-a-p/MERT-v1-95M", "12af15fef9d0ac838c3f475bfbbf26d2060dd4f5", _LICENCE),
        "MERT, 12 layers, self-supervised on music at 24 kHz.",
        ("20,000 h of music (not published)",),
    ),
    Released(
        Repository("MERT-v1-330M", "m-a-p/MERT-v1-330M", None, _LICENCE),
        "MERT, 24 layers, self-supervised on music at 24 kHz.",
        ("160,000 h of music (not published)",),
        layers=24,
        hidden=1024,
    ),
    Released(
        Repository("MERT-v0-public", "m-a-p/MERT-v0-public", None, _LICENCE),
        "MERT of the first generation, trained on public music only, at 16 kHz.",
        ("Music4All 900 h",),
    ),
    Released(
        Repository("CultureMERT-95M", "ntua-slp/CultureMERT-95M", None, _LICENCE),
        "MERT-v1-95M after continual pre-training on four traditions together.",
        ("20,000 h of music (MERT-v1-95M)", *_CULTURES),
    ),
    Released(
        Repository("CultureMERT-TA-95M", "ntua-slp/CultureMERT-TA-95M", None, _LICENCE),
        "Task arithmetic (scale 0.2) over four single-tradition adaptations of MERT-v1-95M.",
        ("20,000 h of music (MERT-v1-95M)", *_CULTURES),
    ),
)


def _load_released(model: Released, forced: bool, options: LoadOptions) -> HubertEncoder:
    read, found = read_released(model, options)
    preprocessor = replace(read.preprocessor, normalise=True, words=NORMALISED) if forced else read.preprocessor
    name = model.hub.name + (FORCED if forced else "")
    card = bare_card(name, "mert", model.hub.licence, model.trained_on, found.source, model.summary)
    return build_encoder(card, read.shape, read.weights, preprocessor, options)


def read_released(model: Released, options: LoadOptions) -> tuple[Checkpoint, Located]:
    """Find and read a published model, and tell its licence.

    Returns:
        The model, and where it was found.

    Raises:
        UsageError: what is found is not that model.
        MissingError: it is not on this machine and cannot be fetched.
    """
    found = locate(model.hub, options)
    read = read_checkpoint(found.folder)
    _check_shape(model, read, found.folder)
    _tell_licence(model.hub.name, model.hub.licence)
    return read, found


def _check_shape(model: Released, read: Checkpoint, folder: Path) -> None:
    has, known = (read.shape.layers, read.shape.hidden), (model.layers, model.hidden)
    if has != known:
        raise UsageError(
            f"{folder}: this is not {model.hub.name}, which has {known[0]} layers of {known[1]}; this has {has[0]} of "
            f"{has[1]}. To use it under its own name: --model {folder}"
        )


@cache
def _tell_licence(name: str, licence: str) -> None:
    logging.getLogger(__name__).warning("The weights of %s are licensed %s: non-commercial use only.", name, licence)


def _entry(model: Released, forced: bool) -> EncoderEntry:
    summary = model.summary + (" Input normalised per window, as MARBLE forces it." if forced else "")
    name, details = model.hub.name + (FORCED if forced else ""), ("trained on", ", ".join(model.trained_on))
    load = partial(_load_released, model, forced)
    pinning = ("revision", model.hub.pinning)
    return EncoderEntry(name, summary, model.hub.licence, model.hub.source, load, (details, pinning))


ENCODERS: dict[str, EncoderEntry] = {
    entry.name: entry for forced in (False, True) for entry in (_entry(model, forced) for model in RELEASED)
}

FOLDER_READERS: dict[str, FolderReader] = dict.fromkeys(MODEL_TYPES, read_folder)

FILE_READERS: dict[str, FileReader] = {".pt": read_file}
