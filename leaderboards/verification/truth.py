"""The tasks' own tracks and labels: what a submitter's targets are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ...benchmark.records.evidence import Evidence
from ...benchmark.records.record import ACCURACY
from ...errors import CmbenchError, MissingError
from ...tasks.base import LoadContext, Task, TaskData
from ...tasks.mini.corpus import FORMER
from ...tasks.registry import registry
from .findings import UNVERIFIED, VERIFIED, Finding

NOWHERE = Path("no-cache")
"""A cache that is never there: the mini edition's tracks are then planned anew, not read from a file of the user's."""


@cache
def own_data(task: str, edition: str, split: str, labels: Path | None, split_sha256: str = "") -> TaskData | None:
    """Return a task's own tracks and labels, without audio; ``None`` where they are not on this machine.

    ``labels`` is a folder as a data root is; audio is not needed. Of the versions of the mini edition it is the one
    whose split has the given hash, else today's.

    Raises:
        CmbenchError: the labels are there and cannot be read.
    """
    context = LoadContext(labels, NOWHERE, needs_audio=False)
    try:
        data = registry()[task].load(edition, context, split)
        if edition == "mini" and split_sha256 not in ("", data.split_sha256):
            former = registry()[task].load(edition, replace(context, mini_version=FORMER), split)
            return former if former.split_sha256 == split_sha256 else data
        return data
    except MissingError:
        return None


def check_task(evidence: Evidence, task: Task) -> Iterator[Finding]:
    """Compare a record's task with the task of that name in this cmbench; needs no data."""
    part, where = evidence.record.task, evidence.record.task.name
    edition = task.editions[part.edition]
    if part.split not in (known := edition.split_names):
        yield Finding("error", "board", where, f"there is no split {part.split!a}; there are {', '.join(known)}.")
    if part.labels != edition.labels:
        yield Finding("error", "labels", where, "its labels, or their order, are not the task's.")
    elif dict(part.families) != {label: task.families[label] for label in edition.labels}:
        yield Finding("error", "labels", where, "its label families are not the task's.")
    if (ACCURACY in evidence.record.metrics) != task.single_label:
        yield Finding("error", "scores", where, f"{ACCURACY} is of tasks with one label a track, and of each of them.")
    if (part.tradition, part.title) != (task.tradition, task.title):
        yield Finding("error", "board", where, "its tradition or title are not the task's.")
    published = task.counts.get("test") if part.edition == "full" and part.split == edition.split_name else None
    if published is not None and evidence.record.coverage.asked.get("test") != published:
        asked = evidence.record.coverage.asked.get("test")
        yield Finding("error", "tracks", where, f"it asked for {asked} test tracks; the task has {published}.")


def check_coverage(evidence: Evidence) -> Iterator[Finding]:
    """Check that a record accounts for every track: predicted, or failed with a reason."""
    record, where = evidence.record, evidence.record.task.name
    coverage = record.coverage
    failed = [f.id for f in coverage.failed if f.split == "test"]
    if set(failed) & set(evidence.track_ids) or len(set(failed)) != len(failed):
        yield Finding("error", "tracks", where, "a track is both predicted and failed, or failed twice.")
    counted = {split: sum(f.split == split for f in coverage.failed) for split in coverage.asked}
    if {s: n - counted[s] for s, n in coverage.asked.items()} != coverage.used or record.task.tracks != coverage.asked:
        yield Finding("error", "tracks", where, "the tracks asked for, used and failed do not add up.")
    if coverage.used.get("test") != len(evidence.track_ids):
        yield Finding(
            "error",
            "tracks",
            where,
            f"{len(evidence.track_ids)} test tracks are predicted, but {coverage.used.get('test')} were used.",
        )


