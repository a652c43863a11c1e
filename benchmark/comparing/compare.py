"""Two models side by side on the tasks that both were run on: what changed, how surely, and for which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import UsageError
from ..records.evidence import Evidence
from ..records.record import Record, TaskPart
from ..records.setting import Setting, common_setting
from ..scoring.bootstrap import MIN_CLUSTERS
from ..scoring.intervals import Sample, fewest
from .delong import delong_test
from .paired import RANKED, Difference, Replicates, control_by_metric, difference, replicate, replicate_all

RESAMPLES = 1000
BOUND = 0.01
"""Changes smaller than one point count as none."""


@dataclass(frozen=True)
class LabelChange:
    """What changed for one label.

    Attributes:
        label: its name.
        family: its family.
        support: positives among the tracks compared.
        roc_auc: change of ROC-AUC; its q-value is among the labels of the task.
        average_precision: change of average precision.
        delong_p_value: DeLong's p-value of the ROC-AUC of the seeds' mean probabilities; ``None`` if undefined.
    """

    label: str
    family: str
    support: int
    roc_auc: Difference
    average_precision: Difference
    delong_p_value: float | None


@dataclass(frozen=True)
class TaskChange:
    """What changed on one task.

    Attributes:
        task: its name.
        tradition: its tradition.
        tracks: test tracks compared.
        sample: groups among them, and trainings that the error of both takes in.
        notes: what the reader should know, for example tracks that only one model could use.
        metrics: macro ``roc_auc`` and ``average_precision``; their q-values are among the tasks.
        families: family -> metric -> change; q-values among the families of the task; empty if not asked for.
        labels: in the task's order; empty if not asked for.
        replicates: before and after, ``[1 + resamples]`` per metric and for ``prevalence``, for summaries over tasks.
    """

    task: str
    tradition: str
    tracks: int
    sample: Sample
    notes: tuple[str, ...]
    metrics: Mapping[str, Difference]
    families: Mapping[str, Mapping[str, Difference]]
    labels: tuple[LabelChange, ...]
    replicates: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @property
    def groups(self) -> int:
        """Groups among the tracks compared."""
        return int(self.sample.groups)


@dataclass(frozen=True)
class Comparison:
    """Two models on their common tasks.

    Attributes:
        before: name of the first model.
        after: name of the second.
        setting: that both were measured in.
        bound: below which a change counts as none, as a fraction.
        tasks: in the first model's order.
        only_before: tasks without a record of the second model.
        only_after: tasks without a record of the first model.
    """

    before: str
    after: str
    setting: Setting
    bound: float
    tasks: tuple[TaskChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


def compare(
    before: Sequence[Evidence],
    after: Sequence[Evidence],
    *,
    resamples: int = RESAMPLES,
    bound: float = BOUND,
    labels: bool = True,
) -> Comparison:
    """Compare two models on every task that both were run on.

    Args:
        before: records of one model with their predictions, one for each task.
        after: of the other.
        resamples: of the paired bootstrap.
        bound: changes smaller than this count as none, as a fraction.
        labels: whether to judge families and labels too.

    Raises:
        UsageError: a side is empty or holds several models, there is no common task, or a common task was measured
            under another protocol, on another edition or split, or with other labels; the message says which.
    """
    first, second = _by_task(before, "first"), _by_task(after, "second")
    common = [task for task in first if task in second]
    if not common:
        raise UsageError(
            f"{_model(before)} ({', '.join(first)}) and {_model(after)} ({', '.join(second)}) have no task in common."
        )
    for task in common:
        refuse_mismatch(first[task].record, second[task].record)
    setting = common_setting(first[task].record for task in common)
    replicate_all([side[task] for task in common for side in (first, second)], resamples)
    changes = [_task_change(first[task], second[task], resamples, bound, labels) for task in common]
    judged = control_by_metric([change.metrics for change in changes])
    return Comparison(
        before=_model(before),
        after=_model(after),
        setting=setting,
        bound=bound,
        tasks=tuple(replace(c, metrics=m) for c, m in zip(changes, judged, strict=True)),
        only_before=tuple(task for task in first if task not in second),
        only_after=tuple(task for task in second if task not in first),
    )


def _model(side: Sequence[Evidence]) -> str:
    return side[0].record.model.name


def _by_task(side: Sequence[Evidence], which: str) -> dict[str, Evidence]:
    if not side:
        raise UsageError(f"There is no record of the {which} model.")
    models = sorted({(e.record.model.name, e.record.model.fingerprint) for e in side})
    if len(models) > 1:
        names = ", ".join(f"{name} ({fingerprint[:8]})" for name, fingerprint in models)
        raise UsageError(f"The {which} side holds several models: {names}. Name the folder of one.")
    found: dict[str, Evidence] = {}
    for evidence in side:
        name = evidence.record.task.name
        if name in found:
            raise UsageError(
                f"There are two records of {_model(side)} on {name}: {found[name].path} and {evidence.path}. "
                "Name one of them: --edition, --split, --protocol."
            )
        found[name] = evidence
    return found


def refuse_mismatch(first: Record, second: Record) -> None:
    """Refuse two records of one task that were not measured alike.

    Raises:
        UsageError: naming what differs.
    """
    compared = (
        ("edition", first.task.edition, second.task.edition),
        ("split", first.task.split, second.task.split),
        ("split's content (hash)", first.task.split_sha256[:12], second.task.split_sha256[:12]),
        ("label set (hash)", first.task.label_sha256[:12], second.task.label_sha256[:12]),
        ("protocol", first.protocol.name, second.protocol.name),
        ("protocol's content (hash)", first.protocol.sha256[:12], second.protocol.sha256[:12]),
    )
    for what, one, other in compared:
        if one != other:
            raise UsageError(
                f"{first.model.name} and {second.model.name} cannot be compared on {first.task.name}: the {what} "
                f"differs ({one} and {other}). Run both models alike."
            )


def _task_change(first: Evidence, second: Evidence, resamples: int, bound: float, labels: bool) -> TaskChange:
    first, second, notes = on_common_tracks(first, second)
    task = first.record.task
    one, other = replicate(first, resamples), replicate(second, resamples)
    if first.models > 1 or second.models > 1:
        one, other = one.beside(other), other.beside(one, second=True)
    sample = fewest([one.sample, other.sample])
    macro = {metric: (one.macro(metric), other.macro(metric)) for metric in (*RANKED, "prevalence")}
    return TaskChange(
        task=task.name,
        tradition=task.tradition,
        tracks=len(first.track_ids),
        sample=sample,
        notes=notes,
        metrics={metric: difference(*macro[metric], sample, bound) for metric in RANKED},
        families=_family_changes(task, one, other, sample, bound) if labels else {},
        labels=_label_changes(first, second, one, other, sample, bound) if labels else (),
        replicates=macro,
    )


def _family_changes(
    task: TaskPart, one: Replicates, other: Replicates, sample: Sample, bound: float
) -> dict[str, dict[str, Difference]]:
    """Judge the macro scores of every family, in the order of the labels; q-values among the families."""
    families = task.columns()
    changes = [
        {m: difference(one.macro(m, columns), other.macro(m, columns), sample, bound) for m in RANKED}
        for columns in families.values()
    ]
    return dict(zip(families, control_by_metric(changes), strict=True))


def on_common_tracks(first: Evidence, second: Evidence) -> tuple[Evidence, Evidence, tuple[str, ...]]:
    """Bring both to the test tracks that both could use.

    Raises:
        UsageError: there is no common track, or a track has other labels or another group in the two.
    """
    notes = []
    others = set(second.track_ids)
    common = tuple(track for track in first.track_ids if track in others)
    for one, other in ((first, second), (second, first)):
        alone = len(one.track_ids) - len(common)
        if alone:
            tracks = "track" if alone == 1 else "tracks"
            notes.append(
                f"{alone} test {tracks} of {one.record.model.name} could not be used by {other.record.model.name}"
            )
    if first.record.task.audio_sha256 != second.record.task.audio_sha256:
        notes.append("the two were measured on different audio files of these tracks")
    if not common:
        raise UsageError(
            f"{first.path} and {second.path} have no test track of {first.record.task.name} in common; run both models "
            "on the same tracks."
        )
    first, second = first.rows(common), second.rows(common)
    if not first.same_truth(second) or first.groups != second.groups:
        raise UsageError(
            f"{first.path} and {second.path} give tracks of {first.record.task.name} different labels or "
            "groups: they were not made from the same annotations. Run both models again on the same task."
        )
    return first, second, tuple(notes)


def _label_changes(
    first: Evidence, second: Evidence, one: Replicates, other: Replicates, sample: Sample, bound: float
) -> tuple[LabelChange, ...]:
    task = first.record.task
    differences = [
        {
            m: difference(one.scores[m][:, k], other.scores[m][:, k], _of_label(sample, one.held[k]), bound)
            for m in RANKED
        }
        if one.defined[k]
        else dict.fromkeys(
            RANKED, Difference(None, None, None, reason=first.record.undefined_labels.get(label, "not defined"))
        )
        for k, label in enumerate(task.labels)
    ]
    means = [evidence.probabilities.mean(axis=0) for evidence in (first, second)]
    changes = []
    for k, (label, judged) in enumerate(zip(task.labels, control_by_metric(differences), strict=True)):
        same = np.array_equal(first.probabilities[:, :, k], second.probabilities[:, :, k])
        rows = first.judged(k)
        tested = delong_test(first.targets[rows, k], means[0][rows, k], means[1][rows, k])
        changes.append(
            LabelChange(
                label=label,
                family=task.families[label],
                support=int(first.targets[:, k].sum()),
                delong_p_value=tested[2] if tested else None,
                **{metric: _at_the_ceiling(found, same) for metric, found in judged.items()},
            )
        )
    return tuple(changes)


def _of_label(sample: Sample, held: float) -> Sample:
    """Return what a label is judged by: all groups, unless too few speak of it."""
    return sample if held >= MIN_CLUSTERS else replace(sample, groups=held)


def _at_the_ceiling(judged: Difference, same: bool) -> Difference:
    """Take back that a label is kept where both models are perfect on it: a few positives say no more than that."""
    if same or not judged.equivalent or judged.before != 1.0 or judged.after != 1.0:
        return judged
    return replace(judged, equivalent=False, reason="both rank every track right")
