"""Whether what a model gains from one tradition depends on how near another tradition is.

A cell is a model that was adapted to one tradition A, on a task B of another: its change against the base model, and
the distance between A and B. Cells share models and tasks, so they are no independent points: the test is that of
Mantel (1967, *The Detection of Disease Clustering and a Generalized Regression Approach*), which permutes the tasks in
the matrix of distances, rows and columns together, and leaves the changes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import factorial
from statistics import fmean

import numpy as np

from ...comparing.transfer import TransferMatrix
from ...scoring.metrics import Doubles
from .distance import Distances, Groups

MIN_TASKS = 5
"""Fewest tasks: four have 24 permutations, and a test at 5 % would have to see the most extreme of them."""

MIN_SOURCES = 2
"""Fewest adapted models: of one alone, what it gains cannot be told from what the tasks have to give."""

MIN_CELLS = 8
"""Fewest cells: under eight, a rank correlation of 0.7 is nothing unusual."""

EXACT_TASKS = 8
"""Most tasks of which every permutation (40,320) is tried; of more, that many at random."""


@dataclass(frozen=True)
class RelatedCell:
    """A model adapted to one tradition, on a task of another.

    Attributes:
        model: its name.
        tradition: that it was adapted to.
        task: that it was tested on.
        distance: between the tradition's tasks (mean) and the task.
        change: of the mean of ROC-AUC and AP against the base, as a fraction.
    """

    model: str
    tradition: str
    task: str
    distance: float
    change: float


@dataclass(frozen=True)
class Relation:
    """Distances and changes side by side.

    Attributes:
        distances: between the tasks.
        base: the model that changes are against.
        cells: models by tasks of other traditions.
        left_out: models that are in no cell, with the reason.
        rho: Spearman's rank correlation; ``None`` where there is none.
        p_value: two-sided, of the Mantel test; ``None`` where there is none.
        permutations: that were tried.
        exact: whether these are all there are.
        reason: why there is no correlation.
    """

    distances: Distances
    base: str
    cells: tuple[RelatedCell, ...]
    left_out: tuple[str, ...]
    rho: float | None = None
    p_value: float | None = None
    permutations: int = 0
    exact: bool = False
    reason: str | None = None

    @property
    def words(self) -> str:
        """The correlation with its n and its test, or why there is none."""
        if self.rho is None or self.p_value is None:
            return f"No correlation of distance and transfer: {self.reason}."
        kind = "all" if self.exact else "random"
        return (
            f"Spearman's rho {self.rho:+.2f} over n = {len(self.cells)} cells of "
            f"{len({c.model for c in self.cells})} models, p = {self.p_value:.3f} "
            f"(two-sided Mantel test, {kind} {self.permutations:,} permutations of the tasks)"
        )


def relate(distances: Distances, matrix: TransferMatrix, seed: int = 0) -> Relation:
    """Correlate distances with the changes of a transfer matrix, over cells outside a model's own tradition.

    Args:
        distances: of all tasks of the matrix, in the same edition.
        matrix: models by tasks; a model counts as adapted to a tradition if its cells of that one only are marked.
        seed: of the permutations, where there are too many to try all.
    """
    cells: list[RelatedCell] = []
    left_out = []
    for model in (one for one in matrix.models if one != matrix.base):
        own = {matrix.traditions[task] for (name, task), c in matrix.cells.items() if name == model and c.in_culture}
        if len(own) == 1:
            cells += _cells(distances, matrix, model, own.pop())
        else:
            left_out.append(f"{model}: adapted to {' and '.join(sorted(own)) or 'none of the traditions'}")
    relation = Relation(distances, matrix.base, tuple(cells), tuple(left_out))
    if why := _too_little(distances, matrix, cells):
        return replace(relation, reason=why)
    orders = _orders(len(distances.tasks), seed)
    found = _spearman(_permuted(distances, cells, orders), np.array([c.change for c in cells]))
    rho = float(found[0])
    p_value = float(np.mean(np.abs(found) >= abs(rho) - 1e-9))
    exact = len(distances.tasks) <= EXACT_TASKS
    return replace(relation, rho=rho, p_value=p_value, permutations=len(orders), exact=exact)


def _cells(distances: Distances, matrix: TransferMatrix, model: str, tradition: str) -> list[RelatedCell]:
    """Return the cells of a model on the tasks of other traditions, those that have both a change and a distance."""
    found = []
    for task in matrix.tasks:
        cell = matrix.cells.get((model, task))
        pairs = (distances.pair(own, task) for own in _own_tasks(distances, tradition))
        near = [pair.corrected for pair in pairs if pair]
        if cell and cell.plain_change is not None and near and matrix.traditions[task] != tradition:
            found.append(RelatedCell(model, tradition, task, fmean(near), cell.plain_change))
    return found


def _own_tasks(distances: Distances, tradition: str) -> list[str]:
    return [c.task for c in distances.collections if c.tradition == tradition]


def _too_little(distances: Distances, matrix: TransferMatrix, cells: Sequence[RelatedCell]) -> str | None:
    """Say why these cells allow no correlation; ``None`` if they do."""
    if distances.edition != matrix.edition:
        return f"the distances are of the {distances.edition} edition, the records of {matrix.edition}"
    sources = {cell.model for cell in cells}
    if len(sources) < MIN_SOURCES:
        named = f" ({', '.join(sorted(sources))})" if sources else ""
        return (
            f"{len(sources)} model{'' if len(sources) == 1 else 's'} adapted to a single tradition{named}; "
            f"{MIN_SOURCES} are needed. What a model was adapted to is read from its card, or named by --in-culture"
        )
    if len(distances.tasks) < MIN_TASKS:
        return f"{len(distances.tasks)} tasks; {MIN_TASKS} are needed for a permutation test"
    if len(cells) < MIN_CELLS:
        return f"{len(cells)} cells of models and tasks of another tradition; {MIN_CELLS} are needed"
    for what, values in (("change", {c.change for c in cells}), ("distance", {c.distance for c in cells})):
        if len(values) == 1:
            return f"every cell has the same {what}"
    return None


def _orders(tasks: int, seed: int) -> Groups:
    """Return permutations of the tasks, the identity first: all of them, or 40,320 at random."""
    if tasks <= EXACT_TASKS:
        return np.array(list(permutations(range(tasks))), dtype=np.intp)
    draw = np.random.default_rng(seed)
    rows = np.tile(np.arange(tasks, dtype=np.intp), (factorial(EXACT_TASKS), 1))
    rows[1:] = draw.permuted(rows[1:], axis=1)
    return rows


def _permuted(distances: Distances, cells: Sequence[RelatedCell], orders: Groups) -> Doubles:
    """Distances of the cells under each permutation of the tasks, ``[permutations, cells]``."""
    matrix = distances.matrix()
    place = {task: i for i, task in enumerate(distances.tasks)}
    columns = []
    for cell in cells:
        own = [place[task] for task in _own_tasks(distances, cell.tradition)]
        columns.append(matrix[orders[:, own], orders[:, [place[cell.task]]]].mean(axis=1))
    return np.stack(columns, axis=1)


def _spearman(many: Doubles, one: Doubles) -> Doubles:
    """Spearman's correlation of each row ``[rows, n]`` with ``[n]``, ties at their mean rank; 0 for a constant row."""
    from scipy.stats import rankdata

    ranks, other = rankdata(many, axis=1), rankdata(one)
    ranks, other = ranks - ranks.mean(axis=1, keepdims=True), other - other.mean()
    scale = np.sqrt(np.square(ranks).sum(axis=1) * np.square(other).sum())
    found: Doubles = np.divide(ranks @ other, scale, out=np.zeros(len(ranks)), where=scale > 0)
    return found
