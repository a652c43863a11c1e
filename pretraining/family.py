"""The nano family: trained by its recipes, one after the other, each from the model that it continues from.

A model that is finished is not trained again, and one that was interrupted goes on, so that the same command can be
given until the family is whole. What lies in its place and is not what would be made is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..baselines.base import LoadOptions
from ..baselines.nano import NANO_BASE, nano_folder
from ..errors import UsageError
from ..files import read_json
from ..tasks.base import LoadContext
from .card import FACTS
from .merging.card import FACTS as MERGE_FACTS

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
class FamilyModel:
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

FAMILY: tuple[FamilyModel, ...] = (
    FamilyModel(NANO_BASE, "mert-nano"),
    *(FamilyModel(name, name.removesuffix("MERT-nano").lower() + "-nano") for name in SINGLE),
    FamilyModel(MULTI, "culturemert-nano"),
    FamilyModel(MERGED, added=SINGLE, scale=MERGE_SCALE),
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

    def place(self, name: str) -> Path:
        """Return the folder of a model.

        Absolute, for where models are opened a bare name such as ``MERT-nano`` is the one that ships.
        """
        return (self.folder / name).resolve()


def make_member(member: FamilyModel, making: Making, console: Console, say: Tell) -> Path:
    """Train or merge a model, unless that is done, and return its folder.

    Args:
        member: which.
        making: where and how.
        console: for the bars.
        say: takes each sentence that a user should read.

    Raises:
        UsageError: the folder holds something else.
        Diverged: the loss is lost.
    """
    out, base = making.place(member.name), making.base.resolve()
    if (out / WEIGHTS).is_file():
        require_made(member, making)
        say(f"{member.name}: there already")
        return out
    say(f"{member.name} …")
    if member.added:
        from .merging.folder import merge_models
        from .merging.merge import merge_settings

        how = merge_settings(len(member.added), scale=member.scale)
        added = [str(making.place(name)) for name in member.added]
        merge_models(str(base), added, how, out, LoadOptions(offline=True), STORED)
        return out
    from .pretrain import PretrainOptions, pretrain
    from .recipes.reading import open_recipe

    options = PretrainOptions(
        out=out,
        context=making.context,
        device=making.device,
        offline=True,
        resume=True,
        dtype=STORED,
        starts={NANO_BASE: base},
    )
    pretrain(open_recipe(member.recipe, member.changes), options, console, say)
    return out


def make_family(making: Making, console: Console, say: Tell) -> list[Path]:
    """Make the whole family, the base first; see :func:`make_member`."""
    return [make_member(member, making, console, say) for member in FAMILY]


def require_made(member: FamilyModel, making: Making) -> None:
    """Check that a folder holds the model that would be made there.

    Raises:
        UsageError: it was made by another recipe, from other models, or not to its end; or its facts are not readable.
    """
    out = making.place(member.name)
    facts: Mapping[str, Any] = read_json(out / (MERGE_FACTS if member.added else FACTS))
    try:
        differs = (
            _merged_otherwise(member, making, facts) if member.added else _trained_otherwise(member, making, facts)
        )
    except (KeyError, TypeError) as error:
        raise UsageError(f"{out}: its facts are not those of a model of the family ({error}). {_REMEDY}") from error
    if differs:
        raise UsageError(f"{out} holds another {member.name}: {differs}. {_REMEDY}")


_REMEDY = "Remove that folder, or name another with --out."


def _trained_otherwise(member: FamilyModel, making: Making, facts: Mapping[str, Any]) -> str:
    from .recipes.reading import open_recipe

    recipe = open_recipe(member.recipe, member.changes).recipe
    if facts["recipe_sha256"] != recipe.sha256:
        return f"its recipe is not {member.recipe} as it is now"
    if facts["steps"] != recipe.steps:
        return f"its training was stopped after {facts['steps']} of {recipe.steps} updates"
    if recipe.start == NANO_BASE and facts["start"]["weights_sha256"] != _weights(making.base):
        return f"it continues from another {NANO_BASE}"
    return ""


def _merged_otherwise(member: FamilyModel, making: Making, facts: Mapping[str, Any]) -> str:
    if facts["base"]["weights_sha256"] != _weights(making.base):
        return f"it was merged into another {NANO_BASE}"
    made = {(one["weights_sha256"], one["scale"]) for one in facts["added"]}
    if made != {(_weights(making.place(name)), member.scale) for name in member.added}:
        return "it was merged from other models, or at another scale"
    return ""


def _weights(folder: Path) -> str:
    """Return the hash of the weights that a folder holds, whatever it says of them."""
    from ..baselines.hub.about import weights_sha256
    from ..baselines.network import open_network

    return weights_sha256(open_network(str(folder.resolve()), LoadOptions(offline=True)).checkpoint.weights)


def require_family(folder: Path) -> None:
    """Check that a folder holds all models of the family.

    Raises:
        UsageError: it does not; what is missing is named.
    """
    if missing := [member.name for member in FAMILY if not (folder / member.name / WEIGHTS).is_file()]:
        raise UsageError(
            f"{folder} is not a whole family: it has no {', '.join(missing)}. "
            f"`cmbench reproduce family --out {folder}` makes what is missing."
        )


@dataclass(frozen=True)
class Deviation:
    """A model beside the shipped one of its name.

    Attributes:
        name: of both.
        same: whether all weights are equal.
        largest: largest difference of a held-out loss after training, as a share; ``None`` for a merge, which has none.
        comparable: whether recipe, corpus and held-out recordings are the same; for a merge, what is merged and how.
            The list of excluded tracks is not compared: it grows with every task, and the corpus is what it left.
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

    Raises:
        UsageError: a model is missing, or does not say how it was made.
    """
    for member in FAMILY:
        name = MERGE_FACTS if member.added else FACTS
        new, shipped = (read_json(place / name) for place in (folder / member.name, nano_folder(member.name)))
        try:
            found = _merge_deviation(new, shipped) if member.added else _deviation(new, shipped)
        except (KeyError, TypeError) as error:
            file = folder / member.name / name
            raise UsageError(f"{file}: these are not the facts of a model of the family ({error}).") from error
        yield found


def _deviation(new: Mapping[str, Any], shipped: Mapping[str, Any]) -> Deviation:
    keys = ("recipe_sha256", "corpus_sha256", "held_out_sha256", "steps", "contaminated")
    ours, theirs = dict(new["held_out_loss"]), dict(shipped["held_out_loss"])
    comparable = all(new[key] == shipped[key] for key in keys) and ours.keys() == theirs.keys()
    largest = max(abs(ours[t]["after"] / theirs[t]["after"] - 1) for t in theirs) if comparable else None
    return Deviation(shipped["name"], new["weights_sha256"] == shipped["weights_sha256"], largest, comparable)


def _merge_deviation(new: Mapping[str, Any], shipped: Mapping[str, Any]) -> Deviation:
    keys = ("method", "weight_norm", "density", "dtype")

    def merged(facts: Mapping[str, Any]) -> tuple[object, ...]:
        return (*(facts[key] for key in keys), *((one["name"], one["scale"]) for one in facts["added"]))

    same = new["weights_sha256"] == shipped["weights_sha256"]
    return Deviation(shipped["name"], same, None, merged(new) == merged(shipped))
