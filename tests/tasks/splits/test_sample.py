from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.tasks.base import Task, TaskData, Track, checked
from cmbench.tasks.splits.names import SPLITS, is_sample
from cmbench.tasks.splits.sample import sample

MakeTask = Callable[..., Task]


def data_of(make_task: MakeTask, sizes: tuple[int, ...], groups: list[str | None]) -> TaskData:
    task = make_task(sizes=(1, 1, 1), seconds=0.1)
    named = [groups[i % len(groups)] for i in range(sum(sizes))]
    splits = {}
    for split, size in zip(SPLITS, sizes, strict=True):
        mine, named = named[:size], named[size:]
        tracks = (Track(f"{split}{i}", Path(split), (), g and f"{split} {g}") for i, g in enumerate(mine))
        splits[split] = tuple(tracks)
    return checked(TaskData(task, "custom", task.labels, splits, "own"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    st.tuples(*(st.integers(1, 40) for _ in SPLITS)),
    st.lists(st.one_of(st.none(), st.sampled_from("abcdef"), st.just("a|b")), min_size=1, max_size=20),
    st.integers(3, 60),
)
def test_groups_are_whole_and_splits_keep_their_order(
    make_task: MakeTask, sizes: tuple[int, ...], groups: list[str | None], limit: int
) -> None:
    data = data_of(make_task, sizes, groups)
    found = sample(data, limit)
    if limit >= sum(sizes):
        assert found is data
        return
    assert found.split_name == f"own-limit-{limit}"
    for split in SPLITS:
        kept = {t.id for t in found.splits[split]}
        assert kept
        assert [t for t in data.splits[split] if t.id in kept] == list(found.splits[split])
        torn = {t.group for t in data.splits[split] if t.id not in kept} & {t.group for t in found.splits[split]}
        assert not torn - {None}
    assert sample(data, limit).split_sha256 == found.split_sha256


def test_it_is_seeded_and_about_as_large_as_asked_for(make_task: MakeTask) -> None:
    data = data_of(make_task, (140, 20, 40), [str(i) for i in range(200)])
    found = sample(data, 60)
    assert [len(found.splits[split]) for split in SPLITS] == [42, 6, 12]
    assert sample(data, 60, seed=1).split_sha256 != found.split_sha256
    smaller = {t.id for tracks in sample(data, 30).splits.values() for t in tracks}
    assert smaller <= {t.id for tracks in found.splits.values() for t in tracks}


def test_it_says_what_it_is(make_task: MakeTask) -> None:
    found = sample(data_of(make_task, (14, 2, 4), [None]), 10)
    assert is_sample(found.split_name)
    assert not is_sample("official")
    assert "A sample of 10 of 20 tracks (--limit 10)" in found.task.notes[0]
    with pytest.raises(UsageError, match="at least 3"):
        sample(found, 2)
