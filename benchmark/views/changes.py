"""Models on the same tracks: what differs, how surely, and which places each may have. In percent points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...tasks.splits.names import is_sample
from ...terminal import new_table, print_heading, say
from ..comparing.compare import Comparison, LabelChange, TaskChange, compare
from ..comparing.paired import TEST_ONLY, Difference
from ..comparing.pretrainings import as_one
from ..comparing.ties import Standing, standings
from ..records.evidence import Evidence
from ..records.sections import ABSENT, HEADLINE, METRIC_TITLES
from ..scoring.intervals import Sample
from .base import Block, Bound, Labels, Resamples, Scope, View
from .words import percent, points, span

if TYPE_CHECKING:
    from rich.console import Console

Read = Callable[[Sequence[Path]], list[Evidence]]
"""Reads the records of some files and folders, those that were asked for, with their predictions."""

STYLES = {"gained": "green", "lost": "bold red", "kept": "", "cannot tell": "dim"}
TITLES = tuple((metric, METRIC_TITLES[metric]) for metric in HEADLINE)
HEAD = ("before", "after", "change", "95 % interval", "q", "detectable", "verdict")


def _cells(change: Difference) -> list[str]:
    if change.change is None:
        return [ABSENT] * (len(HEAD) - 1) + [change.reason or "cannot tell"]
    interval = ABSENT if change.low is None else f"[{points(change.low)}, {points(change.high)}]"
    question = ABSENT if change.q_value is None else f"{change.q_value:.3f}"
    found = ABSENT if change.detectable is None else f"{100 * change.detectable:.1f}"
    verdict = change.judgement if change.reason is None else f"{change.judgement} ({_short(change.reason)})"
    return [percent(change.before), percent(change.after), points(change.change), interval, question, found, verdict]


def _short(reason: str) -> str:
    """Return a reason that fits a column; what the numbers in it mean is in the legend."""
    return "no interval" if reason.startswith("no interval") else reason


def print_comparison(comparison: Comparison, console: Console, *, labels: bool = True) -> None:
    """Print every change: tasks, then families and labels of each task."""
    setting = comparison.setting
    print_heading(console, f"{comparison.before} → {comparison.after}   ({setting.title})", setting.warning)
    legend = (
        "Percent points, paired cluster bootstrap on the same tracks. q: false discovery rate among the rows of a "
        "block. detectable: smallest change found with 80 % power. kept: shown to be within "
        f"±{100 * comparison.bound:g} point{'' if comparison.bound == 0.01 else 's'}. no interval: fewer than five "
        "groups, or positives in too few of them. test sample only: the training tracks are "
        "taken as given. DeLong p: of the seeds' mean probabilities, taking tracks for "
        f"independent.{pretrainings_said([task.sample for task in comparison.tasks])}"
    )
    say(console, legend, "dim")
    for metric, title in TITLES:
        rows = [(f"{t.task} (n={t.tracks}, {t.groups} groups)", t.metrics[metric]) for t in comparison.tasks]
        print_block(f"{title} by task", rows, console)
    if labels:
        for task in comparison.tasks:
            print_task(task, console)
    for task in comparison.tasks:
        for note in task.notes:
            say(console, f"{task.task}: {note}.", "yellow")
    for line in not_compared(comparison):
        say(console, line, "yellow")


def not_compared(comparison: Comparison) -> list[str]:
    """Name the tasks that only one of the two has."""
    sides = ((comparison.before, comparison.only_before), (comparison.after, comparison.only_after))
    return [f"Only {name} has records of {', '.join(tasks)}: not compared." for name, tasks in sides if tasks]


def pretrainings_said(samples: Sequence[Sample]) -> str:
    """Return a sentence on how many pre-trainings a verdict knows of either model."""
    first, second = samples[0].models
    if first == second == 1:
        return " One model of each: of other pre-trainings nothing is said."
    return f" Pre-trainings: {first} and {second}; a mean over several, whose spread is in the error."


def print_families(task: TaskChange, console: Console) -> None:
    """Print the changes of a task by family."""
    for metric, title in TITLES:
        families = [(family, changes[metric]) for family, changes in task.families.items()]
        print_block(f"{task.task}: {title} by family", families, console)


def print_task(task: TaskChange, console: Console) -> None:
    """Print the changes of a task by family and by label."""
    print_families(task, console)
    rows = [(label_name(label), label.roc_auc) for label in task.labels]
    print_block(f"{task.task}: ROC-AUC by label", rows, console, [label.delong_p_value for label in task.labels])
    precision = [(label_name(label), label.average_precision) for label in task.labels]
    print_block(f"{task.task}: AP by label", precision, console)


def change_rows(comparison: Comparison) -> list[dict[str, object]]:
    """Return every change as a tidy row of fractions; ``None`` is a number that does not exist."""
    facts = comparison.setting.facts | {"first": comparison.before, "second": comparison.after}
    rows: list[dict[str, object]] = []
    for task in comparison.tasks:
        found: list[tuple[str, str, int | None, Mapping[str, Difference], float | None]]
        found = [("task", "", None, task.metrics, None)]
        found += [("family", name, None, changes, None) for name, changes in task.families.items()]
        for label in task.labels:
            both = {"roc_auc": label.roc_auc, "average_precision": label.average_precision}
            found.append(("label", label.label, label.support, both, label.delong_p_value))
        for level, name, support, changes, delong in found:
            for metric, _ in TITLES:
                judged = changes[metric]
                about = {"task": task.task, "tracks": task.tracks, "groups": task.groups, "level": level, "name": name}
                beside = {"support": support, "metric": metric, "verdict": judged.verdict, "rules": judged.rules}
                numbers = asdict(judged) | {"models": "{} {}".format(*judged.models)}
                numbers["delong_p_value"] = delong if metric == "roc_auc" else None
                rows.append(facts | about | beside | numbers)
    return rows


def label_name(label: LabelChange) -> str:
    """Return a label with its positives."""
    return f"{label.label} (n={label.support})"


def print_block(
    title: str, rows: Iterable[tuple[str, Difference]], console: Console, checks: Iterable[float | None] = ()
) -> None:
    """Print changes one below the other, with DeLong's p-values where they are given."""
    from rich.text import Text

    look: dict[str, Any] = {"title_justify": "left", "header_style": "dim", "pad_edge": False}
    table = new_table("", title=Text(title, style="bold"), **look)
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


