"""Comparisons and forgetting reports in the terminal, in percent points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .compare import Comparison, LabelChange, TaskChange
from .paired import Difference, Level
from .sections import ABSENT, MINI_LABEL, percent

if TYPE_CHECKING:
    from rich.console import Console

    from .forgetting import Forgetting

STYLES = {"gained": "green", "lost": "bold red", "kept": "", "cannot tell": "dim"}
HEAD = ("before", "after", "change", "95 % interval", "q", "detectable", "verdict")


def points(value: float | None, digits: int = 1) -> str:
    """Return a change in percent points with its sign."""
    return ABSENT if value is None else f"{100 * value:+z.{digits}f}"


def span(level: Level, signed: bool = False) -> str:
    """Return a value and its interval in percent points; where there is none, the value alone."""
    if level.value is None:
        return ABSENT
    text = points if signed else percent
    if level.low is None or level.high is None:
        return text(level.value)
    return f"{text(level.value)} [{text(level.low)}, {text(level.high)}]"


def _cells(change: Difference) -> list[str]:
    if change.change is None:
        return [ABSENT] * (len(HEAD) - 1) + [change.reason or "cannot tell"]
    interval = ABSENT if change.low is None else f"[{points(change.low)}, {points(change.high)}]"
    question = ABSENT if change.q_value is None else f"{change.q_value:.3f}"
    found = ABSENT if change.detectable is None else f"{100 * change.detectable:.1f}"
    verdict = change.verdict if change.reason is None else f"{change.verdict} ({change.reason})"
    return [percent(change.before), percent(change.after), points(change.change), interval, question, found, verdict]


def print_comparison(comparison: Comparison, console: Console, *, labels: bool = True) -> None:
    """Print every change: tasks, then families and labels of each task.

    Args:
        comparison: what to print.
        console: where.
        labels: whether to print families and labels too.
    """
    from rich.text import Text

    where = f"{comparison.edition} edition · {comparison.split} split · protocol {comparison.protocol}"
    console.print(Text(f"{comparison.before} → {comparison.after}   ({where})", style="bold"))
    if comparison.edition == "mini":
        console.print(Text(MINI_LABEL, style="yellow"))
    legend = (
        "Percent points, paired cluster bootstrap on the same tracks. q: false discovery rate among the rows of a "
        "block. detectable: smallest change found with 80 % power. kept: shown to be within "
        f"±{100 * comparison.bound:g} point{'' if comparison.bound == 0.01 else 's'}. DeLong p: of the seeds' mean "
        "probabilities, taking tracks for independent."
    )
    console.print(Text(legend, style="dim"))
    for metric, title in (("roc_auc", "ROC-AUC"), ("average_precision", "AP")):
        rows = [(f"{t.task} (n={t.tracks}, {t.groups} groups)", t.metrics[metric]) for t in comparison.tasks]
        _print_block(f"{title} by task", rows, console)
    if labels:
        for task in comparison.tasks:
            _print_task(task, console)
    for task in comparison.tasks:
        for note in task.notes:
            console.print(Text(f"{task.task}: {note}.", style="yellow"))
    for name, tasks in ((comparison.before, comparison.only_before), (comparison.after, comparison.only_after)):
        if tasks:
            console.print(Text(f"Only {name} has records of {', '.join(tasks)}: not compared.", style="yellow"))


def _print_task(task: TaskChange, console: Console) -> None:
    families = [(family, changes["roc_auc"]) for family, changes in task.families.items()]
    _print_block(f"{task.task}: ROC-AUC by family", families, console)
    rows = [(_label(label), label.roc_auc) for label in task.labels]
    _print_block(f"{task.task}: ROC-AUC by label", rows, console, [label.delong_p_value for label in task.labels])


def _label(label: LabelChange) -> str:
    return f"{label.label} (n={label.support})"


def _print_block(
    title: str, rows: Iterable[tuple[str, Difference]], console: Console, checks: Iterable[float | None] = ()
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, header_style="dim", pad_edge=False)
    table.add_column("")
    for name in HEAD:
        table.add_column(name, justify="left" if name == "verdict" else "right", no_wrap=name != "verdict")
    beside = [ABSENT if p is None else f"{p:.3f}" for p in checks]
    if beside:
        table.add_column("DeLong p", justify="right", style="dim")
    for i, (name, change) in enumerate(rows):
        *numbers, verdict = _cells(change)
        table.add_row(Text(name), *numbers, Text(verdict, style=STYLES.get(change.verdict, "")), *beside[i : i + 1])
    console.print()
    console.print(table)


def print_forgetting(report: Forgetting, console: Console) -> None:
    """Print a forgetting report: balances, tasks, families, and the labels that pay and that gain."""
    from rich.text import Text

    print_comparison(report.comparison, console, labels=False)
    for metric, title in (("roc_auc", "ROC-AUC"), ("average_precision", "AP")):
        rows = [(f"{b.name} ({len(b.tasks)})", b.changes[metric]) for b in report.balances]
        _print_block(f"{title}, mean over tasks", rows, console)
    if report.retention is not None:
        text = f"Western retention: {span(report.retention)} % of the score above chance."
        console.print()
        console.print(Text(text, style="bold"))
    for task in report.comparison.tasks:
        families = [(family, changes["roc_auc"]) for family, changes in task.families.items()]
        _print_block(f"{task.task}: ROC-AUC by family", families, console)
    _print_labels("labels that pay", report.lost, console)
    _print_labels("labels that gain", report.gained, console)
    told = ", ".join(f"{report.count(verdict)} {verdict}" for verdict in STYLES)
    console.print()
    console.print(Text(f"Labels by ROC-AUC: {told}.", style="bold"))


def _print_labels(title: str, found: Sequence[tuple[str, LabelChange]], console: Console) -> None:
    from rich.text import Text

    if found:
        _print_block(title, [(f"{task}: {_label(label)}", label.roc_auc) for task, label in found], console)
    else:
        console.print()
        console.print(Text(f"No {title} at a false discovery rate of 5 %.", style="dim"))
