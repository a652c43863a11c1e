"""What ``cmbench pretrain --dry-run`` prints: values with their origin, music, updates, memory and time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from ...errors import MissingError, UsageError
from ...tasks.base import LoadContext
from ..recipes.reading import OpenedRecipe
from ..recipes.recipe import FAIRSEQ, SCRATCH, Recipe

if TYPE_CHECKING:
    from ...baselines.mert.network import HubertShape


def print_values(opened: OpenedRecipe, screen: Console) -> None:
    """Print every value of a recipe, and whose choice it is."""
    table = Table(title=f"{opened.recipe.name}: {opened.recipe.summary}", title_justify="left")
    for column in ("key", "value", "origin"):
        table.add_column(column, overflow="fold")
    for key, value in _values(asdict(opened.recipe), ""):
        if key not in ("name", "summary"):
            table.add_row(key, value, _origin(opened.marks, key))
    screen.print(table)


def _origin(marks: Mapping[str, str], key: str) -> str:
    """Return the mark of a key or of the table that it is in; a recipe may leave a default unsaid."""
    while key:
        if key in marks:
            return marks[key] or "not said"
        key = key.rpartition(".")[0]
    return "default"


def _values(content: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield f"{prefix}{key}", shown


def print_music(recipe: Recipe, context: LoadContext, screen: Console, allow_contamination: bool) -> None:
    """Print the hours of each stage, as far as the music is here; mini music is listed without rendering it."""
    from ..corpus.corpus import build_corpus
    from ..pretrain import tell_corpus

    say = partial(screen.print, markup=False, highlight=False, soft_wrap=True)
    table = Table(title="Hours of music", title_justify="left")
    table.add_column("stage")
    traditions = list(dict.fromkeys(t for stage in recipe.stages.values() for t, h in stage.hours.items() if h))
    for tradition in traditions:
        table.add_column(tradition, justify="right")
    table.add_column("all", justify="right")
    for name, stage in recipe.stages.items():
        hours = [stage.hours.get(tradition, 0.0) for tradition in traditions]
        table.add_row(name, *(f"{h:.4g}" for h in hours), f"{sum(hours):.4g}")
    screen.print(table)
    try:
        corpus = build_corpus(recipe, replace(context, needs_audio=False), allow_contamination)
    except MissingError as error:
        for one in error.missing:
            say(f"Missing: {one.what} ({one.where}); {one.command}")
        return
    except UsageError as error:
        say(f"Not enough music: {error}")
        return
    tell_corpus(corpus, say)
    kept_out = sum(one.count for one in corpus.exclusions)
    say(
        f"{len(corpus.recordings)} recordings; {kept_out} validation and test tracks on the list of what is kept out "
        f"({corpus.exclusion_sha256[:12]})."
    )


def print_estimate(recipe: Recipe, screen: Console, device: str, max_steps: int | None) -> None:
    """Print updates, audio heard, memory, and the least time that the run can take on this machine."""
    from ..learner import head_shape
    from ..pretrain import training_device
    from ..training.group import launched
    from .estimate import estimate, matrix_speed

    say = partial(screen.print, markup=False, highlight=False, soft_wrap=True)
    place = training_device(device)
    steps = recipe.steps if max_steps is None else min(max_steps, recipe.steps)
    shape = _shape(recipe)
    if shape is None:
        say(f"{recipe.start} is not here to be looked at: memory and time are for MERT-95M.")
        from ...baselines.mert.network import HubertShape

        shape = HubertShape()
    heads = head_shape(recipe, recipe.targets.codebook_size)
    numbers = sum(prod(size) for size in heads.tensors(shape.hidden).values())
    found = estimate(recipe, shape, numbers, steps, matrix_speed(place), launched()[1])
    took = f"{found.seconds / 3600:.1f} h" if found.seconds >= 3600 else f"{found.seconds / 60:.1f} min"
    lines = (
        f"Updates: {found.steps}, each of {recipe.batch.crops} crops of {recipe.batch.seconds:g} s: "
        f"{found.heard_hours:.4g} h of audio heard.",
        f"Parameters, heads included: {found.parameters / 1e6:.1f} million. Memory, about: "
        f"{found.memory / 2**30:.2f} GiB beside what torch itself needs.",
        f"Time on {place}: about {took} of arithmetic at the speed of matrix products just now; decoding, targets, "
        "norms and held-out measurements come on top: often two to four times this in all.",
    )
    for line in lines:
        say(line)


def _shape(recipe: Recipe) -> HubertShape | None:
    from ...baselines.base import LoadOptions
    from ...baselines.network import open_network
    from ..learner import network_shape

    if recipe.start == SCRATCH:
        return network_shape(recipe)
    if recipe.start.endswith(FAIRSEQ):
        return None
    try:
        return open_network(recipe.start, LoadOptions(offline=True)).checkpoint.shape
    except (MissingError, UsageError):  # an own model that an earlier recipe has yet to make
        return None