def print_standings(found: Sequence[Standing], console: Console) -> None:
    """Print places; models that cannot be told apart from one share a range of them."""
    from rich.text import Text

    look: dict[str, Any] = {"title_justify": "left", "header_style": "dim", "pad_edge": False}
    heads = ("place", "model", "mean [95 % interval]", "cannot be told apart from")
    grid = new_table(*heads, title=Text("Places", style="bold"), **look)
    for one in found:
        place = str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        tied = ", ".join(name for name in one.tied if name != one.model) or ABSENT
        grid.add_row(*map(Text, (place, one.model, span(one.score), tied)))
    console.print()
    console.print(grid)
    legend = (
        "Chance-centred score: mean of ROC-AUC and AP, 0 at chance, 100 a perfect ranking; mean over traditions, each "
        "once. Pairs are told apart by the paired bootstrap at a false discovery rate of 5 %"
        f"{'' if all(one.trainings for one in found) else f', {TEST_ONLY}'}."
    )
    say(console, legend, "dim")


def side(read: Read, place: Path) -> list[Evidence]:
    """Read the records of a model; of folders with commas between them those of its pre-trainings, as one."""
    if place.exists() or "," not in str(place):
        return read([place])
    members = [read([Path(one)]) for one in str(place).split(",")]
    return as_one(members, "+".join(dict.fromkeys(e.record.model.name for member in members for e in member)))


Found = Comparison | tuple[Standing, ...]
"""A comparison with the first model, or the places of all."""


def _compute(
    read: Read,
    first: Annotated[
        Path,
        typer.Argument(
            help="Records of the first model, or their folder; S1,S2,… of its pre-trainings, seeds of one.", metavar="A"
        ),
    ],
    others: Annotated[list[Path], typer.Argument(help="The same of each model to compare with it.", metavar="B…")],
    resamples: Resamples = 1000,
    bound: Bound = 1.0,
    labels: Labels = True,
) -> Iterator[Found]:
    sides = [side(read, place) for place in (first, *others)]
    for other in sides[1:]:
        yield compare(sides[0], other, resamples=resamples, bound=bound / 100, labels=labels)
    if len(sides) > 2 and not any(is_sample(e.record.task.split) or e.models > 1 for one in sides for e in one):
        yield standings(sides, resamples)


def _show(found: Found, console: Console) -> None:
    if isinstance(found, Comparison):
        print_comparison(found, console, labels=any(task.labels for task in found.tasks))
    else:
        print_standings(found, console)


def change_files(comparison: object) -> dict[str, list[dict[str, object]]]:
    """Return every change of a comparison by the name of its CSV file; nothing of what is none."""
    if not isinstance(comparison, Comparison):
        return {}
    setting = comparison.setting
    name = f"changes-{comparison.before}-{comparison.after}-{setting.edition}-{setting.split}"
    return {name: change_rows(comparison)}


def _blocks(scope: Scope) -> Iterator[Block]:
    """Yield what could not be compared, and why."""
    there = {e.record.model.name for e in scope.evidence}
    without = [row.name for row in scope.section.rows if row.name not in there] if there else []
    if scope.unlike or without:
        yield Block(
            "compared", "", template="compared.html", data={"unlike": scope.unlike, "without": without}, open=True
        )


VIEW = View(
    name="changes",
    help="""Compare models on the same tracks: paired differences with intervals, per task, family and label.

    With three models or more also the places that each may have: models that cannot be told apart share them.
    """,
    compute=_compute,
    rows=change_files,
    stem=lambda found: "",
    show=_show,
    blocks=_blocks,
    examples=(
        "cmbench compare results/mfcc results/chroma --no-labels",
        "cmbench compare results/mert-s1,results/mert-s2,results/mert-s3 results/mine-s1,results/mine-s2",
    ),
)
