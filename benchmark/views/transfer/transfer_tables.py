"""The transfer matrix as tables: terminal, LaTeX, Markdown, rows for CSV."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from ...comparing.paired import TEST_ONLY
from ...comparing.transfer import Cell, TransferMatrix
from ...records.sections import ABSENT
from ..figures import broken
from ..tables import LATEX_PACKAGES, Rows, escaped, latex_lines, markdown_cell
from ..words import percent, points

if TYPE_CHECKING:
    from rich.console import Console


def print_transfer(matrix: TransferMatrix, console: Console, *, headed: bool = True) -> None:
    """Print ROC-AUC/AP, the judged change against the base, and the averages.

    Args:
        matrix: what to print.
        console: where.
        headed: whether to say of which edition, split and protocol, and what must stand beside it.
    """
    from rich.table import Table
    from rich.text import Text

    title = f"Transfer: {matrix.title}; change" if headed else "Change"
    console.print(Text(f"{title} against {matrix.base}", style="bold"))
    if matrix.warning and headed:
        console.print(Text(matrix.warning, style="yellow"))
    shown = [task.replace("_", "_\n", 1).replace("tagatune", "\ntagatune") for task in matrix.tasks]
    centred = ["chance-\ncentred\nscore"] if any(value is not None for value in matrix.centred.values()) else []
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("model", overflow="fold", min_width=min(20, max(map(len, matrix.models))))
    for head in (*shown, f"mean of\n{2 * len(matrix.tasks)} cells", *centred):
        table.add_column(head, justify="right", no_wrap=head in shown)
    for model in matrix.models:
        cells = [_printed(matrix.cells.get((model, task))) for task in matrix.tasks]
        means = [percent(matrix.paper[model]), *(percent(matrix.centred[model]) for _ in centred)]
        table.add_row(Text(model, style="bold"), *cells, *means)
    console.print(table)
    legend = (
        "Cells: ROC-AUC/AP, percent; below, the change of the chance-centred score in points (reported figures: of the "
        "mean of both; [ ] in the model's own culture, ~ "
        f"not separable from zero at a false discovery rate of 5 %{_sample(matrix)}). Mean of the cells: of ROC-AUC "
        "and AP, as in the paper. Chance-centred score: 0 at chance, each tradition once."
    )
    console.print(Text(legend, style="dim"))


def _sample(matrix: TransferMatrix) -> str:
    changes = [cell.change for cell in matrix.cells.values() if cell.change]
    only = "" if all(change.trainings for change in changes) else f", {TEST_ONLY}"
    return f"{only}, one model of each" if any(change.models == (1, 1) for change in changes) else only


def _printed(cell: Cell | None) -> str:
    if cell is None:
        return ABSENT
    scores = f"{percent(cell.roc_auc)}/{percent(cell.average_precision)}"
    return scores if cell.shown_change is None else f"{scores}\n{_change(cell)}"


def _change(cell: Cell) -> str:
    sign = "" if separable(cell) else "~"
    text = f"{sign}{points(cell.shown_change)}"
    return f"\\[{text}]" if cell.in_culture else text


def separable(cell: Cell) -> bool:
    """Whether the change is told apart from zero; of reported figures it is not known, and they are not marked."""
    return cell.change is None or cell.change.verdict in ("gained", "lost")


def latex_table(matrix: TransferMatrix) -> str:
    """Return a table for LaTeX: ROC-AUC / AP in percent, the best of each column bold, controls aside."""
    ranked = [model for model in matrix.models if matrix.kinds[model] != "control"]
    best = {
        task: max((c.mean for m in ranked if (c := matrix.cells.get((m, task))) and c.mean is not None), default=None)
        for task in matrix.tasks
    }
    rows = []
    for model in matrix.models:
        cells = []
        for task in matrix.tasks:
            cell = matrix.cells.get((model, task))
            text = f"{percent(cell.roc_auc)} / {percent(cell.average_precision)}" if cell else "--"
            bold = model in ranked and cell is not None and cell.mean is not None and cell.mean == best[task]
            cells.append((f"\\textbf{{{text}}}" if bold else text).replace(ABSENT, "--"))
        rows.append([escaped(model), *cells, percent(matrix.paper[model]).replace(ABSENT, "--")])
    head = [f"% {matrix.title}; needs {LATEX_PACKAGES}", *([f"% {matrix.warning}"] if matrix.warning else [])]
    return "\n".join(
        [*head, *latex_lines(["Model", *map(broken, matrix.tasks), "Mean"], rows, warning=matrix.warning), ""]
    )


def markdown_matrix(matrix: TransferMatrix) -> str:
    """Return a Markdown table: ROC-AUC / AP in percent and, in brackets, the change that is judged, in points."""
    lines = [
        f"{matrix.title}; change against {matrix.base} in brackets. {matrix.warning}".rstrip(),
        "",
        "| model | " + " | ".join(matrix.tasks) + " | mean of all cells |",
        "|---" * (len(matrix.tasks) + 2) + "|",
    ]
    for model in matrix.models:
        cells = []
        for task in matrix.tasks:
            cell = matrix.cells.get((model, task))
            text = f"{percent(cell.roc_auc)} / {percent(cell.average_precision)}" if cell else ABSENT
            change = f" ({points(cell.shown_change)})" if cell and cell.shown_change is not None else ""
            cells.append(text + change)
        name = markdown_cell(model)
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {percent(matrix.paper[model])} |")
    return "\n".join(lines) + "\n"


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
                "low": change.low if change else None,
                "high": change.high if change else None,
                "q_value": change.q_value if change else None,
                "verdict": change.verdict if change else "",
                "trainings": change.trainings if change else None,
                "in_culture": cell.in_culture,
            }
        )
    return rows
