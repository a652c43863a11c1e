"""Distance against transfer: planted relations are found, chance is not, too little is refused with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from scipy.stats import spearmanr

from cmbench.benchmark.comparing.transfer import Cell, TransferMatrix
from cmbench.benchmark.studies.similarity.distance import Collection, Distances, PairDistance
from cmbench.benchmark.studies.similarity.relation import Relation, relate

TRADITIONS = {
    "turkish_makam": "turkish",
    "hindustani": "hindustani",
    "carnatic": "carnatic",
    "lyra": "greek",
    "fma_medium": "western",
    "magnatagatune": "western",
}
ADAPTED = {"T": "turkish", "H": "hindustani", "C": "carnatic", "G": "greek"}


def distances(values: Mapping[frozenset[str], float], tasks: Sequence[str], edition: str = "full") -> Distances:
    collections = tuple(Collection(t, TRADITIONS[t], 20, 0, 20, True, "0") for t in tasks)
    pairs = tuple(PairDistance(a, b, 9.0, values[frozenset((a, b))]) for a, b in combinations(tasks, 2))
    return Distances("mmd2", "features of x", "mmd2-x", edition, False, collections, pairs, "")


def random_distances(seed: int, tasks: Sequence[str] = tuple(TRADITIONS), edition: str = "full") -> Distances:
    draw = np.random.default_rng(seed)
    return distances({frozenset(p): draw.random() for p in combinations(tasks, 2)}, tasks, edition)


def matrix(changes: Mapping[tuple[str, str], float], adapted: Mapping[str, str] = ADAPTED) -> TransferMatrix:
    cells = {("base", task): Cell(0.7, 0.3, None, None, False) for task in TRADITIONS}
    for model, tradition in adapted.items():
        for task in TRADITIONS:
            change = changes.get((model, task), 0.05)
            cells[model, task] = Cell(0.7, 0.3, None, change, TRADITIONS[task] == tradition)
    return TransferMatrix("x", "full", "base", ("base", *adapted), {}, tuple(TRADITIONS), TRADITIONS, cells, {}, {})


def changes_of(found: Distances, sign: float, noise: float = 0.0, seed: int = 0) -> dict[tuple[str, str], float]:
    draw = np.random.default_rng(seed)
    own = {tradition: task for task, tradition in TRADITIONS.items()}
    return {
        (model, task): sign * pair.corrected + noise * draw.standard_normal()
        for model, tradition in ADAPTED.items()
        for task in TRADITIONS
        if (pair := found.pair(own[tradition], task))
    }


def test_a_planted_relation_is_found_outside_the_own_tradition() -> None:
    near = random_distances(0)
    found = relate(near, matrix(changes_of(near, -0.1)))
    assert found.rho == pytest.approx(-1)
    assert len(found.cells) == 4 * 5
    assert all(TRADITIONS[cell.task] != cell.tradition for cell in found.cells)
    assert (found.permutations, found.exact, found.reason) == (factorial(6), True, None)
    assert found.p_value is not None
    assert 1 / factorial(6) <= found.p_value < 0.02


def test_the_correlation_is_spearmans() -> None:
    near = random_distances(1)
    found = relate(near, matrix(changes_of(near, -0.1, noise=0.05)))
    expected = spearmanr([c.distance for c in found.cells], [c.change for c in found.cells]).statistic
    assert found.rho == pytest.approx(expected)


def test_the_p_value_is_that_of_a_loop_over_whole_permutations() -> None:
    near = random_distances(7, list(TRADITIONS)[:5])
    found = relate(near, matrix(changes_of(random_distances(7), -0.1, noise=0.03)))
    place = {task: i for i, task in enumerate(near.tasks)}
    own = {tradition: place[task] for task, tradition in TRADITIONS.items() if task in place}
    changes = [c.change for c in found.cells]
    drawn = []
    for order in permutations(range(5)):
        turned = near.matrix()[np.ix_(order, order)]
        drawn.append(spearmanr([turned[own[c.tradition], place[c.task]] for c in found.cells], changes).statistic)
    assert found.rho == pytest.approx(drawn[0])
    assert found.permutations == 120
    assert found.p_value == np.mean(np.abs(drawn) >= abs(drawn[0]) - 1e-9)
    assert 1 / 120 < np.mean(np.abs(drawn) >= abs(drawn[0])) < 1


def test_chance_is_taken_for_a_relation_as_often_as_the_level_says() -> None:
    """Changes that depend on the task and on the model, as real ones do, but not on the distance."""
    draw, runs = np.random.default_rng(2), 100
    rejected = 0
    for run in range(runs):
        task_gain = dict(zip(TRADITIONS, draw.standard_normal(6), strict=True))
        changes = {(m, t): task_gain[t] + 0.3 * draw.standard_normal() for m in ADAPTED for t in TRADITIONS}
        p_value = relate(random_distances(100 + run), matrix(changes)).p_value
        rejected += p_value is not None and p_value <= 0.05
    assert rejected / runs <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / runs)


def test_a_western_model_is_as_far_as_its_tasks_on_average() -> None:
    near = random_distances(3)
    found = relate(near, matrix({}, {"W": "western", "T": "turkish"}))
    cell = next(c for c in found.cells if (c.model, c.task) == ("W", "lyra"))
    pairs = [near.pair(task, "lyra") for task in ("fma_medium", "magnatagatune")]
    assert cell.distance == pytest.approx(np.mean([p.corrected for p in pairs if p]))
    assert {c.task for c in found.cells if c.model == "W"} == {"turkish_makam", "hindustani", "carnatic", "lyra"}
    assert found.rho is None
    assert found.reason == "every cell has the same change"


def test_too_little_is_refused_with_its_reason() -> None:
    near = random_distances(4)
    changes = changes_of(near, -0.1)

    def reason(found: Relation) -> str:
        assert found.rho is None
        assert found.p_value is None
        return found.reason or ""

    assert "1 model adapted to a single tradition (T); 2 are needed" in reason(
        relate(near, matrix(changes, {"T": "turkish"}))
    )
    assert "0 models" in reason(relate(near, matrix(changes, {})))
    four = random_distances(4, list(TRADITIONS)[:4])
    assert "4 tasks; 5 are needed" in reason(relate(four, matrix(changes)))
    mini = random_distances(4, edition="mini")
    assert "mini edition, the records of full" in reason(relate(mini, matrix(changes)))
    few = matrix(changes, {"T": "turkish", "G": "greek"})
    cells = {key: cell for key, cell in few.cells.items() if key[1] in ("turkish_makam", "lyra", "carnatic")}
    sparse = TransferMatrix("x", "full", "base", few.models, {}, few.tasks, TRADITIONS, cells, {}, {})
    assert "4 cells of models and tasks of another tradition; 8 are needed" in reason(relate(near, sparse))


def test_models_of_several_traditions_are_named_and_left_out() -> None:
    near = random_distances(5)
    whole = matrix(changes_of(near, -0.1))
    cells = dict(whole.cells)
    for task in TRADITIONS:
        cells["all", task] = Cell(0.7, 0.3, None, 0.3, TRADITIONS[task] != "western")
        cells["plain", task] = Cell(0.7, 0.3, None, 0.1, False)
    models = (*whole.models, "all", "plain")
    found = relate(near, TransferMatrix("x", "full", "base", models, {}, whole.tasks, TRADITIONS, cells, {}, {}))
    assert {c.model for c in found.cells} == set(ADAPTED)
    assert found.left_out == (
        "all: adapted to carnatic and greek and hindustani and turkish",
        "plain: adapted to none of the traditions",
    )


def test_of_many_tasks_permutations_are_drawn() -> None:
    tasks = [f"task{i}" for i in range(9)]
    draw = np.random.default_rng(6)
    collections = tuple(Collection(t, t, 20, 0, 20, True, "0") for t in tasks)
    pairs = tuple(PairDistance(a, b, 0.0, draw.random()) for a, b in combinations(tasks, 2))
    near = Distances("mmd2", "x", "x", "custom", False, collections, pairs, "")
    cells = {
        (f"m{t}", other): Cell(0.7, 0.3, None, -0.1 * p.corrected if (p := near.pair(t, other)) else 1.0, t == other)
        for t in tasks[:3]
        for other in tasks
    }
    traditions = {t: t for t in tasks}
    models = ("base", *(f"m{t}" for t in tasks[:3]))
    found = relate(near, TransferMatrix("x", "custom", "base", models, {}, tuple(tasks), traditions, cells, {}, {}))
    assert (found.permutations, found.exact) == (factorial(8), False)
    assert found.rho == pytest.approx(-1)
    assert found.p_value is not None
    assert 1 / factorial(8) <= found.p_value < 0.01
