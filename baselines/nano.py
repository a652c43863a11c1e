"""The nano family: the story of MERT and CultureMERT at a size that trains in minutes on a laptop, weights included.

All were trained by the recipes of :mod:`..pretraining` on ``mini`` music, which is rendered from music theory: they are
for tests, for teaching and for trying things out, not for music. `make nano` trains them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..files import read_json
from .base import Encoder, EncoderEntry, LoadOptions, ModelFolder

SHIPPED = Path(__file__).parent / "nano"

LICENCE = "Apache-2.0"

NANO_BASE = "MERT-nano"

NANO: Mapping[str, str] = {
    NANO_BASE: "A small MERT, pre-trained on Western mini music alone.",
    "GreekMERT-nano": "MERT-nano after continual pre-training on Greek mini music.",
    "TurkishMERT-nano": "MERT-nano after continual pre-training on Turkish mini music.",
    "HindustaniMERT-nano": "MERT-nano after continual pre-training on Hindustani mini music.",
    "CarnaticMERT-nano": "MERT-nano after continual pre-training on Carnatic mini music.",
    "CultureMERT-nano": "MERT-nano after continual pre-training on mini music of four traditions together.",
    "CultureMERT-TA-nano": "A merge: MERT-nano with the task vectors of the four models of one tradition added.",
}
"""Name -> one sentence; that of a merge says so, for tables sort models by it."""


def nano_folder(name: str) -> Path:
    """Return the folder of a model of the family; it is part of this package."""
    return SHIPPED / name


def _load(name: str, options: LoadOptions) -> Encoder:
    from .mert.encoder import read_folder

    path = nano_folder(name)
    encoder = read_folder(ModelFolder(path, name, "built in", read_json(path / "config.json")), options)
    return replace(encoder, card=replace(encoder.card, description=NANO[name], licence=LICENCE))


ENCODERS: dict[str, EncoderEntry] = {
    name: EncoderEntry(
        name, f"{summary} For tests.", LICENCE, "built in", partial(_load, name), made_of=(nano_folder(name),)
    )
    for name, summary in NANO.items()
}
