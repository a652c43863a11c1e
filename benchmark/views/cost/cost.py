"""What a score costs: seconds of encoding and memory for each hour of audio, device by device.

Times are those that the records hold: wall-clock seconds of the encoder, added up over interrupted runs. Features that
were stored earlier keep the time that they took then. Peak memory is of the whole process up to the end of the cell, so
the first cells of a run are the telling ones; it does not grow with the audio and is not divided by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from ...records.environment import device_words
from ...records.record import Interval, Record
from ...records.sections import ABSENT, Column, Row, Section, sections
from ..tables import Rows, ViewTable, cell_facts, not_run
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
    """A model on a task, or on all tasks, on one device.

    Attributes:
        row: the model.
        audio_hours: that were encoded.
        encode_seconds_per_hour: wall-clock seconds for an hour of audio; ``None`` where the record counts none.
        probe_seconds: wall-clock seconds of training and scoring the probes.
        peak_memory_mib: of the process up to the end of the cell.
        score: macro ROC-AUC as a fraction, a plain mean over tasks for :data:`MEAN`; ``None`` where not defined.
        interval: of the score; ``None`` for a mean over tasks.
        test_tracks: that the score rests on.
    """

    row: Row
    audio_hours: float
    encode_seconds_per_hour: float | None
    probe_seconds: float
    peak_memory_mib: float
    score: float | None
    interval: Interval | None
    test_tracks: int

    def measure(self, name: str) -> float | None:
        """Return one of :data:`MEASURES`; ``None`` where it is missing or not above zero."""
        value = self.encode_seconds_per_hour if name == "encode_seconds_per_hour" else self.peak_memory_mib
        return value if value is not None and value > 0 else None


@dataclass(frozen=True)
class CostPanel:
    """Models that were measured on one device, on one task or on all.

    Attributes:
        device: what they were measured on, in words.
        name: of the task, or :data:`MEAN`.
        points: one for each model.
        column: the task; ``None`` for the mean.
    """

    device: str
    name: str
    points: tuple[CostPoint, ...]
    column: Column | None

    def front(self, measure: str) -> tuple[int, ...]:
        """Return the models that no other beats or equals in one of score and cost without losing in the other.

        Args:
            measure: one of :data:`MEASURES`; less is better.

        Returns:
            Positions in ``points``, by rising cost.
        """
        known = [
            (cost, point.score, k)
            for k, point in enumerate(self.points)
            if (cost := point.measure(measure)) is not None and point.score is not None
        ]
        best = -1.0
        front: list[tuple[float, float, int]] = []
        for cost, score, k in sorted(known, key=lambda one: (one[0], -one[1])):
            if score > best or (front and (cost, score) == front[-1][:2]):
                best = score
                front.append((cost, score, k))
        return tuple(k for _, _, k in front)


@dataclass(frozen=True)
class CostView:
    """Cost against score for the records of one edition, split and protocol.

    Attributes:
        section: the records.
        devices: what they were measured on, in words.
        panels: device by device, task by task; the mean over tasks first, where models were run on all of them there.
    """

    section: Section
    devices: tuple[str, ...]
    panels: tuple[CostPanel, ...]


def device_name(record: Record) -> str:
    """Say what a record was measured on."""
    return device_words(record.environment)


def cost_views(records: Iterable[Record]) -> tuple[CostView, ...]:
    """Return the view for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    return tuple(_view(section) for section in sections(records))


def _view(section: Section) -> CostView:
    devices = tuple(dict.fromkeys(device_name(r) for r in section.cells.values()))
    panels = []
    for device in devices:
        own = [_panel(section, column, device) for column in section.columns]
        if len(section.columns) > 1 and (mean := _mean_panel(section, device, own)).points:
            panels.append(mean)
        panels += [panel for panel in own if panel.points]
    return CostView(section, devices, tuple(panels))


def _panel(section: Section, column: Column, device: str) -> CostPanel:
    found = [(row, r) for row, r in section.records_on(column) if device_name(r) == device]
    return CostPanel(device, column.name, tuple(_point(row, record) for row, record in found), column)


def _point(row: Row, record: Record) -> CostPoint:
    cost, metric = record.cost, record.metrics.get("roc_auc")
    hours = cost.audio_seconds / 3600
    return CostPoint(
        row=row,
        audio_hours=hours,
        encode_seconds_per_hour=cost.encode_seconds / hours if hours > 0 and cost.encode_seconds > 0 else None,
        probe_seconds=cost.probe_seconds,
        peak_memory_mib=cost.peak_memory_mib,
        score=metric.value if metric else None,
        interval=metric.interval if metric else None,
        test_tracks=record.coverage.used["test"],
    )


def _mean_panel(section: Section, device: str, panels: Sequence[CostPanel]) -> CostPanel:
    """Sum the cost and average the score of the models that have every task on this device."""
    points = []
    for row in section.rows:
        own = [point for panel in panels for point in panel.points if point.row == row]
        if len(own) < len(section.columns):
            continue
        hours = sum(point.audio_hours for point in own)
        seconds = [p.encode_seconds_per_hour * p.audio_hours for p in own if p.encode_seconds_per_hour is not None]
        scores = [point.score for point in own if point.score is not None]
        points.append(
            CostPoint(
                row=row,
                audio_hours=hours,
                encode_seconds_per_hour=sum(seconds) / hours if len(seconds) == len(own) else None,
                probe_seconds=sum(point.probe_seconds for point in own),
                peak_memory_mib=max(point.peak_memory_mib for point in own),
                score=fmean(scores) if len(scores) == len(own) else None,
                interval=None,
                test_tracks=sum(point.test_tracks for point in own),
            )
        )
    return CostPanel(device, MEAN, tuple(points), None)


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
            "low": point.interval.low if point.interval else None,
            "high": point.interval.high if point.interval else None,
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
