"""The nano family: trained by its recipes, one after the other, each from the model that it continues from.

A model that is finished is not trained again, and one that was interrupted goes on, so that the same command can be
given until the family is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..baselines.base import LoadOptions
from ..baselines.nano import NANO_BASE, nano_folder
from ..tasks.base import LoadContext
from .merge_card import FACTS as MERGE_FACTS
from .pretrain_card import FACTS

if TYPE_CHECKING:
    from rich.console import Console

    from .pretrain import Tell

STORED = "float16"
"""Type of the weights that ship. What continues from a model continues from these."""

WEIGHTS = "model.safetensors"

TOLERANCE = 0.02
"""Largest difference of the last held-out losses of two runs of a recipe on different machines, as a share (our
choice)."""


@dataclass(frozen=True)
class Member:
    """A model that is made by a recipe, or merged from others.

    Attributes:
        name: of the model.
        recipe: that trains it; empty for a merge.
        changes: to the recipe, as on the command line.
        added: whose task vectors are added to the base.
        scale: of the task vectors.
    """

    name: str
    recipe: str = ""
    changes: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    scale: float = 0.0


SINGLE = ("GreekMERT-nano", "TurkishMERT-nano", "HindustaniMERT-nano", "CarnaticMERT-nano")
MULTI = "CultureMERT-nano"
MERGED = "CultureMERT-TA-nano"

MERGE_SCALE = 0.2
"""As reported for CultureMERT-TA-95M (its model card)."""

FAMILY: tuple[Member, ...] = (
    Member(NANO_BASE, "mert-nano"),
    *(Member(name, name.removesuffix("MERT-nano").lower() + "-nano") for name in SINGLE),
    Member(MULTI, "culturemert-nano"),
    Member(MERGED, added=SINGLE, scale=MERGE_SCALE),
)


@dataclass(frozen=True)
class Making:
    """How models are made.

    Attributes:
        folder: gets a folder for each model.
        base: folder of the model that the others continue from.
        context: where the music is.
        device: where to train.
    """

    folder: Path
    base: Path
    context: LoadContext
    device: str = "auto"


def make_member(member: Member, making: Making, console: Console, told: Tell) -> Path:
    """Train or merge a model, unless that is done, and return its folder.

    Args:
        member: which.
        making: where and how.
        console: for the bars.
        told: takes each sentence that a user should read.

    Raises:
        UsageError: the folder holds something else.
        Diverged: the loss is lost.
    """
    out = making.folder / member.name
    if (out / WEIGHTS).is_file():
        told(f"{member.name}: there already")
        return out
    told(f"{member.name} …")
    if member.added:
        from .merge import merge_settings
        from .merge_folder import merge_models

        how = merge_settings(len(member.added), scale=member.scale)
        added = [str(making.folder / name) for name in member.added]
        merge_models(str(making.base), added, how, out, LoadOptions(offline=True), STORED)
        return out
    from .pretrain import PretrainOptions, pretrain
    from .recipe_reading import open_recipe

    options = PretrainOptions(
        out=out,
        context=making.context,
        device=making.device,
        offline=True,
        resume=True,
        dtype=STORED,
        starts={NANO_BASE: making.base},
    )
    pretrain(open_recipe(member.recipe, member.changes), options, console, told)
    return out


def make_family(making: Making, console: Console, told: Tell) -> list[Path]:
    """Make the whole family, the base first; see :func:`make_member`."""
    return [make_member(member, making, console, told) for member in FAMILY]


@dataclass(frozen=True)
class Deviation:
    """A model beside the shipped one of its name.

    Attributes:
        name: of both.
        same: whether all weights are equal.
        largest: largest difference of a held-out loss after training, as a share; ``None`` for a merge, which has none.
        comparable: whether recipe, corpus and excluded tracks are the same.
    """

    name: str
    same: bool
    largest: float | None
    comparable: bool

    @property
    def within(self) -> bool:
        """Whether the model is what the recipe gives, within :data:`TOLERANCE`."""
        return self.same or (self.comparable and (self.largest is None or self.largest <= TOLERANCE))


def deviations(folder: Path) -> Iterator[Deviation]:
    """Compare a family that was made anew with the shipped one.

    Args:
        folder: as :func:`make_family` filled it.

    Yields:
        One for each model, in the family's order.
    """
    for member in FAMILY:
        name = MERGE_FACTS if member.added else FACTS
        new, shipped = (
            json.loads((place / name).read_text(encoding="utf-8"))
            for place in (folder / member.name, nano_folder(member.name))
        )
        same = new["weights_sha256"] == shipped["weights_sha256"]
        if member.added:
            yield Deviation(member.name, same, None, True)
            continue
        keys = ("recipe_sha256", "corpus_sha256", "exclusion_sha256", "steps")
        pairs = [
            (new["held_out_loss"].get(tradition, {}).get("after"), losses["after"])
            for tradition, losses in shipped["held_out_loss"].items()
        ]
        comparable = all(new[key] == shipped[key] for key in keys) and None not in (pair[0] for pair in pairs)
        largest = max(abs(a - b) / b for a, b in pairs) if comparable else None
        yield Deviation(member.name, same, largest, comparable)
