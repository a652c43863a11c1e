"""Splits by work and by performer: nothing straddles, and the intervals are over works and performers too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmbench.errors import MissingError, UsageError
from cmbench.tasks.base import TaskData, Track
from cmbench.tasks.splits.kind_safe import kind_safe
from cmbench.tasks.splits.names import SPLITS
from cmbench.tests.tasks.splits.test_group_safe import LABELS, task_data, track


def _known(number: int) -> Track:
    """One of 120 tracks of 30 works and 12 performers, each on an album of its own."""
    made = track(number, (LABELS[number % 3],), f"album {number}")
    return replace(made, work=f"work {number % 30}", performer=f"performer {number % 12}")


def _straddling(data: TaskData, kind: str) -> set[str]:
    inside = [{getattr(t, kind) for t in data.splits[split]} for split in SPLITS]
    return (inside[0] & inside[1]) | (inside[0] & inside[2]) | (inside[1] & inside[2])


@pytest.mark.parametrize(("split", "kind", "groups"), [("work-safe", "work", 30), ("performer-safe", "performer", 12)])
def test_no_work_and_no_performer_is_in_two_splits(split: str, kind: str, groups: int) -> None:
    data = task_data([_known(number) for number in range(120)])
    assert _straddling(data, kind), "the task's own split tears them apart"
    safe = kind_safe(data, split)
    assert not _straddling(safe, kind)
    tracks = [t for name in SPLITS for t in safe.splits[name]]
    assert sorted(t.id for t in tracks) == sorted(f"t{number}" for number in range(120))
    assert safe.split_name == split
    assert {t.group for t in tracks} == {getattr(_known(n), kind) for n in range(120)}
    assert len({t.group for t in tracks}) == groups
    assert split in safe.task.notes[0]
    assert kind in safe.task.notes[0]


def test_tracks_without_a_work_say_what_is_missing() -> None:
    data = task_data([replace(_known(number), work=None) for number in range(120)])
    with pytest.raises(MissingError) as caught:
        kind_safe(data, "work-safe")
    missing = caught.value.missing[0]
    assert "works of t (work unknown for 120 of 120 tracks; needed for --split work-safe)" in missing.what
    assert "`work`" in missing.where


def test_two_performers_are_too_few() -> None:
    data = task_data([replace(_known(number), performer=f"p{number % 2}") for number in range(120)])
    with pytest.raises(UsageError, match="2 blocks of connected performers; 3 splits need as many"):
        kind_safe(data, "performer-safe")


def test_the_published_draw_of_the_group_safe_split_is_not_asked_of_others() -> None:
    data = task_data([_known(number) for number in range(120)])
    task = replace(data.task, counts={s: len(t) for s, t in data.splits.items()}, group_safe_sha256="0" * 64)
    assert kind_safe(replace(data, task=task, edition="full"), "work-safe").split_name == "work-safe"
