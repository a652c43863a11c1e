"""The transfer matrix as a table and as rows for CSV."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from ...comparing.paired import TEST_ONLY
from ...comparing.transfer import Cell, TransferMatrix
from ...records.sections import ABSENT
from ..figures import broken
from ..tables import Rows, ViewTable, ends
from ..words import percent, points


def transfer_tables(matrix: TransferMatrix) -> list[ViewTable]:
    """Return ROC-AUC / AP, the judged change against the base, and the averages; controls are never the best."""
    centred = ["chance-\ncentred"] if any(value is not None for value in matrix.centred.values()) else []
    heads = ("model", *map(broken, matrix.tasks), f"mean of\n{2 * len(matrix.tasks)} cells", *centred)
    rows = [
        (
            model,
            *(_shown(matrix.cells.get((model, task))) for task in matrix.tasks),
            percent(matrix.paper[model]),
            *(percent(matrix.centred[model]) for _ in centred),
        )
        for model in matrix.models
    ]
    best = set()
    for x, task in enumerate(matrix.tasks, start=1):
        means = {
            y: cell.mean
            for y, model in enumerate(matrix.models)
            if (cell := matrix.cells.get((model, task))) and cell.mean is not None and matrix.kinds[model] != "control"
        }
        best |= {(y, x) for y, mean in means.items() if mean == max(means.values())}
    changes = [cell.change for cell in matrix.cells.values() if cell.change]
    sample = "" if all(change.trainings for change in changes) else f", {TEST_ONLY}"
    sample += ", one model of each" if any(change.models == (1, 1) for change in changes) else ""
    legend = (
        "Cells: ROC-AUC / AP; with them the change of the chance-centred score in points (reported figures: of the "
        "mean of both; [ ] in the model's own culture, ~ not separable from zero at a false discovery rate of "
        f"5 %{sample}). Mean of the cells: of ROC-AUC and AP, as in the paper. Chance-centred score: 0 at chance, each "
        "tradition once."
    )
    table = ViewTable.of(matrix, f"Transfer, percent; change against {matrix.base}", heads, rows, notes=(legend,))
    return [replace(table, best=frozenset(best))]


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ABSENT
    scores = f"{percent(cell.roc_auc)} / {percent(cell.average_precision)}"
    if cell.shown_change is None:
        return scores
    change = f"{'' if separable(cell) else '~'}{points(cell.shown_change)}"
    return f"{scores}\n{f'[{change}]' if cell.in_culture else change}"


def separable(cell: Cell) -> bool:
    """Whether the change is told apart from zero; of reported figures it is not known, and they are not marked."""
    return cell.change is None or cell.change.verdict in ("gained", "lost")


def matrix_rows(matrix: TransferMatrix) -> Rows:
    """Return one row for each cell, as fractions."""
    rows = []
    for (model, task), cell in (
        (key, matrix.cells[key]) for key in product(matrix.models, matrix.tasks) if key in matrix.cells
    ):
        change = cell.change
        rows.append(
            {
                "source": matrix.edition,
                "model": model,
                "kind": matrix.kinds[model],
                "task": task,
                "tradition": matrix.traditions[task],
                "roc_auc": cell.roc_auc,
                "average_precision": cell.average_precision,
                "change": cell.shown_change,
                **ends(change),
                "q_value": change.q_value if change else None,
                "verdict": change.verdict if change else "",
                "trainings": change.trainings if change else None,
                "in_culture": cell.in_culture,
            }
        )
    return rows
