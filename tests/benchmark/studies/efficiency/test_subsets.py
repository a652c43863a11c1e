"""Parts of a training split: nested, the same for every model, and as large as they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from cmbench.benchmark.studies.cells import Cell
from cmbench.benchmark.studies.efficiency.subsets import AXES, GROUPS, PARTS, POSITIVES, Size, draw_parts, groups_of


def noise(labels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return draw.standard_normal((len(labels), 1, 4))


def test_parts_are_nested_and_as_large_as_they_say(build_cell: Callable[..., Cell]) -> None:
    cell = build_cell("a", noise)
    found = draw_parts(cell.data, 4)
    assert tuple(found) == PARTS
    labels = cell.data.label_matrix("train")
    for size, drawn in found.items():
        assert drawn.shape == (4, 120)
        assert len({row.tobytes() for row in drawn}) == 4
        for row in drawn:
            if size.unit == GROUPS:
                groups = {track.group for track, there in zip(cell.data.splits["train"], row, strict=True) if there}
                assert len(groups) == np.ceil(size.amount * 30)
                assert row.sum() == 4 * len(groups), "groups come whole"
            else:
                held = labels[row].sum(axis=0)
                assert (held >= np.minimum(labels.sum(axis=0), size.amount)).all()
                assert not labels[row].all(axis=0).any(), "of every label there is something to learn"
                assert (~labels[row].any(axis=1)).sum() <= size.amount, "a track is there for one of its labels"
    for unit in (GROUPS, POSITIVES):
        for less, more in pairwise(size for size in PARTS if size.unit == unit):
            assert (found[less] <= found[more]).all()
            assert (found[less] < found[more]).any(axis=1).all()


def test_a_share_of_groups_is_rounded_up_but_not_for_rounding() -> None:
    assert [groups_of(Size(GROUPS, 0.1), count) for count in (70, 30, 31, 4)] == [7, 3, 4, 1]
    assert groups_of(Size(GROUPS, 0.25), 41) == 11


def test_one_positive_of_a_label_is_no_more_than_one_track_for_each_label(build_cell: Callable[..., Cell]) -> None:
    assert (draw_parts(build_cell("a", noise).data, 6)[Size(POSITIVES, 1)].sum(axis=1) <= 4).all()


def test_a_label_alone_has_as_many_tracks_without_it(build_cell: Callable[..., Cell]) -> None:
    data = build_cell("a", noise, names=("a--0",)).data
    labels, found = data.label_matrix("train")[:, 0], draw_parts(data, 4)
    for size in AXES[POSITIVES][:-1]:
        for row in found[size]:
            assert (labels[row].sum(), (~labels[row]).sum()) == (size.amount, size.amount)
    assert (found[Size(POSITIVES, 1)] <= found[Size(POSITIVES, 5)]).all()


def test_a_track_of_which_a_label_is_not_known_is_none_without_it(build_cell: Callable[..., Cell]) -> None:
    data = build_cell("a", noise, names=("a--0",)).data
    plain = draw_parts(data, 4)
    # Of every other track nobody knows.
    tracks = tuple(
        replace(track, labels=(), unknown=("a--0",)) if i % 2 else track for i, track in enumerate(data.splits["train"])
    )
    masked = replace(data, splits={**data.splits, "train": tracks})
    labels, known = masked.label_matrix("train")[:, 0], masked.known_matrix("train")
    assert known is not None
    for size in AXES[POSITIVES][:-1]:
        most = min(int(size.amount), int(labels.sum()))
        for row in draw_parts(masked, 4)[size]:
            assert known[row].all()
            assert (labels[row].sum(), (~labels[row]).sum()) == (most, size.amount)
        assert not np.array_equal(plain[size], draw_parts(masked, 4)[size])


def test_a_label_that_all_carry_of_whom_it_is_known_has_tracks_without_it(build_cell: Callable[..., Cell]) -> None:
    data = build_cell("a", noise, names=("a--0", "a--1")).data
    # Of a track with the first label nobody knows about the second.
    tracks = tuple(
        replace(track, labels=("a--0",), unknown=("a--1",)) if "a--0" in track.labels else track
        for track in data.splits["train"]
    )
    masked = replace(data, splits={**data.splits, "train": tracks})
    labels, known = masked.label_matrix("train"), masked.known_matrix("train")
    assert known is not None
    for size in AXES[POSITIVES][:-1]:
        for row in draw_parts(masked, 4)[size]:
            assert (labels[row].sum(axis=0) >= size.amount).all()
            assert ((~labels & known)[row].any(axis=0)).all()


def test_draws_depend_on_the_split_alone(build_cell: Callable[..., Cell]) -> None:
    one, same, other = (
        build_cell(*given, seed=seed) for *given, seed in (("a", noise, 0), ("b", noise, 0), ("a", noise, 1))
    )
    for size in PARTS:
        drawn = draw_parts(one.data, 3)[size]
        assert np.array_equal(drawn, draw_parts(same.data, 3)[size])
        assert np.array_equal(drawn, draw_parts(one.data, 5)[size][:3]), "more draws add to fewer"
    assert not np.array_equal(draw_parts(one.data, 3)[PARTS[-1]], draw_parts(other.data, 3)[PARTS[-1]])


def test_a_size_says_what_it_is() -> None:
    assert [size.short for size in AXES[GROUPS]] == ["5 %", "10 %", "25 %", "50 %", "all"]
    assert [size.short for size in AXES[POSITIVES]] == ["1", "5", "20", "all"]
    assert Size(POSITIVES, 1).words == "1 positive of every label"
    assert Size(POSITIVES, 5).words == "5 positives of every label"
    assert AXES[GROUPS][-1].words == "all of it"
