"""What further training changed: balances, tasks, families and labels, with a verdict for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...terminal import print_heading, say
from ..comparing.compare import LabelChange
from ..comparing.equity import Equity, equities
from ..comparing.forgetting import Forgetting, forgetting
from ..comparing.lineage import is_control
from ..comparing.paired import TEST_ONLY
from ..records.evidence import Evidence
from .base import Block, Bound, Resamples, Scope, View
from .changes import (
    STYLES,
    TITLES,
    Read,
    change_files,
    label_name,
    not_compared,
    pretrainings_said,
    print_block,
    print_comparison,
    print_task,
    side,
)
from .equity import print_equity
from .words import points, span

if TYPE_CHECKING:
    from rich.console import Console

LISTED = 400
"""Labels that the page lists over all models of a section, at most; but for each model at least ``LEAST_LISTED``.
Twenty models with a hundred labels each would make a page of several megabytes."""

LEAST_LISTED = 20

NAMED_LABELS = 3
"""Labels of each verdict that the conclusion names."""


@dataclass(frozen=True)
class Outcome:
    """What further training made of a model, or how evenly all serve the traditions."""

    report: Forgetting | None  # of one model; ``None`` for the equities
    details: bool  # whether more than the conclusion is printed
    equities: tuple[Equity, ...] = ()  # of all models


def _compute(
    read: Read,
    before: Annotated[
        list[Path],
        typer.Option(
            "--before", help="Records of the model before, or their folder; S1,S2,… of its pre-trainings, seeds of one."
        ),
    ],
    after: Annotated[
        list[Path], typer.Option("--after", help="The same of the model after; again for each further model.")
    ],
    resamples: Resamples = 1000,
    bound: Bound = 1.0,
    details: Annotated[
        bool, typer.Option("--details", help="Also every task, family and label, and equity over traditions.")
    ] = False,
) -> Iterator[Outcome]:
    first = side(read, before[0]) if len(before) == 1 else read(before)
    others = [side(read, place) for place in after]
    for other in others:
        yield Outcome(forgetting(first, other, resamples=resamples, bound=bound / 100), details)
    if details:
        yield Outcome(None, details, equities([*first, *chain.from_iterable(others)], resamples))


def _show(found: Outcome, console: Console) -> None:
    if found.report is None:
        print_equity(found.equities, console)
    else:
        print_forgetting(found.report, console, details=found.details)


def print_forgetting(report: Forgetting, console: Console, *, details: bool = False) -> None:
    """Print what was gained and forgotten, a line for each tradition, and which labels most."""
    comparison, setting = report.comparison, report.comparison.setting
    print_heading(console, f"{comparison.before} → {comparison.after}   ({setting.title})", setting.warning)
    rows = [(tradition.capitalize(), change) for tradition, change in report.traditions.items()]
    print_block("Percent of the way from chance to a perfect ranking", rows, console)
    console.print()
    for line in _conclusion(report):
        say(console, line)
    if details:
        _print_details(report, console)
    else:
        say(console, "Tasks, families, labels and equity: --details.", "dim")


def _conclusion(report: Forgetting) -> Iterator[str]:
    comparison = report.comparison
    if report.retention is not None:
        yield f"Western retention: {span(report.retention)} % of the score above chance."
    total = sum(report.count(verdict) for verdict in STYLES)
    only = "" if all(task.sample.trainings for task in comparison.tasks) else f", {TEST_ONLY}"
    for verdict, found in (("gained", report.gained), ("lost", report.lost)):
        most = ", ".join(f"{label.label} {points(label.roc_auc.change)}" for _, label in found[:NAMED_LABELS])
        yield f"{len(found)} of {total} labels {verdict}{f' (ROC-AUC; most: {most})' if most else ''}{only}."
    kept, untold = report.count("kept"), report.count("cannot tell")
    bound = f"{100 * comparison.bound:g} point{'' if comparison.bound == 0.01 else 's'}"
    yield f"{kept} of {total} labels kept within {bound}; {untold} cannot be told{only}."
    yield pretrainings_said([task.sample for task in comparison.tasks]).strip()
    yield from not_compared(comparison)


def _print_details(report: Forgetting, console: Console) -> None:
    console.print()
    print_comparison(report.comparison, console, labels=False)
    for metric, title in TITLES:
        rows = [(f"{b.name} ({len(b.tasks)})", b.changes[metric]) for b in report.balances]
        print_block(f"{title}, mean over tasks", rows, console)
    for task in report.comparison.tasks:
        print_task(task, console)
    _print_labels("labels that pay", report.lost, console)
    _print_labels("labels that gain", report.gained, console)


def _print_labels(title: str, found: Sequence[tuple[str, LabelChange]], console: Console) -> None:

    if found:
        print_block(title, [(f"{task}: {label_name(label)}", label.roc_auc) for task, label in found], console)
    else:
        console.print()
        say(console, f"No {title} at a false discovery rate of 5 %.", "dim")


def _blocks(scope: Scope) -> Iterator[Block]:
    """Yield what changed from the base to each other model that shares a task with it and has learnt something."""
    sides: dict[str, list[Evidence]] = {}
    for e in scope.alike:
        sides.setdefault(e.record.model.name, []).append(e)
    tasks = {name: {e.record.task.name for e in side} for name, side in sides.items()}
    reports = [
        forgetting(sides[scope.base], side, resamples=scope.resamples)
        for name, side in sides.items()
        if name != scope.base and tasks[name] & tasks[scope.base] and not is_control(side[0].record.model)
    ]
    if reports:
        most = max(LEAST_LISTED, LISTED // len(reports))
        yield Block(
            "forgetting",
            "What changed, label by label",
            f"Each model against {scope.base} on the tracks that both could use.",
            template="forgetting.html",
            data=[(report, listed(report, most)) for report in reports],
        )


def listed(report: Forgetting, most: int) -> frozenset[tuple[str, str]]:
    """Return the labels that a page lists of a report, as task and label: the largest changes of all that count."""
    changed = sorted([*report.gained, *report.lost], key=lambda pair: -abs(pair[1].roc_auc.change or 0.0))
    return frozenset((task, label.label) for task, label in changed[:most])


VIEW = View(
    name="forgetting",
    help="""Say what further training changed: per task, family and label, with intervals and a verdict.

    gained, lost: significant at a false discovery rate of 5 %. kept: shown to be within the bound. Else: cannot tell.
    """,
    compute=_compute,
    rows=lambda found: change_files(found.report.comparison) if found.report else {},
    stem=lambda found: "",
    show=_show,
    blocks=_blocks,
    examples=("cmbench report forgetting --before results/MERT-v1-95M --after results/CultureMERT-95M",),
)
