"""Confusion within a family: planted mistakes are found, families without one right answer have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from numpy.typing import NDArray

from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.labels.confusion import Confusion, confusions
from cmbench.benchmark.views.labels.confusion_map import confusion_figure

Build = Callable[..., Evidence]


def one_hot(choices: list[int], labels: int) -> NDArray[np.bool_]:
    return np.eye(labels, dtype=np.bool_)[choices]


def confusion(build: Build, targets: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> Confusion:
    families = ["raga"] * targets.shape[1]
    (found,) = confusions(build("A", targets, probabilities, [None] * len(targets), families=families))
    return found


def test_planted_mistakes_are_counted(build_evidence: Build) -> None:
    carried, taken = [0] * 10 + [1] * 6 + [2] * 4, [0] * 7 + [2] * 3 + [1] * 6 + [0] * 4
    probabilities = np.where(one_hot(taken, 3), 0.8, 0.1)
    found = confusion(build_evidence, one_hot(carried, 3), probabilities)
    assert found.counts == ((7, 0, 3), (0, 6, 0), (4, 0, 0))
    assert (found.right, found.tracks, found.support) == (13, 20, (10, 6, 4))
    assert found.pairs() == [("raga--2", "raga--0", 4, 4), ("raga--0", "raga--2", 3, 10)]
    assert found.probability[0] == pytest.approx((0.59, 0.1, 0.31))
    assert found.probability[1] == pytest.approx((0.1, 0.8, 0.1))


def test_seeds_are_averaged_before_a_choice(build_evidence: Build) -> None:
    probabilities = np.array([[[0.6, 0.5]], [[0.1, 0.5]]])
    found = confusion(build_evidence, one_hot([0], 2), probabilities)
    assert found.counts == ((0, 1), (0, 0))
    assert found.probability[0] == pytest.approx((0.35 / 0.85, 0.5 / 0.85))
    assert found.probability[1] is None


def test_ties_are_undecided_and_zero_has_no_shares(build_evidence: Build) -> None:
    found = confusion(build_evidence, one_hot([0, 1], 2), np.array([[0.5, 0.5], [0.0, 0.0]]))
    assert found.undecided == (1, 1)
    assert found.counts == ((0, 0), (0, 0))
    assert found.probability[0] == (0.5, 0.5)
    assert found.probability[1] is None
    assert found.pairs() == []


def test_families_without_one_right_answer_have_none(build_evidence: Build) -> None:
    both = np.ones((4, 2), dtype=np.bool_)
    scores = np.full((4, 2), 0.5)
    assert confusion(build_evidence, both, scores).reason == "no test track carries exactly one of its labels"
    mixed = np.array([[True, False]] * 18 + [[True, True]] * 2)
    reason = confusion(build_evidence, mixed, np.full((20, 2), 0.5)).reason
    assert reason == "2 of 20 tracks carry several of its labels"
    few = np.array([[True, False]] * 19 + [[True, True]])
    found = confusion(build_evidence, few, np.full((20, 2), 0.5))
    assert (found.reason, found.tracks, found.several) == (None, 19, 1)
    assert confusion(build_evidence, both[:, :1], scores[:, :1]).reason == "it has one label only"


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_track_is_counted_once(build_evidence: Build, data: st.DataObject) -> None:
    labels = data.draw(st.integers(2, 5))
    choices = data.draw(st.lists(st.integers(0, labels), min_size=1, max_size=30))
    targets = np.zeros((len(choices), labels + 1), dtype=np.bool_)
    targets[np.arange(len(choices)), choices] = True
    targets = targets[:, :labels]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    probabilities = rng.integers(0, 4, (2, len(choices), labels)) / 4
    found = confusion(build_evidence, targets, probabilities)
    if found.reason:
        assert not targets.any()
        return
    counts = np.array(found.counts)
    assert (counts.sum(axis=1) + np.array(found.undecided)).tolist() == list(found.support) == targets.sum(0).tolist()
    assert found.right + sum(count for _, _, count, _ in found.pairs()) + sum(found.undecided) == found.tracks
    for shares in found.probability:
        assert shares is None or sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("labels", [2, 8, 30])
def test_the_figure_shows_shares_and_counts_inside_its_edges(build_evidence: Build, labels: int) -> None:
    targets = one_hot([k for k in range(labels - 1) for _ in range(3)], labels)
    evidence = build_evidence(
        "A", targets, np.where(targets, 0.7, 0.1), [None] * len(targets), families=["raga"] * labels
    )
    (found,), (section,) = confusions(evidence), sections([evidence.record])
    with style("path"):
        figure = confusion_figure(section, section.columns[0], section.rows[0], found)
        figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
    shown = [t.get_text() for t in texts]
    assert shown.count("n=3, 3 right") == labels - 1
    assert shown.count("n=0: no row") == 1
    width, height = figure.canvas.get_width_height()
    boxes = [t.get_window_extent() for t in texts]
    assert all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)


def test_a_track_with_an_unknown_label_of_the_family_is_left_out(build_evidence: Build) -> None:
    targets = one_hot([0, 0, 1, 1], 2)
    made = build_evidence("A", targets, np.where(targets, 0.8, 0.1), [None] * 4, families=["raga"] * 2)
    known = np.ones((4, 2), dtype=np.bool_)
    known[0, 1] = False
    (found,) = confusions(replace(made, known=known))
    assert (found.tracks, found.support) == (3, (1, 2))
