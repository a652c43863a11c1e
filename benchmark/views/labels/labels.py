"""Scores by label, models side by side, and which labels of a family are taken for which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...records.evidence import Evidence
from ...records.record import LabelScore, Record
from ...records.sections import ABSENT, HEADLINE, METRIC_TITLES, NO_REASON, Column, Row, Section
from ..base import DRAWN_MODELS
from ..figures import short_label
from ..judged import ByCell, judged
from ..tables import Rows, ViewTable, cell_facts, ends, not_run, not_scored
from ..words import with_interval
from .confusion import Confusion, confusions

PAIRS = 10
"""Most confused pairs that a table lists; the CSV file has all."""


LabelView = ByCell[Confusion]
"""Scores by label, with the confusion of every family."""


def label_views(evidence: Sequence[Evidence]) -> tuple[LabelView, ...]:
    """Return the view for every edition, split and protocol.

    Raises:
        UsageError: there are no records, or two contradict each other.
    """
    return judged(evidence, confusions)


def shown(view: LabelView, column: Column) -> list[tuple[Row, Confusion]]:
    """Return the confusions of a task that are shown: of single-choice families; none of too many models."""
    few = len(view.section.rows) <= DRAWN_MODELS
    return [(row, c) for row, c in view.on(column) if few and not c.reason]


def label_tables(view: LabelView) -> list[ViewTable]:
    """Return, for each task, the scores by label and the most confused pairs of every single-choice family."""
    return [
        table
        for column in view.section.columns
        for table in (_scores_table(view, column), *confusion_tables(view, column))
    ]


def confusion_tables(view: LabelView, column: Column) -> list[ViewTable]:
    """Return the most confused pairs of every single-choice family of a task; none of too many models."""
    return [_pairs_table(view.section, column, row, c) for row, c in shown(view, column)]


def by_family(section: Section, column: Column) -> list[LabelScore]:
    """Return the labels of a task by family, in the order in which they name them, with the first model's scores."""
    record = section.records_on(column)[0][1]
    labels = {score.label: score for score in record.labels}
    families = list(dict.fromkeys(labels[label].family for label in record.task.labels))
    return sorted((labels[label] for label in record.task.labels), key=lambda one: families.index(one.family))


def scores_of(record: Record | None) -> dict[str, LabelScore]:
    """Return the scores of a record by label; none without a record."""
    return {score.label: score for score in record.labels} if record else {}


def _scores_table(view: LabelView, column: Column) -> ViewTable:
    section = view.section
    scores = [scores_of(section.record(row, column)) for row in section.rows]
    rows = []
    for facts in by_family(section, column):
        cells = [facts.family, short_label(facts.label), str(facts.support), f"{100 * facts.prevalence:.1f}"]
        for found in scores:
            score = found.get(facts.label)
            cells += [with_interval(*score.ranked(m)) if score else ABSENT for m in HEADLINE]
        rows.append(cells)
    heads = [f"{row.name}\n{METRIC_TITLES[metric]}" for row in section.rows for metric in HEADLINE]
    return ViewTable.of(
        section,
        f"{column.name}: scores by label, percent [{section.interval_name}]; n: positives among "
        f"{column.test_tracks} test tracks; AP of chance is the prevalence",
        ("family", "label", "n", "prevalence", *heads),
        rows,
        keys=4,
        notes=_notes(view, column),
    )


def _notes(view: LabelView, column: Column) -> Iterator[str]:
    records = [record for _, record in view.section.records_on(column)]
    yield from not_run(view.section, column)
    for record in records:
        yield from not_scored(record)
    if len({tuple(s.support for s in record.labels) for record in records}) > 1:
        yield "The models could not use the same test tracks: n and prevalence are those of the first."
    reasons = {
        score.label: (score.reason or NO_REASON).removeprefix("no interval: ")
        for record in records
        for score in record.labels
        if score.roc_auc is not None and score.roc_auc_interval is None
    }
    if reasons:
        yield f"Without an interval: {'; '.join(f'{short_label(a)} ({why})' for a, why in reasons.items())}."
    for family, reason in {c.family: c.reason for _, c in view.on(column) if c.reason}.items():
        yield f"No confusion within {family}: {reason}."
    if len(records) > DRAWN_MODELS:
        yield f"Confusion of up to {DRAWN_MODELS} models is shown; name fewer records. The CSV file has all."


def _pairs_table(section: Section, column: Column, row: Row, confusion: Confusion) -> ViewTable:
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
    return ViewTable.of(
        section,
        f"{column.name}, {row.name}: most confused labels of {confusion.family} "
        f"({confusion.right} of {confusion.tracks} tracks with one of its {len(confusion.labels)} labels right)",
        ("carries", "taken for", "tracks", "of"),
        [(short_label(a), short_label(b), str(n), str(of)) for a, b, n, of in pairs[:PAIRS]],
        keys=2,
        notes=notes,
    )


def label_rows(section: Section) -> Rows:
    """Return one row for each model, task, label and metric, as fractions."""
    return [
        cell_facts(section, row, column)
        | {
            "family": score.family,
            "label": score.label,
            "support": score.support,
            "train_support": score.train_support,
            "prevalence": score.prevalence,
            "metric": metric,
            "value": value,
            **ends(interval),
            "reason": score.reason,
        }
        for column in section.columns
        for row, record in section.records_on(column)
        for score in record.labels
        for metric in HEADLINE
        for value, interval in [score.ranked(metric)]
    ]


def confusion_rows(view: LabelView) -> Rows:
    """Return one row for each model, task, family and pair of labels."""
    return [
        cell_facts(view.section, row, column)
        | {
            "family": c.family,
            "carries": c.labels[i],
            "label": label,
            "support": c.support[i],
            "taken_for": c.counts[i][j],
            "undecided": c.undecided[i],
            "probability_share": shares[j] if shares else None,
        }
        for column, row, c in view.each()
        if not c.reason
        for i, shares in enumerate(c.probability)
        for j, label in enumerate(c.labels)
    ]
