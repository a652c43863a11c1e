"""What is not on this machine of a task or a model: how much, from whom, under what terms, and what to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..errors import Missing, UsageError
from ..tasks.base import Task
from ..tasks.preparing import Download, Plan, PrepareContext

DATA_ROOT = Path("DATA_ROOT")
"""What stands in commands where the user has named no folder yet."""


@dataclass(frozen=True)
class Need:
    """Something that is not on this machine."""

    name: str  # of the task or the model
    what: str  # in words
    source: str  # from whom
    licence: str  # under what terms
    command: str  # what to type or do
    files: int | None = None  # how many; ``None`` where that is not known
    bytes: int | None = None  # how much; ``None`` where nobody states it and it cannot be worked out
    rough: bool = False  # whether the bytes are worked out, not stated
    yours: bool = False  # whether only the user can get it: it needs an account, or files that nobody may give away
    blocks: bool = True  # whether a cell cannot be computed without it


def task_needs(task: Task, root: Path | None, missing: Sequence[Missing], blocks: bool) -> tuple[Need, ...]:
    """Return what is to be got of a task: what its preparation would fetch, then what only the user has."""
    if task.prepare is None:
        return tuple(_yours(task.name, one, blocks) for one in missing)
    where = root or DATA_ROOT
    plan = task.prepare(task, PrepareContext(where, ask=_ask_nobody, offline=True))
    command = f"cmbench tasks prepare {task.name} --data-root {shlex.quote(str(where))}"
    needs = _fetched(task, plan, command, blocks)
    needs += [_yours(task.name, one, blocks) for one in plan.missing]
    return tuple(needs or (_yours(task.name, one, blocks) for one in missing))


def _ask_nobody(prompt: str) -> str:
    raise UsageError(f"A plan asks for nothing: {prompt}")


def _fetched(task: Task, plan: Plan, command: str, blocks: bool) -> list[Need]:
    """Return what a preparation would fetch, by source and licence."""
    by_source: dict[tuple[str, str], list[Download]] = {}
    for one in plan.downloads:
        by_source.setdefault((one.url.rpartition("/")[0], one.licence), []).append(one)
    # Of what is not stated each file is taken for as large as the others.
    share = plan.estimate // max(1, sum(one.size is None for one in plan.downloads)) or None
    needs: dict[tuple[str, str], Need] = {}
    for (source, licence), files in by_source.items():
        sizes = [share if one.size is None else one.size for one in files]
        size = None if None in sizes else sum(filter(None, sizes))
        rough = any(one.size is None for one in files)
        needs[source, licence] = Need(
            task.name, "files", source, licence, command, len(files), size, rough, blocks=blocks
        )
    for step in (step for step in plan.steps if step.fetches):
        needs[step.source, step.licence] = Need(
            task.name, step.what, step.source, step.licence, command, step.files, step.estimate, True, True, blocks
        )
    return list(needs.values())


def _yours(name: str, one: Missing, blocks: bool) -> Need:
    return Need(name, one.what, one.source, one.licence, one.command, yours=True, blocks=blocks)


def model_need(name: str, one: Missing) -> Need:
    """Return what is to be got of a model; the bytes of a published network are worked out from its shape."""
    size = _released_bytes(name)
    return Need(name, one.what, one.source, one.licence, one.command, None, size, size is not None)


def _released_bytes(name: str) -> int | None:
    """Bytes of a published network in float32, from its shape; ``None`` of any other model."""
    from ..baselines.mert.encoder import FORCED, RELEASED
    from ..baselines.mert.network import HubertShape

    for model in RELEASED:
        if name.removesuffix(FORCED) == model.hub.name:
            shape = HubertShape(hidden=model.hidden, layers=model.layers, intermediate=4 * model.hidden)
            return 4 * sum(prod(size) for size in shape.tensors().values())
    return None