def check_labels(evidence: Evidence, data: TaskData | None) -> Iterator[Finding]:
    """Compare a submitter's tracks, groups and targets with the task's own.

    ``data`` are the task's own; ``None`` where they are not on this machine.
    """
    record, where = evidence.record, evidence.record.task.name
    if data is None:
        yield Finding(
            "unverified",
            "labels",
            where,
            "the task's labels are not on this machine; its targets are the submitter's claim. `--labels DIR` names a "
            "folder that has them.",
        )
        return
    failed = {f.id for f in record.coverage.failed}
    kept = [row for row, track in enumerate(data.splits["test"]) if track.id not in failed]
    tracks = [data.splits["test"][row] for row in kept]
    ids = tuple(track.id for track in tracks)
    if evidence.track_ids != ids:
        missing, added = set(ids) - set(evidence.track_ids), set(evidence.track_ids) - set(ids)
        what = (
            f"{len(missing)} test tracks are missing, the first {min(missing)!a}"
            if missing
            else f"{len(added)} tracks are not of the test split, the first {min(added)!a}"
            if added
            else "the tracks are not in the split's order"
        )
        several = record.task.edition == "mini" and len(ids) != len(evidence.track_ids)
        cause = (
            f" (it has {len(evidence.track_ids)} of {len(ids)}: was it run at another --mini-scale?)" if several else ""
        )
        yield Finding("error", "tracks", where, f"{what}{cause}.")
        return
    targets, known = data.label_matrix("test")[kept], data.known_matrix("test")
    if not evidence.same_truth(replace(evidence, targets=targets, known=None if known is None else known[kept])):
        yield Finding("error", "labels", where, "its targets, or which are known, are not the task's labels.")
    if tuple(track.group or None for track in tracks) != evidence.groups:
        yield Finding("error", "labels", where, "its groups, which the intervals rest on, are not the task's.")
    if record.task.label_sha256 != data.label_sha256:
        yield Finding("error", "tracks", where, "its label set has not the task's hash.")
    if (record.task.split_sha256, record.task.unknown_sha256 or "") != (data.split_sha256, data.unknown_sha256):
        # Excerpts are part of the hash, and depend on the form of the user's audio (Lyra's whole videos, for one).
        yield Finding(
            "error" if record.task.edition == "mini" else "flag",
            "tracks",
            where,
            "its split has not the task's hash: other excerpts of the files, or other training or validation tracks.",
        )
    train = [row for row, track in enumerate(data.splits["train"]) if track.id not in failed]
    support = data.label_matrix("train")[train].sum(axis=0).tolist()
    if [label.train_support for label in record.labels] != support:
        yield Finding("error", "labels", where, "its counts of training tracks by label are not the task's.")


def check_same_split(evidence: Evidence, others: Sequence[Evidence]) -> Iterator[Finding]:
    """Compare targets with those of other entries on the same split: a claim that stands alone is worth less."""
    where = evidence.record.task.name
    mine = _facts(evidence)
    for other in others:
        if other.record.task.name == where and other.record.task.split_sha256 == evidence.record.task.split_sha256:
            theirs = _facts(other)
            if any(theirs[track] != mine[track] for track in mine.keys() & theirs.keys()):
                yield Finding(
                    "error",
                    "labels",
                    where,
                    f"its targets or groups are not those of {other.record.model.name!a} on the same split.",
                )
                return


def _facts(evidence: Evidence) -> Mapping[str, tuple[bytes, str | None]]:
    known = [] if evidence.known is None else [evidence.known]
    rows = np.packbits(np.concatenate([evidence.targets, *known], axis=1), axis=1)
    return {track: (rows[i].tobytes(), evidence.groups[i]) for i, track in enumerate(evidence.track_ids)}


def status(data: TaskData | None) -> str:
    """Return in words whether a task's labels could be compared."""
    return UNVERIFIED if data is None else VERIFIED


def known_task(evidence: Evidence) -> Task:
    """Return the task of a record.

    Raises:
        CmbenchError: it is no built-in task, or has no such edition: there is no board for it.
    """
    part = evidence.record.task
    task = registry().get(part.name)
    if task is None or part.edition not in task.editions:
        raise CmbenchError(f"{part.name!a} ({part.edition}) is not a task of this cmbench; it has no board.")
    return task
