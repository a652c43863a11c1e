"""Records sorted into what may stand side by side.

A section holds records of one edition, one split and one protocol, by name and hash. Tables, pages and figures are
drawn section by section, so numbers that were measured differently never share a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from ...errors import UsageError
from ...tasks.base import EDITION_ORDER, PAPER_TASKS, tradition_place
from . import titles
from .record import RANKED, Metric, Record
from .setting import Setting

METRIC_TITLES, DECISION_TITLES = titles.SCORES, titles.DECISIONS
HEADLINE = RANKED
"""The metrics of the paper's tables."""

ABSENT = "–"
"""What is shown where there is no value."""

NO_REASON = "no reason given"

NOT_RUN = "no record: this model was not run on this task"

TaskKey = tuple[str, str, str]
ModelKey = tuple[str, str]


@dataclass(frozen=True)
class Column:
    """A task as a column: the same name with other labels or another split is another column."""

    key: TaskKey  # name, split hash, label-set hash
    name: str  # the task's name, with the start of its hashes where two columns would be called the same
    title: str  # the task's title
    tradition: str  # of the task
    test_tracks: int  # number of tracks in the test split that were scored
    defined: int | None  # labels with a score; ``None`` where it differs between the models
    total: int  # labels of the task

    @property
    def label_count(self) -> str:
        """``30 labels``, or ``28/30 labels`` where not every label has a score."""
        if self.defined is None or self.defined == self.total:
            return f"{self.total} labels"
        return f"{self.defined}/{self.total} labels"


@dataclass(frozen=True)
class Row:
    """A model as a row."""

    key: ModelKey  # name and fingerprint
    name: str  # the model's name, with the start of its fingerprint where two rows would be called the same


@dataclass(frozen=True)
class Mean:
    """A plain mean over cells, or how many of them there are."""

    value: float | None  # in [0, 1]; ``None`` unless every cell is there
    present: int  # cells with a value
    total: int  # cells that the mean needs


@dataclass(frozen=True)
class Section:
    """Records of one edition, split and protocol."""

    edition: str  # ``full``, ``mini`` or ``custom``
    split: str  # ``official``, ``own`` where no publication fixed it, ``group-safe``, or another published one
    protocol: str  # name
    protocol_sha256: str  # hash of the protocol's values
    columns: tuple[Column, ...]  # tasks, by tradition
    rows: tuple[Row, ...]  # models, in the order in which they were given
    cells: Mapping[tuple[ModelKey, TaskKey], Record]  # the records
    # task -> what the audit of its split found, in one line; only of those that :func:`audited` was given
    audits: Mapping[TaskKey, str] = field(default_factory=dict)

    @property
    def setting(self) -> Setting:
        """Edition, split and protocol by name."""
        return Setting(self.edition, self.split, self.protocol)

    @property
    def title(self) -> str:
        """Edition, split and protocol in words."""
        return f"{self.setting.title} ({self.protocol_sha256[:8]})"

    @property
    def warning(self) -> str:
        """What must stand beside every number of this section; empty for the whole of real data."""
        return self.setting.warning

    @property
    def on_published_data(self) -> bool:
        """Whether figures that papers report are on the same tracks in the same splits."""
        return self.edition == "full" and self.split == "official"

    @property
    def is_papers(self) -> bool:
        """Whether the columns are the six tasks of the paper's summary, on real data and the published splits."""
        return self.on_published_data and {c.name for c in self.columns} == PAPER_TASKS

    @property
    def slug(self) -> str:
        """Part of a file name, different for every section."""
        return f"{self.edition}-{self.split}-{self.protocol}-{self.protocol_sha256[:8]}"

    @property
    def interval_name(self) -> str:
        """What the intervals are, with their level if the records' protocol states it."""
        level = next(iter(self.cells.values())).protocol.settings.get("interval_level")
        known = f"{100 * level:g} % " if isinstance(level, float) else ""
        return f"{known}cluster-bootstrap interval"

    def record(self, row: Row, column: Column) -> Record | None:
        """Return the record of a cell, ``None`` if the model was not run on the task."""
        return self.cells.get((row.key, column.key))

    def metric(self, row: Row, column: Column, name: str) -> Metric | None:
        """Return the metric of a cell, ``None`` if the model was not run on the task."""
        record = self.record(row, column)
        return record.metrics.get(name) if record else None

    def records_of(self, row: Row) -> list[tuple[Column, Record]]:
        """Return the records of a model, in the order of the columns."""
        found = ((column, self.record(row, column)) for column in self.columns)
        return [(column, record) for column, record in found if record]

    def records_on(self, column: Column) -> list[tuple[Row, Record]]:
        """Return the records of a task, in the order of the rows."""
        found = ((row, self.record(row, column)) for row in self.rows)
        return [(row, record) for row, record in found if record]

    def undefined_labels(self, column: Column) -> dict[str, str]:
        """Return the labels of a task that have no score for at least one model, with the reason."""
        found: dict[str, str] = {}
        for _, record in self.records_on(column):
            for label, reason in record.undefined_labels.items():
                found.setdefault(label, reason)
        return found

    def different_audio(self, column: Column) -> str:
        """Say that a task's audio was not the same for every model; empty if it was."""
        by_audio: dict[str, list[str]] = {}
        for row, record in self.records_on(column):
            by_audio.setdefault(record.task.audio_sha256, []).append(row.name)
        if len(by_audio) < 2:
            return ""
        parts = "; ".join(f"{', '.join(names)} ({audio[:8]})" for audio, names in by_audio.items())
        return f"The audio files of {column.name} were not the same for every model: {parts}"

    def audit(self, column: Column) -> str:
        """Return what the audit of a task's split found, in one line; empty if none was given."""
        return self.audits.get(column.key, "")

    def mean(self, row: Row, *metrics: str) -> Mean:
        """Return the plain mean of a model's cells; with ROC-AUC and AP, the paper's average."""
        found = [self.metric(row, column, name) for column in self.columns for name in metrics]
        values = [m.value for m in found if m and m.value is not None]
        complete = len(values) == len(found)
        return Mean(fmean(values) if complete else None, len(values), len(found))


