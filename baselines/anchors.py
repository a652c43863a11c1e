"""Anchors: encoders that have learnt nothing. A result means something only by its distance from theirs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from .base import EncoderCard, EncoderEntry, LoadOptions, require_audio
from .mert.checkpoint import Checkpoint, Preprocessor
from .mert.envelope import EnvelopeShape
from .mert.melody import MelodyShape
from .mert.network import HubertShape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .mert.encoder import HubertEncoder

_CONSTANT_DIM = 16

# MERT's front end (24 kHz, 320 samples per frame) and Transformer, narrow enough for a CPU.
NANO = HubertShape(
    conv_dim=(48,) * 7, hidden=96, layers=4, heads=2, intermediate=384, position_kernel=64, position_groups=16
)
# The network of MERT-nano and all that was made of it, as `nano/MERT-nano/config.json` has it.
NANO_OWN = replace(
    NANO, conv_dim=(96,) * 2, conv_kernel=(640, 4), conv_stride=(80, 4), conv_norm="layer", pre_norm=True,
    hidden=416, layers=1, heads=4, intermediate=256, position_kernel=16,
    melody=MelodyShape(64), envelope=EnvelopeShape(64),
)  # fmt: skip
RANDOM_SHAPES = {"random-mert-nano": NANO, "random-mert-95m": HubertShape(), "MERT-nano-untrained": NANO_OWN}
_SEED = 20_230_531
_TRAINED_SEED = 1337  # that of the recipe `mert-nano`: its twin is the very network that training began with


@dataclass(frozen=True)
class ConstantEncoder:
    """Gives ones for whatever it hears: every score above chance under it is an error of the benchmark."""

    card: EncoderCard  # who it is; declares :attr:`EncoderCard.constant`

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ones ``[batch, 1, 16]`` float32 for ``audio`` ``[batch, samples]``."""
        import numpy as np

        require_audio(audio)
        return np.ones((len(audio), self.card.layers, self.card.dim), np.float32)


def load_constant(options: LoadOptions) -> ConstantEncoder:
    """Return the constant encoder; it needs no device."""
    rate = 16_000
    return ConstantEncoder(
        EncoderCard(
            name="constant",
            family="anchors",
            sample_rate=rate,
            layers=1,
            dim=_CONSTANT_DIM,
            layer_names=("ones",),
            min_seconds=1 / rate,
            parameters=0,
            licence="Apache-2.0",
            trained_on=(),
            weights_sha256=hashlib.sha256(b"ones").hexdigest(),
            code_version="1",
            preprocessing="none",
            constant=True,
            description="The same features for every input: the floor.",
        )
    )


def load_random(name: str, options: LoadOptions) -> HubertEncoder:
    """Return a network that was not trained, with weights drawn from a fixed seed.

    Raises:
        UsageError: there is no such device.
    """
    from .mert.encoder import bare_card, build_encoder

    read = random_checkpoint(name)
    card = bare_card(name, "anchors", read.licence, (), "built in", f"{_network(name)}.")
    return build_encoder(card, read.shape, read.weights, read.preprocessor, options)


def random_checkpoint(name: str) -> Checkpoint:
    """Return the weights of one of :data:`RANDOM_SHAPES` as if they had been read from a folder."""
    from .mert.network import initial_weights, random_weights

    shape = RANDOM_SHAPES[name]
    twin = shape is NANO_OWN
    weights = initial_weights(shape, _TRAINED_SEED, spectral=True) if twin else random_weights(shape, _SEED)
    return Checkpoint(shape, weights, {}, Preprocessor(24_000, False, "none"), "Apache-2.0")


def _network(name: str) -> str:
    if RANDOM_SHAPES[name] is NANO_OWN:
        return "MERT-nano before its first update"
    return "MERT's architecture with random weights"


def _random_entry(name: str) -> EncoderEntry:
    shape = RANDOM_SHAPES[name]
    size = f"{shape.layers} layer{'s' if shape.layers > 1 else ''} of {shape.hidden}"
    return EncoderEntry(
        name=name,
        summary=f"{_network(name)} ({size}): what the architecture hears untrained.",
        licence="Apache-2.0",
        source="built in",
        load=partial(load_random, name),
        made_of=(),
    )


ENCODERS: dict[str, EncoderEntry] = {
    "constant": EncoderEntry(
        name="constant",
        summary="The same features for every input: must score at chance on every task.",
        licence="Apache-2.0",
        source="built in",
        load=load_constant,
    ),
    **{name: _random_entry(name) for name in RANDOM_SHAPES},
}
