"""What is judged of leakage, from evidence alone: splits, labels counted twice, rare labels, tracks heard before.

Each is a paired difference of the score that is 0 at chance (:mod:`..answers`); between labels or tracks of unlike
prevalence, of ROC-AUC alone, which does not depend on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...comparing.compare import RESAMPLES, on_common_tracks
from ...comparing.paired import replicate
from ...records.evidence import Evidence
from ...scoring.bootstrap import cluster_count
from ...scoring.intervals import Sample, fewest
from ...scoring.metrics import Bools, Doubles, defined_labels
from ..answers import Sides
from ..cells import centred, settled

HEAD, MIDDLE, TAIL = "head", "middle", "tail"
"""Thirds of the labels of a task, by how many training tracks have them."""


def _sides(
    first: Evidence, second: Evidence, one: Sequence[int] | None = None, other: Sequence[int] | None = None
) -> Sides:
    """Return the sides of two pieces of evidence on the same tracks, each on its columns, or on all."""
    before, after = centred(replicate(first, RESAMPLES), one), centred(replicate(second, RESAMPLES), other)
    task, sample = first.record.task, fewest([first.sample, second.sample])
    if first is second:
        before, after, sample = settled(before), settled(after), replace(sample, choice=False)
    return Sides(task.name, task.tradition, before, after, sample, len(first.track_ids))


def other_split(usual: Evidence, safe: Evidence) -> Sides | None:
    """Compare a model on two splits of a task, on the tracks that both test; ``None`` where there is none.

    Each track is then judged by probes that may, and by probes that cannot, have met its group in training. The groups
    that are drawn are those of the second split, which are no smaller. The trainings of the two are on other samples.
    """
    both = set(usual.track_ids)
    common = tuple(track for track in safe.track_ids if track in both)
    if not common:
        return None
    second = safe.rows(common)
    # One record for both: which groups are drawn depends on the split that it names.
    return _sides(replace(usual.rows(common), record=second.record, groups=second.groups), second)


def without_repeats(found: Evidence, identical: Iterable[Sequence[str]]) -> Sides | None:
    """Compare the mean over all labels with that over distinct ones; ``None`` where all are.

    Args:
        found: of the model on the task.
        identical: sets of labels that no track tells apart.
    """
    repeated = {label for names in identical for label in names[1:]}
    labels = found.record.task.labels
    if not repeated:
        return None
    return _sides(found, found, None, [k for k, label in enumerate(labels) if label not in repeated])


def thirds(found: Evidence) -> Mapping[str, tuple[int, ...]]:
    """Return the labels that the test split defines, by position, in three parts by training tracks; many first."""
    held = {k: label.train_support for k, label in enumerate(found.record.labels) if label.roc_auc is not None}
    ordered = sorted(held, key=lambda k: (-held[k], k))
    return dict(zip((HEAD, MIDDLE, TAIL), (tuple(part.tolist()) for part in np.array_split(ordered, 3)), strict=True))


def in_thirds(found: Evidence, first: str, second: str) -> Sides | None:
    """Compare two thirds of the labels of a task; ``None`` where it has fewer than three."""
    parts = thirds(found)
    if not all(parts.values()):
        return None
    before, after = (settled(_ranked(found, parts[name])) for name in (first, second))
    task, sample = found.record.task, replace(found.sample, choice=False)
    return Sides(task.name, task.tradition, before, after, sample, len(found.track_ids))


def _ranked(found: Evidence, labels: Sequence[int]) -> Doubles:
    """Return ROC-AUC alone, 0 at chance, ``[1 + resamples]``: of rare labels the same skill has a lower precision."""
    scores: Doubles = 2 * replicate(found, RESAMPLES).macro("roc_auc", labels) - 1
    return scores


def against(base: Evidence, found: Evidence, third: str) -> Sides | None:
    """Compare two models on one third of the labels of a task; ``None`` where it has fewer than three."""
    parts = thirds(base)
    one, other, _ = on_common_tracks(base, found)
    return _sides(one, other, parts[third], parts[third]) if all(parts.values()) else None


def heard_before(base: Evidence, found: Evidence, heard: Collection[str]) -> Sides | None:
    """Compare what a model gains over a base on tracks that it was likely trained on, and on the others.

    Both parts are scored on the same draws of groups and on the labels that both define. That some tracks are easier is
    in both models, and cancels.

    Args:
        base: a model that did not hear these tracks, on the task.
        found: the model that may have.
        heard: ids of tracks that it has likely heard.

    Returns:
        What is gained on the other tracks, and on these; ``None`` where one part has no track or no label in common.
    """
    base, found, _ = on_common_tracks(base, found)
    rows = np.array([track in heard for track in found.track_ids])
    defined = [defined_labels(*_truth(_only(found, part)))[0] for part in (~rows, rows)]
    columns = np.flatnonzero(defined[0] & defined[1]).tolist()
    if not columns:
        return None
    others, these = (
        settled(_ranked(_only(found, part), columns) - _ranked(_only(base, part), columns)) for part in (~rows, rows)
    )
    groups = [cluster_count([g for g, here in zip(found.groups, part, strict=True) if here]) for part in (~rows, rows)]
    sample = fewest([base.sample, found.sample, *(Sample(count, base.sample.trainings) for count in groups)])
    task = found.record.task
    return Sides(task.name, task.tradition, others, these, replace(sample, choice=False), int(rows.sum()))


def _only(found: Evidence, rows: Bools) -> Evidence:
    """Return evidence of which the labels of some tracks alone are known: all are drawn, these are scored."""
    known = _truth(found)[1] & rows[:, None]
    return replace(found, known=known, targets=found.targets & known)


def _truth(found: Evidence) -> tuple[Bools, Bools]:
    return found.targets, np.ones_like(found.targets) if found.known is None else found.known
