"""Numbers as text: percent, points, spans, intervals."""

from __future__ import annotations

from ...errors import counted
from ..comparing.paired import Level
from ..records.record import Interval, Record
from ..records.sections import ABSENT

ALL = "all labels"
"""In place of a family."""


def points(value: float | None, digits: int = 1) -> str:
    """Return a change in percent points with its sign."""
    return ABSENT if value is None else f"{100 * value:+z.{digits}f}"


def span(level: Level, signed: bool = False, joint: str = " ") -> str:
    """Return a value and, after ``joint``, its interval in percent points; where there is none, the value alone."""
    if level.value is None:
        return ABSENT
    text = points if signed else percent
    if level.low is None or level.high is None:
        return text(level.value)
    return f"{text(level.value)}{joint}[{text(level.low)}, {text(level.high)}]"


def coverage_share(record: Record) -> float:
    """Return the share of the asked tracks of all splits that could be used, in [0, 1]."""
    asked = sum(record.coverage.asked.values())
    return sum(record.coverage.used.values()) / asked if asked else 0.0


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as percent without the sign: ``71.3``, or a dash where there is none."""
    return ABSENT if value is None else f"{100 * value:z.{digits}f}"


def coverage_text(record: Record) -> str:
    """Return the coverage as percent; 100.0 only if no track is missing."""
    share = coverage_share(record)
    return "100.0" if share == 1.0 else f"{min(100 * share, 99.9):.1f}"


def with_interval(value: float | None, interval: Interval | tuple[float, float] | None, digits: int = 1) -> str:
    """Return a share as percent with its interval: ``71.3 [68.1, 74.2]``."""
    text = percent(value, digits)
    if value is None or interval is None:
        return text
    low, high = (interval.low, interval.high) if isinstance(interval, Interval) else interval
    return f"{text} [{percent(low, digits)}, {percent(high, digits)}]"


def of_defined(defined: int, total: int) -> str:
    """Return ``12 labels``, or ``10/12 labels`` where not every label has a score."""
    return counted(total, "label") if defined == total else f"{defined}/{total} labels"
