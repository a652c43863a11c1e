"""Comparisons and forgetting reports in the terminal, in percent points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ...tasks.base import MINI_LABEL
from ..comparing.compare import Comparison, LabelChange, TaskChange
from ..comparing.paired import Difference
from ..records.sections import ABSENT
from .words import percent, points, span

if TYPE_CHECKING:
    from rich.console import Console

    from ..comparing.forgetting import Forgetting
    from ..comparing.ties import Standing

STYLES = {"gained": "green", "lost": "bold red", "kept": "", "cannot tell": "dim"}
TITLES = (("roc_auc", "ROC-AUC"), ("average_precision", "AP"))
HEAD = ("before", "after", "change", "95 % interval", "q", "detectable", "verdict")


def _cells(change: Difference) -> list[str]:
    if change.change is None:
        return [ABSENT] * (len(HEAD) - 1) + [change.reason or "cannot tell"]
    interval = ABSENT if change.low is None else f"[{points(change.low)}, {points(change.high)}]"
    question = ABSENT if change.q_value is None else f"{change.q_value:.3f}"
    found = ABSENT if change.detectable is None else f"{100 * change.detectable:.1f}"
    verdict = change.verdict if change.reason is None else f"{change.verdict} ({_short(change.reason)})"
    return [percent(change.before), percent(change.after), points(change.change), interval, question, found, verdict]


def _short(reason: str) -> str:
    """Return a reason that fits a column; what the numbers in it mean is in the legend."""
    return "no interval" if reason.startswith("no interval") else reason


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
        f"±{100 * comparison.bound:g} point{'' if comparison.bound == 0.01 else 's'}. no interval: fewer than five "
        "groups, or positives in too few of them. DeLong p: of the seeds' mean probabilities, taking tracks for "
        "independent."
    )
    console.print(Text(legend, style="dim"))
    for metric, title in TITLES:
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


def _print_families(task: TaskChange, console: Console) -> None:
    for metric, title in TITLES:
        families = [(family, changes[metric]) for family, changes in task.families.items()]
        _print_block(f"{task.task}: {title} by family", families, console)


def _print_task(task: TaskChange, console: Console) -> None:
    _print_families(task, console)
    rows = [(_label(label), label.roc_auc) for label in task.labels]
    _print_block(f"{task.task}: ROC-AUC by label", rows, console, [label.delong_p_value for label in task.labels])
    precision = [(_label(label), label.average_precision) for label in task.labels]
    _print_block(f"{task.task}: AP by label", precision, console)


def change_rows(comparison: Comparison) -> list[dict[str, object]]:
    """Return every change as a tidy row of fractions; ``None`` is a number that does not exist."""
    facts: dict[str, object] = {
        "edition": comparison.edition,
        "split": comparison.split,
        "protocol": comparison.protocol,
    }
    if comparison.edition == "mini":
        facts["warning"] = MINI_LABEL
    facts |= {"first": comparison.before, "second": comparison.after}
    rows: list[dict[str, object]] = []
    for task in comparison.tasks:
        found: list[tuple[str, str, int | None, Mapping[str, Difference], float | None]] = []
        found.append(("task", "", None, task.metrics, None))
        found += [("family", name, None, changes, None) for name, changes in task.families.items()]
        for label in task.labels:
            both = {"roc_auc": label.roc_auc, "average_precision": label.average_precision}
            found.append(("label", label.label, label.support, both, label.delong_p_value))
        for level, name, support, changes, delong in found:
            for metric, _ in TITLES:
                judged = changes[metric]
                about = {"task": task.task, "tracks": task.tracks, "groups": task.groups, "level": level, "name": name}
                beside = {"support": support, "metric": metric, "verdict": judged.verdict}
                numbers = asdict(judged) | {"delong_p_value": delong if metric == "roc_auc" else None}
                rows.append(facts | about | beside | numbers)
    return rows


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


def print_forgetting(report: Forgetting, console: Console, *, labels: bool = True) -> None:
    """Print a forgetting report: balances, tasks, families, labels, and at the end those that pay and that gain.

    Args:
        report: what to print.
        console: where.
        labels: whether to print every label; those that pay and that gain are printed anyway.
    """
    from rich.text import Text

    print_comparison(report.comparison, console, labels=False)
    for metric, title in TITLES:
        rows = [(f"{b.name} ({len(b.tasks)})", b.changes[metric]) for b in report.balances]
        _print_block(f"{title}, mean over tasks", rows, console)
    if report.retention is not None:
        text = f"Western retention: {span(report.retention)} % of the score above chance."
        console.print()
        console.print(Text(text, style="bold"))
    for task in report.comparison.tasks:
        (_print_task if labels else _print_families)(task, console)
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


def print_standings(found: Sequence[Standing], console: Console) -> None:
    """Print places; models that cannot be told apart from one share a range of them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text("Places", style="bold"), title_justify="left", box=None, header_style="dim", pad_edge=False
    )
    for name in ("place", "model", "mean [95 % interval]", "cannot be told apart from"):
        table.add_column(name, overflow="fold")
    for one in found:
        place = str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        tied = ", ".join(name for name in one.tied if name != one.model) or ABSENT
        table.add_row(place, Text(one.model), span(one.score), Text(tied))
    console.print()
    console.print(table)
    legend = (
        "Mean over traditions, each once, of ROC-AUC and AP; 0 at chance, 100 a perfect ranking. Pairs are told apart "
        "by the paired bootstrap at a false discovery rate of 5 %."
    )
    console.print(Text(legend, style="dim"))
