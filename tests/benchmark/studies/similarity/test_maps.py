"""Maps of distances: near tasks side by side, every number there, what chance could do hatched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from cmbench.benchmark.records.record import Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.studies.similarity.distance import STAND_IN_LABEL, Collection, Distances, PairDistance
from cmbench.benchmark.studies.similarity.maps import distance_map, near_order, relation_figure, similarity_block
from cmbench.benchmark.studies.similarity.relation import RelatedCell, Relation
from cmbench.benchmark.views.figures import figure_bytes, style

TASKS = ("lyra", "turkish_makam", "a corpus with a name of many words", "संगीत")


def distances(values: list[float], q_value: float | None = 0.01) -> Distances:
    collections = tuple(Collection(task, "greek", 9, 0, 9, True, "0") for task in TASKS)
    pairs = tuple(
        PairDistance(a, b, v + 0.1, v, v - 0.1, v + 0.1, 0.2, q_value, q_value)
        for (a, b), v in zip(combinations(TASKS, 2), values, strict=True)
    )
    return Distances("mmd2", "features of x", "mmd2-x", "full", False, collections, pairs, "")


def test_near_tasks_are_neighbours() -> None:
    order = near_order(np.array([[0, 9, 1, 8], [9, 0, 8, 1], [1, 8, 0, 7], [8, 1, 7, 0]], float))
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset((0, 2)), frozenset((1, 3))}
    # 2 and 3 are the nearest across the two pairs.
    assert order[1:3] in ([2, 3], [3, 2])
    assert near_order(np.array([[0, -0.1], [-0.1, 0]])) in ([0, 1], [1, 0])


def test_every_distance_is_there_twice_with_its_interval() -> None:
    values = [0.111, 0.222, 0.333, 0.444, 0.555, -0.066]
    with style("none"):
        figure = distance_map(distances(values))
        assert len(figure_bytes(figure, "svg")) > 10_000
    texts = [text.get_text() for text in figure.axes[0].texts]
    for value in values:
        assert texts.count(f"{value:.3f}") == 2
        assert texts.count(f"[{value - 0.1:.3f}, {value + 0.1:.3f}]") == 2


@pytest.mark.parametrize(("q_value", "hatched"), [(0.01, 0), (0.2, 12), (None, 0)])
def test_what_is_not_separable_is_hatched(q_value: float | None, hatched: int) -> None:
    figure = distance_map(distances([0.1] * 6, q_value))
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert sum(patch.get_hatch() is not None for patch in patches) == hatched


def test_distances_that_are_all_zero_can_be_drawn() -> None:
    with style("none"):
        assert figure_bytes(distance_map(distances([0.0] * 6)), "png").startswith(b"\x89PNG")


def test_models_differ_by_colour_and_tasks_by_marker() -> None:
    cells = [RelatedCell("m", "greek", "lyra", 0.5, 0.01), RelatedCell("m", "greek", "carnatic", 0.4, 0.02)]
    cells.append(RelatedCell("n", "turkish", "lyra", 0.6, 0.02))
    with style("none"):
        figure = relation_figure(Relation(distances([0.1] * 6), "base", tuple(cells), (), -0.5, 0.04, 720, True))
    drawn = [(line.get_color(), line.get_marker()) for line in figure.axes[0].lines[1:]]
    assert len(set(drawn)) == 3
    assert drawn[0][0] == drawn[1][0] != drawn[2][0]
    assert drawn[0][1] == drawn[2][1] != drawn[1][1]
    named = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert named == ["m (greek)", "n (turkish)", "lyra", "carnatic"]


def test_a_page_says_beside_the_map_that_tokens_stand_in(build_record: Callable[..., Record]) -> None:
    (section,) = sections([build_record("mfcc", "lyra")])
    for stand_in in (False, True):
        block = similarity_block(section, [replace(distances([0.1] * 6), stand_in=stand_in)])
        assert (STAND_IN_LABEL in block.drawings[0].caption) == stand_in
    assert not similarity_block(section, [replace(distances([0.1] * 6), edition="mini")]).parts
