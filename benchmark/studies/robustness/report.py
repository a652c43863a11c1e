"""What alterations change as a table, in words, as tidy rows, and as a figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from ...comparing.paired import TEST_ONLY, Difference, Level
from ...records.sections import ABSENT
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
from ...views.words import ALL, points, span
from .alterations import THERE_AND_BACK
from .measuring import KINDS, NAMED, Robustness

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = {"lost": "↓", "gained": "↑", "kept": "=", "cannot tell": ""}

TRANSPOSED = "pitch ±100 cents"

NOT_SHOWN = (
    "the mini edition plays every mode on any tonic, has no noise but its own, and lasts seconds: it cannot show what "
    "old recordings, singers or a usual tonic change."
)

PANELS = 4
"""Across the figure."""


def change_table(found: Robustness) -> ViewTable:
    """Return models and alterations by parts of the labels."""
    rows = []
    for model in found.models:
        for kind in KINDS:
            whole = found.kinds[model, ALL, kind]
            cells = [_short(found.kinds[model, part, kind]) for part in found.parts if part != ALL]
            alike = found.named.get((model, kind))
            rows.append((model, kind, judged(whole), *cells, *([] if not found.named else [_level(alike)])))
    heads = ["model", "alteration", ALL, *(part for part in found.parts if part != ALL)]
    only = "" if all(one.trainings for one in found.kinds.values()) else f"; {TEST_ONLY}"
    notes = [
        f"Change of the score that is 0 at chance and 100 for a perfect ranking, mean over traditions, paired on the "
        f"same tracks with probes trained on audio as it is{only}. ↓ lost, ↑ gained, = kept within a point, else it "
        "cannot be told; every interval is in the CSV and the figure.",
    ]
    if found.named:
        heads.append("mode\nnamed alike")
        notes.append("mode named alike: percent of the tracks with a mode whose most probable one stays the same.")
    return ViewTable.of(found, "Changes by alteration, points", heads, rows, 2, notes)


def judged(change: Difference) -> str:
    """Return a change with its interval and the sign of its verdict."""
    where = Level(change.change, change.low, change.high)
    return f"{span(where, signed=True)} {MARKS[change.verdict]}".rstrip()


def _short(change: Difference) -> str:
    return f"{points(change.change)}{MARKS[change.verdict]}"


def _level(found: Level | None) -> str:
    return ABSENT if found is None else span(found)


def sentences(found: Robustness) -> list[str]:
    """Say what costs most, what transposition does to modes, and what of it is the processing."""
    return [_dearest(found), *filter(None, [_transposed(found)]), _control(found)]


def _dearest(found: Robustness) -> str:
    parts = []
    for model in found.models:
        changes = {kind: found.kinds[model, ALL, kind] for kind in KINDS if kind != THERE_AND_BACK}
        lost = sorted((c.change or 0.0, kind) for kind, c in changes.items() if c.verdict == "lost")
        most = "; ".join(f"{kind} {judged(changes[kind])}" for _, kind in lost[:2])
        kept = [kind for kind, c in changes.items() if c.verdict == "kept"]
        text = f"{model} loses by {len(lost)} of {len(changes)} alterations" + (f", most by {most}" if lost else "")
        parts.append(text + (f", and is kept within a point by {', '.join(kept)}" if kept else ""))
    return "All labels: " + ". ".join(parts) + "."


def _transposed(found: Robustness) -> str:
    parts = []
    for model in found.models:
        if apart := found.apart.get((model, TRANSPOSED)):
            words = {"lost": "more than", "gained": "less than"}.get(apart.verdict, "not surely otherwise than")
            parts.append(f"{model}'s modes lose {words} its other labels ({judged(apart)})")
        if alike := found.named.get((model, TRANSPOSED)):
            back = _level(found.named[model, THERE_AND_BACK])
            parts.append(f"{model} names the same mode on {_level(alike)} % of the tracks, on {back} % there and back")
    return f"Transposed by 100 cents, {'; '.join(parts)}." if parts else ""


def _control(found: Robustness) -> str:
    costs = ", ".join(f"{model} {judged(found.kinds[model, ALL, THERE_AND_BACK])}" for model in found.models)
    mini = f" On mini no more is shown: {NOT_SHOWN}" if found.setting.edition == "mini" else ""
    return f"Pitch there and back, which only the phase vocoder can be blamed for, costs {costs}.{mini}"


def change_rows(found: Robustness) -> Rows:
    """Return every change as a tidy row of fractions, kinds and then directions; ``None`` does not exist."""
    return [*_rows(found), *_named_rows(found)]


def _rows(found: Robustness) -> Iterator[dict[str, object]]:
    blank = asdict(Difference(None, None, None))
    for what, changes in (("kind", found.kinds), ("direction", found.single)):
        for (model, part, name), change in changes.items():
            about = {"model": model, "what": what, "alteration": name, "labels": part, "verdict": change.verdict}
            yield found.setting.facts | about | asdict(change)
    for (model, name), change in found.apart.items():
        about = {"model": model, "what": "kind", "alteration": name, "labels": "modes less others"}
        yield found.setting.facts | about | {"verdict": change.verdict} | blank | asdict(change)


def _named_rows(found: Robustness) -> Iterator[dict[str, object]]:
    for (model, name), one in found.named.items():
        about = {"model": model, "what": "kind", "alteration": name, "labels": NAMED, "verdict": ""}
        yield found.setting.facts | about | asdict(Difference(None, one.value, None, one.low, one.high))


def change_figure(found: Robustness) -> Figure:
    """Draw a panel for all labels, every family and modes named alike: dots with intervals, by alteration."""
    panels = [*found.parts, *([NAMED] if found.named else [])]
    lines = -(-len(panels) // PANELS)
    names = [clipped(model) for model in found.models]
    across = legend_columns(names, TEXT_WIDTH)
    legend = 0.17 * -(-len(names) // across)
    head, foot, left, tall, gap = head_inches(found) + 0.2, 0.95 + legend, 0.4, 1.15, 0.3
    width, height = TEXT_WIDTH, head + lines * (tall + gap) + foot
    figure = empty_figure(width, height)
    each = (width - left - 0.1) / PANELS - 0.3
    for k, part in enumerate(panels):
        y, x = divmod(k, PANELS)
        at = (left + x * (each + 0.3), height - head - tall - y * (tall + gap))
        axes = figure.add_axes((at[0] / width, at[1] / height, each / width, tall / height))
        _draw_panel(axes, found, part)
        if k + PANELS < len(panels):
            axes.set_xticklabels([])
    draw_legend(figure, names, across, 0.2)
    note = "Points, with 95 % intervals; grey band: within a point. The last panel: percent of the tracks with a mode."
    figure.text(
        0.005, 0.04 / height, note if found.named else note.partition(" The")[0], va="bottom", size=6.5, color=FAINT
    )
    draw_title(figure, found, "What alterations change, by family of labels", height)
    describe(figure, "What alterations change", "The numbers are in the table beside it.")
    return figure


def _draw_panel(axes: Axes, found: Robustness, part: str) -> None:
    for m, model in enumerate(found.models):
        for x, kind in enumerate(KINDS):
            one = found.named.get((model, kind)) if part == NAMED else None
            change = None if part == NAMED else found.kinds[model, part, kind]
            value = one.value if one else change.change if change else None
            ends = one or change
            if value is None or ends is None:
                continue
            at = x + 0.6 * ((m + 0.5) / len(found.models) - 0.5)
            mark = model_mark(m)
            if ends.low is not None and ends.high is not None:
                axes.plot([at, at], [100 * ends.low, 100 * ends.high], color=mark["color"], lw=0.9)
            axes.plot([at], [100 * value], **mark, markersize=3.2, markeredgecolor="white", markeredgewidth=0.3)
    if part != NAMED:
        axes.axhspan(-1, 1, color=LINE, lw=0, alpha=0.6)
        axes.axhline(0, color=INK, lw=0.5)
    axes.set_title("mode named alike, %" if part == NAMED else part, size=7.5, weight="bold", pad=3)
    axes.set_xticks(range(len(KINDS)), [kind.replace(" cents", "") for kind in KINDS], rotation=90)
    axes.set_xlim(-0.6, len(KINDS) - 0.4)
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.grid(axis="y", color=LINE, lw=0.5)
    axes.locator_params(axis="y", nbins=5)
