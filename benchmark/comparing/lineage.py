"""Who descends from whom, and who has learnt nothing: what a model is compared with when nobody says it.

A record states no parent by itself. What it states of the model does: the description or the corpora name it
(``MERT-nano after continual pre-training …``, ``20,000 h of music (MERT-v1-95M)``), or the corpora begin with all of
the parent's, as the cards of cmbench's own recipes and merges have it. Only models of the same network are kin.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ...baselines.hub.about import NOT_STATED
from ..records.record import ModelPart

Models = Mapping[str, ModelPart]
"""Name of a model among those that stand side by side -> its card; in the order in which they were named."""


def is_control(model: ModelPart) -> bool:
    """Return whether a model has learnt nothing: constant features, or a network that was never trained."""
    return model.family == "anchors" or (model.parameters > 0 and not model.trained_on)


def parents(models: Models) -> dict[str, str]:
    """Return the parent of each model that has one among the others."""
    found = {}
    for name, model in models.items():
        kin = [other for other in models if other != name and _same_network(models[other], model)]
        named = [other for other in kin if _names(model, other)]
        longest = sorted(
            (other for other in kin if _continues(model.trained_on, models[other].trained_on)),
            key=lambda other: -len(models[other].trained_on),
        )
        if not is_control(model) and (likely := [*named, *longest]):
            found[name] = likely[0]
    return {name: parent for name, parent in found.items() if not is_control(models[parent])}


def descendants(models: Models, base: str) -> tuple[str, ...]:
    """Return the models that were made of a base, directly or not."""
    above = parents(models)
    found: set[str] = set()
    while more := {name for name, parent in above.items() if parent in found | {base}} - found - {base}:
        found |= more
    return tuple(name for name in models if name in found)


def base_of(models: Models) -> str:
    """Return the model that the others are compared with: the one most of them descend from, else the first.

    A control is taken only where there is nothing else.

    Args:
        models: at least one.
    """
    able = [name for name, model in models.items() if not is_control(model)] or list(models)
    children = Counter({name: len(descendants(models, name)) for name in able})
    return max(able, key=lambda name: children[name])


def _same_network(one: ModelPart, other: ModelPart) -> bool:
    return (one.layers, one.dim, one.sample_rate) == (other.layers, other.dim, other.sample_rate)


def _names(model: ModelPart, other: str) -> bool:
    """Return whether a model's description or corpora name another, as a word of its own."""
    plain = re.split("[@#]", other)[0]
    said = " ".join([model.description, *model.trained_on])
    return re.search(rf"(?<![\w-]){re.escape(plain)}(?![\w-])", said) is not None


def _continues(corpora: Sequence[str], earlier: Sequence[str]) -> bool:
    """Return whether corpora begin with all of an earlier model's, and there are more of them."""
    return (
        tuple(earlier) not in ((), NOT_STATED)
        and len(corpora) > len(earlier)
        and list(corpora[: len(earlier)]) == [*earlier]
    )
