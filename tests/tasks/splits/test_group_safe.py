"""The group-safe split: nothing straddles, nothing is lost, every label that can be everywhere is."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.errors import MissingError, UsageError
from cmbench.tasks.base import Edition, LoadContext, Task, TaskData, Track
from cmbench.tasks.choice import get_task
from cmbench.tasks.splits.group_safe import ENOUGH, OWN_DRAW, draw_sha256, group_safe
from cmbench.tasks.splits.names import SPLITS, memberships

LABELS = tuple("abcdefgh")


def task_data(tracks: list[Track], sizes: tuple[int, int, int] | None = None) -> TaskData:
    """Cut tracks into splits of these sizes; 7 : 1 : 2 if not given."""
    train, valid, _ = sizes or (round(0.7 * len(tracks)), max(1, round(0.1 * len(tracks))), 0)
    splits = {
        "train": tuple(tracks[:train]),
        "valid": tuple(tracks[train : train + valid]),
        "test": tuple(tracks[train + valid :]),
    }
    task = Task(
        name="t", title="T", tradition="western", description="", labels=LABELS, families=dict.fromkeys(LABELS, "tag"),
        licence="", citation="", access="ask the author", editions={"custom": Edition("custom", LABELS, lambda *_: {})},
        group_kind="album", group_source="the column `group` of tracks.csv", notes=("Old note.",),
    )  # fmt: skip
    return TaskData(task, "custom", LABELS, splits, "own")


def track(number: int, labels: tuple[str, ...] = (), group: str | None = None) -> Track:
    return Track(id=f"t{number}", path=Path(f"t{number}.wav"), labels=labels, group=group)


@st.composite
def corpora(draw: st.DrawFn) -> list[Track]:
    """Twelve to forty groups of one to four tracks with up to four labels each; few groups are joined, few unknown.

    Drawn from a seed: to draw each label by itself takes a hundred times as long as all that is tested.
    """
    tracks: list[Track] = []
    chance = random.Random(draw(st.integers(0, 2**32)))
    for number in range(draw(st.integers(12, 40))):
        for member in range(chance.randint(1, 4)):
            labels = chance.sample(LABELS, chance.randint(0, 4))
            name = f"g{number}"
            if member == 1 and number % 7 == 3:
                name = f"g{number} | g{number - 1}"
            unknown = member == 0 and number % 6 == 5
            tracks.append(track(len(tracks), tuple(sorted(labels)), None if unknown else name))
    chance.shuffle(tracks)
    return tracks


@given(corpora())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_group_straddles_and_no_track_is_lost(tracks: list[Track]) -> None:
    drawn = group_safe(task_data(tracks))
    split_of = {t.id: split for split in SPLITS for t in drawn.splits[split]}
    assert sorted(split_of) == sorted(t.id for t in tracks)
    assert sum(map(len, drawn.splits.values())) == len(tracks)
    homes = defaultdict(set)
    for t in tracks:
        for group in memberships(t.group):
            homes[group].add(split_of[t.id])
    assert all(len(splits) == 1 for splits in homes.values())
    assert {split_of[t.id] for t in tracks if t.group is None} <= {"train"}
    by_id = {t.id: t for t in tracks}
    for t in (t for split in SPLITS for t in drawn.splits[split]):
        assert replace(t, group=by_id[t.id].group) == by_id[t.id]


@given(corpora(), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_draw_depends_on_neither_order_nor_chance(tracks: list[Track], seed: int) -> None:
    data = task_data(tracks)
    other = list(tracks)
    random.Random(seed).shuffle(other)
    shuffled = replace(task_data(other, tuple(len(data.splits[s]) for s in SPLITS)))  # type: ignore[arg-type]
    assert draw_sha256(group_safe(data).splits) == draw_sha256(group_safe(shuffled).splits)
    assert group_safe(data).split_sha256 == group_safe(data).split_sha256


@given(corpora())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_labels_of_enough_groups_are_in_every_split(tracks: list[Track]) -> None:
    drawn = group_safe(task_data(tracks))
    blocks: dict[str, set[str]] = defaultdict(set)
    for split in SPLITS:
        for t in drawn.splits[split]:
            for label in t.labels if t.group else ():
                blocks[label].add(t.group or "")
    for label, names in blocks.items():
        if len(names) >= ENOUGH:
            for split in SPLITS:
                assert any(label in t.labels for t in drawn.splits[split]), (label, split, len(names))


def test_sizes_stay_about_the_same() -> None:
    rng = random.Random(0)
    tracks = [track(i, tuple(x for x in LABELS if rng.random() < 0.3), f"g{i // 5}") for i in range(1000)]
    drawn = group_safe(task_data(tracks))
    for split, size in (("train", 700), ("valid", 100), ("test", 200)):
        assert abs(len(drawn.splits[split]) - size) <= 0.25 * size
    assert (drawn.split_name, drawn.labels) == ("group-safe", LABELS)
    assert drawn.task.notes == (OWN_DRAW.format(split="group-safe", kind="group"), "Old note.")


def test_recordings_on_several_releases_join_them() -> None:
    tracks = [track(i, ("a",), f"r{i}") for i in range(20)]
    tracks[3] = replace(tracks[3], group="r3|r7")
    tracks[9] = replace(tracks[9], group="r7|r12")
    drawn = group_safe(task_data(tracks))
    split_of = {t.id: (split, t.group) for split in SPLITS for t in drawn.splits[split]}
    assert len({split_of[f"t{i}"] for i in (3, 7, 9, 12)}) == 1
    assert split_of["t7"][1] == "r12", "named by the first group by name"


def test_unknown_groups_are_refused_with_the_remedy() -> None:
    tracks = [track(i, ("a",)) for i in range(20)]
    with pytest.raises(MissingError) as caught:
        group_safe(task_data(tracks))
    (missing,) = caught.value.missing
    assert missing.what.startswith("groups of t (album unknown for 20 of 20 tracks")
    assert "give the tracks their groups in the column `group` of tracks.csv" in missing.command


def test_a_few_unknown_groups_train_and_are_told() -> None:
    tracks = [track(i, ("a",), None if i % 5 == 0 else f"g{i}") for i in range(50)]
    drawn = group_safe(task_data(tracks))
    assert sum(t.group is None for t in drawn.splits["train"]) == 10
    assert len(drawn.splits["train"]) == 35
    assert any(note.startswith("10 of the 35 training tracks are of unknown album") for note in drawn.task.notes)


def test_too_few_groups_are_refused() -> None:
    tracks = [track(i, ("a",), f"g{i % 2}") for i in range(20)]
    with pytest.raises(UsageError, match=r"in 2 blocks of connected groups; 3 splits need as many"):
        group_safe(task_data(tracks))


def test_a_task_names_its_splits(context: LoadContext) -> None:
    with pytest.raises(UsageError, match=r"no split 'official'; it has 'own', 'group-safe'"):
        get_task("lyra").load("mini", replace(context, needs_audio=False), "official")


def test_mini_needs_no_audio_for_its_lists(context: LoadContext) -> None:
    quiet = replace(context, needs_audio=False)
    drawn = get_task("carnatic").load("mini", quiet, "group-safe")
    assert not drawn.splits["test"][0].path.exists()
    again = get_task("carnatic").load("mini", quiet, "group-safe")
    assert drawn.split_sha256 == again.split_sha256 != get_task("carnatic").load("mini", quiet).split_sha256


def test_the_published_pieces_of_lyra_give_the_fixed_draw(
    published: Path, context: LoadContext, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]
) -> None:
    assert context.data_root is not None
    for name in ("training.tsv", "test.tsv"):
        lines = (published / "lyra" / name).read_text(encoding="utf-8").splitlines()
        write(context.data_root / "lyra" / "split" / name, lines)
    quiet = replace(context, needs_audio=False)
    drawn = get_task("lyra").load("full", quiet, "group-safe")
    assert draw_sha256(drawn.splits) == get_task("lyra").group_safe_sha256
    assert {split: len({t.group for t in tracks}) for split, tracks in drawn.splits.items()} == {
        "train": 50,
        "valid": 9,
        "test": 15,
    }
    other = replace(get_task("lyra"), group_safe_sha256="0" * 64)
    with pytest.raises(UsageError, match="another group-safe split than the fixed one"):
        other.load("full", quiet, "group-safe")
