"""What a view finds in the predictions of every model on every task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..records.evidence import Evidence
from ..records.sections import Column, Row, Section, sections

T = TypeVar("T")


@dataclass(frozen=True)
class ByCell(Generic[T]):
    """What was found in the records of one edition, split and protocol."""

    section: Section  # the records
    # model and task -> what was found, most often one thing for each family
    found: Mapping[tuple[Row, Column], tuple[T, ...]]

    def of(self, row: Row, column: Column) -> tuple[T, ...]:
        """Return what there is of a model on a task; nothing without a record."""
        return self.found.get((row, column), ())

    def on(self, column: Column) -> list[tuple[Row, T]]:
        """Return what there is on a task, model by model."""
        return [(row, one) for row in self.section.rows for one in self.of(row, column)]

    def each(self) -> Iterator[tuple[Column, Row, T]]:
        """Yield everything, task by task, model by model."""
        return ((column, row, one) for column in self.section.columns for row, one in self.on(column))


def judged(evidence: Sequence[Evidence], judge: Callable[[Evidence], tuple[T, ...]]) -> tuple[ByCell[T], ...]:
    """Judge every record by its predictions, for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    by_record = {id(one.record): one for one in evidence}
    return tuple(
        ByCell(
            section,
            {(row, c): judge(by_record[id(r)]) for c in section.columns for row, r in section.records_on(c)},
        )
        for section in sections(one.record for one in evidence)
    )
