"""What the study of the claims shows: a table, JSON, and two figures."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....pretraining.card import CURVE
from ....tasks.base import MINI_LABEL
from ...records.sections import ABSENT
from ...views import transfer
from ...views.base import write_files, write_view
from ...views.figures import COLOURS, FAINT, INK, LINE, TEXT_WIDTH, draw_title, empty_figure, head_inches
from ...views.tables import ViewTable, print_tables
from ...views.words import points
from .claims import Claim, ClaimOutcome, Reproduction, reported_models

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console

HEAD = ("", "compared", "tasks", "change", "95 % interval", "q", "detectable", "verdict", "reported (95M)")

LEGEND = (
    "Change of the mean of ROC-AUC and average precision, points, each task once; paired cluster bootstrap on the same "
    "tracks; q: false discovery rate among all rows; detectable: smallest change found with 80 % power; reported "
    "(95M): the paper's change of its models of 95 million parameters on real music, not measured here; for the sign "
    "and not for the size."
)


def tasks_words(claim: Claim) -> str:
    """Return which tasks a claim is about."""
    return "Western" if claim.western else "four traditions"


def cells(finding: ClaimOutcome) -> tuple[str, ...]:
    """Return the row of a finding; see :data:`HEAD`."""
    claim, d = finding.claim, finding.change
    return (
        claim.key,
        f"{claim.after} − {claim.before}: {claim.words}",
        tasks_words(claim),
        points(d.change),
        ABSENT if d.low is None or d.high is None else f"[{_bound(d.low)}, {_bound(d.high)}]",
        ABSENT if d.q_value is None else f"{d.q_value:.3f}",
        ABSENT if d.detectable is None else f"{100 * d.detectable:.1f}",
        d.judgement,
        points(finding.reported),
    )


def _bound(value: float) -> str:
    """Return a bound in points, with as many digits as show on which side of zero it lies."""
    return points(value) if abs(100 * value) >= 0.05 else points(value, 2)


def findings_table(found: Reproduction) -> ViewTable:
    """Return the findings as a table."""
    title = f"The paper in miniature: `{found.command}`"
    return ViewTable.of(found, title, HEAD, map(cells, found.findings), 3, (LEGEND,))


def sentences(found: Reproduction) -> list[str]:
    """Say what could not be judged, or not be compared, and why."""
    reasons = dict.fromkeys(f.change.reason for f in found.findings if f.change.reason)
    absent = [f"Not made, so not compared: {', '.join(found.missing)}."] if found.missing else []
    return [*(f"Where there is no interval: {reason}." for reason in reasons), *absent]


def print_reproduction(found: Reproduction, console: Console) -> None:
    """Print the findings without the names of the models, which would leave no room; the files have them."""
    table = findings_table(found)
    rows = [(f.claim.key, f.claim.words, *row[2:]) for f, row in zip(found.findings, table.rows, strict=True)]
    print_tables([replace(table, rows=tuple(rows))], console)
    for sentence in sentences(found):
        console.print(sentence, markup=False, highlight=False)


def findings_json(found: Reproduction) -> str:
    """Return the findings; changes and scores as fractions, ``null`` for a number that does not exist."""
    facts = {
        "command": found.command,
        "title": found.title,
        "edition": found.matrix.edition,
        "warning": found.warning,
        "seeds": found.seeds,
        "missing": list(found.missing),
        "findings": [_row(finding) for finding in found.findings],
    }
    return json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _row(finding: ClaimOutcome) -> dict[str, object]:
    """Return a finding as a flat row: ``first`` and ``second`` are models, ``before`` and ``after`` their scores."""
    claim, change = finding.claim, finding.change
    models = reported_models(claim)
    reported = None
    if models is not None and finding.reported is not None:
        reported = {"first": models[0], "second": models[1], "change": finding.reported, "measured_here": False}
    about = {"key": claim.key, "words": claim.words, "first": claim.before, "second": claim.after}
    return about | {"western": claim.western, "verdict": change.verdict} | asdict(change) | {"reported": reported}


def findings_figure(found: Reproduction) -> Figure:
    """Draw every change with its interval, a row each; filled where it can be told from none."""
    rows = found.findings
    line, left, head, foot = 0.2, 3.3, head_inches(found), 0.58
    height = head + line * len(rows) + foot
    figure = empty_figure(TEXT_WIDTH, height)
    axes = figure.add_axes(
        (left / TEXT_WIDTH, foot / height, (TEXT_WIDTH - left - 0.1) / TEXT_WIDTH, line * len(rows) / height)
    )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.grid(axis="x", color=LINE, linewidth=0.4)
    axes.set_axisbelow(True)
    for y, finding in enumerate(rows):
        _draw_finding(axes, y, finding)
    names = [f"({f.claim.key}) {f.claim.words} · {tasks_words(f.claim)}" for f in rows]
    axes.set_yticks(range(len(rows)), names, size=6.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("change of the mean of ROC-AUC and AP, points; 95 % interval", size=7)
    axes.tick_params(axis="x", labelsize=7)
    words = "Circles: four traditions; squares: Western. Filled: told apart from no change."
    figure.text(0.005, 0.04 / height, words, va="bottom", size=6.5)
    draw_title(figure, found, "The paper in miniature", height)
    return figure


def _draw_finding(axes: Axes, y: int, finding: ClaimOutcome) -> None:
    change, colour = finding.change, COLOURS[1] if finding.claim.western else COLOURS[0]
    if change.change is None:
        return
    if change.low is not None and change.high is not None:
        axes.plot([100 * change.low, 100 * change.high], [y, y], color=colour, linewidth=1.4)
    clear = change.verdict in ("gained", "lost")
    axes.plot(
        [100 * change.change], [y], marker="s" if finding.claim.western else "o", markersize=4.5,
        color=colour, markerfacecolor=colour if clear else "white",
    )  # fmt: skip


def read_curve(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the held-out losses of a model's training: tradition -> step and loss, from ``held_out.csv``."""
    found: dict[str, list[tuple[int, float]]] = {}
    with (folder / CURVE).open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            found.setdefault(row["tradition"], []).append((int(row["step"]), float(row["loss"])))
    return found


