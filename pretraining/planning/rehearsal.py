"""Rehearsing a recipe: its network, batch and objective on music that is rendered here, to see what a run takes.

A recipe for real music needs corpora, a starting model and EnCodec. To learn whether it runs on a machine, how much
memory it takes and how long an update is, none of them is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..recipes.reading import OpenedRecipe
from ..recipes.recipe import FIT, SCRATCH, HeldOut, Recipe, Stage

HOURS = 0.1
"""Of all music of a stage together, in the proportions of the recipe: enough to fit 1,024 tokens on."""

STEPS = 2
"""Updates of a rehearsal, where no other number is asked for."""

MARK = "rehearsal"
"""Where the changed values come from."""

_MINI: Mapping[str, str] = {
    "greek": "lyra",
    "turkish": "turkish_makam",
    "hindustani": "hindustani",
    "carnatic": "carnatic",
    "western": "magnatagatune",
}


def rehearsed(opened: OpenedRecipe) -> OpenedRecipe:
    """Return a recipe for a rehearsal: random weights of its shape, mini music, a fitted teacher, little held out.

    Whatever decides what an update costs is left as it is.
    """
    recipe = opened.recipe
    changed = replace(
        recipe,
        name=f"{recipe.name[:54]}-rehearsal",
        start=SCRATCH,
        sources={tradition: [f"mini:{_MINI[tradition]}"] for tradition in _wanted(recipe)},
        targets=replace(recipe.targets, teacher=FIT, hours={}),
        held_out=HeldOut(tracks=1, crops=1),
        running=replace(recipe.running, log=1),
        stages={name: _short(stage) for name, stage in recipe.stages.items()},
    )
    keys = ["start", "sources", "targets.teacher", "targets.hours", "held_out", "running.log"]
    keys += [f"stages.{name}.hours" for name in recipe.stages]
    marks = {k: m for k, m in opened.marks.items() if not any(k == key or k.startswith(f"{key}.") for key in keys)}
    return OpenedRecipe(changed, marks | dict.fromkeys(keys, MARK))


def _wanted(recipe: Recipe) -> list[str]:
    return list(dict.fromkeys(t for stage in recipe.stages.values() for t, hours in stage.hours.items() if hours))


def _short(stage: Stage) -> Stage:
    share = HOURS / sum(stage.hours.values())
    return replace(stage, hours={tradition: hours * share for tradition, hours in stage.hours.items()})
