"""A section with its predictions: what can be compared, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import UsageError
from ..comparing.compare import on_common_tracks
from ..comparing.lineage import base_of
from ..comparing.transfer import by_kind
from ..records.evidence import Evidence
from ..records.sections import Section
from .base import Scope


def scope_of(section: Section, found: Sequence[Evidence], base: str | None, resamples: int) -> Scope:
    """Return a section as the views see it.

    Without ``base``, or one of another section, the others are compared with the base by lineage.
    """
    mine = _of_section(section, found)
    models = {e.record.model.name: e.record.model for e in mine}
    if base not in models:
        base = base_of(models) if models else ""
    alike, unlike = _alike(mine, base)
    alike, others = _on_one_split(section, alike)
    return Scope(section, tuple(mine), tuple(by_kind(alike, base)), (*unlike, *others), base, resamples)


def _on_one_split(section: Section, alike: Sequence[Evidence]) -> tuple[list[Evidence], tuple[str, ...]]:
    """Leave out all splits of a task but one: a conclusion over two versions of it would count the task twice.

    The one that most models were run on stays; of several, that of the newest record.
    """
    splits: dict[str, list[str]] = {}
    for column in section.columns:
        splits.setdefault(column.key[0], []).append(column.name)

    def standing(name: str) -> tuple[int, str]:
        made = [e.record.environment.created for e in alike if e.record.task.name == name]
        return len(made), max(made, default="")

    left = {name: max(names, key=standing) for names in splits.values() for name in names}
    unlike = [
        f"{e.record.model.name} on {name}: the task stands here on several splits (versions, seeds or scales), "
        f"and what is concluded is of {left[name]}"
        for e in alike
        if left[name := e.record.task.name] != name
    ]
    return [e for e in alike if left[e.record.task.name] == e.record.task.name], tuple(unlike)


def _alike(mine: Sequence[Evidence], base: str) -> tuple[list[Evidence], tuple[str, ...]]:
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


def _of_section(section: Section, found: Sequence[Evidence]) -> list[Evidence]:
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
