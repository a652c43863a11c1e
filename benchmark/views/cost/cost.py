"""What a score costs: seconds of encoding and memory for each hour of audio, device by device.

Times are those that the records hold: wall-clock seconds of the encoder, added up over interrupted runs. Features that
were stored earlier keep the time that they took then. Peak memory is of the whole process up to the end of the cell, so
the first cells of a run are the telling ones; it does not grow with the audio and is not divided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ...records.environment import device_words
from ...records.record import Interval, Record
from ...records.sections import ABSENT, Column, Row, Section, sections
from ..tables import Rows, ViewTable, cell_facts, ends, not_run
from ..words import with_interval

MEAN = "mean of all tasks"

MEASURES = {
    "encode_seconds_per_hour": "encoding, seconds per hour of audio",
    "peak_memory_mib": "peak memory of the process so far, MiB",
}

MEMORY = (
    "peak MiB: of the whole process up to the end of the cell, so that later models of a run show no less than earlier "
    "ones; for memory, run models one at a time."
)

NO_TIME = "no time of encoding: the record counts no audio or no seconds"


@dataclass(frozen=True)
class CostPoint:
    """A model on one device: on a task, or on all tasks, whose costs add up and whose scores are averaged."""

    row: Row  # the model
    records: tuple[Record, ...]  # of the task, or of every task

    @property
    def audio_hours(self) -> float:
        """Hours that were encoded."""
        return sum(r.cost.audio_seconds for r in self.records) / 3600

    @property
    def encode_seconds_per_hour(self) -> float | None:
        """Wall-clock seconds for an hour of audio; ``None`` where a record counts none."""
        if any(r.cost.audio_seconds <= 0 or r.cost.encode_seconds <= 0 for r in self.records):
            return None
        return sum(r.cost.encode_seconds for r in self.records) / self.audio_hours

    @property
    def probe_seconds(self) -> float:
        """Wall-clock seconds of training and scoring the probes."""
        return sum(r.cost.probe_seconds for r in self.records)

    @property
    def peak_memory_mib(self) -> float:
        """Peak memory of the process up to the end of the last cell."""
        return max(r.cost.peak_memory_mib for r in self.records)

    @property
    def score(self) -> float | None:
        """Macro ROC-AUC as a fraction, a plain mean over tasks; ``None`` where one is not defined."""
        scores = [r.metrics["roc_auc"].value for r in self.records]
        known = [score for score in scores if score is not None]
        return fmean(known) if len(known) == len(scores) else None

    @property
    def interval(self) -> Interval | None:
        """Interval of the score; ``None`` for a mean over tasks."""
        return self.records[0].metrics["roc_auc"].interval if len(self.records) == 1 else None

    @property
    def test_tracks(self) -> int:
        """Test tracks that the score rests on."""
        return sum(r.coverage.used["test"] for r in self.records)

    def measure(self, name: str) -> float | None:
        """Return one of :data:`MEASURES`; ``None`` where it is missing or not above zero."""
        return getattr(self, name) or None


@dataclass(frozen=True)
class CostPanel:
    """Models that were measured on one device, on one task or on all."""

    device: str  # what they were measured on, in words
    points: tuple[CostPoint, ...]  # one for each model
    column: Column | None  # the task; ``None`` for the mean over all

    @property
    def name(self) -> str:
        """Name of the task, or :data:`MEAN`."""
        return self.column.name if self.column else MEAN

    def front(self, measure: str) -> tuple[int, ...]:
        """Return positions in ``points``, by rising cost, of those that :func:`unbeaten` leaves."""
        return unbeaten([(point.measure(measure), point.score) for point in self.points])


def unbeaten(points: Sequence[tuple[float | None, float | None]]) -> tuple[int, ...]:
    """Return the points that no other beats or equals in one of cost and score without losing in the other.

    Less cost and more score are better; a point without one of them is left out.

    Returns:
        Positions, by rising cost.
    """
    known = [(cost, -score, k) for k, (cost, score) in enumerate(points) if cost is not None and score is not None]
    front: list[tuple[float, float, int]] = []
    for one in sorted(known):
        if not front or one[1] < front[-1][1] or one[:2] == front[-1][:2]:
            front.append(one)
    return tuple(k for _, _, k in front)


@dataclass(frozen=True)
class CostView:
    """Cost against score for the records of one edition, split and protocol."""

    section: Section  # the records
    # device by device, task by task; the mean over tasks first, where models were run on all of them there
    panels: tuple[CostPanel, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """What the records were measured on, in words."""
        return tuple(dict.fromkeys(panel.device for panel in self.panels))


def cost_views(records: Iterable[Record]) -> tuple[CostView, ...]:
    """Return the view for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    return tuple(CostView(section, tuple(_panels(section))) for section in sections(records))