def curves_figure(folders: Mapping[str, Path]) -> Figure:
    """Draw the held-out loss of every tradition while models were trained, a panel for each model.

    Args:
        folders: model -> its folder, at least one; all trained on mini music.
    """
    curves = {name: read_curve(folder) for name, folder in folders.items()}
    traditions = sorted({t for curve in curves.values() for t in curve})
    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    height = 0.5 + 1.55 * lines + 0.3
    figure = empty_figure(TEXT_WIDTH, height)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for k, panel in enumerate(axes.flat):
        if k >= len(curves):
            panel.set_axis_off()
            continue
        name = list(curves)[k]
        _draw_curves(panel, name, curves[name], traditions)
    # The loss of random weights would leave no room for what adaptation changes: lines may come in from above.
    later = [loss for curve in curves.values() for rows in curve.values() for _, loss in rows[1:] or rows]
    margin = 0.05 * (max(later) - min(later)) or 1.0
    axes.flat[0].set_ylim(min(later) - margin, max(later) + margin)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.subplots_adjust(left=0.07, right=0.97, top=1 - 0.58 / height, bottom=0.62 / height, hspace=0.55, wspace=0.1)
    figure.text(0.01, 1 - 0.06 / height, "Loss on held-out music while the models were trained", va="top", size=9)
    figure.text(0.01, 1 - 0.23 / height, MINI_LABEL, va="top", size=6.5, style="italic")
    figure.legend(handles, labels, loc="lower center", ncols=len(traditions), fontsize=7, frameon=False)
    return figure


def _draw_curves(
    panel: Axes, name: str, curve: Mapping[str, Sequence[tuple[int, float]]], traditions: Sequence[str]
) -> None:
    dashes = ("-", "--", "-.", ":", (0, (1, 1)))
    for k, tradition in enumerate(traditions):
        look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "linestyle": dashes[k % len(dashes)]}
        panel.plot(*zip(*curve.get(tradition, ()), strict=True), **look, linewidth=1, label=tradition)
    panel.set_title(name, size=7.5)
    panel.set_xlabel("update", size=6.5)
    panel.tick_params(labelsize=6.5, color=FAINT)
    panel.grid(axis="y", color=LINE, linewidth=0.4)


def write_beside(found: Reproduction, out: Path) -> list[Path]:
    """Write the transfer matrix of the family and, where they are there, the curves of training; return the paths."""
    matrix = write_view(transfer.VIEW, transfer.Transfer(found.matrix), out)
    curves = {"held_out": partial(curves_figure, found.trained)} if found.trained else {}
    return [*write_files(out, {}, curves), *matrix]
