"""What a section of records says first: who leads each tradition, what adaptation changed, what cannot be told.

Every score here is 0 at chance and 1 for a perfect ranking (:mod:`.summary`), so that ROC-AUC and average precision,
and tasks with many or few labels, share one scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby

import numpy as np

from ..records.evidence import Evidence
from ..records.record import ModelPart
from ..records.sections import Section
from ..scoring.intervals import Sample, fewest
from ..scoring.metrics import Doubles
from .compare import BOUND, RESAMPLES, compare
from .equity import equities
from .lineage import descendants, is_control
from .paired import LEVEL, Difference, Level, control_false_discoveries, difference, level, replicate_all
from .summary import judge_tasks, tradition_replicates


@dataclass(frozen=True)
class Contest:
    """The models on one tradition, on the tracks that all of them could use.

    Attributes:
        tradition: its name.
        scores: model -> score, best first; models that lack one of its tasks are not here.
        told: pairs of models, the better one first, that are told apart at a false discovery rate of 5 % among all.
        changes: model -> change against the base; its q-value is among the traditions of the model.
        controls: those of the models that have learnt nothing.
    """

    tradition: str
    scores: Mapping[str, Level]
    told: frozenset[tuple[str, str]]
    changes: Mapping[str, Difference]
    controls: frozenset[str]

    @property
    def leader(self) -> str | None:
        """The best model that is no control."""
        return next((name for name in self.scores if name not in self.controls), None)

    @property
    def level_with_leader(self) -> tuple[str, ...]:
        """The others, controls aside, that cannot be told from the leader."""
        others = (name for name in self.scores if name not in self.controls and name != self.leader)
        return tuple(name for name in others if (self.leader, name) not in self.told)

    @property
    def anyone(self) -> bool:
        """Whether all of several models are level with the leader."""
        return 0 < len(self.level_with_leader) == len(self.scores.keys() - self.controls) - 1


@dataclass(frozen=True)
class Headline:
    """A section in short.

    Attributes:
        section: the records.
        base: model that the others are compared with; empty without predictions.
        controls: models that have learnt nothing.
        subjects: what is compared with the base: the models that descend from it, else all that are no controls.
        adapted: whether the subjects descend from the base.
        contests: for each tradition that models have predictions on.
        cells: model, task -> change against the base; its q-value is among the tasks of the model.
        gaps: model -> mean of the other traditions minus the Western one; only where both were measured.
    """

    section: Section
    base: str
    controls: frozenset[str]
    subjects: tuple[str, ...]
    adapted: bool
    contests: tuple[Contest, ...]
    cells: Mapping[tuple[str, str], Difference]
    gaps: Mapping[str, Level]

    @property
    def rows(self) -> list[str]:
        """Names of the section's models: the base, the others as they were given, the controls."""
        names = [row.name for row in self.section.rows]
        return sorted(names, key=lambda name: (name in self.controls, name != self.base))

    @property
    def judged(self) -> list[Difference]:
        """The changes of all cells, controls aside."""
        return [change for (model, _), change in self.cells.items() if model not in self.controls]


def separable(change: Difference) -> bool:
    """Return whether a change is told apart from zero."""
    return change.verdict in ("gained", "lost")


def headline(section: Section, alike: Sequence[Evidence], base: str, resamples: int = RESAMPLES) -> Headline:
    """Judge a section.

    Args:
        section: the records.
        alike: those of them with predictions that agree on each task's tracks and labels, under the names of its rows.
        base: model of ``alike`` that the others are compared with; empty if there is none.
        resamples: of the bootstrap.
    """
    replicate_all(alike, resamples)
    models = _models(section)
    controls = frozenset(name for name, model in models.items() if is_control(model))
    compared = {e.record.model.name: e.record.model for e in alike}
    heirs = descendants(compared, base)
    others = tuple(name for name in compared if name != base and name not in controls)
    found = [_contest(side, base, controls, resamples) for side in _traditions(section, alike)]
    judged = {name: one.gap for one in equities(alike, resamples) if (name := one.model) not in controls}
    return Headline(
        section,
        base,
        controls,
        heirs or others,
        bool(heirs),
        tuple(_judged_together([one for one in found if one is not None])),
        _cells(alike, base, resamples),
        {name: gap for name, gap in judged.items() if gap is not None and gap.value is not None},
    )


