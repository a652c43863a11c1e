"""Models by tasks, and what changed against a base model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ....errors import UsageError, quoted
from ....tasks.splits.names import is_sample
from ...comparing.equity import Equity, equities
from ...comparing.pretrainings import with_seeds
from ...comparing.summary import centred_score
from ...comparing.ties import standings
from ...comparing.transfer import TransferMatrix, reported_matrix, transfer_matrix
from ...records.evidence import Evidence
from ...records.sections import sections
from ..base import Block, Drawing, Resamples, Scope, View
from ..equity import print_equity
from ..figures import COLUMN_WIDTH
from ..headline import Conclusion, conclusion, of_scope, print_conclusion
from ..scope import scope_of
from ..tables import print_tables
from .transfer_map import PAGE_WIDTH, transfer_figure
from .transfer_tables import matrix_rows, transfer_tables

if TYPE_CHECKING:
    from rich.console import Console

CAPTION = "Mean of ROC-AUC and AP; below it the change, above chance, against the base."


@dataclass(frozen=True)
class Transfer:
    """Models by tasks, what they say in short, and on request how evenly each serves the traditions."""

    matrix: TransferMatrix
    said: Conclusion | None = None
    equities: tuple[Equity, ...] = ()


def _compute(
    evidence: Sequence[Evidence] = (),
    base: Annotated[str | None, typer.Option(help="Model to compare with; by lineage if not given.")] = None,
    in_culture: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=TRADITION[,TRADITION]: what it was trained on; read from its card if not given."),
    ] = None,
    seeds_of: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=A,B,…: models that are pre-trainings of one and differ in their seed."),
    ] = None,
    reported: Annotated[bool, typer.Option("--reported", help="The paper's table, from reported figures.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Also equity over traditions.")] = False,
    resamples: Resamples = 1000,
) -> list[Transfer]:
    if reported == bool(evidence):
        raise UsageError("Name records or folders of records, or ask for --reported figures: one of the two.")
    if reported:
        return [Transfer(reported_matrix())]
    evidence = with_seeds(evidence, _named("--seeds-of", seeds_of or []))
    cultures = _named("--in-culture", in_culture or [])
    matrix = transfer_matrix(evidence, base, cultures, resamples=resamples)
    if seeds_of:
        # The conclusion and the equities are of single models.
        return [Transfer(matrix)]
    (section,) = sections(e.record for e in evidence)
    said = conclusion(of_scope(scope_of(section, evidence, matrix.base, resamples)))
    return [Transfer(matrix, said, equities(evidence, resamples) if details else ())]


def _named(option: str, pairs: Sequence[str]) -> dict[str, list[str]]:
    found = {}
    for pair in pairs:
        model, _, names = pair.rpartition("=")
        if not model or not names:
            raise UsageError(f"{option} {quoted(pair)} should read MODEL=NAME or MODEL=NAME,NAME.")
        found[model] = [name.strip() for name in names.split(",")]
    return found


def _show(found: Transfer, console: Console) -> None:
    if found.said is not None:
        print_conclusion(found.said, console)
        console.print()
    tables = transfer_tables(found.matrix)
    # Edition and warning stand above the conclusion.
    print_tables(tables if found.said is None else [replace(t, source="", warning="") for t in tables], console)
    print_equity(found.equities, console)


def _blocks(scope: Scope) -> Iterator[Block]:
    """Yield the changes against the base, and places on the tasks that all models have a score on."""
    models = list(dict.fromkeys(e.record.model.name for e in scope.alike))
    if len(models) < 2:
        return
    matrix = transfer_matrix(scope.alike, scope.base, resamples=scope.resamples)
    by_task = {task: [e for e in scope.alike if e.record.task.name == task] for task in matrix.tasks}
    ranked = [task for task, found in by_task.items() if _rankable(found, len(models))]
    ranking = [[e for task in ranked for e in by_task[task] if e.record.model.name == model] for model in models]
    places = standings(ranking, scope.resamples) if ranked else ()
    title = f"Heat map of the change against {matrix.base} by model and task"
    drawing = Drawing(title, partial(transfer_figure, matrix), CAPTION, "The numbers of the table below.")
    data = {"matrix": matrix, "ranked": ranked, "standings": places}
    yield Block("transfer", "Transfer", "", (drawing,), template="transfer.html", data=data)


def _rankable(found: Sequence[Evidence], models: int) -> bool:
    """Whether every model has a score on a whole task, and all have tracks in common."""
    return (
        len(found) == models
        and not any(is_sample(e.record.task.split) for e in found)
        and all(centred_score(e.record) is not None for e in found)
        and bool(set(found[0].track_ids).intersection(*(e.track_ids for e in found[1:])))
    )


VIEW = View(
    name="transfer",
    help="Show models by tasks: scores, and what changed against a base model.",
    compute=_compute,
    tables=lambda found: transfer_tables(found.matrix),
    rows=lambda found: {"": matrix_rows(found.matrix)},
    figures=lambda found: {
        "": partial(transfer_figure, found.matrix, PAGE_WIDTH),
        "column": partial(transfer_figure, found.matrix, COLUMN_WIDTH),
    },
    stem=lambda found: "transfer",
    show=_show,
    blocks=_blocks,
    examples=(
        "cmbench report transfer results --base MERT-v1-95M --out transfer",
        "cmbench report transfer --reported --out paper",
    ),
)