def _panels(section: Section) -> Iterator[CostPanel]:
    for device in dict.fromkeys(device_words(r.environment) for r in section.cells.values()):
        cells = {key: r for key, r in section.cells.items() if device_words(r.environment) == device}
        here = replace(section, cells=cells)
        found = [(row, tuple(record for _, record in here.records_of(row))) for row in here.rows]
        if complete := [CostPoint(row, own) for row, own in found if len(own) == len(here.columns) > 1]:
            yield CostPanel(device, tuple(complete), None)
        for column in here.columns:
            if points := tuple(CostPoint(row, (record,)) for row, record in here.records_on(column)):
                yield CostPanel(device, points, column)


def several_devices(view: CostView) -> str:
    """Say that the records come from several devices, whose times are not compared; empty if they do not."""
    if len(view.devices) < 2:
        return ""
    return f"Measured on {len(view.devices)} devices ({'; '.join(view.devices)}): compare within a device only."


def cost_tables(view: CostView) -> list[ViewTable]:
    """Return a table for each device and task; a star marks the front of score against seconds."""
    section = view.section
    tables = []
    for panel in view.panels:
        front = panel.front("encode_seconds_per_hour")
        notes = [f"{p.row.name}: {NO_TIME}." for p in panel.points if p.encode_seconds_per_hour is None]
        notes += [several_devices(view)] if len(view.devices) > 1 else []
        notes += not_run(section, panel.column) if panel.column else _incomplete(view, panel)
        notes.append(MEMORY)
        tables.append(
            ViewTable.of(
                section,
                f"{panel.name}: cost against ROC-AUC, percent, on {panel.device}; * no model is both cheaper "
                "and better",
                (
                    "model",
                    "",
                    "ROC-AUC",
                    "n",
                    "encoding, s\nper audio-hour",
                    "times\nreal time",
                    "audio-\nhours",
                    "probes, s",
                    "peak\nMiB",
                ),
                [_table_row(point, k in front) for k, point in enumerate(panel.points)],
                keys=2,
                notes=notes,
            )
        )
    return tables


def _incomplete(view: CostView, panel: CostPanel) -> tuple[str, ...]:
    there = {point.row for point in panel.points}
    absent = [row.name for row in view.section.rows if row not in there]
    told = "Not in the mean, for want of a record of every task on this device"
    return (f"{told}: {', '.join(absent)}.",) if absent else ()


def _table_row(point: CostPoint, front: bool) -> tuple[str, ...]:
    rate = point.encode_seconds_per_hour
    return (
        point.row.name,
        "*" if front else "",
        with_interval(point.score, point.interval),
        str(point.test_tracks),
        ABSENT if rate is None else f"{rate:.3g}" if rate < 100 else f"{rate:.0f}",
        ABSENT if rate is None else f"{3600 / rate:.0f}",
        f"{point.audio_hours:.2f}",
        f"{point.probe_seconds:.1f}",
        f"{point.peak_memory_mib:.0f}",
    )


def cost_rows(view: CostView) -> Rows:
    """Return one row for each model and task, with its device; scores as fractions."""
    return [
        cell_facts(view.section, point.row, panel.column)
        | {
            "device": panel.device,
            "roc_auc": point.score,
            **ends(point.interval),
            "test_tracks": point.test_tracks,
            "audio_hours": point.audio_hours,
            "encode_seconds_per_hour": point.encode_seconds_per_hour,
            "probe_seconds": point.probe_seconds,
            "peak_memory_mib": point.peak_memory_mib,
            "on_front": k in panel.front("encode_seconds_per_hour"),
        }
        for panel in view.panels
        if panel.column
        for k, point in enumerate(panel.points)
    ]
