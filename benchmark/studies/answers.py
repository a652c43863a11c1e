"""Answers of a study that are paired differences: judged over tasks, as tidy rows, and as a figure of dots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..comparing.compare import BOUND
from ..comparing.paired import NOTHING_DEFINED, Difference, Level, control_false_discoveries, difference
from ..comparing.summary import mean_over_traditions
from ..scoring.intervals import Sample, fewest
from ..scoring.metrics import Doubles
from ..views.figures import (
    FAINT,
    INK,
    LINE,
    TEXT_WIDTH,
    clipped,
    describe,
    draw_legend,
    draw_title,
    empty_figure,
    head_inches,
    legend_columns,
    model_mark,
)
from ..views.tables import Rows
from ..views.words import span
from .cells import Found

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = {"lost": "↓", "gained": "↑", "kept": "=", "cannot tell": ""}
"""Of verdicts, where there is no room for words."""


@dataclass(frozen=True)
class Sides:
    """Two scores on one task, on the same resamples.

    Attributes:
        task: its name.
        tradition: of the task.
        before: ``[1 + resamples]``.
        after: ``[1 + resamples]``.
        sample: that both were drawn from.
        tracks: that are judged.
    """

    task: str
    tradition: str
    before: Doubles
    after: Doubles
    sample: Sample
    tracks: int

    @property
    def defined(self) -> bool:
        """Whether the split itself defines both."""
        return not np.isnan(self.before[0] + self.after[0])


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        question: what is asked.
        model: of whom.
        on: part of the tasks or labels that it is asked of.
        tracks: that are judged.
        change: the second score minus the first.
    """

    question: str
    model: str
    on: str
    tracks: int
    change: Difference

    @property
    def words(self) -> str:
        """The change with its interval, points."""
        return span(Level(self.change.change, self.change.low, self.change.high), signed=True)


def answer(question: str, model: str, on: str, sides: Iterable[Sides], bound: float = BOUND) -> Answer:
    """Judge the mean change over tasks, each tradition once; tasks that do not define it are left out.

    Args:
        question: what is asked.
        model: of whom.
        on: what it is asked of.
        sides: of the tasks; their resamples are independent.
        bound: changes smaller than this count as none, as a fraction.
    """
    there = [one for one in sides if one.defined]
    if not there:
        return Answer(question, model, on, 0, Difference(None, None, None, reason=NOTHING_DEFINED))
    by_tradition: dict[str, list[Sides]] = {}
    for one in there:
        by_tradition.setdefault(one.tradition, []).append(one)
    before, after = (
        mean_over_traditions({t: np.mean([getattr(s, side) for s in own], axis=0) for t, own in by_tradition.items()})
        for side in ("before", "after")
    )
    judged = difference(before, after, fewest([one.sample for one in there]), bound)
    return Answer(question, model, on, sum(one.tracks for one in there), judged)


def together(answers: Sequence[Answer]) -> list[Answer]:
    """Fill in the q-values of answers that are judged together."""
    judged = control_false_discoveries([one.change for one in answers])
    return [replace(one, change=change) for one, change in zip(answers, judged, strict=True)]


@dataclass(frozen=True)
class Answers(Found):
    """All answers of a study.

    Attributes:
        answers: in the order in which they are shown.
    """

    answers: tuple[Answer, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in the order in which they were asked for."""
        return tuple(dict.fromkeys(one.model for one in self.answers))

    def of(self, question: str, model: str) -> dict[str, Answer]:
        """Return the answers to a question for a model, by what it is asked of."""
        return {one.on: one for one in self.answers if (one.question, one.model) == (question, model)}

    def rows(self) -> Rows:
        """Return every answer as a tidy row of fractions; ``None`` does not exist."""
        return [
            self.setting.facts
            | {"question": one.question, "model": one.model, "on": one.on, "tracks": one.tracks}
            | {"verdict": one.change.verdict}
            | asdict(one.change)
            for one in self.answers
        ]


Lines = Mapping[str, Sequence[Answer]]
"""Name of a line -> an answer for each model."""


def dots_figure(found: Answers, title: str, panels: Mapping[str, Lines], across: int) -> Figure:
    """Draw answers as dots with intervals, points: a panel for each name, its lines from top to bottom.

    Args:
        found: whose answers.
        title: what is shown.
        panels: by heading, all with the same lines.
        across: panels beside each other.
    """
    names, lines = [clipped(model) for model in found.models], [*next(iter(panels.values()))]
    columns, down = legend_columns(names, TEXT_WIDTH), -(-len(panels) // across)
    left, tall = 0.15 + 0.057 * max(map(len, lines)), len(lines) * (0.08 + 0.08 * len(names))
    head, foot = head_inches(found) + 0.25, 0.35 + 0.17 * -(-len(names) // columns)
    height, each = head + down * (tall + 0.45) - 0.25 + foot, (TEXT_WIDTH - left - 0.1) / across - 0.15
    figure = empty_figure(TEXT_WIDTH, height)
    for k, (heading, drawn) in enumerate(panels.items()):
        y, x = divmod(k, across)
        at = (left + x * (each + 0.15), height - head - tall - y * (tall + 0.45))
        axes = figure.add_axes((at[0] / TEXT_WIDTH, at[1] / height, each / TEXT_WIDTH, tall / height))
        axes.set_title(heading, size=7.5, weight="bold", pad=3)
        _draw_lines(axes, found.models, drawn)
        axes.set_yticks([y + 0.5 for y in range(len(lines))], lines if x == 0 else [])
    draw_legend(figure, names, columns, 0.2)
    note = "Points, with 95 % intervals; grey band: within a point."
    figure.text(0.005, 0.04 / height, note, va="bottom", size=6.5, color=FAINT)
    draw_title(figure, found, title, height)
    describe(figure, title, "The numbers are in the table beside it.")
    return figure


def _draw_lines(axes: Axes, models: Sequence[str], lines: Lines) -> None:
    axes.axvspan(-1, 1, color=LINE, lw=0, alpha=0.7)
    axes.axvline(0, color=INK, lw=0.5)
    for y, answers in enumerate(lines.values()):
        axes.axhline(y, color=LINE, lw=0.3)
        for one in answers:
            change, m = one.change, models.index(one.model)
            if change.change is None:
                continue
            at, mark = y + (m + 1) / (len(models) + 1), model_mark(m)
            if change.low is not None and change.high is not None:
                axes.plot([100 * change.low, 100 * change.high], [at, at], color=mark["color"], lw=0.9)
            axes.plot([100 * change.change], [at], **mark, markersize=3.6, markeredgecolor="white", markeredgewidth=0.4)
    axes.set_ylim(len(lines), 0)
    axes.tick_params(labelsize=6.5, length=0)
    axes.grid(axis="x", color=LINE, lw=0.5)
    axes.locator_params(axis="x", nbins=5)
