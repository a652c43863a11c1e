"""Scores by label, models side by side, and which labels of a family are taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...records.evidence import Evidence
from ...records.record import LabelScore, Record
from ...records.sections import ABSENT, HEADLINE, METRIC_TITLES, NO_REASON, Column, Row, Section, sections
from ..figures import short_label
from ..tables import Rows, ViewTable, cell_facts, not_run, not_scored
from ..words import with_interval
from .confusion import Confusion, confusions

PAIRS = 10
"""Most confused pairs that a table lists; the CSV file has all."""

CONFUSED_MODELS = 4
"""Models up to which confusions are printed and drawn: each takes a table and a figure for every family."""


@dataclass(frozen=True)
class LabelTask:
    """One task of the view.

    Attributes:
        column: the task.
        labels: in the task's order.
        scores: model (position in the section's rows) -> label -> score; a model without a record is not in it.
        confusions: model -> confusion of every family.
        notes: what is absent and why.
    """

    column: Column
    labels: tuple[str, ...]
    scores: Mapping[int, Mapping[str, LabelScore]]
    confusions: Mapping[int, tuple[Confusion, ...]]
    notes: tuple[str, ...]

    def facts(self, label: str) -> LabelScore:
        """Return a label's score with some model, for what does not depend on the model."""
        return next(iter(self.scores.values()))[label]


@dataclass(frozen=True)
class LabelView:
    """Scores by label for the records of one edition, split and protocol."""

    section: Section
    tasks: tuple[LabelTask, ...]


def label_views(evidence: Sequence[Evidence]) -> tuple[LabelView, ...]:
    """Return the view for every edition, split and protocol.

    Args:
        evidence: records with their predictions.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    by_record = {id(one.record): one for one in evidence}
    return tuple(
        LabelView(s, tuple(_task(s, column, by_record) for column in s.columns))
        for s in sections(one.record for one in evidence)
    )


def _task(section: Section, column: Column, by_record: Mapping[int, Evidence]) -> LabelTask:
    found: dict[int, Record] = {k: r for k, row in enumerate(section.rows) if (r := section.record(row, column))}
    notes = [*not_run(section, column), *(note for record in found.values() for note in not_scored(record))]
    counts = {tuple(s.support for s in record.labels) for record in found.values()}
    if len(counts) > 1:
        notes.append("The models could not use the same test tracks: n and prevalence are those of the first.")
    return LabelTask(
        column=column,
        labels=next(iter(found.values())).task.labels,
        scores={k: {s.label: s for s in record.labels} for k, record in found.items()},
        confusions={k: confusions(by_record[id(record)]) for k, record in found.items()},
        notes=tuple(notes),
    )


def label_tables(view: LabelView) -> list[ViewTable]:
    """Return, for each task, the scores by label and the most confused pairs of every single-choice family."""
    tables = []
    for task in view.tasks:
        tables.append(_scores_table(view.section, task))
        tables += [_pairs_table(view.section, task, row, c) for row, c in shown_confusions(view, task)]
    return tables


def confusion_tables(view: LabelView) -> dict[str, list[ViewTable]]:
    """Return, by task, the most confused pairs of every single-choice family; none of too many models."""
    return {
        task.column.name: [_pairs_table(view.section, task, row, c) for row, c in shown_confusions(view, task)]
        for task in view.tasks
    }


def shown_confusions(view: LabelView, task: LabelTask) -> list[tuple[Row, Confusion]]:
    """Models and single-choice families; none where there are too many models."""
    rows = view.section.rows if len(view.section.rows) <= CONFUSED_MODELS else ()
    return [(row, c) for k, row in enumerate(rows) for c in task.confusions.get(k, ()) if not c.reason]


def _scores_table(section: Section, task: LabelTask) -> ViewTable:
    order = by_family(task)
    rows = []
    for label in order:
        facts = task.facts(label)
        cells = [facts.family, short_label(label), str(facts.support), f"{100 * facts.prevalence:.1f}"]
        for k in range(len(section.rows)):
            score = task.scores.get(k, {}).get(label)
            cells += [with_interval(*score.ranked(m)) if score else ABSENT for m in HEADLINE]
        rows.append(tuple(cells))
    heads = [f"{row.name}\n{METRIC_TITLES[m]}" for row in section.rows for m in HEADLINE]
    return ViewTable(
        title=f"{task.column.name}: scores by label, percent [{section.interval_name}]; n: positives among "
        f"{task.column.test_tracks} test tracks; AP of chance is the prevalence",
        source=section.title,
        warning=section.warning,
        columns=("family", "label", "n", "prevalence", *heads),
        rows=tuple(rows),
        keys=4,
        notes=(*task.notes, *_without_interval(task), *_without_confusion(task)),
    )


def by_family(task: LabelTask) -> list[str]:
    """Labels by family, in the order in which the labels name the families."""
    families = list(dict.fromkeys(task.facts(label).family for label in task.labels))
    return sorted(task.labels, key=lambda label: families.index(task.facts(label).family))


def _without_interval(task: LabelTask) -> tuple[str, ...]:
    """Name the scored labels that have no interval, with the reason."""
    reasons = {
        label: (score.reason or NO_REASON).removeprefix("no interval: ")
        for scores in task.scores.values()
        for label, score in scores.items()
        if score.roc_auc is not None and score.roc_auc_interval is None
    }
    told = "; ".join(f"{short_label(label)} ({reason})" for label, reason in reasons.items())
    return (f"Without an interval: {told}.",) if told else ()


def _without_confusion(task: LabelTask) -> tuple[str, ...]:
    reasons = {c.family: c.reason for found in task.confusions.values() for c in found if c.reason}
    notes = [f"No confusion within {family}: {reason}." for family, reason in reasons.items()]
    if len(task.confusions) > CONFUSED_MODELS:
        notes.append(f"Confusion of up to {CONFUSED_MODELS} models is shown; name fewer records. The CSV file has all.")
    return tuple(notes)


def _pairs_table(section: Section, task: LabelTask, row: Row, confusion: Confusion) -> ViewTable:
    pairs = confusion.pairs()
    notes = []
    if len(pairs) > PAIRS:
        notes.append(f"{len(pairs) - PAIRS} further pairs.")
    if not pairs:
        notes.append("No track is taken for another label.")
    if confusion.several:
        notes.append(f"{confusion.several} tracks carry several labels of {confusion.family} and are left out.")
    if undecided := sum(confusion.undecided):
        notes.append(f"{undecided} tracks are undecided: their highest probability is shared by several labels.")
    return ViewTable(
        title=f"{task.column.name}, {row.name}: most confused labels of {confusion.family} "
        f"({confusion.right} of {confusion.tracks} tracks with one of its {len(confusion.labels)} labels right)",
        source=section.title,
        warning=section.warning,
        columns=("carries", "taken for", "tracks", "of"),
        rows=tuple((short_label(a), short_label(b), str(n), str(of)) for a, b, n, of in pairs[:PAIRS]),
        keys=2,
        notes=tuple(notes),
    )


def label_rows(view: LabelView) -> Rows:
    """Return one row for each model, task, label and metric, as fractions."""
    return [
        cell_facts(view.section, row, task.column)
        | {
            "family": score.family,
            "label": label,
            "support": score.support,
            "train_support": score.train_support,
            "prevalence": score.prevalence,
            "metric": metric,
            "value": value,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "reason": score.reason,
        }
        for task in view.tasks
        for k, row in enumerate(view.section.rows)
        for label, score in task.scores.get(k, {}).items()
        for metric in HEADLINE
        for value, interval in [score.ranked(metric)]
    ]


def confusion_rows(view: LabelView) -> Rows:
    """Return one row for each model, task, family and pair of labels."""
    return [
        cell_facts(view.section, row, task.column)
        | {
            "family": c.family,
            "carries": c.labels[i],
            "label": label,
            "support": c.support[i],
            "taken_for": c.counts[i][j],
            "undecided": c.undecided[i],
            "probability_share": shares[j] if shares else None,
        }
        for task in view.tasks
        for k, row in enumerate(view.section.rows)
        for c in task.confusions.get(k, ())
        if not c.reason
        for i, shares in enumerate(c.probability)
        for j, label in enumerate(c.labels)
    ]
