"""A board at a glance: entries by tasks, coloured as the first picture of a run's page is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...benchmark.comparing.summary import centred_score
from ...benchmark.records.record import Record
from ...benchmark.views.figures import ink_on
from ...benchmark.views.headline.heat_map import CONTROL, next_ten, shade_of
from ..ranking import Board, Place

STOPS = 9
"""Colours that the bar of the scale is drawn from."""


@dataclass(frozen=True)
class Matrix:
    """What is above chance."""

    tasks: tuple[Record, ...]  # a record of each, tradition by tradition
    # places, best first, each with its score (a fraction; ``None`` where there is none) on every task
    rows: tuple[tuple[Place, tuple[tuple[Record, float | None], ...]], ...]
    top: float  # upper end of the colours, percent
    bar: str  # colours from 0 to there
    control: str = CONTROL  # mark of what has learnt nothing


def matrix(board: Board) -> Matrix:
    """Return the places of a board by its tasks."""
    order = sorted(range(len(board.tasks)), key=lambda i: board.traditions.index(board.tasks[i].task.tradition))
    rows = tuple(
        (place, tuple((place.records[i], centred_score(place.records[i])) for i in order)) for place in board.places
    )
    top = next_ten(score for _, cells in rows for _, score in cells if score is not None)
    bar = ", ".join(_hex(shade_of(i / (STOPS - 1), 100)) for i in range(STOPS))
    return Matrix(tuple(board.tasks[i] for i in order), rows, top, f"linear-gradient(90deg, {bar})")


def coloured(score: float, top: float) -> Any:
    """Return the style of a cell: its colour on a scale from 0 to ``top`` percent, and an ink that is read on it."""
    from markupsafe import Markup

    shade = shade_of(score, top)
    ink = ink_on(shade)
    return Markup('style="background:{};color:{}"').format(_hex(shade), ink)


def _hex(shade: tuple[float, float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in shade[:3])
