"""Several pre-trainings of one model, that differ in chance alone: judged as one, with their spread.

One pre-training is a sample of one: what a model of another seed would score is not known from it. Of several, the
score is the mean over them, and the error takes in their spread (:func:`.paired.difference`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from ...errors import UsageError
from ..records.evidence import Evidence
from ..records.record import Metric
from .compare import on_common_tracks, refuse_mismatch


def models_of(found: Sequence[Evidence]) -> dict[str, list[Evidence]]:
    """Return the records of each model, by its name."""
    sides: dict[str, list[Evidence]] = {}
    for e in found:
        sides.setdefault(e.record.model.name, []).append(e)
    return sides


def with_seeds(found: Sequence[Evidence], seeds_of: Mapping[str, Sequence[str]]) -> list[Evidence]:
    """Return records in which some models are one, where the first of them stood.

    Args:
        found: records with predictions.
        seeds_of: name of what several models are pre-trainings of -> their names.

    Raises:
        UsageError: there is no record of one of them, it is named twice, or they were not measured alike.
    """
    sides, named = models_of(found), [name for names in seeds_of.values() for name in names]
    for name in named:
        if name not in sides:
            raise UsageError(f"There is no record of {name!r}; there are {', '.join(sides)}.")
        if named.count(name) > 1:
            raise UsageError(f"{name} is named twice among the seeds of models.")
    family = {name: whole for whole, names in seeds_of.items() for name in names}
    if taken := [whole for whole in seeds_of if whole in sides and family.get(whole) != whole]:
        raise UsageError(f"{taken[0]} is a model of its own; choose another name for what its seeds are of.")
    one: dict[str, list[Evidence]] = {}
    for name, side in sides.items():
        whole = family.get(name, name)
        if whole not in one:
            names = seeds_of.get(whole)
            one[whole] = side if names is None else as_one([sides[n] for n in names], whole)
    return [e for side in one.values() for e in side]


def as_one(members: Sequence[Sequence[Evidence]], name: str) -> list[Evidence]:
    """Make one model of its pre-trainings: the mean of their scores, on the tracks that all of them could use.

    Args:
        members: records of each, one for each task.
        name: of what they are pre-trainings of.

    Raises:
        UsageError: there is one only, two are the same, they are on different tasks, or were measured differently.
    """
    prints = {e.record.model.fingerprint for side in members for e in side}
    if len(members) < 2 or len(prints) < len(members):
        raise UsageError(f"{name}: pre-trainings that differ in their seed are wanted, two at least, each once.")
    by_task = [{e.record.task.name: e for e in side} for side in members]
    for tasks, side in zip(by_task, members, strict=True):
        if len(tasks) < len(side) or tasks.keys() != by_task[0].keys():
            raise UsageError(f"{name}: every pre-training needs one record of each of {', '.join(by_task[0])}.")
    return [_mean([tasks[task] for tasks in by_task], name) for task in by_task[0]]


def _mean(found: Sequence[Evidence], name: str) -> Evidence:
    first = found[0]
    for other in found[1:]:
        refuse_mismatch(first.record, other.record)
        first = on_common_tracks(first, other)[0]
    alike = [on_common_tracks(first, other)[1] for other in found]
    record = first.record
    metrics = {metric: _mean_metric([e.record.metrics[metric] for e in found], name) for metric in record.metrics}
    again = [e.resampled for e in alike if e.resampled is not None]
    model = record.model.model_copy(update={"name": name})
    return replace(
        first,
        record=record.model_copy(update={"model": model, "metrics": metrics}),
        probabilities=np.concatenate([e.probabilities for e in alike]),
        resampled=np.concatenate(again) if len(again) == len(alike) else None,
        models=len(alike),
    )


def _mean_metric(found: Sequence[Metric], name: str) -> Metric:
    values = [metric.value for metric in found if metric.value is not None]
    seeds = tuple(seed for metric in found for seed in metric.per_seed)
    if len(values) < len(found):
        return Metric(
            value=None, interval=None, per_seed=seeds, reason=found[0].reason or f"not defined for all {name}"
        )
    return Metric(value=fmean(values), interval=None, per_seed=seeds, reason=f"mean of {len(found)} pre-trainings")
