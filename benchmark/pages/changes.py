"""What the page shows of predictions: transfer, equity, places, and what was forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...tasks.splits.names import is_sample
from ..comparing.compare import on_common_tracks
from ..comparing.equity import Equity, equity
from ..comparing.forgetting import Forgetting, forgetting
from ..comparing.summary import centred_score
from ..comparing.ties import Standing, standings
from ..comparing.transfer import TransferMatrix, transfer_matrix
from ..records.evidence import Evidence
from ..records.sections import Section
from ..views.transfer.transfer_map import transfer_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = 400
"""Labels that the page lists over all models of a section, at most; but for each model at least ``LEAST_ROWS``."""

LEAST_ROWS = 20


@dataclass(frozen=True)
class Changes:
    """What the predictions of one section tell.

    Attributes:
        matrix: models by tasks with the change against the base.
        equities: of every model with two traditions or more.
        standings: places on the tasks that all models have a score on; empty if there is one model or no such task.
        ranked: those tasks.
        forgettings: what changed from the base to each other model that shares a task with it.
        without: models whose predictions are not there.
        unlike: why records are left out although their predictions are there.
    """

    matrix: TransferMatrix
    equities: tuple[Equity, ...]
    standings: tuple[Standing, ...]
    ranked: tuple[str, ...]
    forgettings: tuple[Forgetting, ...]
    without: tuple[str, ...]
    unlike: tuple[str, ...] = ()

    def listed(self, report: Forgetting) -> frozenset[tuple[str, str]]:
        """Return the labels that the page lists of a report, as task and label: the largest changes of all that count.

        Twenty models with a hundred labels each would make a page of several megabytes.
        """
        most = max(LEAST_ROWS, ROWS // max(1, len(self.forgettings)))
        changed = sorted([*report.gained, *report.lost], key=lambda pair: -abs(pair[1].roc_auc.change or 0.0))
        return frozenset((task, label.label) for task, label in changed[:most])

    def figure(self) -> Figure | None:
        """Draw the matrix; ``None`` for a single model."""
        return transfer_figure(self.matrix) if len(self.matrix.models) > 1 else None


def changes(section: Section, mine: Sequence[Evidence], base: str | None, resamples: int) -> Changes | None:
    """Judge what the predictions of a section tell.

    Args:
        section: the records.
        mine: the section's records with predictions, from :func:`of_section`.
        base: model that the others are compared with; the first of the section if not given or not in it.
        resamples: of the paired bootstrap.

    Returns:
        ``None`` if no predictions of the section are there.
    """
    told = mine
    mine, unlike = _alike(told, base)
    if not mine:
        return None
    names = tuple(dict.fromkeys(e.record.model.name for e in mine))
    matrix = transfer_matrix(mine, base if base in names else names[0], resamples=resamples)
    sides = {name: [e for e in mine if e.record.model.name == name] for name in matrix.models}
    tasks = {name: {e.record.task.name for e in side} for name, side in sides.items()}
    ranked = [task for task in matrix.tasks if _rankable([e for e in mine if e.record.task.name == task], len(sides))]
    ranking = [[e for e in side if e.record.task.name in ranked] for side in sides.values()]
    judged = (equity(side, resamples) for side in sides.values())
    return Changes(
        matrix=matrix,
        equities=tuple(one for one in judged if one is not None),
        standings=standings(ranking, resamples) if len(sides) > 1 and ranked else (),
        ranked=tuple(ranked),
        forgettings=tuple(
            forgetting(sides[matrix.base], side, resamples=resamples)
            for name, side in sides.items()
            if name != matrix.base and tasks[name] & tasks[matrix.base]
        ),
        without=tuple(row.name for row in section.rows if row.name not in {e.record.model.name for e in told}),
        unlike=unlike,
    )


def _alike(mine: Sequence[Evidence], base: str | None) -> tuple[list[Evidence], tuple[str, ...]]:
    """Leave out records whose tracks, labels or groups contradict the base's, or the first's where it has none."""
    first: dict[str, Evidence] = {}
    for e in sorted(mine, key=lambda e: e.record.model.name != base):
        first.setdefault(e.record.task.name, e)
    kept, unlike = [], []
    for e in mine:
        try:
            on_common_tracks(first[e.record.task.name], e)
            kept.append(e)
        except UsageError as error:
            unlike.append(f"{e.record.model.name} on {e.record.task.name}: {error}")
    return kept, tuple(unlike)


def _rankable(found: Sequence[Evidence], models: int) -> bool:
    """Whether every model has a score on a whole task, and all have tracks in common."""
    return (
        len(found) == models
        and not any(is_sample(e.record.task.split) for e in found)
        and all(centred_score(e.record) is not None for e in found)
        and bool(set(found[0].track_ids).intersection(*(e.track_ids for e in found[1:])))
    )


def of_section(section: Section, found: Sequence[Evidence]) -> list[Evidence]:
    """Return the section's records with predictions, under the names that its rows and columns have."""
    cells = {
        (record.cell_sha256, record.predictions.sha256): (row.name, column.name)
        for row in section.rows
        for column, record in section.records_of(row)
    }
    named: dict[tuple[str, str], Evidence] = {}
    for e in found:
        record = e.record
        key = cells.get((record.cell_sha256, record.predictions.sha256))
        if key is not None and key not in named:
            model = record.model.model_copy(update={"name": key[0]})
            task = record.task.model_copy(update={"name": key[1]})
            same = (record.model.name, record.task.name) == key
            named[key] = e if same else replace(e, record=record.model_copy(update={"model": model, "task": task}))
    order = {row.name: i for i, row in enumerate(section.rows)}
    return sorted(named.values(), key=lambda e: order[e.record.model.name])
