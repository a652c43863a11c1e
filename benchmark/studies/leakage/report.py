"""What leaks are worth as a table, in words, as tidy rows, and as a figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from ....errors import counted
from ...comparing.paired import Difference, Level
from ...views.figures import (
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
from ...views.tables import Rows, ViewTable
from ...views.words import percent, span
from .judging import EVERYWHERE, HEAD, TAIL, Finding
from .measuring import HEARD, REPEATED, Leakage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOT_SHOWN = (
    "the mini edition has no album in two splits, so splits cannot differ but by chance; and what a model of nano size "
    "remembers says nothing of one of 95 million parameters."
)


def finding_table(found: Leakage) -> ViewTable:
    """Return the answers, a line each; by task only where splits are compared."""
    rows = []
    for one in found.findings:
        if _shown(found, one):
            change = one.change
            scores = percent(change.before), percent(change.after)
            rows.append((one.question, one.model, one.on, str(one.tracks), *scores, judged(change), _verdict(change)))
    notes = [
        "Points of the score that is 0 at chance and 100 for a perfect ranking; mean: each tradition once. A split "
        "against the usual one, on the tracks that both test. labels once each: against all labels. middle, tail: "
        f"thirds of the labels by training tracks. {HEARD}: what it gains over {found.models[0]} on tracks that it was "
        "likely trained on, against what it gains on the others. By task: the CSV.",
        *found.absent,
    ]
    heads = ["question", "model", "on", "tracks", "first", "second", "change", "verdict"]
    return ViewTable.of(found, "What leaks are worth, points", heads, rows, 3, notes)


def _shown(found: Leakage, one: Finding) -> bool:
    return one.on == EVERYWHERE or one.question in found.leaks or len(found.of(one.question, one.model)) == 1


def _verdict(change: Difference) -> str:
    return change.judgement if change.reason is None else f"{change.judgement} ({change.reason})"


def judged(change: Difference) -> str:
    """Return a change with its interval, points."""
    return span(Level(change.change, change.low, change.high), signed=True)


def sentences(found: Leakage) -> list[str]:
    """Say what splits, labels and what was heard before are worth."""
    return [_splits(found), _labels(found), _heard(found)]


def _whole(found: Leakage, question: str) -> Iterator[str]:
    for model in found.models:
        if answers := found.of(question, model):
            change = answers[-1].change
            yield f"{model} {judged(change)} ({change.verdict})"


def _splits(found: Leakage) -> str:
    parts = []
    for split, tasks in found.leaks.items():
        leaking, tracks = (sum(counts[k] for counts in tasks.values()) for k in (0, 1))
        changes = ", ".join(_whole(found, split))
        parts.append(
            f"{split} against the usual split, whose test tracks share in {leaking} of {tracks} cases: {changes}"
        )
    return f"Splits: {'; '.join(parts)}." if parts else "Splits: no task says which tracks belong together."


def _labels(found: Leakage) -> str:
    repeated = "; ".join(
        f"{task} counts {counted(sum(len(names) - 1 for names in sets), 'label')} twice"
        for task, sets in found.identical.items()
    )
    once = f"{repeated}: without them {', '.join(_whole(found, REPEATED))}" if repeated else "none is counted twice"
    rare = ", ".join(_whole(found, f"{TAIL} less {HEAD}"))
    return f"Labels: {once}. The rarest third against the most frequent: {rare}."


def _heard(found: Leakage) -> str:
    changes = ", ".join(_whole(found, HEARD))
    said = (
        f"tracks that a model was likely trained on, beyond what it gains over {found.models[0]} elsewhere: {changes}"
        if changes
        else "not asked; it takes a base, a model whose card names the music that it was trained on, or --heard"
    )
    mini = f" On mini no more is shown: {NOT_SHOWN}" if found.setting.edition == "mini" else ""
    return f"Heard before: {said}.{mini}"


def finding_rows(found: Leakage) -> Rows:
    """Return every answer as a tidy row of fractions; ``None`` does not exist."""
    return [
        found.setting.facts
        | {"question": one.question, "model": one.model, "on": one.on, "tracks": one.tracks}
        | {"verdict": one.change.verdict}
        | asdict(one.change)
        for one in found.findings
    ]


def finding_figure(found: Leakage) -> Figure:
    """Draw a line for every answer of the table: a dot with its interval for each model, by change."""
    shown = [one for one in found.findings if _shown(found, one)]
    lines = list(dict.fromkeys((one.question, one.on) for one in shown))
    names = [clipped(model) for model in found.models]
    across = legend_columns(names, TEXT_WIDTH)
    each = 0.1 * len(names) + 0.08
    legend = 0.17 * -(-len(names) // across)
    head, foot, left = head_inches(found) + 0.1, 0.6 + legend, 2.6
    width, height = TEXT_WIDTH, head + each * len(lines) + foot
    figure = empty_figure(width, height)
    axes = figure.add_axes((left / width, foot / height, (width - left - 0.2) / width, each * len(lines) / height))
    _draw(axes, found, shown, lines)
    draw_legend(figure, names, across, 0.2)
    note = "Points, with 95 % intervals; grey band: within a point."
    figure.text(0.005, 0.04 / height, note, va="bottom", size=6.5, color=FAINT)
    draw_title(figure, found, "What leaks are worth", height)
    describe(figure, "What leaks are worth", "The numbers are in the table beside it.")
    return figure


def _draw(axes: Axes, found: Leakage, shown: list[Finding], lines: list[tuple[str, str]]) -> None:
    for one in shown:
        m, change = found.models.index(one.model), one.change
        y = lines.index((one.question, one.on)) + (m + 1) / (len(found.models) + 1)
        mark = model_mark(m)
        if change.change is None:
            continue
        if change.low is not None and change.high is not None:
            axes.plot([100 * change.low, 100 * change.high], [y, y], color=mark["color"], lw=0.9)
        axes.plot([100 * change.change], [y], **mark, markersize=3.6, markeredgecolor="white", markeredgewidth=0.4)
    for y, (question, _) in enumerate(lines):
        new = not y or lines[y - 1][0] != question
        axes.axhline(y, color=FAINT if new else LINE, lw=0.6 if new else 0.3)
    axes.axvspan(-1, 1, color=LINE, lw=0, alpha=0.6)
    axes.axvline(0, color=INK, lw=0.5)
    axes.set_ylim(len(lines), 0)
    names = [f"{question} · {on}" if on != EVERYWHERE else f"{question} · mean" for question, on in lines]
    axes.set_yticks([y + 0.5 for y in range(len(lines))], names)
    axes.tick_params(labelsize=7, length=0)
    axes.set_xlabel("points", size=7)
    axes.grid(axis="x", color=LINE, lw=0.5)