def audited(found: Iterable[Section], root: Path) -> tuple[Section, ...]:
    """Return sections with what the audits that a cache keeps found of their tasks' splits."""
    from ...tasks.audit.audit import find_audit, summary

    told = []
    for section in found:
        audits = {column.key: find_audit(root, *column.key) for column in section.columns}
        told.append(replace(section, audits={key: summary(audit) for key, audit in audits.items() if audit}))
    return tuple(told)


def sections(records: Iterable[Record]) -> tuple[Section, ...]:
    """Sort records into sections: real data first, ``mini`` last.

    Raises:
        UsageError: there is no record, or two that contradict each other.
    """
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for r in records:
        groups.setdefault((r.task.edition, r.task.split, r.protocol.name, r.protocol.sha256), []).append(r)
    if not groups:
        raise UsageError(
            "There are no records to report on. `cmbench run` writes them below the folder given to --out."
        )
    known = {edition: i for i, edition in enumerate(EDITION_ORDER)}
    order = sorted(groups, key=lambda k: (known.get(k[0], len(known)), k))
    return tuple(_section(key, groups[key]) for key in order)


def _section(key: tuple[str, str, str, str], records: list[Record]) -> Section:
    cells: dict[tuple[ModelKey, TaskKey], Record] = {}
    for r in records:
        cell = ((r.model.name, r.model.fingerprint), (r.task.name, r.task.split_sha256, r.task.label_sha256))
        if cell in cells and cells[cell].stable_json() != r.stable_json():
            raise UsageError(
                f"Two different records hold the result of {r.model.name} on {r.task.name} "
                f"({r.task.edition}, {r.task.split}, {r.protocol.name}); report on one of them only."
            )
        cells.setdefault(cell, r)
    return Section(*key, columns=_columns(cells), rows=_rows(cells), cells=cells)


def _rows(cells: Mapping[tuple[ModelKey, TaskKey], Record]) -> tuple[Row, ...]:
    keys = list(dict.fromkeys(model for model, _ in cells))
    names = [name for name, _ in keys]
    return tuple(Row(k, k[0] if names.count(k[0]) == 1 else f"{k[0]}#{k[1][:6]}") for k in keys)


def _columns(cells: Mapping[tuple[ModelKey, TaskKey], Record]) -> tuple[Column, ...]:
    by_key: dict[TaskKey, list[Record]] = {}
    for (_, task_key), record in cells.items():
        by_key.setdefault(task_key, []).append(record)
    names = [key[0] for key in by_key]
    columns = []
    for key, found in by_key.items():
        task = found[0].task
        defined = {r.defined_labels for r in found}
        columns.append(
            Column(
                key=key,
                name=key[0] if names.count(key[0]) == 1 else f"{key[0]}#{key[1][:4]}{key[2][:4]}",
                title=task.title,
                tradition=task.tradition,
                test_tracks=max(r.coverage.used["test"] for r in found),
                defined=defined.pop() if len(defined) == 1 else None,
                total=found[0].total_labels,
            )
        )
    return tuple(sorted(columns, key=lambda c: (tradition_place(c.tradition), c.key)))