def _models(section: Section) -> dict[str, ModelPart]:
    return {row.name: section.records_of(row)[0][1].model for row in section.rows}


def _traditions(section: Section, alike: Sequence[Evidence]) -> list[dict[str, list[Evidence]]]:
    """Return for each tradition model -> its records there, one for each task; models that lack one are left out."""
    found = []
    for _, columns in groupby(section.columns, key=lambda column: column.tradition):
        tasks = [column.name for column in columns]
        sides: dict[str, list[Evidence]] = {}
        for e in alike:
            if e.record.task.name in tasks:
                sides.setdefault(e.record.model.name, []).append(e)
        found.append({name: side for name, side in sides.items() if len(side) == len(tasks)})
    return [sides for sides in found if sides]


def _contest(
    sides: Mapping[str, list[Evidence]], base: str, controls: frozenset[str], resamples: int
) -> Contest | None:
    """Judge every pair of models on one tradition; ``None`` where no track is common or no label is defined."""
    kept = _on_common_tracks(sides)
    if kept is None:
        return None
    first = next(iter(kept.values()))
    tradition, sample = first[0].record.task.tradition, fewest([e.sample for side in kept.values() for e in side])
    scores = {name: tradition_replicates(side, resamples)[tradition] for name, side in kept.items()}
    order = sorted((name for name in scores if not np.isnan(scores[name][0])), key=lambda name: -scores[name][0])
    if not order:
        return None
    changes = {
        name: difference(scores[base], scores[name], sample, BOUND) for name in order if base in order and name != base
    }
    told = _told(scores, order, sample)
    return Contest(tradition, {name: level(scores[name], sample, most=1.0) for name in order}, told, changes, controls)


def _on_common_tracks(sides: Mapping[str, list[Evidence]]) -> dict[str, list[Evidence]] | None:
    """Bring the models to the tracks that all of them could use; ``None`` if a task has none."""
    by_task = list(zip(*(sorted(side, key=lambda e: e.record.task.name) for side in sides.values()), strict=True))
    shared = [set(found[0].track_ids).intersection(*(e.track_ids for e in found)) for found in by_task]
    if not all(shared):
        return None
    common = [tuple(t for t in found[0].track_ids if t in ids) for found, ids in zip(by_task, shared, strict=True)]
    return {
        name: [found[i].rows(ids) for found, ids in zip(by_task, common, strict=True)] for i, name in enumerate(sides)
    }


def _told(scores: Mapping[str, Doubles], order: Sequence[str], sample: Sample) -> frozenset[tuple[str, str]]:
    pairs = list(combinations(order, 2))
    judged = control_false_discoveries([difference(scores[b], scores[a], sample, 0.0) for a, b in pairs])
    return frozenset(
        pair
        for pair, one in zip(pairs, judged, strict=True)
        if one.change and one.q_value is not None and one.q_value <= 1 - LEVEL
    )


def _judged_together(contests: Sequence[Contest]) -> list[Contest]:
    """Fill in the q-values of each model's changes among its traditions."""
    models = dict.fromkeys(name for one in contests for name in one.changes)
    judged: list[dict[str, Difference]] = [{} for _ in contests]
    for name in models:
        places = [i for i, one in enumerate(contests) if name in one.changes]
        found = control_false_discoveries([contests[i].changes[name] for i in places])
        for i, change in zip(places, found, strict=True):
            judged[i][name] = change
    return [replace(one, changes=changes) for one, changes in zip(contests, judged, strict=True)]


def _cells(alike: Sequence[Evidence], base: str, resamples: int) -> dict[tuple[str, str], Difference]:
    """Judge every model on every task of the base."""
    sides: dict[str, list[Evidence]] = {}
    for e in alike:
        sides.setdefault(e.record.model.name, []).append(e)
    there = {e.record.task.name for e in sides.get(base, ())}
    found: dict[tuple[str, str], Difference] = {}
    for name, side in sides.items():
        if name != base and any(e.record.task.name in there for e in side):
            tasks = compare(sides[base], side, resamples=resamples, labels=False).tasks
            found |= {(name, task): change for task, change in judge_tasks(tasks, BOUND).items()}
    return found
