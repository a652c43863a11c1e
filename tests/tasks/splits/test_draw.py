from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.tasks.base import Track
from cmbench.tasks.splits.draw import SHARES, draw_splits, joined_groups


def track(number: int, labels: tuple[str, ...] = (), group: str | None = None) -> Track:
    return Track(id=f"t{number}", path=Path(f"t{number}.wav"), labels=labels, group=group)


def support(tracks: list[Track], split_of: dict[str, str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for t in tracks:
        found[split_of[t.id]].update(t.labels)
    return found


def test_single_label_shares_are_exact() -> None:
    tracks = [track(i, ("ab"[i % 2],)) for i in range(200)]
    split_of = draw_splits(tracks)
    assert Counter(split_of.values()) == {"train": 140, "valid": 20, "test": 40}
    assert support(tracks, split_of) == {
        "train": {"a": 70, "b": 70},
        "valid": {"a": 10, "b": 10},
        "test": {"a": 20, "b": 20},
    }


def test_many_labels_are_stratified() -> None:
    rng = random.Random(0)
    rates = {f"l{k}": 0.5 * 0.8**k for k in range(12)}
    tracks = [
        track(i, tuple(name for name, p in rates.items() if rng.random() < p), f"g{i // 2}") for i in range(1_000)
    ]
    split_of = draw_splits(tracks)
    sizes, labels = Counter(split_of.values()), support(tracks, split_of)
    total = Counter(label for t in tracks for label in t.labels)
    for split, share in SHARES.items():
        assert abs(sizes[split] - share * len(tracks)) <= 10
        for label, count in total.items():
            assert abs(labels[split][label] - share * count) <= max(3, 0.15 * share * count), (split, label)


def test_rare_label_reaches_train_and_test() -> None:
    tracks = [track(i, ("common",)) for i in range(97)] + [track(i, ("common", "rare")) for i in range(97, 100)]
    labels = support(tracks, draw_splits(tracks))
    assert (labels["train"]["rare"], labels["test"]["rare"]) == (2, 1)


def test_large_groups_do_not_overfill_a_split() -> None:
    tracks = [track(i, ("l",), f"g{i // 6}") for i in range(60)]
    assert Counter(draw_splits(tracks).values()) == {"train": 42, "valid": 6, "test": 12}


def test_three_groups_fill_three_splits() -> None:
    tracks = [track(i, ("l",), f"g{min(i, 2)}") for i in range(50)]
    split_of = draw_splits(tracks)
    assert set(split_of.values()) == set(SHARES)
    assert split_of["t49"] == "train"


def test_group_and_id_of_the_same_name_are_two_units() -> None:
    tracks = [track(0, group="t1"), track(1), track(2)]
    assert sorted(draw_splits(tracks).values()) == ["test", "train", "valid"]


def test_too_few_groups() -> None:
    tracks = [track(i, ("l",), f"g{i % 2}") for i in range(10)]
    with pytest.raises(UsageError, match="10 tracks in 2 groups cannot be drawn into 3 splits"):
        draw_splits(tracks)
    assert set(draw_splits(tracks, {"train": 0.9, "valid": 0.1}).values()) == {"train", "valid"}


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sets(st.sampled_from("abcde"))),
        min_size=3,
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_drawing_is_whole_grouped_and_independent_of_order(
    rows: list[tuple[int, set[str]]], shuffler: random.Random
) -> None:
    # group 0 stands for "no group"
    tracks = [track(i, tuple(sorted(labels)), f"g{g}" if g else None) for i, (g, labels) in enumerate(rows)]
    units = {t.group or t.id for t in tracks}
    if len(units) < 3:
        with pytest.raises(UsageError):
            draw_splits(tracks)
        return
    split_of = draw_splits(tracks)
    assert split_of.keys() == {t.id for t in tracks}
    assert set(split_of.values()) == set(SHARES)
    assert len({(t.group or t.id, split_of[t.id]) for t in tracks}) == len(units)
    shuffled = list(tracks)
    shuffler.shuffle(shuffled)
    assert draw_splits(shuffled) == split_of


def test_tracks_of_common_groups_are_one_block() -> None:
    assert joined_groups(["r1", "r2|r1", " r2 ", "r9|r0", None, " | ", "r3"]) == ["r1"] * 3 + ["r0", None, None, "r3"]


@given(st.lists(st.sets(st.integers(0, 9), max_size=3), max_size=12))
def test_blocks_are_the_finest_that_keep_groups_whole(drawn: list[set[int]]) -> None:
    groups = [set(map(str, numbers)) for numbers in drawn]
    reached = [set(names) for names in groups]
    for _ in reached:  # by hand: grow what each track reaches until nothing changes
        for one in reached:
            for other in reached:
                if one & other:
                    one |= other
    assert joined_groups(["|".join(sorted(names)) for names in groups]) == [min(r) if r else None for r in reached]


def test_many_tracks_with_many_labels_are_drawn_with_work_that_grows_with_the_tracks() -> None:
    """50,000 rows took a minute: every label counted all tracks again."""
    labels = [f"label-{i}" for i in range(300)]
    many = [Track(f"t{i}", Path("x"), (labels[i % 300], labels[i * 7 % 300]), group=None) for i in range(6_000)]
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        drawn = draw_splits(many)
    finally:
        sys.setprofile(None)
    assert set(drawn) == {track.id for track in many}
    assert calls < 200 * len(many)
